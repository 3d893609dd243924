//! What an expression says of one call.

use std::cell::OnceCell;

use super::TypeFault;
use super::functions;
use super::grams::Grams;
use super::names::{Function, Variable};
use super::node::{Case, Comparison, Is, Needle, Node, Presence, fold};
use super::value::{List, Map, Reason, Value, equal, order};
use crate::route::context::Context;

/// A call, and what one decision remembers of it.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    context: &'a Context<'a>,
    grams: Option<OnceCell<Grams>>,
    /// The user's input, all text and the system's in lower case.
    folded: [OnceCell<String>; 3],
}

impl std::fmt::Debug for Grams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Grams")
    }
}

/// Does a decision search for so many texts that the grams of the user's input pay?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Searches {
    Few,
    Many,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(context: &'a Context<'a>, searches: Searches) -> Self {
        let grams = (searches == Searches::Many).then(OnceCell::new);
        Self { context, grams, folded: [const { OnceCell::new() }; 3] }
    }

    /// A variable that is a long text; its lower case is made once a decision.
    fn text(&self, variable: Variable, case: Case) -> Option<&str> {
        let [user_input, text, system] = &self.folded;
        let (folded, text) = match variable {
            Variable::UserInput => (user_input, self.context.user_input()),
            Variable::Text => (text, self.context.facts.text.as_str()),
            Variable::System => (system, self.context.facts.system.as_str()),
            _ => return None,
        };
        Some(match case {
            Case::Kept => text,
            Case::Folded => folded.get_or_init(|| fold(text)),
        })
    }
}

/// A text that can be had for nothing, as most comparisons have on both sides.
enum AtHand<'a> {
    Text(&'a str),
    Missing,
    No,
}

type Truth = Result<bool, TypeFault>;
type Found<'a> = Result<Value<'a>, TypeFault>;

impl Node {
    /// The node as a condition.
    pub(super) fn truth<'a>(&'a self, scope: &'a Scope<'a>) -> Truth {
        match &self.is {
            Is::Bool(holds) => Ok(*holds),
            Is::Not(node) => node.truth(scope).map(|holds| !holds),
            Is::And(nodes) => all(nodes, scope),
            Is::Or(nodes) => any(nodes, scope),
            Is::Choice(parts) => parts.chosen(scope)?.truth(scope),
            Is::NullTest(node, presence) => {
                Ok(node.value(scope)?.is_null() == (*presence == Presence::Missing))
            }
            Is::Compare(comparison, pair) => self.compare(*comparison, pair, scope),
            Is::In(pair) => {
                let (item, all) = (pair.0.value(scope)?, pair.1.value(scope)?);
                functions::within(&item, &all, scope.context).map_err(|reason| self.fault(reason))
            }
            Is::Find(find) => self.find(&find.0, &find.1, scope),
            _ => self.value(scope)?.holds().map_err(|reason| self.fault(reason)),
        }
    }

    fn fault(&self, reason: Reason) -> TypeFault {
        TypeFault { offset: self.at, reason }
    }

    /// The node as a value.
    pub(super) fn value<'a>(&'a self, scope: &'a Scope<'a>) -> Found<'a> {
        match &self.is {
            Is::Null => Ok(Value::Null),
            Is::Int(number) => Ok(Value::Int(*number)),
            Is::Float(number) => Ok(Value::Float(*number)),
            Is::Text(text) => Ok(Value::text(text)),
            Is::Variable(variable) => Ok(variable.value(scope.context)),
            Is::List(nodes) => {
                let values: Result<_, _> = nodes.iter().map(|node| node.value(scope)).collect();
                values.map(|values| Value::List(List::Values(values)))
            }
            Is::Choice(parts) => parts.chosen(scope)?.value(scope),
            Is::Negative(node) => {
                functions::negative(&node.value(scope)?).map_err(|reason| self.fault(reason))
            }
            Is::Reckon(operator, pair) => {
                let (left, right) = (pair.0.value(scope)?, pair.1.value(scope)?);
                operator.apply(left, right).map_err(|reason| self.fault(reason))
            }
            Is::Item(pair) => {
                let (of, key) = (pair.0.value(scope)?, pair.1.value(scope)?);
                functions::item(&of, &key, scope.context).map_err(|reason| self.fault(reason))
            }
            Is::Member(map, name) => Ok(Value::optional(functions::look_up(*map, name, scope.context))),
            Is::Call(function, arguments) => self.call(*function, arguments, scope),
            _ => self.truth(scope).map(Value::Bool),
        }
    }

    fn compare<'a>(&'a self, comparison: Comparison, pair: &'a (Node, Node), scope: &'a Scope<'a>) -> Truth {
        match (pair.0.at_hand(scope), pair.1.at_hand(scope)) {
            (AtHand::Text(left), AtHand::Text(right)) => return Ok(comparison.admits(left.cmp(right))),
            (AtHand::No, _) | (_, AtHand::No) => {}
            _ => return Ok(false),
        }
        let (left, right) = (pair.0.value(scope)?, pair.1.value(scope)?);
        if left.is_null() || right.is_null() {
            return Ok(false);
        }
        match comparison {
            Comparison::Equal => Ok(equal(&left, &right)),
            Comparison::Different => Ok(!equal(&left, &right)),
            _ => order(&left, &right)
                .map(|order| comparison.admits(order))
                .map_err(|reason| self.fault(reason)),
        }
    }

    /// The node's text, where it is at hand without a value around it.
    fn at_hand<'a>(&'a self, scope: &'a Scope<'a>) -> AtHand<'a> {
        match &self.is {
            Is::Text(text) => AtHand::Text(text),
            Is::Member(map, name) => {
                functions::look_up(*map, name, scope.context).map_or(AtHand::Missing, AtHand::Text)
            }
            _ => AtHand::No,
        }
    }

    /// `contains` with a text that was prepared.
    fn find<'a>(&'a self, subject: &'a Node, needle: &Needle, scope: &'a Scope<'a>) -> Truth {
        if let (Some(grams), true) = (&scope.grams, subject.is_user_input()) {
            let text = scope.context.user_input();
            if !needle.may_be_among(grams.get_or_init(|| Grams::of(text))) {
                return Ok(false);
            }
        }
        if let Is::Variable(variable) = &subject.is
            && let Some(text) = scope.text(*variable, needle.case)
        {
            return Ok(needle.is_in(text));
        }
        match (subject.value(scope)?, needle.case) {
            (Value::Null, _) => Ok(false),
            (Value::Text(text), Case::Kept) => Ok(needle.is_in(&text)),
            (Value::Text(text), Case::Folded) => Ok(needle.is_in(&fold(&text))),
            (Value::List(list), Case::Kept) => {
                let wanted = String::from_utf8_lossy(needle.finder.needle());
                Ok(list.has(&Value::Text(wanted)))
            }
            _ => Err(self.fault("nothing can be searched for in this")),
        }
    }

    fn call<'a>(&'a self, function: Function, arguments: &'a [Node], scope: &'a Scope<'a>) -> Found<'a> {
        let mut values = [Value::Null, Value::Null, Value::Null];
        for (value, argument) in values.iter_mut().zip(arguments) {
            *value = argument.value(scope)?;
        }
        functions::call(function, values, scope.context).map_err(|reason| self.fault(reason))
    }
}

/// As in CEL, what fails does not matter where another part decides.
fn all<'a>(nodes: &'a [Node], scope: &'a Scope<'a>) -> Truth {
    let mut fault = None;
    for node in nodes {
        match node.truth(scope) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(found) => fault = fault.or(Some(found)),
        }
    }
    fault.map_or(Ok(true), Err)
}

fn any<'a>(nodes: &'a [Node], scope: &'a Scope<'a>) -> Truth {
    let mut fault = None;
    for node in nodes {
        match node.truth(scope) {
            Ok(false) => {}
            Ok(true) => return Ok(true),
            Err(found) => fault = fault.or(Some(found)),
        }
    }
    fault.map_or(Ok(false), Err)
}

/// `c ? a : b`.
trait Choice {
    fn chosen<'a>(&'a self, scope: &'a Scope<'a>) -> Result<&'a Node, TypeFault>;
}

impl Choice for (Node, Node, Node) {
    fn chosen<'a>(&'a self, scope: &'a Scope<'a>) -> Result<&'a Node, TypeFault> {
        self.0.truth(scope).map(|holds| if holds { &self.1 } else { &self.2 })
    }
}

impl Variable {
    fn value<'a>(self, context: &'a Context<'a>) -> Value<'a> {
        let facts = context.facts;
        let options = context.options;
        match self {
            Self::UserInput => Value::text(context.user_input()),
            Self::Text => Value::text(&facts.text),
            Self::System => Value::text(&facts.system),
            Self::Tokens => Value::count(context.tokens),
            Self::HasTools => Value::Bool(facts.has_tools),
            Self::HasImages => Value::Bool(facts.has_images),
            Self::Stream => Value::Bool(facts.stream),
            Self::Needs => Value::List(List::Needs(facts.needs())),
            Self::Messages => Value::count(facts.messages as u64),
            Self::MaxOutput => facts.max_output.map_or(Value::Null, Value::count),
            Self::Metadata => Value::Map(Map::Metadata),
            Self::User => Value::optional(context.user()),
            Self::Tenant => Value::optional(options.tenant.as_deref()),
            Self::Key => Value::optional(options.key.as_deref()),
            Self::Session => Value::optional(context.session()),
            Self::Headers => Value::Map(Map::Headers),
            Self::Model => Value::optional(context.model()),
            Self::Capabilities => Value::List(List::Tags(context.capabilities)),
            Self::Priority => options.priority.map_or(Value::Null, |priority| Value::count(priority.into())),
            Self::Path => Value::text(context.path),
            Self::Hour => Value::count(context.hour.into()),
            Self::Weekday => Value::count(context.weekday.into()),
        }
    }
}
