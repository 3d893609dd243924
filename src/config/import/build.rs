//! Putting a tree together from parts of another.

use super::Story;
use crate::config::tree::{Member, Node, Origin, Place, Value};
use crate::provider::presets;

/// Puts `node` at a path of keys, making the tables on the way. What is said already never becomes a table.
pub(super) fn put(table: &mut Node, path: &[&str], node: Node) {
    let Some(slot) = slot(table, path, node.at.as_ref()) else { return };
    *slot = node;
}

/// As [`put`], where nothing stands there yet.
pub(super) fn put_new(table: &mut Node, path: &[&str], node: Node) {
    match slot(table, path, node.at.as_ref()) {
        Some(slot) if slot.value == Value::Null => *slot = node,
        _ => {}
    }
}

/// Adds `node` to the list at a path of keys, where a list or nothing stands.
pub(super) fn push(table: &mut Node, path: &[&str], node: Node) {
    let Some(slot) = slot(table, path, node.at.as_ref()) else { return };
    match &mut slot.value {
        Value::List(items) => items.push(node),
        other if *other == Value::Null => *other = Value::List(vec![node]),
        _ => {}
    }
}

fn slot<'a>(table: &'a mut Node, path: &[&str], at: Option<&Place>) -> Option<&'a mut Node> {
    let [key, rest @ ..] = path else { return Some(table) };
    if table.value == Value::Null {
        table.value = Value::Map(Vec::new());
    }
    let Value::Map(members) = &mut table.value else { return None };
    if !members.iter().any(|member| member.key == *key) {
        members.push(Member { key: (*key).to_owned(), at: at.cloned(), node: Node::default() });
    }
    let member = members.iter_mut().find(|member| member.key == *key)?;
    slot(&mut member.node, rest, at)
}

/// `value` at the place of `like`.
pub(super) fn like(like: &Node, value: Value) -> Node {
    Node::new(value, like.at.clone())
}

/// `text` at the place of `like`.
pub(super) fn text(like: &Node, text: impl Into<String>) -> Node {
    self::like(like, Value::Text(text.into()))
}

/// A reference to a variable of the environment.
pub(super) fn variable(like: &Node, name: &str) -> Node {
    text(like, format!("${{{name}}}"))
}

/// The variable in a text that is nothing but `os.environ/NAME`, LiteLLM's spelling.
pub(super) fn variable_in(text: &str) -> Option<&str> {
    text.strip_prefix("os.environ/").map(str::trim)
}

/// A copy in which text means itself, but for a whole `os.environ/NAME`.
pub(super) fn copied(node: &Node) -> Node {
    let value = match &node.value {
        Value::Text(text) if node.origin == Origin::Written => match variable_in(text) {
            Some(name) => return variable(node, name),
            None => Value::Text(text.replace('$', "$$")),
        },
        Value::List(items) => Value::List(items.iter().map(copied).collect()),
        Value::Map(members) => {
            let members = members.iter().filter(|member| member.node.value != Value::Null);
            let member = |member: &Member| Member { node: copied(&member.node), ..member.clone() };
            Value::Map(members.map(member).collect())
        }
        other => other.clone(),
    };
    Node { value, at: node.at.clone(), origin: node.origin }
}

/// The number that `node` is or spells.
pub(super) fn number(node: &Node) -> Option<f64> {
    match &node.value {
        #[expect(clippy::cast_precision_loss, reason = "quantities of people's files")]
        Value::Integer(number) => Some(*number as f64),
        Value::Float(number) => Some(*number),
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A copy in which a number that is spelled as text is one.
pub(super) fn numeric(node: &Node) -> Node {
    let Value::Text(spelled) = &node.value else { return copied(node) };
    let whole = spelled.trim().parse().ok().map(Value::Integer);
    let value =
        whole.or_else(|| spelled.trim().parse().ok().filter(|one: &f64| one.is_finite()).map(Value::Float));
    value.map_or_else(|| copied(node), |value| like(node, value))
}

/// A copy in which `true` or `false` that is spelled as text is one.
pub(super) fn truth(node: &Node) -> Node {
    let spelled = node.text().and_then(|spelled| spelled.trim().to_ascii_lowercase().parse().ok());
    spelled.map_or_else(|| copied(node), |truth| like(node, Value::Bool(truth)))
}

/// A copy in which a whole number is text.
pub(super) fn spelled(node: &Node) -> Node {
    match node.value {
        Value::Integer(number) => text(node, number.to_string()),
        _ => copied(node),
    }
}

/// Dollars per token as dollars per million tokens, without the tail that binary fractions grow.
pub(super) fn per_million(node: &Node) -> Node {
    let scaled = number(node).map(|dollars| (dollars * 1e15).round() / 1e9);
    like(node, scaled.map_or(node.value.clone(), Value::Float))
}

/// Is it switched on?
pub(super) fn is_on(node: &Node) -> bool {
    matches!(truth(node).value, Value::Bool(true))
}

/// Is nothing said by it: null, false, an empty list or table?
pub(super) fn is_empty(node: &Node) -> bool {
    match &node.value {
        Value::Null | Value::Bool(false) => true,
        Value::List(items) => items.is_empty(),
        Value::Map(members) => members.is_empty(),
        Value::Text(text) => text.is_empty(),
        _ => false,
    }
}

/// The items of a list; none of anything else.
pub(super) fn items(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(items) => items,
        _ => &[],
    }
}

/// The items of a list of `wanted`; anything else is a fault.
pub(super) fn listed<'a>(node: &'a Node, path: &str, wanted: &str, story: &mut Story) -> &'a [Node] {
    if !matches!(node.value, Value::List(_)) {
        misfit(node, path, &format!("a list of {wanted}"), story);
    }
    items(node)
}

/// The members of a table; anything else is a fault.
pub(super) fn tabled<'a>(node: &'a Node, path: &str, wanted: &str, story: &mut Story) -> &'a [Member] {
    if !matches!(node.value, Value::Map(_)) {
        misfit(node, path, wanted, story);
    }
    node.members()
}

/// A fault of what is not `wanted`.
pub(super) fn misfit(node: &Node, path: &str, wanted: &str, story: &mut Story) {
    story.fault(path, node.at.as_ref(), format!("expected {wanted}, not {}", node.value.kind()));
}

/// The endings that full addresses of an endpoint have.
const ENDPOINTS: &[&str] = &["/chat/completions", "/completions", "/embeddings"];

/// Those of Anthropic's and Google's own forms, which are not spoken.
const OTHER_ENDPOINTS: &[&str] = &["/messages", "/models"];

/// The base URL in the address of an endpoint.
pub(super) fn base_url(endpoint: &str) -> &str {
    let trimmed = endpoint.trim().trim_end_matches('/');
    let mut endings = ENDPOINTS.iter().chain(OTHER_ENDPOINTS);
    endings.find_map(|ending| trimmed.strip_suffix(ending)).unwrap_or(trimmed).trim_end_matches('/')
}

/// Is it the address of an endpoint that is not OpenAI's?
pub(super) fn is_of_another_dialect(endpoint: &str) -> bool {
    let trimmed = endpoint.trim().trim_end_matches('/');
    OTHER_ENDPOINTS.iter().any(|ending| trimmed.ends_with(ending))
}

/// The preset whose own address has the same host.
pub(super) fn preset_at(url: &str) -> Option<&'static str> {
    let host = host(url)?;
    let same = |preset: &&presets::Preset| preset.base_url.and_then(self::host) == Some(host);
    presets::all().iter().find(same).map(|preset| preset.id)
}

/// The host of a URL, without its port.
pub(super) fn host(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    Some(authority.split_once(':').map_or(authority, |(host, _)| host)).filter(|host| !host.is_empty())
}
