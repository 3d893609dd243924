//! Keys that are written out twice in one list. What variables hold may well be the same, on a machine for tests.

use std::collections::HashMap;

use crate::config::problem::Problem;
use crate::config::read;
use crate::config::tree::{Node, Origin, Value};

/// Each key of `tree` that stands in its list already, with both places and without the key.
pub(in crate::config) fn repeated(tree: &Node) -> Vec<Problem> {
    let mut problems = Vec::new();
    read::each(tree, "", &mut |node, path| {
        let mut names = path.rsplit('.');
        let is_list = names.next() == Some("api_key") || names.next() == Some("api_keys");
        if let Value::List(items) = &node.value
            && is_list
        {
            list(items, path, &mut problems);
        }
    });
    problems
}

fn list(items: &[Node], path: &str, problems: &mut Vec<Problem>) {
    let mut seen = HashMap::<&str, (usize, &Node)>::new();
    for (position, item) in items.iter().enumerate() {
        let key = item.get("key").unwrap_or(item);
        let Some(text) = key.text().filter(|text| key.origin == Origin::Written && !text.trim().is_empty())
        else {
            continue;
        };
        let Some((first, other)) = seen.get(text) else {
            seen.insert(text, (position, key));
            continue;
        };
        let first = other.at.as_ref().map_or_else(|| format!("`{path}[{first}]`"), ToString::to_string);
        let message = format!("the same key stands already at {first}");
        problems.push(Problem::new(&format!("{path}[{position}]"), key.at.as_ref(), message));
    }
}
