//! Parts put together, where they fit.

use super::{Built, Parser, deepest};
use crate::route::expr::Fault;
use crate::route::expr::names::{self, Function, Kind};
use crate::route::expr::node::{Case, Comparison, Is, Needle, Node, Presence};

impl Parser<'_> {
    pub(super) fn compared(
        &mut self,
        at: usize,
        comparison: Comparison,
        left: Built,
        right: Built,
    ) -> Result<Built, Fault> {
        let presence = match comparison {
            Comparison::Equal => Some(Presence::Missing),
            Comparison::Different => Some(Presence::There),
            _ => None,
        };
        match (presence, &left.node.is, &right.node.is) {
            (Some(presence), Is::Null, _) => {
                self.built(at, right.depth, Is::NullTest(Box::new(right.node), presence))
            }
            (Some(presence), _, Is::Null) => {
                self.built(at, left.depth, Is::NullTest(Box::new(left.node), presence))
            }
            _ => self.pair(at, left, right, |pair| Is::Compare(comparison, pair)),
        }
    }

    pub(super) fn item(&mut self, at: usize, of: Built, key: Built) -> Result<Built, Fault> {
        let named = matches!(key.node.is, Is::Text(_));
        if let (Is::Variable(variable), Is::Text(name)) = (&of.node.is, &key.node.is)
            && let Some(map) = variable.map()
        {
            return self.built(at, of.depth, Is::Member(map, name.clone()));
        }
        match (of.node.kind(), named) {
            (Kind::Map | Kind::Open, _) | (Kind::List, false) => self.pair(at, of, key, Is::Item),
            _ => Err(self.fault(at, "only `metadata` and `headers` have members")),
        }
    }

    pub(super) fn call(&mut self, at: usize, name: &str, arguments: Vec<Built>) -> Result<Built, Fault> {
        let function = Function::named(name).ok_or_else(|| self.fault(at, names::unknown_function(name)))?;
        let (least, most) = function.arity();
        if !(least..=most).contains(&arguments.len()) {
            let wanted = if least == most { least.to_string() } else { format!("{least} or {most}") };
            let message = format!("`{name}` takes {wanted} arguments, not {}", arguments.len());
            return Err(self.fault(at, message));
        }
        if function == Function::Get && !arguments.first().is_some_and(|map| may_be_map(&map.node)) {
            return Err(self.fault(at, "only `metadata` and `headers` have `get`"));
        }
        let depth = deepest(&arguments);
        let mut nodes: Vec<Node> = arguments.into_iter().map(|argument| argument.node).collect();
        let case = match function {
            Function::Contains => Some(Case::Kept),
            Function::ContainsAnyCase => Some(Case::Folded),
            _ => None,
        };
        let needle = match (case, nodes.get(1).map(|node| &node.is)) {
            (Some(case), Some(Is::Text(text))) => Some(Needle::new(text, case)),
            _ => None,
        };
        let is = match needle {
            Some(needle) => Is::Find(Box::new((nodes.swap_remove(0), needle))),
            None => Is::Call(function, nodes),
        };
        self.built(at, depth, is)
    }

    /// `built`, if it may be true or false.
    pub(super) fn condition(&self, built: Built) -> Result<Built, Fault> {
        let is = match built.node.kind() {
            Kind::Condition | Kind::Open => return Ok(built),
            Kind::Number => "a number",
            Kind::Text => "a text",
            Kind::List => "a list",
            Kind::Map => "a map",
        };
        Err(self.fault(
            built.node.at,
            format!("this is {is}, where a condition is needed: compare it with something"),
        ))
    }
}

fn may_be_map(node: &Node) -> bool {
    matches!(node.kind(), Kind::Map | Kind::Open)
}
