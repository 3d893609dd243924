//! What the functions of the language do. Of what is missing nothing is known: a test says no, anything else is
//! missing too.

use super::names::Function;
use super::node::fold;
use super::value::{List, Map, Reason, Value, finite, whole};
use crate::route::context::Context;

type Made<'a> = Result<Value<'a>, Reason>;

const NO_TEXT: Reason = "this takes a text";

/// Calls `function`; arguments that were not given are null.
pub(super) fn call<'a>(function: Function, arguments: [Value<'a>; 3], context: &'a Context<'a>) -> Made<'a> {
    let [first, second, third] = arguments;
    match function {
        Function::Has => Ok(Value::Bool(!first.is_null())),
        Function::Get => get(&first, &second, third, context),
        Function::Size => size(&first),
        Function::Lower => changed(&first, fold),
        Function::Upper => changed(&first, |text| text.chars().flat_map(char::to_uppercase).collect()),
        Function::Int => int(&first),
        Function::Float => float(&first),
        Function::Contains => contains(&first, &second),
        Function::ContainsAnyCase => tested(&first, &second, |text, part| finds(&fold(text), &fold(part))),
        Function::StartsWith => tested(&first, &second, |text, part| text.starts_with(part)),
        Function::EndsWith => tested(&first, &second, |text, part| text.ends_with(part)),
    }
}

fn finds(text: &str, part: &str) -> bool {
    memchr::memmem::find(text.as_bytes(), part.as_bytes()).is_some()
}

fn contains<'a>(all: &Value<'_>, part: &Value<'_>) -> Made<'a> {
    match (all, part) {
        (Value::Null, _) | (_, Value::Null) => Ok(Value::Bool(false)),
        (Value::List(list), _) => Ok(Value::Bool(list.has(part))),
        _ => tested(all, part, finds),
    }
}

fn tested<'a>(whole: &Value<'_>, part: &Value<'_>, test: impl Fn(&str, &str) -> bool) -> Made<'a> {
    match (whole, part) {
        (Value::Null, _) | (_, Value::Null) => Ok(Value::Bool(false)),
        (Value::Text(whole), Value::Text(part)) => Ok(Value::Bool(test(whole, part))),
        _ => Err("this takes two texts"),
    }
}

/// `item in all`: a value of a list, a key of a map, or a part of a text.
pub(super) fn within(item: &Value<'_>, all: &Value<'_>, context: &Context<'_>) -> Result<bool, Reason> {
    match (item, all) {
        (Value::Null, _) | (_, Value::Null) => Ok(false),
        (_, Value::List(list)) => Ok(list.has(item)),
        (Value::Text(key), Value::Map(map)) => Ok(look_up(*map, key, context).is_some()),
        (Value::Text(part), Value::Text(text)) => Ok(finds(text, part)),
        _ => Err("`in` takes a list, a map or a text"),
    }
}

/// A member of a map or an item of a list.
pub(super) fn item<'a>(of: &Value<'a>, key: &Value<'_>, context: &'a Context<'a>) -> Made<'a> {
    match (of, key) {
        (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
        (Value::Map(map), Value::Text(key)) => Ok(Value::optional(look_up(*map, key, context))),
        (Value::List(list), Value::Int(position)) => Ok(at(list, *position)),
        _ => Err("a map has texts for keys, a list has positions, and nothing else has members"),
    }
}

fn at<'a>(list: &List<'a>, position: i64) -> Value<'a> {
    usize::try_from(position).map_or(Value::Null, |position| list.item(position))
}

fn get<'a>(map: &Value<'a>, key: &Value<'_>, default: Value<'a>, context: &'a Context<'a>) -> Made<'a> {
    match (map, key) {
        (Value::Null, _) | (_, Value::Null) => Ok(default),
        (Value::Map(map), Value::Text(key)) => Ok(look_up(*map, key, context).map_or(default, Value::text)),
        _ => Err("`get` takes a map and a text"),
    }
}

pub(super) fn look_up<'a>(map: Map, key: &str, context: &'a Context<'a>) -> Option<&'a str> {
    match map {
        Map::Metadata => context.metadata(key),
        Map::Headers => context.header(key),
    }
}

/// Characters of a text, items of a list.
fn size<'a>(value: &Value<'_>) -> Made<'a> {
    match value {
        Value::Null => Ok(Value::Null),
        Value::Text(text) => Ok(Value::count(text.chars().count() as u64)),
        Value::List(list) => Ok(Value::count(list.len() as u64)),
        _ => Err("only a text and a list have a size"),
    }
}

fn changed<'a>(text: &Value<'_>, change: impl Fn(&str) -> String) -> Made<'a> {
    match text {
        Value::Null => Ok(Value::Null),
        Value::Text(text) => Value::made(change(text)),
        _ => Err(NO_TEXT),
    }
}

fn int<'a>(value: &Value<'a>) -> Made<'a> {
    match value {
        Value::Null | Value::Int(_) => Ok(value.clone()),
        Value::Float(number) => whole(*number),
        Value::Text(digits) => digits.parse().map(Value::Int).map_err(|_| "a text that is not an integer"),
        _ => Err("this is no number"),
    }
}

fn float<'a>(value: &Value<'a>) -> Made<'a> {
    match value {
        Value::Null | Value::Float(_) => Ok(value.clone()),
        Value::Int(number) => Ok(Value::Float(*number as f64)),
        Value::Text(digits) => digits.parse().map_err(|_| "a text that is not a number").and_then(finite),
        _ => Err("this is no number"),
    }
}

pub(super) fn negative<'a>(value: &Value<'_>) -> Made<'a> {
    match value {
        Value::Null => Ok(Value::Null),
        Value::Int(number) => number.checked_neg().map(Value::Int).ok_or("an integer beyond 64 bits"),
        Value::Float(number) => Ok(Value::Float(-number)),
        _ => Err("only a number can be negative"),
    }
}
