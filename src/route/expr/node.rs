//! The compiled form: a tree whose leaves know what they look for.

use std::cmp::Ordering;

use memchr::memmem::Finder;

use super::grams::{Grams, Trace};
use super::names::{Function, Kind, Variable};
use super::value::{Map, Operator};

/// A part of an expression, and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) at: usize,
    pub(super) is: Is,
}

/// What a part does.
#[derive(Clone, Debug)]
pub(super) enum Is {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Box<str>),
    Variable(Variable),
    List(Vec<Node>),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    /// Condition, then, else.
    Choice(Box<(Node, Node, Node)>),
    /// A test against the word `null`: does it hold for what is missing, or for what is there?
    NullTest(Box<Node>, Presence),
    Compare(Comparison, Box<(Node, Node)>),
    /// The item, the list, map or text.
    In(Box<(Node, Node)>),
    Negative(Box<Node>),
    Reckon(Operator, Box<(Node, Node)>),
    /// A member or an item: of what, which.
    Item(Box<(Node, Node)>),
    /// A member whose map and name are known.
    Member(Map, Box<str>),
    /// `contains` and `icontains` with a text that is known.
    Find(Box<(Node, Needle)>),
    Call(Function, Vec<Node>),
}

/// What a test against `null` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Missing,
    There,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    Different,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    pub(super) fn admits(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Different => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// A text to look for, prepared once.
#[derive(Clone, Debug)]
pub(super) struct Needle {
    trace: Option<Trace>,
    pub(super) case: Case,
    pub(super) finder: Finder<'static>,
}

/// Do upper and lower case differ?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    Kept,
    Folded,
}

impl Needle {
    pub(super) fn new(text: &str, case: Case) -> Self {
        let text = match case {
            Case::Kept => text.to_owned(),
            Case::Folded => fold(text),
        };
        let trace = if case == Case::Kept { Trace::of(text.as_bytes()) } else { None };
        Self { finder: Finder::new(text.as_bytes()).into_owned(), case, trace }
    }

    pub(super) fn is_in(&self, text: &str) -> bool {
        self.finder.find(text.as_bytes()).is_some()
    }

    /// May a text with these grams hold it? A needle that is looked for in lower case has no trace in them.
    pub(super) fn may_be_among(&self, grams: &Grams) -> bool {
        self.trace.as_ref().is_none_or(|trace| grams.may_hold(trace))
    }

    pub(super) fn has_trace(&self) -> bool {
        self.trace.is_some()
    }
}

/// Lower case, character by character: what `lower` and `icontains` take for the same.
pub(super) fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().flat_map(char::to_lowercase).collect()
}

impl Node {
    /// What its value is, as far as the source alone tells.
    pub(super) fn kind(&self) -> Kind {
        match &self.is {
            Is::Null => Kind::Open,
            Is::Int(_) | Is::Float(_) | Is::Negative(_) => Kind::Number,
            Is::Text(_) | Is::Member(..) => Kind::Text,
            Is::Variable(variable) => variable.kind(),
            Is::List(_) => Kind::List,
            Is::Bool(_)
            | Is::Not(_)
            | Is::And(_)
            | Is::Or(_)
            | Is::NullTest(..)
            | Is::Compare(..)
            | Is::In(_)
            | Is::Find(_) => Kind::Condition,
            Is::Choice(parts) if parts.1.kind() == parts.2.kind() => parts.1.kind(),
            Is::Choice(_) => Kind::Open,
            Is::Reckon(_, parts) if parts.0.kind() == Kind::Text => Kind::Text,
            Is::Reckon(..) => Kind::Number,
            Is::Item(parts) if parts.0.kind() == Kind::Map => Kind::Text,
            Is::Item(_) => Kind::Open,
            Is::Call(Function::Get, arguments) => match arguments.as_slice() {
                [map, _] if map.kind() == Kind::Map => Kind::Text,
                _ => Kind::Open,
            },
            Is::Call(function, _) => function.kind(),
        }
    }

    /// How many texts are looked for in the user's input by their grams.
    pub(super) fn traces(&self) -> usize {
        let all = |nodes: &[Node]| nodes.iter().map(Self::traces).sum();
        match &self.is {
            Is::Not(node) => node.traces(),
            Is::And(nodes) | Is::Or(nodes) => all(nodes),
            Is::Choice(parts) => parts.0.traces() + parts.1.traces() + parts.2.traces(),
            Is::Find(parts) => usize::from(parts.1.has_trace() && parts.0.is_user_input()),
            _ => 0,
        }
    }

    pub(super) fn is_user_input(&self) -> bool {
        matches!(self.is, Is::Variable(Variable::UserInput))
    }
}

impl Node {
    /// Does any part read the call?
    pub(super) fn reads_call(&self) -> bool {
        let any = |nodes: &[Self]| nodes.iter().any(Self::reads_call);
        match &self.is {
            Is::Variable(_) | Is::Member(..) => true,
            Is::Null | Is::Bool(_) | Is::Int(_) | Is::Float(_) | Is::Text(_) => false,
            Is::List(nodes) | Is::And(nodes) | Is::Or(nodes) | Is::Call(_, nodes) => any(nodes),
            Is::Not(node) | Is::NullTest(node, _) | Is::Negative(node) => node.reads_call(),
            Is::Choice(parts) => parts.0.reads_call() || parts.1.reads_call() || parts.2.reads_call(),
            Is::Compare(_, pair) | Is::In(pair) | Is::Reckon(_, pair) | Is::Item(pair) => {
                pair.0.reads_call() || pair.1.reads_call()
            }
            Is::Find(find) => find.0.reads_call(),
        }
    }
}
