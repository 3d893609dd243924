//! Where the language is CEL, it means what CEL means: random expressions against the `cel` crate.
//!
//! Left out is what differs on purpose: what is missing (an error in CEL), integers and floats in one sum,
//! infinity, and the order of booleans.

use std::collections::HashMap;

use cel::{Context, Program};
use fairlead::route::expr::{Expression, Outcome};
use fastrand::Rng;

use crate::call::Call;
use crate::expression::Tree;
use crate::generate;
use crate::random::cases;

fn one_of(random: &mut Rng, names: &[&'static str]) -> &'static str {
    names[random.usize(..names.len())]
}

fn condition(random: &mut Rng, depth: usize) -> Tree {
    if depth == 0 {
        let name = one_of(random, &["has_tools", "has_images", "stream"]);
        return if random.bool() { Tree::Bool(random.bool()) } else { Tree::Name(name) };
    }
    let depth = depth - 1;
    let some = |random: &mut Rng| (0..random.usize(2..4)).map(|_| condition(random, depth)).collect();
    match random.u8(..12) {
        0..2 => Tree::And(some(random)),
        2..4 => Tree::Or(some(random)),
        4 => Tree::Not(Box::new(condition(random, depth))),
        5 => Tree::If(Box::new([(); 3].map(|()| condition(random, depth)))),
        6..9 => compared(random, depth),
        9 => Tree::In(Box::new([text(random, depth), list(random, depth)])),
        10 => Tree::In(Box::new([
            Tree::Text(one_of(random, &["lang", "k", "none"]).into()),
            Tree::Name("metadata"),
        ])),
        _ => {
            let name = one_of(random, &["contains", "startsWith", "endsWith"]);
            Tree::Call(name, vec![text(random, depth), text(random, depth)])
        }
    }
}

fn compared(random: &mut Rng, depth: usize) -> Tree {
    let equality = one_of(random, &["==", "!="]);
    let order = one_of(random, &["==", "!=", "<", "<=", ">", ">="]);
    match random.u8(..8) {
        0..2 => Tree::Compare(order, Box::new([text(random, depth), text(random, depth)])),
        2..4 => Tree::Compare(order, Box::new([int(random, depth), int(random, depth)])),
        4 => Tree::Compare(order, Box::new([float(random, depth), float(random, depth)])),
        5 => Tree::Compare(order, Box::new([Tree::Int(random.i64(-3..4)), float(random, 0)])),
        6 => Tree::Compare(equality, Box::new([list(random, depth), list(random, depth)])),
        // A type error, except for equality.
        _ => Tree::Compare(order, Box::new([text(random, depth), int(random, depth)])),
    }
}

fn text(random: &mut Rng, depth: usize) -> Tree {
    match random.u8(..6) {
        0 if depth > 0 => Tree::Reckon("+", Box::new([text(random, depth - 1), text(random, depth - 1)])),
        0..2 => Tree::Text(generate::word(random).into()),
        2 => Tree::Member(Box::new(Tree::Name("metadata")), one_of(random, &["lang", "k"])),
        3 => Tree::Index(Box::new([Tree::Name("metadata"), Tree::Text("lang".into())])),
        _ => Tree::Name(one_of(random, &["user_input", "path", "system"])),
    }
}

fn int(random: &mut Rng, depth: usize) -> Tree {
    if depth == 0 {
        return match random.u8(..6) {
            0 => Tree::Int(i64::MAX),
            1 => Tree::Int(i64::MIN),
            2..4 => Tree::Name(one_of(random, &["tokens", "messages", "hour"])),
            _ => Tree::Int(random.i64(-3..4)),
        };
    }
    let depth = depth - 1;
    match random.u8(..6) {
        0..3 => {
            let operator = one_of(random, &["+", "-", "*", "/", "%"]);
            Tree::Reckon(operator, Box::new([int(random, depth), int(random, depth)]))
        }
        3 => Tree::Call("size", vec![text(random, depth)]),
        4 => Tree::Call("size", vec![list(random, depth)]),
        _ => int(random, 0),
    }
}

fn float(random: &mut Rng, depth: usize) -> Tree {
    if depth == 0 || random.bool() {
        return Tree::Float([0.0, 0.5, -2.0, 1e10, 2.0][random.usize(..5)]);
    }
    let operator = one_of(random, &["+", "-", "*"]);
    Tree::Reckon(operator, Box::new([float(random, depth - 1), float(random, depth - 1)]))
}

fn list(random: &mut Rng, depth: usize) -> Tree {
    let item = |random: &mut Rng| if random.bool() { text(random, 0) } else { int(random, 0) };
    if random.bool() || depth == 0 {
        return Tree::Name(one_of(random, &["needs", "capabilities"]));
    }
    Tree::List((0..random.usize(..3)).map(|_| item(random)).collect())
}

fn cel_context(call: &Call) -> Context<'static, 'static> {
    let mut context = Context::default();
    let facts = &call.facts;
    for (name, text) in [
        ("user_input", facts.last_user_text.as_str()),
        ("system", &facts.system),
        ("path", "/chat/completions"),
    ] {
        context.add_variable(name, text).unwrap();
    }
    for (name, truth) in
        [("has_tools", facts.has_tools), ("has_images", facts.has_images), ("stream", facts.stream)]
    {
        context.add_variable(name, truth).unwrap();
    }
    let tokens = facts.body_bytes.div_ceil(4) as i64;
    for (name, number) in
        [("tokens", tokens), ("messages", facts.messages as i64), ("hour", call.hour.into())]
    {
        context.add_variable(name, number).unwrap();
    }
    let needs: Vec<&str> = facts.needs().iter().collect();
    context.add_variable("needs", needs).unwrap();
    context.add_variable("capabilities", call.capabilities.clone()).unwrap();
    let metadata: HashMap<String, String> =
        facts.metadata.iter().chain(&call.options.metadata).cloned().collect();
    context.add_variable("metadata", metadata).unwrap();
    context
}

#[test]
fn where_the_language_is_cel_it_means_what_cel_means() {
    let (mut yes, mut no, mut faulty) = (0_u64, 0_u64, 0_u64);
    // CEL's evaluator takes long; a fifth of the cases tells as much.
    for seed in 0..cases() / 5 {
        let mut random = Rng::with_seed(seed);
        let tree = condition(&mut random, 3);
        // Spellings of CEL alone: the first of every choice, but parentheses where they may be.
        let source = tree.written(&mut |count| if count == 12 { random.usize(..count) } else { 0 });
        let call = generate::call(&mut random).with("lang", "py").with("k", generate::word(&mut random));
        let ours =
            Expression::compile(&source).unwrap_or_else(|fault| panic!("seed {seed}: {source}: {fault}"));
        let program =
            Program::compile(&source).unwrap_or_else(|fault| panic!("seed {seed}: {source}: {fault}"));
        let theirs = match program.execute(&cel_context(&call)) {
            Ok(cel::Value::Bool(truth)) => Some(truth),
            Ok(other) => panic!("seed {seed}: {source}: {other:?}"),
            Err(_) => None,
        };
        let (ours, count) = match ours.holds(&call.context()) {
            Outcome::Yes => (Some(true), &mut yes),
            Outcome::No => (Some(false), &mut no),
            Outcome::Faulty(_) => (None, &mut faulty),
        };
        *count += 1;
        assert_eq!(ours, theirs, "seed {seed}: {source} of {call:#?}");
    }
    let all = yes + no + faulty;
    assert!(yes > all / 10 && no > all / 10 && faulty > all / 20, "{yes} yes, {no} no, {faulty} faulty");
}
