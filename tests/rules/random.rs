//! Random expressions on random calls, against the reference; random sources, for whatever happens.

use std::time::{Duration, Instant};

use fairlead::route::expr::{Expression, Outcome};
use fastrand::Rng;

use crate::call::Call;
use crate::generate;
use crate::reference;

/// Ten thousand, a million in the long run.
pub(crate) fn cases() -> u64 {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse::<u64>().ok());
    asked.map_or(10_000, |cases| cases * 50)
}

/// Far more than any case takes, far less than one that does not end.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn every_expression_says_what_the_reference_says() {
    let (mut yes, mut no, mut faulty) = (0_u64, 0_u64, 0_u64);
    for seed in 0..cases() {
        let mut random = Rng::with_seed(seed);
        let depth = random.usize(1..5);
        let tree = generate::condition(&mut random, depth);
        let source = tree.written(&mut |count| random.usize(..count));
        let expression = Expression::compile(&source)
            .unwrap_or_else(|fault| panic!("seed {seed}: {source:?} is refused: {fault}"));
        for _ in 0..2 {
            let call = generate::call(&mut random);
            let began = Instant::now();
            let found = expression.holds(&call.context());
            assert!(began.elapsed() < SOON, "seed {seed}: {source:?}");
            let expected = reference::holds(&tree, &call.values());
            let count = match found {
                Outcome::Yes => &mut yes,
                Outcome::No => &mut no,
                Outcome::Faulty(_) => &mut faulty,
            };
            *count += 1;
            let found = match found {
                Outcome::Yes => Ok(true),
                Outcome::No => Ok(false),
                Outcome::Faulty(_) => Err(reference::Wrong),
            };
            assert_eq!(found, expected, "seed {seed}: {source:?} of {call:#?}");
            if let Some(always) = expression.constant() {
                assert_eq!(Ok(always), expected, "seed {seed}: {source:?} is not constant");
            }
        }
    }
    let all = yes + no + faulty;
    assert!(yes > all / 10 && no > all / 10 && faulty > all / 50, "{yes} yes, {no} no, {faulty} faulty");
}

/// Some bytes as a source: whatever comes, an answer comes too.
fn survives(source: &str, call: &Call) -> bool {
    let began = Instant::now();
    let compiled = Expression::compile(source);
    if let Ok(expression) = &compiled {
        expression.holds(&call.context());
    }
    assert!(began.elapsed() < SOON, "{source:?}");
    match compiled {
        Ok(_) => true,
        Err(fault) => {
            assert!(source.is_char_boundary(fault.offset) && fault.column > 0, "{source:?}: {fault:?}");
            assert!(!fault.to_string().is_empty());
            false
        }
    }
}

#[test]
fn no_source_is_too_odd() {
    let mut random = Rng::with_seed(7);
    let call = generate::call(&mut random);
    for _ in 0..cases() {
        let bytes: Vec<u8> = (0..random.usize(..40)).map(|_| random.u8(..)).collect();
        survives(&String::from_utf8_lossy(&bytes), &call);
    }
}

#[test]
fn no_change_to_an_expression_is_too_odd() {
    const PIECES: [&str; 40] = [
        "(",
        ")",
        "[",
        "]",
        "'",
        "\"",
        "\\",
        "\\u",
        "\\x",
        "\\U0010ffff",
        "\\ud83d",
        "\\ude00",
        ".",
        "..",
        "&&",
        "||",
        "==",
        "=",
        " in ",
        "?",
        ":",
        "-",
        "!",
        " not ",
        " NOT ",
        "size(",
        "has(",
        ".get(",
        "'a'",
        "代",
        "🦀",
        "\u{0}",
        "null",
        "metadata",
        "needs",
        "9223372036854775808",
        "1e999",
        "0x",
        ",",
        "+",
    ];
    let mut random = Rng::with_seed(11);
    let mut accepted = 0;
    for _ in 0..cases() {
        let tree = generate::condition(&mut random, 3);
        let mut characters: Vec<char> = tree.written(&mut |count| random.usize(..count)).chars().collect();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..=characters.len());
            match random.u8(..4) {
                0 => characters.truncate(at),
                1 => drop(characters.drain(at..(at + random.usize(..4)).min(characters.len()))),
                2 => characters.extend_from_within(at..),
                _ => drop(characters.splice(at..at, PIECES[random.usize(..PIECES.len())].chars())),
            }
        }
        let source: String = characters.into_iter().collect();
        let call = generate::call(&mut random);
        accepted += u64::from(survives(&source, &call));
    }
    assert!(accepted > cases() / 50, "{accepted}");
}
