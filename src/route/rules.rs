//! The rules of a configuration: which of them decides where a call goes.

use std::sync::atomic::{AtomicU64, Ordering};

use super::context::Context;
use super::expr::{Expression, Fault, Outcome, Scope, Searches};
use super::glob;
use crate::chat::facts::Wants;
use crate::config;

/// The model name that leaves the choice to the rules, as no name does.
pub const AUTO: &str = "auto";

/// From so many searches of the same text on, its grams pay (measured: they cost as much as 13 searches of 2 KiB).
const MANY: usize = 16;

/// Compiled rules, in the order in which they are asked.
#[derive(Debug)]
pub struct Rules {
    in_order: Vec<Rule>,
    searches: Searches,
    wants: Wants,
}

/// A compiled rule.
#[derive(Debug)]
pub struct Rule {
    /// As the operator wrote it.
    pub written: config::Rule,
    /// Where it stands in the file, from 0.
    pub position: usize,
    condition: Condition,
    faults: AtomicU64,
}

#[derive(Debug)]
enum Condition {
    Always(bool),
    Expression(Expression),
    /// The position of a Python callable, which was asked before the call came here.
    Callable(usize),
}

/// What the rules say of a call.
#[derive(Debug)]
pub struct Picked<'a> {
    /// The one that decides, if any.
    pub rule: Option<&'a Rule>,
    /// How many were asked.
    pub looked_at: usize,
    /// Those that could not say: position in the file, and why.
    pub faulty: Vec<(usize, String)>,
}

/// A rule that is of no use as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Its condition is false for every call.
    NeverHolds {
        /// Its place in the file.
        position: usize,
    },
    /// Rules that hold for every call are asked before it.
    Unreachable {
        /// Its place in the file.
        position: usize,
        /// The place of the first of the others.
        behind: usize,
    },
}

impl Rules {
    /// Compiles what the operator wrote, in the order of the file.
    ///
    /// # Errors
    ///
    /// Every condition that is not an expression, with the position of its rule.
    pub fn compile(written: &[config::Rule]) -> Result<Self, Vec<(usize, Fault)>> {
        let mut faults = Vec::new();
        let mut rules = Vec::with_capacity(written.len());
        for (position, rule) in written.iter().enumerate() {
            match Condition::compile(&rule.when) {
                Ok(condition) => {
                    let faults = AtomicU64::new(0);
                    rules.push(Rule { written: rule.clone(), position, condition, faults });
                }
                Err(fault) => faults.push((position, fault)),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        // Stable: where weights agree, the file's order holds.
        rules.sort_by(|one, other| other.written.weight.total_cmp(&one.written.weight));
        let expressions = || rules.iter().filter_map(|rule| rule.condition.expression());
        let searches: usize = expressions().map(Expression::searches).sum();
        let wants = expressions().fold(Wants::NOTHING, |wants, expression| wants | expression.wants());
        let searches = if searches < MANY { Searches::Few } else { Searches::Many };
        Ok(Self { in_order: rules, searches, wants })
    }

    /// The first rule that concerns the call and holds. One that cannot say is counted and passed over.
    pub fn pick<'a>(&'a self, context: &Context<'_>) -> Picked<'a> {
        let scope = Scope::new(context, self.searches);
        let mut picked = Picked { rule: None, looked_at: 0, faulty: Vec::new() };
        let model = open(context.model());
        for rule in self.in_order.iter().filter(|rule| rule.concerns(model)) {
            picked.looked_at += 1;
            match rule.condition.holds(&scope, context) {
                Ok(true) => {
                    picked.rule = Some(rule);
                    break;
                }
                Ok(false) => {}
                Err(fault) => {
                    rule.faults.fetch_add(1, Ordering::Relaxed);
                    picked.faulty.push((rule.position, fault));
                }
            }
        }
        picked
    }

    /// The rules in the order in which they are asked.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.in_order.iter()
    }

    /// Are there none?
    pub fn is_empty(&self) -> bool {
        self.in_order.is_empty()
    }

    /// The costly facts that any of them reads.
    pub fn wants(&self) -> Wants {
        self.wants
    }

    /// How often each rule could not say whether it holds, by name.
    pub fn faults(&self) -> impl Iterator<Item = (&str, u64)> {
        self.in_order.iter().map(|rule| (rule.written.name.as_str(), rule.faults()))
    }

    /// The rules that can never decide anything, in the order of the file.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut found = Vec::new();
        let mut before: Vec<&Rule> = Vec::new();
        for rule in &self.in_order {
            let position = rule.position;
            match (rule.condition.constant(), before.first()) {
                (Some(false), _) => found.push(Warning::NeverHolds { position }),
                (_, Some(first)) if rule.is_covered_by(&before) => {
                    found.push(Warning::Unreachable { position, behind: first.position });
                }
                (Some(true), _) => before.push(rule),
                (None, _) => {}
            }
        }
        found.sort_by_key(Warning::position);
        found
    }
}

/// The model, if the caller insists on one.
fn open(model: Option<&str>) -> Option<&str> {
    model.filter(|model| *model != AUTO)
}

impl Rule {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.written.name
    }

    /// How often it could not say whether it holds.
    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    /// Is it asked about a call that insists on `model`, or that leaves the model open?
    fn concerns(&self, model: Option<&str>) -> bool {
        model.is_none_or(|model| glob::any(&self.written.models, model))
    }

    /// Do others that hold for every call concern all calls that this one concerns?
    fn is_covered_by(&self, others: &[&Self]) -> bool {
        let covered = |narrow: &String| others.iter().any(|other| glob::any(&other.written.models, narrow));
        self.written.models.iter().all(covered)
    }
}

impl Condition {
    fn compile(written: &config::Condition) -> Result<Self, Fault> {
        Ok(match written {
            config::Condition::Always(holds) => Self::Always(*holds),
            config::Condition::Expression(source) => Self::Expression(Expression::compile(source)?),
            config::Condition::Callable { callable } => Self::Callable(*callable),
        })
    }

    fn expression(&self) -> Option<&Expression> {
        if let Self::Expression(expression) = self { Some(expression) } else { None }
    }

    fn constant(&self) -> Option<bool> {
        match self {
            Self::Always(holds) => Some(*holds),
            Self::Expression(expression) => expression.constant(),
            Self::Callable(_) => None,
        }
    }

    /// An error is why it cannot say.
    fn holds<'a>(&'a self, scope: &'a Scope<'a>, context: &Context<'_>) -> Result<bool, String> {
        match self {
            Self::Always(holds) => Ok(*holds),
            Self::Expression(expression) => match expression.holds_in(scope) {
                Outcome::Yes => Ok(true),
                Outcome::No => Ok(false),
                Outcome::Faulty(fault) => Err(fault.to_string()),
            },
            // Where nobody was asked, nobody said yes.
            Self::Callable(position) => context.options.verdicts.get(*position).cloned().unwrap_or(Ok(false)),
        }
    }
}

impl Warning {
    /// The place in the file of the rule it is about.
    pub fn position(&self) -> usize {
        match self {
            Self::NeverHolds { position } | Self::Unreachable { position, .. } => *position,
        }
    }
}
