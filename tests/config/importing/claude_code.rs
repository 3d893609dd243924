//! The configurations of claude-code-router.

use fairlead::config::{Condition, Target};

use super::{config, imported, notes};

pub(super) const CLAUDE_CODE: &str = r#"{
  "APIKEY": "secret-of-the-server", "API_TIMEOUT_MS": 300000, "PROXY_URL": "",
  "Providers": [
    {"name": "deepseek", "api_base_url": "https://api.deepseek.com/chat/completions", "api_key": "$HOME",
     "models": ["deepseek-chat", "deepseek-reasoner"], "transformer": {"use": ["deepseek"], "deepseek-chat": {"use": ["tooluse"]}}},
    {"name": "mine", "api_base_url": "http://127.0.0.1:9/v1/chat/completions", "api_key": "a$-b", "models": ["m"],
     "transformer": {"use": [["maxtoken", {"max_tokens": 9}]]}}
  ],
  "Router": {"default": "deepseek,deepseek-chat", "background": "mine, m", "think": "deepseek,deepseek-reasoner",
             "longContext": "mine,m", "longContextThreshold": 1000, "webSearch": "mine,m"}
}"#;

#[test]
fn a_claude_code_router_file_becomes_providers_models_and_rules() {
    let config = config("config.json", CLAUDE_CODE);
    assert_eq!(config.default_model.as_deref(), Some("deepseek,deepseek-chat"));
    assert_eq!(config.providers["deepseek"].base_url.as_deref(), Some("https://api.deepseek.com"));
    assert_eq!(config.providers["mine"].api_key.0[0].key.as_ref().unwrap().expose(), "a$-b");
    assert_eq!(config.timeouts.total.as_secs(), 300);
    let deployment = &config.models["mine,m"].group.deployments[0];
    assert_eq!((deployment.provider.as_str(), deployment.model.as_str()), ("mine", "m"));
    let mut rules: Vec<_> = config.rules.iter().collect();
    rules.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    let names: Vec<_> = rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["long_context", "background", "think", "default"]);
    assert!(matches!(&rules[0].when, Condition::Expression(when) if when == "tokens > 1000"));
    assert!(matches!(&rules[1].model, Target::Name(name) if name == "mine,m"));
    assert!(rules.iter().all(|rule| rule.models == ["claude-*"]));
}

#[test]
fn everything_of_a_claude_code_router_file_without_an_equivalent_is_told() {
    let told = notes(&imported("config.json", CLAUDE_CODE));
    for path in [
        "APIKEY",
        "Providers[0].transformer.deepseek-chat",
        "Providers[1].transformer.use",
        "Router.webSearch",
    ] {
        assert!(told.contains(&format!("`{path}`")), "{path}:\n{told}");
    }
    assert!(!told.contains("secret-of-the-server"), "{told}");
    assert_eq!(told.lines().count(), 4, "{told}");
}

#[test]
fn an_address_of_another_dialect_gives_way_to_that_of_the_preset() {
    let file = r#"{"Providers": [
  {"name": "gemini", "api_base_url": "https://generativelanguage.googleapis.com/v1beta/models/", "api_key": "k", "models": ["m"]},
  {"name": "claude-own", "api_base_url": "https://api.anthropic.com/v1/messages", "api_key": "k", "models": ["m"]},
  {"name": "google-too", "api_base_url": "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
   "api_key": "k", "models": ["m"]},
  {"name": "mine", "api_base_url": "http://127.0.0.1:9/v1/messages", "api_key": "k", "models": ["m"]}
]}"#;
    let providers = config("config.json", file).providers;
    let written = |name: &str| (providers[name].preset.as_deref(), providers[name].base_url.as_deref());
    assert_eq!(written("gemini"), (None, None));
    assert_eq!(written("claude-own"), (Some("anthropic"), None));
    let google = "https://generativelanguage.googleapis.com/v1beta/openai";
    assert_eq!(written("google-too"), (Some("gemini"), Some(google)));
    assert_eq!(written("mine"), (None, Some("http://127.0.0.1:9/v1")));
    let told = notes(&imported("config.json", file));
    assert_eq!(told.lines().filter(|line| line.contains("OpenAI's form")).count(), 2, "{told}");
    assert!(told.contains("(2 places)"), "{told}");
}
