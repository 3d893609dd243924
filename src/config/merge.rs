//! One tree over another: overlays, and variables of the environment that override single keys.

use super::problem::Problem;
use super::read;
use super::tree::{Member, Node, Origin, Place, Value, below};

/// Variables that begin so override keys: `FAIRLEAD__RETRY__MAX_RETRIES`.
pub const PREFIX: &str = "FAIRLEAD__";

/// Puts `over` on top of `base`: tables are joined, everything else is replaced; null removes.
pub fn overlay(base: &mut Node, over: Node) {
    match (&mut base.value, over.value) {
        (Value::Map(members), Value::Map(over)) => over.into_iter().for_each(|member| lay(members, member)),
        (_, value) => *base = Node { value, at: over.at, origin: over.origin },
    }
}

fn lay(members: &mut Vec<Member>, over: Member) {
    let known = members.iter().position(|known| known.key == over.key);
    if over.node.value == Value::Null {
        members.retain(|member| member.key != over.key);
    } else if let Some(known) = known.and_then(|position| members.get_mut(position)) {
        known.at = over.at;
        overlay(&mut known.node, over.node);
    } else {
        members.push(over);
    }
}

/// Puts every override of `variables` (name and value) on top of `tree`, in the order of their names.
pub fn overrides(tree: &mut Node, variables: impl Iterator<Item = (String, String)>) -> Vec<Problem> {
    let mut found: Vec<_> = variables.filter(|(name, _)| prefixed(name).is_some()).collect();
    found.sort();
    found.iter().filter_map(|(name, value)| set(tree, name, value)).collect()
}

/// What follows the prefix, in whatever case it is written.
fn prefixed(name: &str) -> Option<&str> {
    let (prefix, rest) = name.split_at_checked(PREFIX.len())?;
    (prefix.eq_ignore_ascii_case(PREFIX) && !rest.is_empty()).then_some(rest)
}

fn set(tree: &mut Node, name: &str, value: &str) -> Option<Problem> {
    let at = Place::whole(name);
    let (mut node, mut path) = (tree, String::new());
    for part in prefixed(name)?.split("__") {
        if part.is_empty() {
            return Some(Problem::new(&path, Some(&at), "a part of the name is empty"));
        }
        let below = step(node, part, &path, &at);
        let Ok((next, below)) = below else { return below.err() };
        (node, path) = (next, below);
    }
    *node = written(value, at);
    None
}

/// The value at `part` below `node`, made where there is none.
fn step<'a>(
    node: &'a mut Node,
    part: &str,
    path: &str,
    at: &Place,
) -> Result<(&'a mut Node, String), Problem> {
    if node.value == Value::Null {
        node.value = Value::Map(Vec::new());
    }
    match &mut node.value {
        Value::Map(members) => {
            let known = members.iter().position(|member| member.key.eq_ignore_ascii_case(part));
            let position = known.unwrap_or_else(|| {
                let key = part.to_ascii_lowercase();
                let node = Node::new(Value::Null, Some(at.clone()));
                members.push(Member { key, at: Some(at.clone()), node });
                members.len() - 1
            });
            let member = members.get_mut(position).map(|member| (below(path, &member.key), &mut member.node));
            member.map(|(path, node)| (node, path)).ok_or_else(|| Problem::new(path, Some(at), "not found"))
        }
        Value::List(items) => {
            let length = items.len();
            let item = part.parse().ok().and_then(|position: usize| items.get_mut(position));
            let message = format!("`{part}` is no position in a list of {length}");
            item.map(|item| (item, format!("{path}[{part}]")))
                .ok_or_else(|| Problem::new(path, Some(at), message))
        }
        other => {
            let message = format!("nothing can stand below {}", other.kind());
            Err(Problem::new(path, Some(at), message))
        }
    }
}

/// Lists and tables are read as TOML; all else stays text until the type that is wanted is known.
fn written(value: &str, at: Place) -> Node {
    match read::override_node(value, &at) {
        Some(node) if matches!(node.value, Value::List(_) | Value::Map(_)) => node,
        Some(node) if matches!(node.value, Value::Text(_)) && value.trim_start().starts_with(['"', '\'']) => {
            node
        }
        _ => Node { value: Value::Text(value.to_owned()), at: Some(at), origin: Origin::Override },
    }
}
