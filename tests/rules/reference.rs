//! What expressions mean, written down a second time from `docs/rules.md` and as plainly as possible: the engine's
//! evaluator must agree with this one.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::expression::Tree;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    Map(BTreeMap<String, String>),
    /// A map whose keys are asked for in any case.
    Headers(BTreeMap<String, String>),
}

use Value::{Bool, Float, Headers, Int, List, Map, Null, Text};

/// A type error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wrong;

type Names = BTreeMap<&'static str, Value>;

/// Does the condition hold?
pub(crate) fn holds(tree: &Tree, names: &Names) -> Result<bool, Wrong> {
    match value(tree, names)? {
        Bool(truth) => Ok(truth),
        Null => Ok(false),
        _ => Err(Wrong),
    }
}

fn value(tree: &Tree, names: &Names) -> Result<Value, Wrong> {
    Ok(match tree {
        Tree::Null => Null,
        Tree::Bool(truth) => Bool(*truth),
        Tree::Int(number) => Int(*number),
        Tree::Float(number) => Float(*number),
        Tree::Text(text) => Text(text.clone()),
        Tree::Name(name) => names[name].clone(),
        Tree::List(items) => List(items.iter().map(|item| value(item, names)).collect::<Result<_, _>>()?),
        Tree::Not(of) => Bool(!holds(of, names)?),
        Tree::And(parts) => Bool(decided(parts, names, false)?),
        Tree::Or(parts) => Bool(decided(parts, names, true)?),
        Tree::If(parts) => {
            let [condition, yes, no] = &**parts;
            return if holds(condition, names)? { value(yes, names) } else { value(no, names) };
        }
        Tree::Compare(operator, pair) => {
            let (left, right) = (value(&pair[0], names)?, value(&pair[1], names)?);
            let asks_for_null = pair[0] == Tree::Null || pair[1] == Tree::Null;
            match *operator {
                "==" if asks_for_null => Bool(left == Null && right == Null),
                "!=" if asks_for_null => Bool(left != Null || right != Null),
                _ if left == Null || right == Null => Bool(false),
                "==" => Bool(same(&left, &right)),
                "!=" => Bool(!same(&left, &right)),
                "<" => Bool(ordered(&left, &right)? == Ordering::Less),
                "<=" => Bool(ordered(&left, &right)? != Ordering::Greater),
                ">" => Bool(ordered(&left, &right)? == Ordering::Greater),
                ">=" => Bool(ordered(&left, &right)? != Ordering::Less),
                other => unreachable!("{other}"),
            }
        }
        Tree::In(pair) => Bool(within(&value(&pair[0], names)?, &value(&pair[1], names)?)?),
        Tree::NotIn(pair) => Bool(!within(&value(&pair[0], names)?, &value(&pair[1], names)?)?),
        Tree::Negative(of) => match value(of, names)? {
            Null => Null,
            Int(number) => fits(-i128::from(number))?,
            Float(number) => Float(-number),
            _ => return Err(Wrong),
        },
        Tree::Reckon(operator, pair) => {
            return reckoned(operator, value(&pair[0], names)?, value(&pair[1], names)?);
        }
        Tree::Member(of, name) => return picked(value(of, names)?, Text((*name).to_owned())),
        Tree::Index(pair) => return picked(value(&pair[0], names)?, value(&pair[1], names)?),
        Tree::Call(name, arguments) => {
            let arguments =
                arguments.iter().map(|argument| value(argument, names)).collect::<Result<_, _>>()?;
            return called(name, arguments);
        }
    })
}

/// `&&` is decided by a false part, `||` by a true one, whatever the others do; else a type error counts.
fn decided(parts: &[Tree], names: &Names, decisive: bool) -> Result<bool, Wrong> {
    let all: Vec<_> = parts.iter().map(|part| holds(part, names)).collect();
    if all.contains(&Ok(decisive)) {
        return Ok(decisive);
    }
    if all.contains(&Err(Wrong)) { Err(Wrong) } else { Ok(!decisive) }
}

fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Bool(a), Bool(b)) => a == b,
        (Text(a), Text(b)) => a == b,
        (List(a), List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Int(_) | Float(_), Int(_) | Float(_)) => ordered(left, right) == Ok(Ordering::Equal),
        _ => false,
    }
}

fn ordered(left: &Value, right: &Value) -> Result<Ordering, Wrong> {
    match (left, right) {
        (Text(a), Text(b)) => Ok(a.chars().cmp(b.chars())),
        (Int(a), Int(b)) => Ok(a.cmp(b)),
        (Float(a), Float(b)) => Ok(a.partial_cmp(b).unwrap()),
        (Int(a), Float(b)) => Ok(exactly(*a, *b)),
        (Float(a), Int(b)) => Ok(exactly(*b, *a).reverse()),
        _ => Err(Wrong),
    }
}

/// Every float below 2^100 has a whole part that 128 bits hold.
fn exactly(int: i64, float: f64) -> Ordering {
    if float.abs() > 1e30 {
        return if float > 0.0 { Ordering::Less } else { Ordering::Greater };
    }
    let below = float.floor() as i128;
    match i128::from(int).cmp(&below) {
        Ordering::Equal if float > float.floor() => Ordering::Less,
        order => order,
    }
}

fn within(item: &Value, all: &Value) -> Result<bool, Wrong> {
    match (item, all) {
        (Null, _) | (_, Null) => Ok(false),
        (_, List(items)) => Ok(items.iter().any(|other| same(item, other))),
        (Text(key), Map(_) | Headers(_)) => Ok(picked(all.clone(), Text(key.clone()))? != Null),
        (Text(part), Text(text)) => Ok(holds_part(text, part)),
        _ => Err(Wrong),
    }
}

fn holds_part(text: &str, part: &str) -> bool {
    let (text, part): (Vec<char>, Vec<char>) = (text.chars().collect(), part.chars().collect());
    part.is_empty() || text.windows(part.len()).any(|window| window == part)
}

fn lower(text: &str) -> String {
    let mut lowered = String::new();
    for character in text.chars() {
        lowered.extend(character.to_lowercase());
    }
    lowered
}

fn fits(number: i128) -> Result<Value, Wrong> {
    i64::try_from(number).map(Int).map_err(|_| Wrong)
}

fn finite(number: f64) -> Result<Value, Wrong> {
    if number.is_finite() { Ok(Float(number)) } else { Err(Wrong) }
}

fn reckoned(operator: &str, left: Value, right: Value) -> Result<Value, Wrong> {
    if left == Null || right == Null {
        return Ok(Null);
    }
    if let (Int(a), Int(b)) = (&left, &right) {
        let (a, b) = (i128::from(*a), i128::from(*b));
        return match operator {
            "+" => fits(a + b),
            "-" => fits(a - b),
            "*" => fits(a * b),
            "/" if b != 0 => fits(a / b),
            // The one remainder whose quotient does not fit is an error too.
            "%" if b != 0 && fits(a / b).is_ok() => fits(a % b),
            _ => Err(Wrong),
        };
    }
    if let (Text(a), Text(b), "+") = (&left, &right, operator) {
        return if a.len() + b.len() > 256 * 1024 { Err(Wrong) } else { Ok(Text(format!("{a}{b}"))) };
    }
    let float = |value: &Value| match value {
        Int(number) => Ok(*number as f64),
        Float(number) => Ok(*number),
        _ => Err(Wrong),
    };
    let (a, b) = (float(&left)?, float(&right)?);
    match operator {
        "+" => finite(a + b),
        "-" => finite(a - b),
        "*" => finite(a * b),
        "/" => finite(a / b),
        _ => Err(Wrong),
    }
}

fn picked(of: Value, key: Value) -> Result<Value, Wrong> {
    match (of, key) {
        (Null, _) | (_, Null) => Ok(Null),
        (Map(map), Text(key)) => Ok(map.get(&key).map_or(Null, |value| Text(value.clone()))),
        (Headers(map), Text(key)) => {
            Ok(map.get(&key.to_ascii_lowercase()).map_or(Null, |value| Text(value.clone())))
        }
        (List(items), Int(position)) if position >= 0 => {
            Ok(items.get(position as usize).cloned().unwrap_or(Null))
        }
        (List(_), Int(_)) => Ok(Null),
        _ => Err(Wrong),
    }
}

fn called(name: &str, arguments: Vec<Value>) -> Result<Value, Wrong> {
    let first = arguments[0].clone();
    let second = arguments.get(1).cloned().unwrap_or(Null);
    match name {
        "has" => Ok(Bool(first != Null)),
        "get" => match picked(first.clone(), second.clone()) {
            _ if matches!(first, List(_)) && second != Null => Err(Wrong),
            Ok(Null) => Ok(arguments.get(2).cloned().unwrap_or(Null)),
            found => found,
        },
        "contains" | "icontains" | "startsWith" | "endsWith" if first == Null || second == Null => {
            Ok(Bool(false))
        }
        "contains" if matches!(first, List(_)) => Ok(Bool(within(&second, &first)?)),
        "contains" | "icontains" | "startsWith" | "endsWith" => {
            let (Text(text), Text(part)) = (first, second) else { return Err(Wrong) };
            Ok(Bool(match name {
                "contains" => holds_part(&text, &part),
                "icontains" => holds_part(&lower(&text), &lower(&part)),
                "startsWith" => text.get(..part.len()) == Some(&part),
                _ => text.len() >= part.len() && text.get(text.len() - part.len()..) == Some(&part),
            }))
        }
        _ if first == Null => Ok(Null),
        "size" => match first {
            Text(text) => Ok(Int(text.chars().count() as i64)),
            List(items) => Ok(Int(items.len() as i64)),
            _ => Err(Wrong),
        },
        "lower" | "upper" => {
            let Text(text) = first else { return Err(Wrong) };
            let upper = || text.chars().flat_map(char::to_uppercase).collect();
            Ok(Text(if name == "lower" { lower(&text) } else { upper() }))
        }
        "int" => match first {
            Int(number) => Ok(Int(number)),
            Float(number) if number.abs() < 1e30 => fits(number.trunc() as i128),
            Text(text) => digits(&text),
            _ => Err(Wrong),
        },
        "float" => match first {
            Float(number) => Ok(Float(number)),
            Int(number) => Ok(Float(number as f64)),
            Text(text) => text.parse().map_err(|_| Wrong).and_then(finite),
            _ => Err(Wrong),
        },
        other => unreachable!("{other}"),
    }
}

/// An optional sign and decimal digits.
fn digits(text: &str) -> Result<Value, Wrong> {
    let (sign, digits) = match text.as_bytes() {
        [b'-', ..] => (-1, &text[1..]),
        [b'+', ..] => (1, &text[1..]),
        _ => (1, text),
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(Wrong);
    }
    let mut number = 0_i128;
    for digit in digits.bytes() {
        number = (number * 10 + i128::from(digit - b'0')).min(1 << 70);
    }
    fits(sign * number)
}
