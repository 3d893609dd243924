//! Providers: every preset is complete and documented, names and base URLs are read as people write them.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::HashSet;

use fairlead::call::Operation;
use fairlead::chat::thoughts::Thoughts;
use fairlead::provider::endpoint::{self, Fault, Scheme, Target};
use fairlead::provider::name::{self, Name};
use fairlead::provider::presets::{self, Dialect, MaxTokensName, Preset};
use proptest::prelude::*;

fn parse(base_url: &str) -> Result<Target, Fault> {
    endpoint::parse(base_url, preset("openai"))
}

fn parse_rooted(base_url: &str) -> Result<Target, Fault> {
    endpoint::parse(base_url, preset("perplexity"))
}

fn azure(base_url: &str) -> Target {
    endpoint::parse(base_url, preset("azure")).unwrap()
}

fn chat(target: &Target) -> String {
    endpoint::path(&Operation::Chat, target, "gpt 4o")
}

fn models(target: &Target) -> String {
    endpoint::path(&Operation::Models, target, "")
}

fn raw(target: &Target, path: &str) -> String {
    endpoint::path(&Operation::Raw { method: http::Method::GET, path: path.to_owned() }, target, "")
}

fn preset(id: &str) -> &'static Preset {
    presets::find(id).unwrap_or_else(|| panic!("no preset {id}"))
}

#[test]
fn the_providers_that_people_expect_are_there() {
    for id in [
        "openai",
        "openrouter",
        "ark",
        "deepseek",
        "groq",
        "mistral",
        "together",
        "xai",
        "fireworks",
        "moonshot",
        "zhipu",
        "siliconflow",
        "dashscope",
        "perplexity",
        "cerebras",
        "azure",
        "ollama",
        "vllm",
        "lmstudio",
        "one-api",
        "new-api",
        "openai-compatible",
        "anthropic",
        "gemini",
    ] {
        assert_eq!(preset(id).dialect, Dialect::OpenAiChat, "{id}");
    }
    assert!(preset("anthropic").interim && preset("gemini").interim && preset("azure").azure);
}

#[test]
fn every_preset_can_be_used_or_says_why_not() {
    let mut names = HashSet::new();
    for preset in presets::all() {
        assert!(preset.names().all(|name| names.insert(name)), "{}: a name twice", preset.id);
        if let Err(why) = preset.spoken() {
            assert!(why.contains(preset.id), "{why}");
            continue;
        }
        assert!(preset.base_url.is_some() || !preset.base_url_env.is_empty(), "{}: where?", preset.id);
        assert!(!preset.key_required || !preset.key_env.is_empty(), "{}: which key?", preset.id);
        if let Some(url) = preset.base_url {
            let target = endpoint::parse(url, preset).unwrap();
            assert!(preset.rooted || !target.path_prefix.is_empty(), "{}", preset.id);
            let local = !preset.key_required;
            assert_eq!(target.scheme, if local { Scheme::Http } else { Scheme::Https }, "{}", preset.id);
        }
    }
    assert!(presets::all().iter().any(|preset| preset.spoken().is_err()));
}

#[test]
fn every_preset_stands_in_the_documentation() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/providers.md");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    let rows: Vec<String> = presets::all().iter().map(documented).collect();
    let missing: Vec<_> = rows.iter().filter(|row| !written.contains(row.as_str())).collect();
    assert!(
        missing.is_empty(),
        "docs/providers.md lacks these rows; the whole table is:\n{}",
        rows.join("\n")
    );
}

fn documented(preset: &Preset) -> String {
    let list = |names: &[&str]| match names {
        [] => "-".to_owned(),
        names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    };
    let place = preset.base_url.map_or_else(|| "yours".to_owned(), |url| format!("`{url}`"));
    let mut notes = Vec::new();
    match preset.dialect {
        Dialect::Missing(dialect) => {
            let id = preset.id;
            return format!("| `{id}` | {} | - | - | - | not spoken yet: {dialect} |", list(preset.aliases));
        }
        Dialect::OpenAiChat => {}
    }
    if preset.interim {
        notes.push("interim: its OpenAI-compatible endpoint");
    }
    if preset.azure {
        notes.push("`api-key` header; deployment URLs with an api-version, `/openai/v1` without");
    }
    if !preset.key_required {
        notes.push("key optional");
    }
    if preset.finish_optional {
        notes.push("streams may end without a finish reason");
    }
    if !preset.include_usage {
        notes.push("not asked for usage in streams");
    }
    match preset.max_tokens {
        MaxTokensName::MaxTokens => {}
        MaxTokensName::MaxCompletionTokens => notes.push("`max_completion_tokens`"),
        MaxTokensName::ByModel => notes.push("`max_completion_tokens` for o-series and gpt-5 onwards"),
    }
    let own;
    match preset.thoughts {
        Thoughts::AsWritten => {}
        Thoughts::Named(name) => {
            own = format!("reasoning of earlier turns as `{name}`");
            notes.push(&own);
        }
        Thoughts::Refused => notes.push("reasoning of earlier turns is left out"),
    }
    let notes = if notes.is_empty() { "-".to_owned() } else { notes.join("; ") };
    let (id, aliases) = (preset.id, list(preset.aliases));
    format!(
        "| `{id}` | {aliases} | {place} | {} | {} | {notes} |",
        list(preset.base_url_env),
        list(preset.key_env)
    )
}

#[test]
fn a_mistyped_provider_is_answered_with_the_nearest() {
    assert_eq!(presets::near("opnai"), Some("openai"));
    assert_eq!(presets::near("Antropic"), Some("anthropic"));
    assert_eq!(presets::near("openrouterr"), Some("openrouter"));
    assert_eq!(presets::near("zzz"), None);
    assert_eq!(presets::near("something-else"), None);
}

#[test]
fn of_several_names_as_near_the_same_is_suggested_in_whatever_order_they_come() {
    for known in
        [["modela", "modelb", "modelc"], ["modelc", "modela", "modelb"], ["modelb", "modelc", "modela"]]
    {
        assert_eq!(presets::nearest("modelx", known.into_iter()), Some("modela"));
    }
}

#[test]
fn the_bound_on_output_goes_under_the_name_that_the_model_takes() {
    let name = |id, model| presets::max_tokens_name(preset(id), model);
    for model in
        ["o1", "o3-mini", "o4-mini-2025-04-16", "gpt-5", "gpt-5.2-pro", "gpt-10", "ft:o3:org", "openai/gpt-5"]
    {
        assert_eq!(name("openai", model), "max_completion_tokens", "{model}");
    }
    for model in
        ["gpt-4o", "gpt-4.1-mini", "gpt-3.5-turbo", "gpt-35-turbo", "omni", "ft:gpt-4o:org", "gpt-oss-20b"]
    {
        assert_eq!(name("openai", model), "max_tokens", "{model}");
    }
    assert_eq!(name("openrouter", "openai/gpt-5"), "max_tokens");
    assert_eq!(name("cerebras", "llama"), "max_completion_tokens");
}

#[test]
fn names_are_told_apart_by_the_presets() {
    for (text, expected) in [
        ("openai/gpt-4o", Some(("openai", "gpt-4o"))),
        ("openai:gpt-4o", Some(("openai", "gpt-4o"))),
        ("OpenAI/gpt-4o", Some(("openai", "gpt-4o"))),
        ("openrouter/anthropic/claude-x:free", Some(("openrouter", "anthropic/claude-x:free"))),
        ("openrouter:meta-llama/llama:nitro", Some(("openrouter", "meta-llama/llama:nitro"))),
        ("anthropic/claude-3-haiku:beta", Some(("anthropic", "claude-3-haiku:beta"))),
        ("openrouter/x:unheard-of", Some(("openrouter", "x:unheard-of"))),
        ("ollama:llama3:8b", Some(("ollama", "llama3:8b"))),
        ("volcengine-ark/doubao", Some(("ark", "doubao"))),
        ("llama3:8b", None),
        ("meta-llama/llama-3", None),
        ("smart", None),
        ("openai/", None),
        ("", None),
    ] {
        match (name::parse(text), expected) {
            (Name::Qualified { preset, model }, Some((id, rest))) => {
                assert_eq!((preset.id, model.as_str()), (id, rest), "{text}");
            }
            (Name::Bare(bare), None) => assert_eq!(bare, text),
            (seen, _) => panic!("{text}: {seen:?}"),
        }
    }
}

#[test]
fn base_urls_are_read_as_people_write_them() {
    for base in [
        "https://h.example",
        "https://h.example/",
        "https://h.example/v1",
        "https://h.example/v1/",
        "https://h.example/v1//",
        " https://h.example/v1/chat/completions ",
        "https://h.example/v1/chat/completions/",
        "https://h.example/v1/embeddings",
    ] {
        let target = parse(base).unwrap();
        assert_eq!(
            (target.scheme.clone(), target.host.as_str(), target.port),
            (Scheme::Https, "h.example", 443)
        );
        assert_eq!(chat(&target), "/v1/chat/completions", "{base}");
        assert_eq!(endpoint::path(&Operation::Embeddings, &target, ""), "/v1/embeddings", "{base}");
        assert_eq!(models(&target), "/v1/models", "{base}");
    }
    let openrouter = parse("https://openrouter.ai/api/v1").unwrap();
    assert_eq!(raw(&openrouter, "key"), "/api/v1/key");
    assert_eq!(raw(&openrouter, "/api/v1/credits?a=b"), "/api/v1/credits?a=b");
    let rooted = parse_rooted("https://api.perplexity.ai").unwrap();
    assert_eq!(chat(&rooted), "/chat/completions");
    let copied = parse("https://api.perplexity.ai/chat/completions").unwrap();
    assert_eq!(chat(&copied), "/chat/completions");
}

#[test]
fn hosts_ports_and_queries_are_kept() {
    let target = parse("http://[::1]:8000/v1?tenant=a%20b").unwrap();
    assert_eq!((target.scheme.clone(), target.host.as_str(), target.port), (Scheme::Http, "::1", 8000));
    assert_eq!(chat(&target), "/v1/chat/completions?tenant=a%20b");
    assert_eq!(raw(&target, "/files?limit=1"), "/v1/files?tenant=a%20b&limit=1");
}

#[test]
fn unix_sockets_work_like_hosts() {
    for (base, path) in [
        ("unix:/run/llm.sock", "/v1/chat/completions"),
        ("unix:///run/llm.sock", "/v1/chat/completions"),
        ("unix:/run/llm.sock:/v1", "/v1/chat/completions"),
        ("unix:/run/llm.sock:/api/v2/?x=1", "/api/v2/chat/completions?x=1"),
    ] {
        let target = parse(base).unwrap();
        assert_eq!(target.scheme, Scheme::Unix("/run/llm.sock".to_owned()), "{base}");
        assert_eq!(chat(&target), path, "{base}");
    }
}

#[test]
fn urls_that_cannot_be_used_say_why() {
    assert_eq!(parse("  "), Err(Fault::Empty));
    assert_eq!(parse("ftp://h/v1"), Err(Fault::Scheme("ftp".to_owned())));
    assert_eq!(parse("https://key:secret@h/v1"), Err(Fault::Userinfo));
    assert!(matches!(parse("h.example/v1"), Err(Fault::Syntax(_))));
    assert!(matches!(parse("https://"), Err(Fault::Syntax(_) | Fault::Host)));
    assert!(matches!(parse("unix:relative.sock"), Err(Fault::Syntax(_))));
    assert!(!parse("https://key:secret@h/v1").unwrap_err().to_string().contains("secret"));
}

#[test]
fn azure_urls_take_both_forms() {
    let classic = "/openai/deployments/gpt%204o/chat/completions?api-version=2024-10-21";
    for base in
        ["https://r.openai.azure.com", "https://r.openai.azure.com/", "https://r.openai.azure.com/openai"]
    {
        let target = azure(base);
        assert_eq!(chat(&target), "/openai/v1/chat/completions", "{base}");
        let versioned = target.with_version("2024-10-21");
        assert_eq!(chat(&versioned), classic, "{base}");
        assert_eq!(models(&versioned), "/openai/models?api-version=2024-10-21", "{base}");
    }
    assert_eq!(chat(&azure("https://r.openai.azure.com?api-version=2024-10-21")), classic);
    assert_eq!(chat(&azure("https://r.openai.azure.com/openai/v1/")), "/openai/v1/chat/completions");
    let copied = "/openai/deployments/d/chat/completions?api-version=2024-10-21";
    assert_eq!(chat(&azure(&format!("https://r.openai.azure.com{copied}"))), copied);
}

#[test]
fn authorities_and_origins_are_those_of_http() {
    for (base, authority, origin) in [
        ("https://h.example/v1", "h.example", "https://h.example"),
        ("https://h.example:8443/v1", "h.example:8443", "https://h.example:8443"),
        ("http://127.0.0.1:80", "127.0.0.1", "http://127.0.0.1"),
        ("http://[::1]:8000", "[::1]:8000", "http://[::1]:8000"),
        ("unix:/run/llm.sock", "localhost", "unix:/run/llm.sock"),
    ] {
        let target = parse(base).unwrap();
        assert_eq!((target.authority().as_str(), target.origin().as_str()), (authority, origin));
    }
}

proptest! {
    #[test]
    fn a_join_never_doubles_or_drops_a_slash(
        segments in proptest::collection::vec("[a-z0-9]{1,6}", 0..4),
        slashes in "/{0,3}",
        copied in proptest::sample::select(vec!["", "/chat/completions", "/chat/completions/"]),
    ) {
        let prefix: String = segments.iter().flat_map(|segment| ["/", segment]).collect();
        let base = if copied.is_empty() { format!("https://h{prefix}{slashes}") } else { format!("https://h{prefix}{copied}") };
        let path = chat(&parse_rooted(&base).unwrap());
        prop_assert_eq!(path, format!("{prefix}/chat/completions"));
    }

    #[test]
    fn no_base_url_or_path_makes_it_panic_or_split_a_request_line(base in ".{0,60}", text in ".{0,60}") {
        for base in [base.clone(), format!("https://h/{base}"), format!("unix:/{base}")] {
            if let Ok(target) = parse(&base) {
                let classic = Target { azure: true, ..target.clone() }.with_version(&text);
                for path in [raw(&target, &text), endpoint::path(&Operation::Chat, &classic, &text)] {
                    prop_assert!(path.starts_with('/'), "{path:?}");
                    prop_assert!(path.parse::<http::uri::PathAndQuery>().is_ok(), "{path:?}");
                }
            }
        }
    }

    #[test]
    fn no_name_makes_it_panic(text in ".{0,40}") {
        let _ = (name::parse(&text), presets::near(&text));
    }
}
