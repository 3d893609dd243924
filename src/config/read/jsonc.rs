//! JSON with comments and trailing commas; nothing else of what JSON5 allows.

use jsonc_parser::ast::{self, Object};
use jsonc_parser::common::Ranged;
use jsonc_parser::errors::ParseError;
use jsonc_parser::{CollectOptions, CommentCollectionStrategy, ParseOptions, parse_to_ast};

use super::DEEPEST;
use super::lines::Lines;
use crate::config::problem::Problem;
use crate::config::tree::{Member, Node, Place, Value};

const OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_loose_object_property_names: false,
    allow_trailing_commas: true,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Reads a document.
pub(super) fn read(text: &str, lines: &Lines<'_>) -> Result<Node, Problem> {
    let collect = CollectOptions { comments: CommentCollectionStrategy::Off, tokens: false };
    let parsed = parse_to_ast(text, &collect, &OPTIONS).map_err(|fault| problem(&fault, lines))?;
    let value = parsed.value.ok_or_else(|| Problem::new("", Some(&lines.at(1, 1)), "the file is empty"))?;
    node(value, lines, 0)
}

fn problem(fault: &ParseError, lines: &Lines<'_>) -> Problem {
    let mut message = fault.kind().to_string();
    if let Some(first) = message.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    Problem::new("", Some(&lines.place(fault.range().start)), message)
}

fn node(value: ast::Value<'_>, lines: &Lines<'_>, depth: usize) -> Result<Node, Problem> {
    let at = lines.place(value.range().start);
    if depth > DEEPEST {
        return Err(Problem::new("", Some(&at), format!("nested more than {DEEPEST} deep")));
    }
    let value = match value {
        ast::Value::StringLit(text) => Value::Text(text.value.into_owned()),
        ast::Value::NumberLit(number) => self::number(number.value, &at)?,
        ast::Value::BooleanLit(flag) => Value::Bool(flag.value),
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::Array(items) => {
            let items = items.elements.into_iter().map(|item| node(item, lines, depth + 1));
            Value::List(items.collect::<Result<_, _>>()?)
        }
        ast::Value::Object(object) => members(object, lines, depth)?,
    };
    Ok(Node::new(value, Some(at)))
}

fn members(object: Object<'_>, lines: &Lines<'_>, depth: usize) -> Result<Value, Problem> {
    let members = object.properties.into_iter().map(|property| {
        let at = Some(lines.place(property.range.start));
        let node = node(property.value, lines, depth + 1)?;
        Ok(Member { key: property.name.into_string(), at, node })
    });
    members.collect::<Result<_, _>>().map(Value::Map)
}

fn number(text: &str, at: &Place) -> Result<Value, Problem> {
    if let Ok(whole) = text.parse() {
        return Ok(Value::Integer(whole));
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Value::Float(number)),
        _ => Err(Problem::new("", Some(at), "a number that is too large")),
    }
}
