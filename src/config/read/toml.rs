//! TOML, by the crate's tree of spans.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeInteger, DeString, DeTable, DeValue, Error};

use super::lines::Lines;
use crate::config::problem::Problem;
use crate::config::tree::{Member, Node, Origin, Place, Value};

const DUPLICATE: &str = "duplicate key";

/// Reads a document. The parser recovers, so every fault of its grammar is told.
pub(super) fn read(text: &str, lines: &Lines<'_>) -> Result<Node, Vec<Problem>> {
    let (table, faults) = DeTable::parse_recoverable(text);
    if !faults.is_empty() {
        return Err(faults.iter().map(|fault| problem(fault, table.get_ref(), lines)).collect());
    }
    let mut problems = Vec::new();
    let value = members(table.into_inner(), lines, &mut problems);
    if problems.is_empty() { Ok(Node::new(value, Some(lines.at(1, 1)))) } else { Err(problems) }
}

/// A value of a variable of the environment, where it is one; plain words are not.
pub(super) fn value(text: &str, at: &Place) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    let lines = Lines::new(&at.file, text);
    let mut problems = Vec::new();
    let mut node = node(value, &lines, &mut problems);
    stand(&mut node, at);
    problems.is_empty().then_some(node)
}

/// Puts everything below `node` at one place, from which anything may come.
fn stand(node: &mut Node, at: &Place) {
    node.at = Some(at.clone());
    node.origin = Origin::Variable;
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| stand(item, at)),
        Value::Map(members) => {
            for member in members {
                member.at = Some(at.clone());
                stand(&mut member.node, at);
            }
        }
        _ => {}
    }
}

fn members(table: DeTable<'_>, lines: &Lines<'_>, problems: &mut Vec<Problem>) -> Value {
    let members = table.into_iter().map(|(key, value)| Member {
        at: Some(lines.place(key.span().start)),
        key: key.into_inner().into_owned(),
        node: node(value, lines, problems),
    });
    let mut members: Vec<_> = members.collect();
    // The crate keeps tables sorted by name; people expect the order of the file.
    members.sort_by_key(|member| member.at.as_ref().map(|at| (at.line, at.column)));
    Value::Map(members)
}

fn node(value: Spanned<DeValue<'_>>, lines: &Lines<'_>, problems: &mut Vec<Problem>) -> Node {
    let at = lines.place(value.span().start);
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Boolean(flag) => Value::Bool(flag),
        DeValue::Datetime(moment) => Value::Text(moment.to_string()),
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Integer(number) => integer(&number).unwrap_or_else(|| {
            problems.push(Problem::new("", Some(&at), "a number of more than 64 bits"));
            Value::Null
        }),
        DeValue::Array(items) => {
            Value::List(items.into_iter().map(|item| node(item, lines, problems)).collect())
        }
        DeValue::Table(table) => members(table, lines, problems),
    };
    Node::new(value, Some(at))
}

fn integer(number: &DeInteger<'_>) -> Option<Value> {
    i128::from_str_radix(number.as_str(), number.radix()).ok().map(Value::Integer)
}

fn problem(fault: &Error, read: &DeTable<'_>, lines: &Lines<'_>) -> Problem {
    let span = fault.span().unwrap_or_default();
    let at = lines.place(span.start);
    if fault.message() != DUPLICATE {
        return Problem::new("", Some(&at), fault.message());
    }
    let name = lines.text.get(span.clone()).unwrap_or_default();
    let first = earlier(&span, read, lines.text).map(|offset| lines.place(offset));
    let mut problem = Problem::new(name, Some(&at), DUPLICATE);
    if let Some(first) = first {
        problem.message = format!("{DUPLICATE}; it stands already at {first}");
    }
    problem
}

/// Where the key that stands again at `again` stood first. The crate knows, but does not tell.
fn earlier(again: &Range<usize>, read: &DeTable<'_>, text: &str) -> Option<usize> {
    let (before, _) = DeTable::parse_recoverable(text.get(..again.start)?);
    let line = format!("{} = 0", text.get(again.clone())?);
    let (name, _) = DeTable::parse_recoverable(&line);
    let name = name.get_ref().keys().next()?.get_ref().to_string();
    let mut path = Vec::new();
    if header(read, again, &mut path) {
        return along(before.get_ref(), &path);
    }
    let mut last = None;
    visit(before.get_ref(), text, again.start, &mut |key| {
        if *key.get_ref() == name {
            last = last.max(Some(key.span().start));
        }
    });
    last
}

/// The path of the key at `span`, where the parser took the table that it opens.
fn header(table: &DeTable<'_>, span: &Range<usize>, path: &mut Vec<String>) -> bool {
    table.iter().any(|(key, value)| {
        path.push(key.get_ref().to_string());
        let inside = match value.get_ref() {
            DeValue::Table(table) => header(table, span, path),
            _ => false,
        };
        let found = key.span() == *span || inside;
        if !found {
            path.pop();
        }
        found
    })
}

fn along(table: &DeTable<'_>, path: &[String]) -> Option<usize> {
    let (first, rest) = path.split_first()?;
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == first)?;
    match value.get_ref() {
        _ if rest.is_empty() => Some(key.span().start),
        DeValue::Table(table) => along(table, rest),
        _ => None,
    }
}

/// The keys that could be in one table with what stands at `offset`: not those inside braces that have closed.
fn visit(table: &DeTable<'_>, text: &str, offset: usize, tell: &mut impl FnMut(&Spanned<DeString<'_>>)) {
    for (key, value) in table {
        tell(key);
        into(value, text, offset, tell);
    }
}

fn into(
    value: &Spanned<DeValue<'_>>,
    text: &str,
    offset: usize,
    tell: &mut impl FnMut(&Spanned<DeString<'_>>),
) {
    let span = value.span();
    let closed = text.get(span.clone()).is_some_and(|text| text.starts_with('{') && text.ends_with('}'));
    match value.get_ref() {
        DeValue::Table(table) if !closed || span.end > offset => visit(table, text, offset, tell),
        DeValue::Array(items) => items.iter().for_each(|item| into(item, text, offset, tell)),
        _ => {}
    }
}
