//! How much a condition can ask for, and how long it can take.

use fairlead::chat::facts::Facts;
use fairlead::route::expr::{Expression, MAX_DEPTH, MAX_SOURCE};

use crate::call::Call;
use crate::language::{cannot_say, fails, holds, refused};

#[test]
fn sources_have_a_largest_size_and_depth() {
    let call = Call::default();
    let wide = vec!["stream"; 800].join(" || ");
    fails(&wide, &call);
    assert!(refused(&format!("{wide}{}", " ".repeat(MAX_SOURCE))).contains("at most 8192 bytes"));
    let nested = |levels: usize| format!("{}true{}", "(".repeat(levels), ")".repeat(levels));
    holds(&nested(MAX_DEPTH - 1), &call);
    for source in [
        nested(MAX_DEPTH),
        nested(4000),
        "!".repeat(4000) + "true",
        "-".repeat(4000) + "1 > 0",
        "NOT ".repeat(2000) + "true",
        format!("{}0 > 0", "0 + ".repeat(1000)),
        "true ? ".repeat(1000),
        "[".repeat(8000),
        format!("user_input{} == ''", ".lower()".repeat(1000)),
        format!("needs{} == ''", "[0]".repeat(2000)),
    ] {
        assert!(Expression::compile(&source).is_err(), "{source}");
    }
}

#[test]
fn texts_made_have_a_largest_size() {
    let call = Call { facts: Facts { text: "x".repeat(65_536), ..Facts::default() }, ..Call::default() };
    holds("size(text + text + text + text) == 262144", &call);
    cannot_say("size(text + text + text + text + 'x') == 262145", &call);
}

/// The most expensive things a source of full size can say of the longest texts end soon.
#[test]
fn time_is_bounded_by_source_times_input() {
    let text = "aA代".repeat(3_277);
    let facts =
        Facts { text: text.clone(), system: text, last_user_text: "aA代".repeat(819), ..Facts::default() };
    let call = Call { facts, ..Call::default() };
    let began = std::time::Instant::now();
    for part in [
        "lower(text) == ''",
        "upper(text) == ''",
        "!icontains(text + '', system)",
        "contains(text, system + 'a')",
        "text + text == ''",
        "!text.contains('aA代aA代aA代aA')",
        "icontains(system, 'zz')",
        "text not in [text, system]",
        "user_input.contains('aA代aA代aAb')",
    ] {
        let count = (MAX_SOURCE + 4) / (part.len() + 4);
        fails(&vec![part; count].join(" || "), &call);
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(60));
}
