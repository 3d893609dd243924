//! Random expressions and random calls.

use fairlead::chat::facts::Facts;
use fastrand::Rng;

use crate::call::{Call, session};
use crate::expression::Tree;

const WORDS: [&str; 36] = [
    "",
    "a",
    "ab",
    "abc",
    "b",
    " ",
    "代码",
    "代",
    "码",
    "def ",
    "DEF ",
    "program",
    "Program",
    "Straße",
    "STRASSE",
    "ß",
    "İ",
    "i̇",
    "ſ",
    "K",
    "k",
    "Σ",
    "ς",
    "σ",
    "é",
    "e\u{301}",
    "🦀",
    "12",
    "-3",
    "+7",
    "1.5",
    "9223372036854775808",
    "'",
    "\"",
    "\\",
    "x\ny",
];

const KEYS: [&str; 7] = ["lang", "tier", "k", "in", "size", "X-Y", "x-y"];

pub(crate) fn word(random: &mut Rng) -> &'static str {
    WORDS[random.usize(..WORDS.len())]
}

fn words(random: &mut Rng, most: usize) -> String {
    (0..random.usize(..=most)).map(|_| word(random)).collect()
}

/// A call about which conditions like those below have something to say.
pub(crate) fn call(random: &mut Rng) -> Call {
    let most = if random.u8(..8) == 0 { 600 } else { 12 };
    let maybe = |random: &mut Rng, text: &str| random.bool().then(|| text.to_owned());
    let facts = Facts {
        model: maybe(random, "gpt-4o").unwrap_or_default(),
        stream: random.bool(),
        last_user_text: words(random, most),
        text: words(random, most),
        system: words(random, 3),
        messages: random.usize(..5),
        has_tools: random.bool(),
        has_images: random.bool(),
        needs_json_schema: random.bool(),
        needs_json_object: random.bool(),
        needs_reasoning: random.bool(),
        max_output: random.bool().then(|| random.u64(..)),
        user: maybe(random, "u1"),
        body_bytes: random.usize(..100_000),
        session: random.bool().then(|| session(word(random))),
        ..Facts::default()
    };
    let mut call = Call { facts, ..Call::default() };
    for _ in 0..random.usize(..4) {
        call.facts.metadata.push((KEYS[random.usize(..KEYS.len())].into(), word(random).into()));
        call.options.metadata.push((KEYS[random.usize(..KEYS.len())].into(), word(random).into()));
        let value = random.bool().then(|| word(random).to_owned());
        call.options.headers.push((KEYS[random.usize(..KEYS.len())].into(), value));
    }
    call.options.user = maybe(random, "u2");
    call.options.tenant = maybe(random, "acme");
    call.options.session = maybe(random, "s1");
    call.options.priority = random.bool().then(|| random.u8(..10));
    call.capabilities = (0..random.usize(..3)).map(|_| word(random).to_owned()).collect();
    call.hour = random.u8(..24);
    call.weekday = random.u8(1..=7);
    call
}

fn one_of(random: &mut Rng, names: &[&'static str]) -> &'static str {
    names[random.usize(..names.len())]
}

fn pair(random: &mut Rng, depth: usize) -> [Tree; 2] {
    [any(random, depth), any(random, depth)]
}

/// An expression that may stand where a condition is needed.
pub(crate) fn condition(random: &mut Rng, depth: usize) -> Tree {
    if depth == 0 {
        return match random.u8(..4) {
            0 => Tree::Bool(random.bool()),
            1 => Tree::Null,
            _ => Tree::Name(one_of(random, &["has_tools", "has_images", "stream"])),
        };
    }
    let depth = depth - 1;
    match random.u8(..20) {
        0..3 => Tree::And((0..random.usize(2..5)).map(|_| condition(random, depth)).collect()),
        3..6 => Tree::Or((0..random.usize(2..5)).map(|_| condition(random, depth)).collect()),
        6..8 => Tree::Not(Box::new(condition(random, depth))),
        8..12 => {
            Tree::Compare(one_of(random, &["==", "!=", "<", "<=", ">", ">="]), Box::new(pair(random, depth)))
        }
        12 => Tree::In(Box::new(pair(random, depth))),
        13 => Tree::NotIn(Box::new(pair(random, depth))),
        14..17 => {
            let name = one_of(random, &["contains", "icontains", "startsWith", "endsWith"]);
            let text = text(random, depth);
            let part = if random.bool() { Tree::Text(word(random).into()) } else { any(random, depth) };
            Tree::Call(name, vec![text, part])
        }
        17 => Tree::Call("has", vec![any(random, depth)]),
        18 => open(random, depth),
        _ => condition(random, 0),
    }
}

/// An expression whose kind the source does not tell: where it turns out wrong, that is a type error.
fn open(random: &mut Rng, depth: usize) -> Tree {
    Tree::If(Box::new([condition(random, depth), any(random, depth), Tree::Null]))
}

fn text(random: &mut Rng, depth: usize) -> Tree {
    match random.u8(..8) {
        0 => any(random, depth),
        1 => Tree::Name(one_of(
            random,
            &["needs", "capabilities", "user", "tenant", "model", "session", "path"],
        )),
        2 => Tree::Name("text"),
        3 => member(random, depth),
        _ => Tree::Name(one_of(random, &["user_input", "last_user_text"])),
    }
}

fn map(random: &mut Rng, depth: usize) -> Tree {
    let names = ["metadata", "user_metadata", "headers"];
    let name = |random: &mut Rng| Tree::Name(one_of(random, &names));
    match random.u8(..8) {
        0 if depth > 0 => Tree::If(Box::new([condition(random, depth - 1), name(random), name(random)])),
        1 if depth > 0 => open(random, depth - 1),
        _ => name(random),
    }
}

fn member(random: &mut Rng, depth: usize) -> Tree {
    let map = map(random, depth);
    let key = one_of(random, &KEYS);
    let inner = depth.saturating_sub(1);
    match random.u8(..6) {
        0..2 if !key.contains('-') => Tree::Member(Box::new(map), key),
        0..3 => Tree::Index(Box::new([map, Tree::Text(key.into())])),
        3 => Tree::Index(Box::new([map, any(random, inner)])),
        4 => Tree::Call("get", vec![map, Tree::Text(key.into())]),
        _ => Tree::Call("get", vec![map, any(random, inner), any(random, inner)]),
    }
}

/// Any expression.
fn any(random: &mut Rng, depth: usize) -> Tree {
    if depth == 0 {
        return leaf(random);
    }
    let depth = depth - 1;
    match random.u8(..20) {
        0..3 => leaf(random),
        3..5 => text(random, depth),
        5..8 => member(random, depth),
        8 => Tree::List((0..random.usize(..4)).map(|_| any(random, depth)).collect()),
        9..12 => Tree::Reckon(one_of(random, &["+", "-", "*", "/", "%"]), Box::new(pair(random, depth))),
        12 => Tree::Negative(Box::new(any(random, depth))),
        13..15 => {
            Tree::Call(one_of(random, &["size", "lower", "upper", "int", "float"]), vec![any(random, depth)])
        }
        15 => {
            let list = Tree::List((0..random.usize(1..4)).map(|_| any(random, depth)).collect());
            let of =
                if random.bool() { list } else { Tree::Name(one_of(random, &["needs", "capabilities"])) };
            // A text for a position is refused before any call comes.
            let position = any(random, depth);
            let position = if matches!(position, Tree::Text(_)) { Tree::Int(0) } else { position };
            Tree::Index(Box::new([of, position]))
        }
        16 => {
            let branches = [condition(random, depth), any(random, depth), any(random, depth)];
            Tree::If(Box::new(branches))
        }
        17 => open(random, depth),
        _ => condition(random, depth),
    }
}

fn leaf(random: &mut Rng) -> Tree {
    let int = |random: &mut Rng| match random.u8(..6) {
        0 => i64::MAX,
        1 => i64::MIN,
        2 => random.i64(..),
        _ => random.i64(-3..4),
    };
    match random.u8(..12) {
        0 => Tree::Null,
        1 => Tree::Bool(random.bool()),
        2..4 => Tree::Int(int(random)),
        4 => Tree::Float([0.0, 1.5, -2.5, 1e300, 9_223_372_036_854_775_808.0, 0.1][random.usize(..6)]),
        5 => Tree::Float(int(random) as f64),
        6..9 => Tree::Text(word(random).into()),
        9 => Tree::Name(one_of(random, &["tokens", "messages", "max_output", "priority", "hour", "weekday"])),
        10 => Tree::Name(one_of(random, &["metadata", "headers", "needs", "capabilities"])),
        _ => {
            Tree::Name(one_of(random, &["user_input", "system", "user", "tenant", "key", "session", "model"]))
        }
    }
}
