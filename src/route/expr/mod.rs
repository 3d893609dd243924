//! The language of routing rules: a subset of CEL with the spellings of Python and SQL beside CEL's own.
//!
//! `docs/rules.md` is its description. An expression is compiled once and evaluated for every call: evaluating
//! borrows what it reads, allocates nothing for the usual rules, cannot loop, and takes time that is bounded by the
//! size of the source times the size of the texts it reads. No source and no call makes it panic.

mod evaluate;
mod functions;
mod grams;
mod lex;
mod names;
mod node;
mod parse;
mod value;

use std::fmt;

pub(crate) use evaluate::{Scope, Searches};
use node::{Is, Node};

use super::context::Context;
use crate::call::CallOptions;
use crate::chat::facts::{Facts, Wants};

/// The longest source, in bytes.
pub const MAX_SOURCE: usize = 8 * 1024;

/// The deepest nesting. `a || b || c` is one level, however long.
pub const MAX_DEPTH: usize = 32;

/// A condition, compiled.
#[derive(Clone, Debug)]
pub struct Expression {
    source: Box<str>,
    root: Node,
    wants: Wants,
    constant: Option<bool>,
    traces: usize,
}

/// Does a condition hold?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It cannot be said.
    Faulty(TypeFault),
}

/// Why a condition cannot be said to hold or not: a value of the wrong kind, or arithmetic without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeFault {
    /// Bytes from the start of the source.
    pub offset: usize,
    /// What is wrong there.
    pub reason: &'static str,
}

impl fmt::Display for TypeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.offset, self.reason)
    }
}

/// Why a source is not an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Bytes from the start of the source.
    pub offset: usize,
    /// Characters from the start of the source, the first being 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

impl Fault {
    fn new(source: &str, offset: usize, message: impl Into<String>) -> Self {
        let before = source.get(..source.floor_char_boundary(offset)).unwrap_or_default();
        Self { offset, column: before.chars().count() + 1, message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at column {}: {}", self.column, self.message)
    }
}

impl std::error::Error for Fault {}

impl Expression {
    /// Reads a source.
    ///
    /// # Errors
    ///
    /// What is wrong, and where: grammar, unknown names, the number of arguments, a value that is no condition
    /// where one is needed, the bounds.
    pub fn compile(source: &str) -> Result<Self, Fault> {
        let parsed = parse::parse(source)?;
        Ok(Self {
            source: source.into(),
            constant: constant(&parsed.root),
            traces: parsed.root.traces(),
            root: parsed.root,
            wants: parsed.wants,
        })
    }

    /// Does it hold for a call?
    pub fn holds(&self, context: &Context<'_>) -> Outcome {
        self.holds_in(&Scope::new(context, Searches::Few))
    }

    pub(crate) fn holds_in<'a>(&'a self, scope: &'a Scope<'a>) -> Outcome {
        match self.constant.map_or_else(|| self.root.truth(scope), Ok) {
            Ok(true) => Outcome::Yes,
            Ok(false) => Outcome::No,
            Err(fault) => Outcome::Faulty(fault),
        }
    }

    /// What it says of every call, if that does not depend on the call.
    pub fn constant(&self) -> Option<bool> {
        self.constant
    }

    /// The costly facts it reads.
    pub fn wants(&self) -> Wants {
        self.wants
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// How many searches of the user's input [`Searches::Many`] makes cheaper.
    pub(crate) fn searches(&self) -> usize {
        self.traces
    }
}

/// What a condition says of every call.
fn constant(node: &Node) -> Option<bool> {
    match &node.is {
        Is::Not(inner) => constant(inner).map(|holds| !holds),
        // One part that decides is enough; where no part does, all must be known.
        Is::And(nodes) => joined(nodes, false),
        Is::Or(nodes) => joined(nodes, true),
        Is::Choice(parts) => constant(if constant(&parts.0)? { &parts.1 } else { &parts.2 }),
        _ if node.reads_call() => None,
        _ => {
            let (facts, options) = (Facts::default(), CallOptions::default());
            let context = Context::new(&facts, &options);
            node.truth(&Scope::new(&context, Searches::Few)).ok()
        }
    }
}

fn joined(nodes: &[Node], decisive: bool) -> Option<bool> {
    let mut all_known = true;
    for node in nodes {
        match constant(node) {
            Some(holds) if holds == decisive => return Some(decisive),
            Some(_) => {}
            None => all_known = false,
        }
    }
    all_known.then_some(!decisive)
}
