//! Many tasks before one limit: nobody is forgotten, whoever gives up and whenever.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fairlead::admit::line::{Place, Queue, Settings, TurnedAway, Waiting};
use fairlead::clock::{self, Rng};
use parking_lot::Mutex;
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep;

/// Tokens that all share, slots of each user, and the line before them.
struct Gate {
    room: Mutex<Room>,
    queue: Arc<Queue>,
    /// The most that were out at once.
    tokens: u64,
}

struct Room {
    tokens: u64,
    users: BTreeMap<u64, u32>,
}

/// What a call holds; dropped, it is given back.
struct Held {
    gate: Arc<Gate>,
    user: u64,
    cost: u64,
}

enum Answer {
    Granted(Held),
    Shared,
    Own,
}

impl Gate {
    fn new(tokens: u64, settings: Settings) -> Arc<Self> {
        let room = Mutex::new(Room { tokens, users: BTreeMap::new() });
        Arc::new(Self { room, queue: Queue::new(settings), tokens })
    }

    /// All or nothing; two of a user at once.
    fn try_take(self: &Arc<Self>, user: u64, cost: u64) -> Answer {
        let mut room = self.room.lock();
        if room.users.get(&user).is_some_and(|slots| *slots >= 2) {
            return Answer::Own;
        }
        if room.tokens < cost {
            return Answer::Shared;
        }
        room.tokens -= cost;
        *room.users.entry(user).or_default() += 1;
        Answer::Granted(Held { gate: Arc::clone(self), user, cost })
    }

    fn join(&self, user: u64, cost: u64, patience: Duration) -> Result<Place, TurnedAway> {
        let deadline = clock::now() + patience;
        let (tenant, priority) = (user % 3, (user % 10) as u8);
        self.queue.join(Waiting { tenant, weight: 1.0, priority, cost, deadline })
    }

    async fn take(self: &Arc<Self>, user: u64, cost: u64, patience: Duration) -> Result<Held, TurnedAway> {
        if self.queue.is_empty()
            && let Answer::Granted(held) = self.try_take(user, cost)
        {
            return Ok(held);
        }
        let mut place = self.join(user, cost, patience)?;
        place.turn().await?;
        loop {
            match self.try_take(user, cost) {
                Answer::Granted(held) => {
                    place.served(cost);
                    return Ok(held);
                }
                Answer::Shared => place.blocked(None, false).await?,
                Answer::Own => place.aside(user, None).await?,
            }
        }
    }

    fn assert_at_rest(&self) {
        assert!(self.queue.is_empty());
        let told = self.queue.statistics();
        assert_eq!((told.depth, told.aside), ([0; 10], 0));
        assert_eq!(self.room.lock().tokens, self.tokens, "leaked");
        assert!(self.room.lock().users.values().all(|slots| *slots == 0), "leaked");
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut room = self.gate.room.lock();
        room.tokens += self.cost;
        *room.users.entry(self.user).or_default() -= 1;
        drop(room);
        self.gate.queue.wake();
    }
}

const PATIENT: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn an_empty_line_costs_nobody_a_wait() {
    let gate = Gate::new(10, Settings::default());
    let before = clock::now();
    for _ in 0..100 {
        gate.take(1, 10, PATIENT).await.unwrap();
    }
    assert_eq!(clock::now(), before);
    assert_eq!(gate.queue.statistics().served, 0);
}

#[tokio::test(start_paused = true)]
async fn q1_what_is_given_back_goes_to_the_head_at_once_and_to_as_many_as_it_is_enough_for() {
    let gate = Gate::new(100, Settings::default());
    let all = gate.take(0, 100, PATIENT).await.unwrap();
    let mut waiting = JoinSet::new();
    for user in 1..=10 {
        let gate = Arc::clone(&gate);
        waiting.spawn(async move {
            let held = gate.take(user, 10, PATIENT).await.unwrap();
            sleep(Duration::from_secs(1)).await;
            drop(held);
            clock::now()
        });
    }
    sleep(Duration::from_secs(5)).await;
    assert_eq!(gate.queue.statistics().depth.iter().sum::<usize>(), 10);
    let freed = clock::now();
    drop(all);
    while let Some(ended) = waiting.join_next().await {
        assert_eq!(ended.unwrap() - freed, Duration::from_secs(1), "all ten at once");
    }
    gate.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn q1_who_waits_for_a_limit_of_its_own_is_in_nobodys_way_and_comes_back_when_that_is_free() {
    let gate = Gate::new(100, Settings::default());
    let [first, second] =
        [gate.take(9, 10, PATIENT).await.unwrap(), gate.take(9, 10, PATIENT).await.unwrap()];
    let blocking = gate.take(1, 80, PATIENT).await.unwrap();
    let tasks: Vec<_> = [(9, 10), (9, 10), (2, 10)]
        .map(|(user, cost)| {
            let gate = Arc::clone(&gate);
            tokio::spawn(async move { gate.take(user, cost, PATIENT).await.unwrap() })
        })
        .into();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(gate.queue.statistics().aside, 2, "both of user 9");
    drop(blocking);
    sleep(Duration::from_secs(1)).await;
    assert!(tasks[2].is_finished(), "another user passes");
    assert!(!tasks[0].is_finished());
    drop(first);
    sleep(Duration::from_secs(1)).await;
    assert!(tasks[0].is_finished() && !tasks[1].is_finished(), "the older of the two");
    drop(second);
    sleep(Duration::from_secs(1)).await;
    assert!(tasks[1].is_finished());
    for task in tasks {
        drop(task.await);
    }
    gate.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn who_is_blocked_tries_again_when_its_wait_is_over() {
    let gate = Gate::new(0, Settings::default());
    let mut place = gate.join(1, 10, PATIENT).unwrap();
    place.turn().await.unwrap();
    let before = clock::now();
    place.blocked(Some(Duration::from_secs(7)), true).await.unwrap();
    assert_eq!(clock::now() - before, Duration::from_secs(7));
    place.aside(1, Some(Duration::from_secs(3))).await.unwrap();
    assert_eq!(clock::now() - before, Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_told_at_its_deadline_wherever_it_stands() {
    let gate = Gate::new(0, Settings::default());
    let patience = Duration::from_secs(2);
    for way in 0..3 {
        let mut head = gate.join(1, 10, PATIENT).unwrap();
        let mut place = gate.join(1, 10, patience).unwrap();
        let before = clock::now();
        let away = match way {
            0 => place.turn().await,
            1 => {
                head.turn().await.unwrap();
                drop(head);
                place.turn().await.unwrap();
                place.blocked(Some(PATIENT), true).await
            }
            _ => {
                head.turn().await.unwrap();
                drop(head);
                place.turn().await.unwrap();
                place.aside(5, None).await
            }
        };
        assert!(matches!(away, Err(TurnedAway::TimedOut { waited, .. }) if waited == patience), "{away:?}");
        assert_eq!(clock::now() - before, patience);
    }
    gate.assert_at_rest();
    assert_eq!(gate.queue.statistics().timed_out, 3);
}

#[tokio::test(start_paused = true)]
async fn who_gives_way_is_told_at_once() {
    let gate = Gate::new(0, Settings { most: 2, ..Settings::default() });
    let mut head = gate.join(8, 10, PATIENT).unwrap();
    head.turn().await.unwrap();
    let mut low = gate.join(1, 10, PATIENT).unwrap();
    let waiting = tokio::spawn(async move { low.turn().await });
    yield_now().await;
    let before = clock::now();
    let _high = gate.join(9, 10, PATIENT).unwrap();
    let away = waiting.await.unwrap();
    assert!(matches!(away, Err(TurnedAway::Shed { .. })), "{away:?}");
    assert_eq!(clock::now(), before);
}

#[tokio::test(start_paused = true)]
async fn a_future_that_is_dropped_and_begun_again_loses_nothing() {
    let gate = Gate::new(0, Settings::default());
    let mut place = gate.join(1, 10, PATIENT).unwrap();
    place.turn().await.unwrap();
    let short = Duration::from_secs(1);
    assert!(tokio::time::timeout(short, place.blocked(None, false)).await.is_err());
    place.turn().await.unwrap();
    assert!(tokio::time::timeout(short, place.aside(3, None)).await.is_err());
    assert!(gate.queue.is_empty());
    place.turn().await.unwrap();
    place.served(10);
    gate.assert_at_rest();
}

/// A hundred thousand calls; a million with as many cases of each property as the long runs have.
fn many() -> u64 {
    if std::env::var("PROPTEST_CASES").is_ok() { 1_000_000 } else { 100_000 }
}

/// Callers who take what they want, hold it a while, and give up at any moment.
async fn come_and_go(gate: Arc<Gate>, rng: Arc<Rng>, calls: u64, real: bool) {
    for _ in 0..calls {
        let (user, cost) = (rng.u64() % 12, 1 + rng.u64() % 60);
        let patience = Duration::from_millis(1 + rng.u64() % 400);
        let gives_up = Duration::from_micros(rng.u64() % 200_000);
        let call = async {
            if let Ok(_held) = gate.take(user, cost, patience).await {
                if real { yield_now().await } else { sleep(Duration::from_millis(rng.u64() % 20)).await }
            }
        };
        if real {
            let polls = rng.u64() % 8;
            let giving_up = async {
                for _ in 0..polls {
                    yield_now().await;
                }
            };
            tokio::select! { () = call => {}, () = giving_up => {} }
        } else {
            let _ = tokio::time::timeout(gives_up, call).await;
        }
    }
}

async fn all_come_and_go(seed: u64, real: bool) {
    let gate = Gate::new(100, Settings { most: 40, most_per_tenant: 20, ..Settings::default() });
    let rng = Arc::new(Rng::seeded(seed));
    let mut tasks = JoinSet::new();
    for _ in 0..50 {
        tasks.spawn(come_and_go(Arc::clone(&gate), Arc::clone(&rng), many() / 50, real));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    gate.assert_at_rest();
    let told = gate.queue.statistics();
    assert!(told.served > 100 && told.left > 100, "{told:?}");
    let everything = gate.take(1, 100, PATIENT).await;
    assert!(everything.is_ok());
}

#[tokio::test(start_paused = true)]
async fn q8_calls_given_up_at_any_time_leak_nothing() {
    all_come_and_go(8, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn q8_calls_given_up_while_other_threads_give_them_their_turn_leak_nothing() {
    all_come_and_go(9, true).await;
}

#[tokio::test(start_paused = true)]
async fn a_place_that_was_left_from_elsewhere_is_nobodys_turn_any_more() {
    let gate = Gate::new(0, Settings::default());
    let mut place = gate.join(1, 10, PATIENT).unwrap();
    place.turn().await.unwrap();
    let next = gate.join(2, 10, PATIENT).unwrap();
    place.leave().now();
    assert_eq!(gate.queue.statistics().depth.iter().sum::<usize>(), 1);
    assert!(place.blocked(Some(Duration::from_secs(7)), true).await.is_err());
    assert!(place.turn().await.is_err());
    drop(place);
    let mut next = next;
    next.turn().await.unwrap();
}
