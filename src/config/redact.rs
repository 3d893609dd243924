//! A configuration as people may see it: no key, and nothing that came from a variable.

use serde_json::{Map, Value as Json};

use super::tree::{Member, Node, Origin, Value};
use crate::retry::hint::scrub;

/// What stands for what is not shown.
const HIDDEN: &str = "***";
/// Tables below these keys hold keys, but for the members named in [`SHOWN`].
const KEYS: &[&str] = &["api_key", "api_keys", "headers", "default_headers", "default_query"];
/// Members that are keys wherever they stand.
const SECRETS: &[&str] = &["key", "client_secret", "subject_token"];
/// What may be seen of a key: where it comes from, and when it holds.
const SHOWN: &[&str] = &[
    "id",
    "not_before",
    "not_after",
    "env",
    "file",
    "oauth",
    "token_exchange",
    "plugin",
    "callable",
    "ttl",
    "token_url",
    "client_id",
    "scope",
    "audience",
    "refresh_margin",
    "subject_token_file",
    "subject_token_type",
];

/// Everything that is written in `tree`, as plain data.
pub fn redacted(tree: &Node) -> Json {
    shown(tree)
}

fn shown(node: &Node) -> Json {
    match &node.value {
        Value::Text(_) if node.origin != Origin::Written => HIDDEN.into(),
        Value::Text(text) => without_login(&scrub(text)).into(),
        Value::List(items) => items.iter().map(shown).collect(),
        Value::Map(members) => table(members, shown_member),
        _ => node.json(),
    }
}

fn table(members: &[Member], show: impl Fn(&Member) -> Json) -> Json {
    members.iter().map(|member| (member.key.clone(), show(member))).collect::<Map<_, _>>().into()
}

fn shown_member(member: &Member) -> Json {
    match member.key.as_str() {
        key if KEYS.contains(&key) => guarded(&member.node),
        key if SECRETS.contains(&key) => HIDDEN.into(),
        _ => shown(&member.node),
    }
}

/// Of what may hold keys: only the names, and what tells nothing of the key itself.
fn guarded(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::List(items) => items.iter().map(guarded).collect(),
        Value::Map(members) => table(members, |member| {
            if SHOWN.contains(&member.key.as_str()) { shown(&member.node) } else { guarded(&member.node) }
        }),
        _ => HIDDEN.into(),
    }
}

/// A URL without the name and password in it.
fn without_login(text: &str) -> String {
    let parts = text.split_once("://").and_then(|(scheme, rest)| {
        let end = rest.find('/').unwrap_or(rest.len());
        let (host, path) = rest.split_at_checked(end)?;
        let (_, host) = host.rsplit_once('@')?;
        Some(format!("{scheme}://{HIDDEN}@{host}{path}"))
    });
    parts.unwrap_or_else(|| text.to_owned())
}
