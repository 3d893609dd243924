//! From the text of a file to a tree. Nothing is checked here but the grammar, and that no name stands twice.

mod jsonc;
mod lines;
mod toml;
mod yaml;

use std::path::Path;

use super::problem::Problem;
use super::tree::{Member, Node, Place, Value, below};
use lines::Lines;

/// A tree deeper than this is refused: nothing in the schema comes near.
const DEEPEST: usize = 48;

/// What a file is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// TOML 1.1.
    Toml,
    /// YAML 1.2, core schema.
    Yaml,
    /// JSON, with comments and trailing commas.
    Json,
}

impl Format {
    /// By the ending of the name.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            "json" | "jsonc" => Some(Self::Json),
            _ => None,
        }
    }

    /// By the first character that is neither space nor comment: a file of another ending may still be JSON.
    fn guess(text: &str) -> Option<Self> {
        text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '/']).then_some(Self::Json)
    }
}

/// Reads `text`, which stands in `file`: the tree, of names that stand twice the first, and what is wrong with it.
///
/// # Errors
///
/// What is wrong with its grammar (one fault: what follows it would only be guessed).
pub fn text(file: &str, text: &str, format: Option<Format>) -> Result<(Node, Vec<Problem>), Vec<Problem>> {
    let Some(format) = format.or_else(|| Format::guess(text)) else {
        let message = "the ending must be .toml, .yaml, .yml, .json or .jsonc";
        return Err(vec![Problem::new("", Some(&Place::whole(file)), message)]);
    };
    let lines = Lines::new(file, text);
    let text = lines.text;
    let mut tree = match format {
        Format::Toml => toml::read(text, &lines)?,
        Format::Yaml => yaml::read(text, &lines).map_err(|problem| vec![problem])?,
        Format::Json => jsonc::read(text, &lines).map_err(|problem| vec![problem])?,
    };
    if !matches!(tree.value, Value::Map(_)) {
        let message = format!("expected a table at the top, not {}", tree.value.kind());
        return Err(vec![Problem::new("", tree.at.as_ref(), message)]);
    }
    let mut problems = Vec::new();
    twice(&tree, "", &mut problems);
    callables(&tree, "", &mut problems);
    if !problems.is_empty() {
        tree.keep_firsts();
    }
    Ok((tree, problems))
}

/// What a variable of the environment says, as a TOML value; `None` where it is plain text.
pub(super) fn override_node(text: &str, at: &Place) -> Option<Node> {
    toml::value(text, at)
}

/// As [`override_node`], the value alone.
pub(super) fn override_value(text: &str) -> Option<Value> {
    override_node(text, &Place::whole("")).map(|node| node.value)
}

/// Names that stand twice in one table.
fn twice(node: &Node, path: &str, problems: &mut Vec<Problem>) {
    each(node, path, &mut |node, path| {
        let mut seen = std::collections::HashMap::<&str, &Member>::new();
        for member in node.members() {
            if let Some(first) = seen.insert(&member.key, member) {
                let path = below(path, &member.key);
                problems.push(Problem::new(&path, member.at.as_ref(), stands_already(first.at.as_ref())));
            }
        }
    });
}

fn stands_already(first: Option<&Place>) -> String {
    match first {
        Some(first) => format!("duplicate key; it stands already at {first}"),
        None => "duplicate key".to_owned(),
    }
}

/// The form that a Python callable takes inside a tree: no file may pretend to be one.
fn callables(node: &Node, path: &str, problems: &mut Vec<Problem>) {
    each(node, path, &mut |node, path| {
        for member in node.members() {
            if member.key == "callable" && matches!(member.node.value, Value::Integer(_)) {
                let message = "a callable can only be given in Python, not in a file";
                problems.push(Problem::new(&below(path, "callable"), member.at.as_ref(), message));
            }
        }
    });
}

/// Visits every node with its path.
pub(super) fn each(node: &Node, path: &str, visit: &mut impl FnMut(&Node, &str)) {
    visit(node, path);
    match &node.value {
        Value::List(items) => {
            for (position, item) in items.iter().enumerate() {
                each(item, &format!("{path}[{position}]"), visit);
            }
        }
        Value::Map(members) => {
            for member in members {
                each(&member.node, &below(path, &member.key), visit);
            }
        }
        _ => {}
    }
}
