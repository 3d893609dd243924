//! Holds a tree against the schema and finds everything that does not fit in one pass.

use std::path::Path;

use serde_json::{Number, Value as Schema};

use super::duration::DATE_TIME;
use super::problem::Problem;
use super::read::override_value;
use super::schema::{FILE, Form, SCHEMA_KEY, forms, schema};
use super::tree::{Node, Origin, Value, below};
use crate::provider::moment;

const NOT_FINITE: &str = "expected a finite number";

/// Finds every unknown key, wrong type, missing key and number out of range. What came from the environment is
/// turned into the type that is wanted; names without a value are removed, as if they were not written; files are
/// named from `root` on, wherever they were written.
pub fn fit(tree: &mut Node, root: &Path) -> Vec<Problem> {
    if let Value::Map(members) = &mut tree.value {
        members.retain(|member| member.key != SCHEMA_KEY);
    }
    let mut problems = Vec::new();
    walk(tree, schema(), root, "", &mut problems);
    problems
}

fn walk(node: &mut Node, schema: &'static Schema, root: &Path, path: &str, problems: &mut Vec<Problem>) {
    let forms = forms(schema);
    if forms.iter().any(Form::is_open) {
        adopt(node, None);
        open(node, path, problems);
        return;
    }
    if !forms.iter().any(|form| takes(form, &node.value)) {
        let wanted: Vec<_> = forms.iter().flat_map(Form::types).collect();
        adopt(node, Some(&wanted));
    }
    let fitting: Vec<_> = forms.iter().filter(|form| takes(form, &node.value)).collect();
    match fitting.as_slice() {
        [] => problems.push(misfit(node, &forms, path)),
        [one] => apply(node, one, root, path, problems),
        several if several.iter().all(|form| !form.words().is_empty()) => word(node, several, path, problems),
        several => nearest(node, several, root, path, problems),
    }
}

/// Where anything goes, a number must be one that JSON can hold: it is sent as such.
fn open(node: &Node, path: &str, problems: &mut Vec<Problem>) {
    let message = match &node.value {
        Value::List(items) => {
            for (position, item) in items.iter().enumerate() {
                open(item, &format!("{path}[{position}]"), problems);
            }
            return;
        }
        Value::Map(members) => {
            for member in members {
                open(&member.node, &below(path, &member.key), problems);
            }
            return;
        }
        Value::Float(number) if !number.is_finite() => NOT_FINITE.to_owned(),
        Value::Integer(number) if Number::from_i128(*number).is_none() => {
            format!("expected {} to {}", i64::MIN, u64::MAX)
        }
        _ => return,
    };
    problems.push(Problem::new(path, node.at.as_ref(), message));
}

/// Of several forms, the one with the fewest faults is what was meant.
fn nearest(node: &mut Node, forms: &[&Form], root: &Path, path: &str, problems: &mut Vec<Problem>) {
    let tried = forms.iter().map(|form| {
        let (mut copy, mut found) = (node.clone(), Vec::new());
        apply(&mut copy, form, root, path, &mut found);
        (copy, found)
    });
    if let Some((copy, found)) = tried.min_by_key(|(_, found)| found.len()) {
        *node = copy;
        problems.extend(found);
    }
}

fn takes(form: &Form, value: &Value) -> bool {
    let types = form.types();
    match value {
        Value::Null => types.contains(&"null"),
        Value::Bool(_) => types.contains(&"boolean"),
        Value::Integer(_) => types.contains(&"integer") || types.contains(&"number"),
        Value::Float(_) => types.contains(&"number"),
        Value::Text(_) => types.contains(&"string"),
        Value::List(_) => types.contains(&"array"),
        Value::Map(_) => types.contains(&"object"),
    }
}

/// Text of the environment becomes what is `wanted`, or whatever it says where anything goes.
fn adopt(node: &mut Node, wanted: Option<&[&str]>) {
    let Value::Text(text) = &node.value else { return };
    let may = node.origin == Origin::Override || (node.origin == Origin::Variable && wanted.is_some());
    let Some(value) = override_value(text.trim()).filter(|_| may) else { return };
    let fits = wanted.is_none_or(|wanted| match value {
        Value::Bool(_) => wanted.contains(&"boolean"),
        Value::Integer(_) => wanted.contains(&"integer") || wanted.contains(&"number"),
        Value::Float(_) => wanted.contains(&"number"),
        _ => false,
    });
    if fits {
        node.value = value;
    }
}

fn apply(node: &mut Node, form: &Form, root: &Path, path: &str, problems: &mut Vec<Problem>) {
    if let (Value::Text(name), Some(FILE)) = (&node.value, form.format()) {
        node.value = Value::Text(node.beside(root, name).display().to_string());
        return;
    }
    match &mut node.value {
        Value::Map(_) => table(node, form, root, path, problems),
        Value::List(items) => {
            let Some(schema) = form.get("items") else { return };
            for (position, item) in items.iter_mut().enumerate() {
                walk(item, schema, root, &format!("{path}[{position}]"), problems);
            }
        }
        Value::Integer(_) | Value::Float(_) => number(node, form, path, problems),
        Value::Text(_) if !form.words().is_empty() => word(node, &[form], path, problems),
        Value::Text(text) if !is_moment(text, form) => {
            let message = "expected a moment such as 2026-12-01T00:00:00Z";
            problems.push(Problem::new(path, node.at.as_ref(), message));
        }
        _ => {}
    }
}

/// Is it a moment, or need not be one?
fn is_moment(text: &str, form: &Form) -> bool {
    form.format() != Some(DATE_TIME) || moment::date(text).is_some()
}

fn table(node: &mut Node, form: &Form, root: &Path, path: &str, problems: &mut Vec<Problem>) {
    let known = form.get("properties").and_then(Schema::as_object);
    let others = form.get("additionalProperties");
    let at = node.at.clone();
    let Value::Map(members) = &mut node.value else { return };
    let declared = |key: &str| known.and_then(|known| known.get(key));
    members.retain(|member| declared(&member.key).is_none() || member.node.value != Value::Null);
    for member in members.iter_mut() {
        let path = below(path, &member.key);
        match (declared(&member.key), others) {
            (Some(schema), _) => walk(&mut member.node, schema, root, &path, problems),
            (None, Some(Schema::Bool(false))) => {
                let at = member.at.as_ref().or(member.node.at.as_ref());
                let names = known.into_iter().flat_map(serde_json::Map::keys).map(String::as_str);
                problems.push(Problem::new(&path, at, "unknown key").or_nearest(&member.key, names));
            }
            (None, Some(schema)) => walk(&mut member.node, schema, root, &path, problems),
            (None, None) => {}
        }
    }
    let required = form.get("required").and_then(Schema::as_array).into_iter().flatten();
    for name in required.filter_map(Schema::as_str) {
        if !members.iter().any(|member| member.key == name) {
            problems.push(Problem::new(&below(path, name), at.as_ref(), "missing"));
        }
    }
}

fn word(node: &Node, forms: &[&Form], path: &str, problems: &mut Vec<Problem>) {
    let Some(text) = node.text() else { return };
    let words: Vec<_> = forms.iter().flat_map(|form| form.words()).collect();
    if words.contains(&text) {
        return;
    }
    let message = format!("expected one of {}", listed(words.iter().map(|word| format!("`{word}`"))));
    problems.push(Problem::new(path, node.at.as_ref(), message).or_nearest(text, words.into_iter()));
}

fn number(node: &Node, form: &Form, path: &str, problems: &mut Vec<Problem>) {
    let (least, most) = width(form);
    let value = match node.value {
        Value::Integer(number) => number as f64,
        Value::Float(number) => number,
        _ => return,
    };
    let bound = |word| form.get(word).and_then(Schema::as_f64);
    let low = bound("minimum").unwrap_or(f64::NEG_INFINITY).max(least);
    let high = bound("maximum").unwrap_or(f64::INFINITY).min(most);
    let message = if !value.is_finite() {
        NOT_FINITE.to_owned()
    } else if value < low && high.is_infinite() {
        format!("expected {low} or more")
    } else if value < low || value > high {
        format!("expected {low} to {high}")
    } else {
        return;
    };
    problems.push(Problem::new(path, node.at.as_ref(), message));
}

/// What the integer types hold; a number of any other kind has no bounds of its own.
fn width(form: &Form) -> (f64, f64) {
    match form.format() {
        Some("uint8") => (0.0, f64::from(u8::MAX)),
        Some("uint16") => (0.0, f64::from(u16::MAX)),
        Some("uint32") => (0.0, f64::from(u32::MAX)),
        // The largest integers that a double tells apart: no quantity comes near.
        Some("uint" | "uint64") => (0.0, 9_007_199_254_740_991.0),
        Some("int32") => (f64::from(i32::MIN), f64::from(i32::MAX)),
        Some("int" | "int64") => (-9_007_199_254_740_991.0, 9_007_199_254_740_991.0),
        _ => (f64::NEG_INFINITY, f64::INFINITY),
    }
}

fn misfit(node: &Node, forms: &[Form], path: &str) -> Problem {
    let mut wanted: Vec<&str> = Vec::new();
    for name in forms.iter().flat_map(Form::types).filter_map(article) {
        if !wanted.contains(&name) {
            wanted.push(name);
        }
    }
    let wanted = listed(wanted.into_iter().map(str::to_owned));
    Problem::new(path, node.at.as_ref(), format!("expected {wanted}, not {}", node.value.kind()))
}

fn article(name: &str) -> Option<&'static str> {
    match name {
        "string" => Some("a string"),
        "integer" => Some("an integer"),
        "number" => Some("a number"),
        "boolean" => Some("a bool"),
        "array" => Some("a list"),
        "object" => Some("a table"),
        _ => None,
    }
}

/// `a`, `b or c`.
fn listed(names: impl Iterator<Item = String>) -> String {
    let names: Vec<_> = names.collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "nothing".to_owned(),
    }
}
