//! Expressions as trees, and how they are written down.

use std::fmt::Write;

/// A part of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Name(&'static str),
    List(Vec<Tree>),
    Not(Box<Tree>),
    And(Vec<Tree>),
    Or(Vec<Tree>),
    If(Box<[Tree; 3]>),
    Compare(&'static str, Box<[Tree; 2]>),
    In(Box<[Tree; 2]>),
    NotIn(Box<[Tree; 2]>),
    Negative(Box<Tree>),
    Reckon(&'static str, Box<[Tree; 2]>),
    Member(Box<Tree>, &'static str),
    Index(Box<[Tree; 2]>),
    Call(&'static str, Vec<Tree>),
}

/// Which spelling of several is used: asked each time with how many there are.
pub(crate) type Pick<'a> = &'a mut dyn FnMut(usize) -> usize;

impl Tree {
    /// One way to write it, with all parentheses it needs and now and then one more.
    pub(crate) fn written(&self, pick: Pick<'_>) -> String {
        self.at_least(0, pick)
    }

    fn at_least(&self, level: u8, pick: Pick<'_>) -> String {
        let (own, text) = self.spell(pick);
        if own < level || pick(12) == 0 { format!("({text})") } else { text }
    }

    /// How tightly it binds, and its text.
    fn spell(&self, pick: Pick<'_>) -> (u8, String) {
        match self {
            Self::Null => (8, ["null", "None"][pick(2)].into()),
            Self::Bool(true) => (8, ["true", "True"][pick(2)].into()),
            Self::Bool(false) => (8, ["false", "False"][pick(2)].into()),
            Self::Int(number) => (if *number < 0 { 7 } else { 8 }, number.to_string()),
            Self::Float(number) => (if number.is_sign_negative() { 7 } else { 8 }, format!("{number:?}")),
            Self::Text(text) => (8, quoted(text, pick)),
            Self::Name(name) => (8, (*name).into()),
            Self::List(items) => (8, format!("[{}]", listed(items, pick))),
            Self::Not(of) if pick(2) == 0 => (7, format!("!{}", of.at_least(7, pick))),
            Self::Not(of) => (3, format!("{} {}", ["NOT", "not"][pick(2)], of.at_least(3, pick))),
            Self::And(parts) => (2, joined(parts, 3, ["&&", "AND", "and", "And"], pick)),
            Self::Or(parts) => (1, joined(parts, 2, ["||", "OR", "or", "Or"], pick)),
            Self::If(parts) => {
                let [condition, yes, no] = &**parts;
                // CEL itself wants parentheses around a choice in the middle.
                let (condition, middle) = (condition.at_least(1, pick), [1, 0][pick(2)]);
                let yes = yes.at_least(middle, pick);
                (0, format!("{condition} ? {yes} : {}", no.at_least(0, pick)))
            }
            Self::Compare(operator, pair) => (4, between(pair, 5, operator, 5, pick)),
            Self::In(pair) => (4, between(pair, 5, "in", 5, pick)),
            Self::NotIn(pair) => (4, between(pair, 5, "not in", 5, pick)),
            Self::Negative(of) => (7, format!("-{}", of.at_least(7, pick))),
            Self::Reckon(operator @ ("+" | "-"), pair) => (5, between(pair, 5, operator, 6, pick)),
            Self::Reckon(operator, pair) => (6, between(pair, 6, operator, 7, pick)),
            Self::Member(of, name) => (8, format!("{}.{name}", of.at_least(8, pick))),
            Self::Index(pair) => (8, format!("{}[{}]", pair[0].at_least(8, pick), pair[1].at_least(0, pick))),
            Self::Call(name, arguments) => (8, called(name, arguments, pick)),
        }
    }
}

fn called(name: &str, arguments: &[Tree], pick: Pick<'_>) -> String {
    let spellings = match name {
        "startsWith" => ["startsWith", "starts_with", "startswith"],
        "endsWith" => ["endsWith", "ends_with", "endswith"],
        "size" => ["size", "len", "size"],
        "float" => ["float", "double", "float"],
        _ => [name; 3],
    };
    let name = spellings[pick(3)];
    if name == "get" || (name != "has" && pick(2) == 0) {
        return format!("{}.{name}({})", arguments[0].at_least(8, pick), listed(&arguments[1..], pick));
    }
    format!("{name}({})", listed(arguments, pick))
}

fn between(pair: &[Tree; 2], left: u8, operator: &str, right: u8, pick: Pick<'_>) -> String {
    let space = [" ", "  ", " \n\t"][pick(3)];
    format!("{}{space}{operator} {}", pair[0].at_least(left, pick), pair[1].at_least(right, pick))
}

fn joined(parts: &[Tree], level: u8, operators: [&str; 4], pick: Pick<'_>) -> String {
    let mut text = parts[0].at_least(level, pick);
    for part in &parts[1..] {
        let operator = operators[pick(4)];
        text = format!("{text} {operator} {}", part.at_least(level, pick));
    }
    text
}

fn listed(items: &[Tree], pick: Pick<'_>) -> String {
    items.iter().map(|item| item.at_least(0, pick)).collect::<Vec<_>>().join(", ")
}

/// A text in quotes of either kind, with or without escapes for what needs none.
fn quoted(text: &str, pick: Pick<'_>) -> String {
    let quote = ['\'', '"'][pick(2)];
    let escape_all = pick(4) == 0;
    let mut written = String::from(quote);
    for character in text.chars() {
        match character {
            '\\' => written.push_str("\\\\"),
            '\n' => written.push_str("\\n"),
            _ if character == quote => written.extend(['\\', quote]),
            _ if escape_all && (character as u32) < 0x1_0000 => {
                write!(written, "\\u{:04x}", character as u32).unwrap();
            }
            _ => written.push(character),
        }
    }
    written.push(quote);
    written
}
