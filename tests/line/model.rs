//! Whatever happens, the line does what the rules say.

use std::time::Duration;

use fairlead::admit::line::{Line, Newcomer, Settings, Standing, Ticket, TurnedAway};
use proptest::prelude::*;

use crate::reference::{Place, Reference};

#[derive(Clone, Debug)]
enum Happening {
    Join { tenant: u64, weight: u8, priority: u8, cost: u64, patience: u64 },
    Tries,
    ServeHead { cost: u64 },
    Serve { which: usize },
    Leave { which: usize },
    Expire { which: usize },
    Blocked { known: bool },
    StepAside { own: u64 },
    Freed,
    Again { which: usize },
    Pass { milliseconds: u64 },
}

fn happening() -> impl Strategy<Value = Happening> {
    let which = 0..40_usize;
    let join = (0..4_u64, 1..4_u8, 0..10_u8, 0..5000_u64, prop_oneof![100..40_000_u64, Just(u64::MAX)])
        .prop_map(|(tenant, weight, priority, cost, patience)| Happening::Join {
            tenant,
            weight,
            priority,
            cost,
            patience,
        });
    prop_oneof![
        8 => join,
        3 => Just(Happening::Tries),
        5 => (0..5000_u64).prop_map(|cost| Happening::ServeHead { cost }),
        1 => which.clone().prop_map(|which| Happening::Serve { which }),
        1 => which.clone().prop_map(|which| Happening::Leave { which }),
        1 => which.clone().prop_map(|which| Happening::Expire { which }),
        3 => any::<bool>().prop_map(|known| Happening::Blocked { known }),
        2 => (0..3_u64).prop_map(|own| Happening::StepAside { own }),
        2 => Just(Happening::Freed),
        1 => which.prop_map(|which| Happening::Again { which }),
        4 => (0..8000_u64).prop_map(|milliseconds| Happening::Pass { milliseconds }),
    ]
}

/// The line, the reference, and the tickets by number.
struct Both {
    line: Line,
    reference: Reference,
    tickets: Vec<Ticket>,
    now: u64,
    refused: [u64; 2],
}

impl Both {
    fn pick(&self, which: usize) -> Option<(Ticket, u64)> {
        let callers = &self.reference.callers;
        let number = callers.get(which % callers.len().max(1))?.number;
        Some((self.tickets[number as usize], number))
    }

    fn head(&self) -> Option<(Ticket, u64)> {
        let number = self.reference.offered()?;
        Some((self.tickets[number as usize], number))
    }

    fn join(&mut self, who: Newcomer) {
        let now = self.now;
        let crowd = |reference: &Reference, who: &Newcomer| reference.crowd(who);
        let who = self.reference.receive(who, now);
        let crowd = crowd(&self.reference, &who);
        match self.line.join(who, now) {
            Ok(ticket) => {
                assert!(!matches!(crowd, Some((_, None))), "no room for {who:?}");
                self.reference.join(self.tickets.len() as u64, who, now);
                self.tickets.push(ticket);
            }
            Err(TurnedAway::Full { crowd: full, .. }) => {
                assert_eq!(crowd, Some((full, None)));
                self.refused[0] += 1;
            }
            Err(TurnedAway::Predicted { wait }) => {
                assert!(wait.as_nanos() > u128::from(who.deadline - now));
                assert!(
                    self.reference.offered().is_some() || self.reference.turn.is_some(),
                    "nobody was before it"
                );
                self.refused[1] += 1;
            }
            Err(away) => panic!("{away:?}"),
        }
    }

    fn apply(&mut self, happening: &Happening) {
        let now = self.now;
        match *happening {
            Happening::Join { tenant, weight, priority, cost, patience } => {
                let deadline = now.saturating_add(patience.saturating_mul(1_000_000));
                self.join(Newcomer { tenant, weight: f64::from(weight), priority, cost, deadline });
            }
            Happening::Tries => {
                self.line.tries();
                self.reference.tries();
            }
            Happening::ServeHead { cost } => {
                if let Some((ticket, number)) = self.head() {
                    self.line.serve(ticket, cost, now);
                    self.reference.serve(number, cost, now);
                }
            }
            Happening::Serve { which } => {
                if let Some((ticket, number)) = self.pick(which) {
                    self.line.serve(ticket, 10, now);
                    self.reference.serve(number, 10, now);
                }
            }
            Happening::Leave { which } => {
                if let Some((ticket, number)) = self.pick(which) {
                    self.line.leave(ticket, now);
                    self.reference.leave(number, now);
                }
            }
            Happening::Expire { which } => {
                if let Some((ticket, number)) = self.pick(which) {
                    self.line.expire(ticket, now);
                    self.reference.expire(number, now);
                }
            }
            Happening::Blocked { known } => {
                if let Some((ticket, number)) = self.head() {
                    self.line.blocked(ticket, known.then_some(Duration::from_nanos(1)), now);
                    self.reference.blocked(number, known, now);
                }
            }
            Happening::StepAside { own } => {
                if let Some((ticket, number)) = self.head() {
                    self.line.step_aside(ticket, own, now);
                    self.reference.step_aside(number, own, now);
                }
            }
            Happening::Freed => {
                self.line.freed(now);
                self.reference.freed(now);
            }
            Happening::Again { which } => {
                if let Some((ticket, number)) = self.pick(which) {
                    self.line.again(ticket, now);
                    self.reference.again(number, now);
                }
            }
            Happening::Pass { milliseconds } => {
                self.now += milliseconds * 1_000_000;
                self.reference.pass_time(self.now);
            }
        }
    }

    fn assert_same(&self) {
        let reference = &self.reference;
        let offered = reference.offered().map(|number| self.tickets[number as usize]);
        assert_eq!(self.line.offered(), offered);
        for (number, ticket) in self.tickets.iter().enumerate() {
            let caller = reference.callers.iter().find(|caller| caller.number == number as u64);
            let standing = self.line.standing(*ticket);
            let same = match caller.map(|caller| caller.place) {
                None => standing == Standing::Gone,
                Some(Place::Line) if offered == Some(*ticket) => standing == Standing::Offered,
                Some(Place::Line) => standing == Standing::Waiting,
                Some(Place::Aside) => standing == Standing::Aside,
                Some(Place::Shed) => matches!(standing, Standing::Away(TurnedAway::Shed { .. })),
                Some(Place::TimedOut) => matches!(standing, Standing::Away(TurnedAway::TimedOut { .. })),
            };
            assert!(same, "{number}: {standing:?}, not {caller:?}");
        }
        let told = self.line.statistics();
        assert_eq!(told.depth.iter().sum::<usize>(), self.line.len());
        assert_eq!(self.line.present(), reference.present().count());
        assert_eq!((told.overloaded, [told.full, told.predicted]), (reference.overloaded, self.refused));
    }
}

proptest! {
    #[test]
    fn the_line_does_what_the_rules_say(happenings in prop::collection::vec(happening(), 1..120)) {
        let settings = Settings { most: 12, most_per_tenant: 6, ..Settings::default() };
        let mut both = Both {
            line: Line::new(settings),
            reference: Reference::new(settings),
            tickets: Vec::new(),
            now: 0,
            refused: [0; 2],
        };
        for happening in &happenings {
            both.apply(happening);
            both.assert_same();
        }
    }

    #[test]
    fn nothing_makes_it_panic(
        settings in any::<[u64; 4]>(),
        steps in prop::collection::vec((0..11_u8, any::<[u64; 4]>(), any::<f64>(), any::<u8>()), 1..60),
    ) {
        let duration = std::time::Duration::from_nanos;
        let mut line = Line::new(Settings {
            most: settings[0] as usize % 8,
            most_per_tenant: settings[1] as usize % 8,
            aging: duration(settings[2]),
            overload_target: duration(settings[3]),
            ..Settings::default()
        });
        let mut tickets = Vec::new();
        for (step, [a, b, c, now], weight, priority) in steps {
            let ticket = tickets.get(a as usize % (tickets.len() + 1)).copied();
            match (step, ticket) {
                (0..=3, _) => {
                    let who = Newcomer { tenant: a % 3, weight, priority, cost: b, deadline: c };
                    tickets.extend(line.join(who, now).ok());
                }
                (4, Some(ticket)) => { line.serve(ticket, b, now); }
                (5, Some(ticket)) => line.leave(ticket, now),
                (6, Some(ticket)) => line.expire(ticket, now),
                (7, Some(ticket)) => line.blocked(ticket, Some(duration(b)), now),
                (8, Some(ticket)) => line.step_aside(ticket, b | c, now),
                (9, Some(ticket)) => line.again(ticket, now),
                _ => line.freed(now),
            }
            line.statistics();
            line.news();
        }
    }
}
