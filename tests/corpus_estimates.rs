//! How far estimates of prompts are from what upstreams counted, over recorded traffic.
//!
//! `cargo test --test corpus_estimates -- --nocapture` prints the table of `docs/limits.md`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use fairlead::chat::estimate::{self, Family, Prompt};
use fairlead::chat::facts::{self, Wants};
use fairlead::chat::reply::{self, Shape};
use fairlead::live::calibration::Calibration;
use serde_json::Value;

/// Families that are shown by themselves, by how a model's name begins.
const FAMILIES: [&str; 12] = [
    "gpt-3.5", "gpt-4o", "gpt-4.1", "gpt-4", "gpt-5", "gpt-oss", "claude", "deepseek", "grok", "llama",
    "qwen", "o",
];

/// The recorded chats; none where they are missing, and the test says so.
fn corpus() -> Vec<Value> {
    let folder = std::env::var_os("FAIRLEAD_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"), PathBuf::from);
    let path = folder.join("openai.chat.jsonl.gz");
    let Ok(file) = std::fs::File::open(&path) else {
        println!("SKIPPED: no corpus at {}", path.display());
        return Vec::new();
    };
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A request that was counted.
struct Counted {
    host: String,
    model: String,
    body: usize,
    prompt: Prompt,
    tokens: u64,
}

fn counted(item: &Value) -> Option<Counted> {
    let body = &item["request"]["body"];
    let is_real = item["response"]["status"] == 200
        && item["request"]["synthetic"] != true
        && !item["tags"].as_array()?.iter().any(|tag| tag == "crafted_suspect");
    if !is_real || !body.is_object() {
        return None;
    }
    let written = body.to_string();
    let facts = facts::scan(written.as_bytes(), Wants::NOTHING).ok()?;
    let url = item["request"]["url"].as_str()?;
    let deployed = url.split("/deployments/").nth(1).and_then(|rest| rest.split('/').next());
    let model = if facts.model.is_empty() { deployed?.to_owned() } else { facts.model.clone() };
    Some(Counted {
        host: item["provider"].as_str()?.to_owned(),
        model,
        body: written.len(),
        prompt: facts.prompt,
        tokens: told(item["response"]["body_text"].as_str()?, item["response"]["streaming"] == true)?,
    })
}

/// The prompt tokens that a reply or a stream tells.
fn told(text: &str, is_stream: bool) -> Option<u64> {
    let tokens = |body: &str| {
        let usage = reply::scan(Shape::Chat, body.as_bytes()).ok()?.usage?;
        Some(usage.input)
    };
    if !is_stream {
        return tokens(text).filter(|tokens| *tokens > 0);
    }
    let events = text.lines().filter_map(|line| line.strip_prefix("data:"));
    let usages = events.filter_map(|event| serde_json::from_str::<Value>(event).ok());
    usages
        .filter_map(|event| event["usage"]["prompt_tokens"].as_u64())
        .next_back()
        .filter(|tokens| *tokens > 0)
}

fn family(model: &str) -> &'static str {
    let name = model.rsplit('/').next().unwrap_or_default().to_lowercase();
    FAMILIES.into_iter().find(|family| name.starts_with(family)).unwrap_or("others")
}

/// Errors as a part of the true count.
#[derive(Default)]
struct Errors(Vec<f64>);

impl Errors {
    fn add(&mut self, estimated: u64, tokens: u64) {
        self.0.push((estimated as f64 - tokens as f64).abs() / tokens as f64);
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn percent(&mut self, share: f64) -> f64 {
        self.0.sort_by(f64::total_cmp);
        self.0[((self.0.len() - 1) as f64 * share) as usize] * 100.0
    }
}

/// By four, from sizes, calibrated.
type Row = [Errors; 3];

fn measured() -> BTreeMap<&'static str, Row> {
    let mut rows = BTreeMap::<&'static str, Row>::new();
    let mut known = BTreeMap::<(String, String), Calibration>::new();
    for item in corpus().iter().filter_map(counted) {
        let Counted { host, model, body, prompt, tokens } = item;
        let media = prompt.images > 0 || prompt.attachments > 0;
        let name = if media { "pictures, sounds, files" } else { family(&model) };
        let calibration = known.entry((host, model.clone())).or_default();
        let family = Family::of(&model);
        for name in [name, if media { name } else { "all text" }] {
            let [by_four, sizes, calibrated] = rows.entry(name).or_default();
            by_four.add(estimate::tokens(body), tokens);
            sizes.add(prompt.tokens(family), tokens);
            calibrated.add(calibration.tokens(&prompt, family), tokens);
        }
        calibration.learn(&prompt, family, tokens);
    }
    rows
}

#[test]
fn estimates_err_as_little_as_the_documentation_says() {
    let mut rows = measured();
    println!("| family | requests | body by four | sizes | calibrated |\n|---|---|---|---|---|");
    for (name, row) in &mut rows {
        let count = row[0].0.len();
        let cells =
            row.each_mut().map(|errors| format!("{:.0} / {:.0}", errors.percent(0.5), errors.percent(0.9)));
        println!("| {name} | {count} | {} |", cells.join(" | "));
    }
    let Some([by_four, sizes, calibrated]) = rows.get_mut("all text") else { return };
    let (by_four, sizes, calibrated) = (by_four.percent(0.5), sizes.percent(0.5), calibrated.percent(0.5));
    assert!(sizes < by_four && calibrated < sizes, "{by_four} {sizes} {calibrated}");
    assert!(calibrated < 15.0, "{calibrated}");
}
