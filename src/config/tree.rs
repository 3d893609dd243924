//! What was written, as a tree that knows where each part of it stands.
//!
//! Every reader makes one of these, and everything that can be wrong is found on it, so that a fault has a file, a
//! line and a column whatever the format was.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Number};

/// Where something is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, or the variable of the environment.
    pub file: Arc<str>,
    /// From 1; 0 where the source has no lines.
    pub line: u32,
    /// From 1, in characters; 0 where the source has no lines.
    pub column: u32,
}

impl Place {
    /// A source that has no lines, such as a variable.
    pub fn whole(source: &str) -> Self {
        Self { file: Arc::from(source), line: 0, column: 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}

/// Who put a value there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// The operator, in the file or the dict itself.
    #[default]
    Written,
    /// A `${...}` of the file: what it holds may be a key. Text stands for a number or a bool where one is wanted.
    Variable,
    /// A variable of the environment that overrides a key. Text is read as the type that is wanted.
    Override,
}

/// A value and where it stands.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Its place; a Python dict has none.
    pub at: Option<Place>,
    /// Who put it there.
    pub origin: Origin,
}

/// A value of any format.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// Any other number.
    Float(f64),
    /// Text. It may be a key: it is never shown in a fault.
    Text(String),
    /// Several values in order.
    List(Vec<Node>),
    /// Named values in order; names may occur twice until [`super::problem`] has told so.
    Map(Vec<Member>),
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// A named value.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name.
    pub key: String,
    /// The place of the name.
    pub at: Option<Place>,
    /// The value.
    pub node: Node,
}

impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.node == other.node
    }
}

impl Value {
    /// What it is, with its article.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a bool",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a table",
        }
    }
}

impl Node {
    /// A value at a place.
    pub fn new(value: Value, at: Option<Place>) -> Self {
        Self { value, at, origin: Origin::Written }
    }

    /// An empty table.
    pub fn table() -> Self {
        Self::new(Value::Map(Vec::new()), None)
    }

    /// The value under `key`, where this is a table.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.members().iter().find(|member| member.key == key).map(|member| &member.node)
    }

    /// As [`Node::get`], to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        let Value::Map(members) = &mut self.value else { return None };
        members.iter_mut().find(|member| member.key == key).map(|member| &mut member.node)
    }

    /// Leaves of members with one name the first.
    pub(super) fn keep_firsts(&mut self) {
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(Self::keep_firsts),
            Value::Map(members) => {
                let mut seen = std::collections::HashSet::new();
                members.retain(|member| seen.insert(member.key.clone()));
                for member in members {
                    member.node.keep_firsts();
                }
            }
            _ => {}
        }
    }

    /// The members of a table; none of anything else.
    pub fn members(&self) -> &[Member] {
        match &self.value {
            Value::Map(members) => members,
            _ => &[],
        }
    }

    /// The text, where it is one.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The file that `name`, written here, means: relative to the folder of the file that says it, which is relative
    /// to `root`. What was written in no file is relative to `root` itself.
    pub fn beside(&self, root: &Path, name: &str) -> PathBuf {
        let folder = self.at.as_ref().and_then(|at| Path::new(&*at.file).parent());
        root.join(folder.unwrap_or(Path::new(""))).join(name)
    }

    /// The place of what stands at a path such as `models.m.deployments[0].provider`, or of the nearest part of the
    /// path that exists.
    pub fn place(&self, path: &str) -> Option<&Place> {
        let (mut node, mut at, mut rest) = (self, self.at.as_ref(), path);
        while let Some((found, place, after)) = node.step(rest) {
            (node, at, rest) = (found, place.or(at), after);
        }
        at
    }

    /// What stands at `path` exactly.
    pub fn find(&self, path: &str) -> Option<&Self> {
        let (mut node, mut rest) = (self, path);
        while !rest.is_empty() {
            (node, _, rest) = node.step(rest)?;
        }
        Some(node)
    }

    /// `path` with quotes around the names that need them, as far as it leads.
    pub fn spelled(&self, path: &str) -> String {
        let (mut node, mut rest, mut spelled) = (self, path, String::new());
        while let Some((found, _, after)) = node.step(rest) {
            let step = rest.strip_suffix(after).unwrap_or(rest);
            spelled = match &node.value {
                Value::List(_) => spelled + step,
                _ => below(&spelled, step.trim_start_matches('.').trim_matches('"')),
            };
            (node, rest) = (found, after);
        }
        spelled + rest
    }

    /// The first step of `path`, and the rest of it. Names that hold dots may stand without their quotes.
    fn step<'a, 'b>(&'a self, path: &'b str) -> Option<(&'a Self, Option<&'a Place>, &'b str)> {
        match &self.value {
            Value::Map(members) => {
                let path = path.strip_prefix('.').unwrap_or(path);
                let matching = members.iter().filter_map(|member| Some((member, after(path, &member.key)?)));
                let (member, rest) = matching.min_by_key(|(_, rest)| rest.len())?;
                Some((&member.node, member.node.at.as_ref().or(member.at.as_ref()), rest))
            }
            Value::List(items) => {
                let (position, rest) = path.strip_prefix('[')?.split_once(']')?;
                let item = items.get(position.parse::<usize>().ok()?)?;
                Some((item, item.at.as_ref(), rest))
            }
            _ => None,
        }
    }

    /// Removes what stands at `path`; where that is an item of a list, the whole list. What was removed, if anything.
    pub fn remove(&mut self, path: &str) -> Option<String> {
        let mut removed = String::new();
        remove(self, path, &mut removed).then_some(removed)
    }

    /// The same as plain JSON, for serde. Numbers that JSON cannot hold become null.
    pub fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(flag) => (*flag).into(),
            Value::Integer(number) => Number::from_i128(*number).into(),
            Value::Float(number) => Number::from_f64(*number).into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(Self::json).collect(),
            Value::Map(members) => {
                let members = members.iter().map(|member| (member.key.clone(), member.node.json()));
                members.collect::<Map<_, _>>().into()
            }
        }
    }

    /// Calls `visit` with every node below and including this one.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        match &self.value {
            Value::List(items) => items.iter().for_each(|item| item.walk(visit)),
            Value::Map(members) => members.iter().for_each(|member| member.node.walk(visit)),
            _ => {}
        }
    }
}

fn remove(node: &mut Node, path: &str, removed: &mut String) -> bool {
    match &mut node.value {
        Value::List(items) => {
            let position = path.strip_prefix('[').and_then(|path| path.split_once(']'));
            let Some((position, rest)) = position else { return false };
            let item = position.parse().ok().and_then(|position: usize| items.get_mut(position));
            removed.extend(["[", position, "]"]);
            item.is_some_and(|item| remove(item, rest, removed))
        }
        Value::Map(members) => {
            let path = path.strip_prefix('.').unwrap_or(path);
            let matching = members.iter().enumerate();
            let matching =
                matching.filter_map(|(position, member)| Some((position, after(path, &member.key)?)));
            let Some((position, rest)) = matching.min_by_key(|(_, rest)| rest.len()) else { return false };
            let Some(member) = members.get_mut(position) else { return false };
            let here = below(removed, &member.key);
            removed.clone_from(&here);
            if rest.is_empty() || !remove(&mut member.node, rest, removed) {
                *removed = here;
                members.remove(position);
            }
            true
        }
        _ => false,
    }
}

/// `path` with `key` below it.
pub fn below(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && !key.contains(['.', '[', ']', '"', ' ']);
    match (path.is_empty(), plain) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{path}.{key}"),
        (true, false) => format!("\"{key}\""),
        (false, false) => format!("{path}.\"{key}\""),
    }
}

/// Is `path` that of `above`, or of a part of it?
pub fn is_within(path: &str, above: &str) -> bool {
    above.is_empty() || after(path, above).is_some()
}

/// What follows `key` at the start of `path`.
fn after<'a>(path: &'a str, key: &str) -> Option<&'a str> {
    let quoted = path.strip_prefix('"').and_then(|path| path.strip_prefix(key)?.strip_prefix('"'));
    let rest = quoted.or_else(|| path.strip_prefix(key))?;
    (rest.is_empty() || rest.starts_with(['.', '['])).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_with_and_without_its_quotes() {
        let map = |key: &str, node| {
            Node::new(Value::Map(vec![Member { key: key.to_owned(), at: None, node }]), None)
        };
        let leaf = Node::new(Value::Bool(true), Some(Place::whole("here")));
        let list = Node::new(Value::List(vec![map("provider", leaf)]), None);
        let tree = map("models", map("gpt-4.1", map("deployments", list)));
        let path = below(&format!("{}[0]", below(&below("models", "gpt-4.1"), "deployments")), "provider");
        assert_eq!(path, "models.\"gpt-4.1\".deployments[0].provider");
        for path in [
            path.as_str(),
            "models.gpt-4.1.deployments[0].provider",
            "models.gpt-4.1.deployments[0].provider.x",
        ] {
            assert_eq!(tree.place(path).map(ToString::to_string).as_deref(), Some("here"), "{path}");
            assert!(is_within(&tree.spelled(path), "models.\"gpt-4.1\".deployments[0].provider"), "{path}");
        }
        assert!(!is_within("models.ab", "models.a"));
        assert!(tree.find("models.gpt-4.2").is_none());
    }
}
