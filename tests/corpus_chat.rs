//! Recorded traffic of chat upstreams goes through the readers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout
)]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use fairlead::chat::event::{EventFault, Step, StreamState};
use fairlead::chat::facts;
use fairlead::chat::patch::{self, Edit};
use fairlead::chat::reply::{self, Shape};
use fairlead::chat::usage::Usage;
use fairlead::chat::warning::Warning;
use fairlead::send::sse::{Decoder, Event};
use serde_json::Value;

/// Upstreams whose streams never send a finish.
const FINISH_OPTIONAL: [&str; 1] = ["snowflake"];

/// Streams that end in an error, and the error's code.
const FAILING: [(&str, &str); 3] = [
    ("openai-23cf6818bb023b92", "tool_use_failed"),
    ("openai-86bf7c5e9a09db2c", "tool_use_failed"),
    // Cut off (`length`), then told why.
    ("openai-5f7503a0311247cd", "Token limit reached"),
];

/// The interactions of one file of the corpus; none where it is missing, and the test says so.
fn corpus(api: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../shared/corpus/{api}.jsonl.gz"));
    let Ok(file) = std::fs::File::open(&path) else {
        println!("SKIPPED: no corpus at {}", path.display());
        return Vec::new();
    };
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text<'a>(item: &'a Value, path: &str) -> &'a str {
    item.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("no {path} in {}", item["id"]))
}

fn is_ok(item: &Value) -> bool {
    item["response"]["status"] == 200
}

fn is_stream(item: &Value) -> bool {
    item["response"]["streaming"] == true
}

/// The counts of a usage as `serde_json` has them.
fn counts(usage: &Value) -> Option<[u64; 5]> {
    let number = |path: &str| usage.pointer(path).and_then(Value::as_f64).map(|number| number as u64);
    let total = number("/total_tokens")?;
    Some([
        number("/prompt_tokens").unwrap_or(total),
        number("/completion_tokens").unwrap_or(0),
        total,
        number("/prompt_tokens_details/cached_tokens")
            .or_else(|| number("/cached_tokens"))
            .or_else(|| number("/prompt_cache_hit_tokens"))
            .unwrap_or(0),
        number("/completion_tokens_details/reasoning_tokens").unwrap_or(0),
    ])
}

fn read_counts(usage: Option<Usage>) -> Option<[u64; 5]> {
    usage.map(|usage| [usage.input, usage.output, usage.total, usage.cached, usage.reasoning])
}

fn cost(usage: &Value) -> Option<f64> {
    usage["cost"].as_f64().or_else(|| usage.pointer("/cost/total_cost")?.as_f64())
}

/// The same but for the last bits, which `serde_json` rounds.
fn is_near(one: Option<f64>, two: Option<f64>) -> bool {
    match (one, two) {
        (Some(one), Some(two)) => (one - two).abs() <= two.abs() * 1e-12,
        _ => one.is_none() && two.is_none(),
    }
}

#[test]
fn every_reply_is_read_as_serde_json_reads_it() {
    for item in corpus("openai.chat").iter().filter(|item| is_ok(item) && !is_stream(item)) {
        let body = text(item, "/response/body_text");
        let facts = reply::scan(Shape::Chat, body.as_bytes())
            .unwrap_or_else(|fault| panic!("{}: {fault:?}", item["id"]));
        let parsed: Value = serde_json::from_str(body).unwrap();
        let string = |path: &str| {
            parsed.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        assert_eq!(facts.id, string("/id"), "{}", item["id"]);
        assert_eq!(facts.model, string("/model"), "{}", item["id"]);
        assert_eq!(facts.finish, string("/choices/0/finish_reason"), "{}", item["id"]);
        assert_eq!(read_counts(facts.usage), counts(&parsed["usage"]), "{}", item["id"]);
        assert!(
            is_near(facts.usage.and_then(|usage| usage.cost_usd), cost(&parsed["usage"])),
            "{}",
            item["id"]
        );
        assert!(facts.warnings.is_empty(), "{}: {:?}", item["id"], facts.warnings);
        if let Some(content) = string("/choices/0/message/content") {
            assert!(facts.output_bytes >= content.len(), "{}", item["id"]);
        }
    }
}

#[test]
fn embeddings_and_model_lists_are_answers() {
    for (api, shape) in [("openai.embeddings", Shape::Embeddings), ("models.list", Shape::Models)] {
        for item in corpus(api).iter().filter(|item| is_ok(item)) {
            let body = text(item, "/response/body_text");
            let facts = reply::scan(shape, body.as_bytes())
                .unwrap_or_else(|fault| panic!("{}: {fault:?}", item["id"]));
            let parsed: Value = serde_json::from_str(body).unwrap();
            assert_eq!(read_counts(facts.usage), counts(&parsed["usage"]), "{}", item["id"]);
        }
    }
}

fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut decoder = Decoder::new(1 << 20, 1 << 20);
    let mut events = Vec::new();
    for piece in pieces {
        decoder.push(Bytes::copy_from_slice(piece), &mut events).unwrap();
    }
    decoder.finish(&mut events);
    events
}

/// A stream's state at its end, or where it failed.
fn run(item: &Value, events: &[Event]) -> (StreamState, Vec<Step>, Option<EventFault>) {
    let provider = text(item, "/provider");
    let choices = item["request"]["body"]["n"].as_u64().unwrap_or(1);
    let mut state = StreamState::new(choices, FINISH_OPTIONAL.contains(&provider));
    let mut steps = Vec::new();
    for event in events {
        match state.event(&event.data) {
            Ok(step) => steps.push(step),
            Err(fault) => return (state, steps, Some(fault)),
        }
    }
    (state, steps, None)
}

/// What `serde_json` finds in the chunks of a stream.
#[derive(Default)]
struct Expected {
    id: Option<String>,
    model: Option<String>,
    content: String,
    finish: Option<String>,
    usage: Option<[u64; 5]>,
    cost: Option<f64>,
}

fn expected(chunks: &[Value]) -> Expected {
    let mut all = Expected::default();
    let first = |place: &mut Option<String>, value: &Value| {
        if place.is_none() {
            *place = value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        }
    };
    for chunk in chunks {
        first(&mut all.id, &chunk["id"]);
        first(&mut all.model, &chunk["model"]);
        for usage in [&chunk["usage"], &chunk["x_groq"]["usage"]] {
            if let Some(counts) = counts(usage) {
                (all.usage, all.cost) = (Some(counts), cost(usage));
            }
        }
        for choice in chunk["choices"].as_array().into_iter().flatten() {
            first(&mut all.finish, &choice["finish_reason"]);
            if choice["index"] == 0 {
                all.content += choice["delta"]["content"].as_str().unwrap_or_default();
            }
        }
    }
    all
}

#[test]
fn every_stream_reaches_the_end_that_it_tells() {
    let mut oddities: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    let items = corpus("openai.chat");
    for item in items.iter().filter(|item| is_ok(item) && is_stream(item)) {
        let id = text(item, "/id");
        let events = events([text(item, "/response/body_text").as_bytes()]);
        let (state, steps, fault) = run(item, &events);
        let failing = FAILING.iter().find(|(failing, _)| *failing == id);
        match (&fault, failing) {
            (None, None) => assert!(state.finished(), "{id} is not finished"),
            (Some(EventFault::InBand(text)), Some((_, code))) => {
                assert!(text.contains(code), "{id}: {text}");
                assert!(!state.finished() || state.finish() == Some("length"), "{id}");
            }
            other => panic!("{id}: {other:?}"),
        }
        let chunks: Vec<Value> =
            events.iter().filter_map(|event| serde_json::from_slice(&event.data).ok()).collect();
        let expected = expected(&chunks);
        assert_eq!(state.id(), expected.id.as_deref(), "{id}");
        assert_eq!(state.model(), expected.model.as_deref(), "{id}");
        assert_eq!(state.finish(), expected.finish.as_deref(), "{id}");
        assert_eq!(state.partial_text(), expected.content, "{id}");
        assert_eq!(read_counts(state.usage()), expected.usage, "{id}");
        assert!(is_near(state.usage().and_then(|usage| usage.cost_usd), expected.cost), "{id}");
        let tagged = |tag: &str| item["tags"].as_array().unwrap().iter().any(|known| known == tag);
        assert_eq!(state.done(), tagged("done_sentinel") && fault.is_none(), "{id}");
        if let Some(finish) = state.finish() {
            assert!(tagged(&format!("finish:{finish}")), "{id}");
        }
        assert!(steps.iter().filter(|step| **step == Step::Commit).count() <= 1, "{id}");
        assert_eq!(state.committed(), steps.contains(&Step::Commit), "{id}");
        for name in state.warnings().names() {
            *oddities.entry((text(item, "/provider"), name)).or_default() += 1;
        }
    }
    println!("warnings by provider: {oddities:?}");
}

#[test]
fn without_its_quirk_a_stream_that_never_finishes_is_truncated() {
    let items = corpus("openai.chat");
    let streams = items.iter().filter(|item| is_ok(item) && is_stream(item));
    for item in streams.filter(|item| FINISH_OPTIONAL.contains(&text(item, "/provider"))) {
        let mut strict = StreamState::new(1, false);
        for event in events([text(item, "/response/body_text").as_bytes()]) {
            strict.event(&event.data).unwrap();
        }
        assert!(strict.done() && !strict.finished(), "{} needs no quirk", item["id"]);
    }
}

fn pieces<'a>(random: &mut fastrand::Rng, mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let most = if random.u8(..) < 64 { 2000 } else { 20 };
        let (piece, rest) = bytes.split_at(random.usize(1..=most).min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

#[test]
fn every_cut_of_a_stream_gives_the_same_events() {
    let mut random = fastrand::Rng::with_seed(7);
    let items = corpus("openai.chat");
    for item in items.iter().filter(|item| is_stream(item)) {
        let stream = text(item, "/response/body_text").as_bytes();
        let whole = events([stream]);
        assert_eq!(events(stream.chunks(1)), whole, "{} byte by byte", item["id"]);
        assert_eq!(events(pieces(&mut random, stream)), whole, "{} in random pieces", item["id"]);
    }
}

#[test]
fn every_request_is_read_and_an_identity_patch_keeps_its_bytes() {
    for api in ["openai.chat", "openai.embeddings"] {
        for item in corpus(api) {
            let request = &item["request"]["body"];
            let body = Bytes::from(serde_json::to_string_pretty(request).unwrap());
            let facts = facts::scan(&body, facts::Wants::ALL).unwrap();
            assert_eq!(Some(facts.model.as_str()), request["model"].as_str().or(Some("")), "{}", item["id"]);
            assert_eq!(facts.stream, request["stream"] == true, "{}", item["id"]);
            assert_eq!(facts.include_usage, request["stream_options"]["include_usage"] == true);
            assert_eq!(facts.messages, request["messages"].as_array().map_or(0, Vec::len));
            let listed = |name: &str| request[name].as_array().is_some_and(|list| !list.is_empty());
            assert_eq!(facts.has_tools, listed("tools") || listed("functions"), "{}", item["id"]);
            let model = request["model"].to_string();
            let same =
                [Edit::Set("model", &model), Edit::Remove("not there"), Edit::SetIfAbsent("model", "1")];
            let edits = if request["model"].is_null() { &same[1..2] } else { &same[..] };
            assert_eq!(patch::apply(&body, edits).unwrap().as_ptr(), body.as_ptr(), "{}", item["id"]);
            let renamed = patch::apply(&body, &[Edit::Set("model", "\"x\"")]).unwrap();
            let mut expected = request.clone();
            expected["model"] = "x".into();
            assert_eq!(serde_json::from_slice::<Value>(&renamed).unwrap(), expected, "{}", item["id"]);
            if !request["model"].is_null() {
                let back = patch::apply(&renamed, &[Edit::Set("model", &model)]).unwrap();
                assert_eq!(back, body, "{}", item["id"]);
            }
        }
    }
}

#[test]
fn warnings_of_recorded_streams_are_those_that_are_known() {
    let items = corpus("openai.chat");
    for item in items.iter().filter(|item| is_ok(item) && is_stream(item)) {
        let provider = text(item, "/provider");
        let (state, ..) = run(item, &events([text(item, "/response/body_text").as_bytes()]));
        if FAILING.iter().any(|(failing, _)| *failing == text(item, "/id")) {
            continue;
        }
        let warnings = state.warnings();
        let known = |warning, providers: &[&str]| {
            assert!(!warnings.has(warning) || providers.contains(&provider), "{}: {warning:?}", item["id"]);
        };
        known(Warning::MissingDone, &["perplexity", "writer", "gpustack"]);
        known(Warning::FinishTwice, &["openrouter"]);
        known(Warning::ErrorAfterFinish, &[]);
        known(Warning::DataAfterDone, &[]);
        known(Warning::ModelChanged, &[]);
        known(Warning::UsageInvalid, &[]);
        known(Warning::MalformedAfterFinish, &[]);
    }
}
