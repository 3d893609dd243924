//! Files of other routers: what they mean here, what is told of the rest, and that the TOML made of them means the
//! same.

use fairlead::config::import::{self, Format, Imported};
use fairlead::config::load::Loaded;
use fairlead::config::read;
use fairlead::config::tree::{Member, Node, Value};
use fairlead::config::{Condition, Config, Strategy, Target, write};
use proptest::prelude::*;
use proptest::strategy::Strategy as Strategy_;

use crate::{Folder, problems, spot};

const ARK: &str = r#"{
  "router_config": {"strategy": "rule_based", "default_model": "plain"}, // where the rest goes
  "models": [
    {"model_id": "plain", "endpoint": "http://127.0.0.1:9/api/v3/chat/completions", "api_key_env_var": "HOME",
     "description": "for $5 {x}", "capabilities": ["chat"], "cost_per_token": 0.00002, "max_tokens": 4096},
    {"model_id": "quick", "upstream_model": "ep-1", "endpoint": "http://127.0.0.1:9/api/v3/chat/completions/",
     "api_key_env_var": "PATH", "max_tokens": 2048, "priority": 1},
  ],
  "routing_rules": [
    {"name": "hurry", "condition": "user_metadata.get('fast') == 'true'", "target_model": "quick", "weight": 0.9},
    {"name": "rest", "condition": "true", "target_model": "plain", "weight": 0.1},
  ],
}"#;

const LITELLM: &str = r#"
model_list:
  - model_name: chat
    litellm_params: {model: openai/gpt-4o, api_base: "http://127.0.0.1:9/v1", api_key: os.environ/HOME, rpm: 600}
    model_info: {id: first, max_input_tokens: 8000, supports_vision: true, input_cost_per_token: 0.00000015}
  - model_name: chat
    litellm_params: {model: azure/mine, api_base: "https://a.example.com", api_version: 2024-06-01, api_key: "a$b", rpm: 200}
  - model_name: small
    litellm_params: {model: groq/llama, api_key: k, temperature: 0.2, order: 2, made_up: 1}
  - model_name: small
    litellm_params: {model: ollama_chat/llama3, order: 1, timeout: 30}
  - {model_name: "openai/*", litellm_params: {model: "openai/*"}}
router_settings:
  routing_strategy: simple-shuffle
  num_retries: 3
  fallbacks: [{chat: [small, {model: groq/other, temperature: 1}]}]
  context_window_fallbacks: [{"*": [small]}]
  model_group_alias: {gpt-4: chat, old: {model: small, hidden: true}}
  cooldown_time: 12
  redis_host: localhost
litellm_settings: {request_timeout: 900, drop_params: true}
general_settings: {master_key: sk-1}
"#;

const CLAUDE_CODE: &str = r#"{
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

const FILES: [(&str, &str); 3] = [("ark.jsonc", ARK), ("config.yaml", LITELLM), ("config.json", CLAUDE_CODE)];

fn imported(name: &str, text: &str) -> Imported {
    import::recognise(&read::text(name, text, read::Format::of(name.as_ref())).unwrap()).unwrap()
}

fn loaded(name: &str, text: &str) -> Loaded {
    Folder::new(&format!("import-{name}-{:x}", text.len())).load(&[(name, text)]).unwrap()
}

fn config(name: &str, text: &str) -> Config {
    loaded(name, text).config
}

fn notes(imported: &Imported) -> String {
    imported.notes.iter().flat_map(|note| [note.to_string(), "\n".to_owned()]).collect()
}

#[test]
fn a_format_is_told_by_keys_that_no_other_has() {
    let formats = [Format::Ark, Format::LiteLlm, Format::ClaudeCodeRouter];
    for ((name, text), format) in FILES.into_iter().zip(formats) {
        assert_eq!(imported(name, text).format, format);
    }
    let ours = "[[models.m.deployments]]\nprovider = 'ollama'\nmodel = 'm'\n";
    assert!(import::recognise(&read::text("c.toml", ours, Some(read::Format::Toml)).unwrap()).is_none());
}

#[test]
fn every_foreign_file_loads_as_it_is_and_its_toml_means_the_same() {
    for (name, text) in FILES {
        let toml = write::toml(&imported(name, text).tree);
        assert_eq!(
            format!("{:?}", config(name, text)),
            format!("{:?}", config("ours.toml", &toml)),
            "{toml}"
        );
    }
}

#[test]
fn what_has_no_equivalent_is_one_warning_of_the_file() {
    for (name, text) in FILES {
        let warnings = loaded(name, text).warnings;
        let told: Vec<_> = warnings.iter().filter(|one| one.message.contains("another format")).collect();
        assert_eq!(told.len(), 1, "{warnings:?}");
        assert!(told[0].to_string().contains(name), "{}", told[0]);
    }
}

#[test]
fn an_ark_file_keeps_its_models_rules_and_weights() {
    let config = config("ark.jsonc", ARK);
    let plain = &config.models["plain"].group;
    assert_eq!(config.default_model.as_deref(), Some("plain"));
    assert_eq!(plain.description.as_deref(), Some("for $5 {x}"));
    assert_eq!(plain.capabilities, ["chat"]);
    let deployment = &plain.deployments[0];
    assert_eq!(deployment.base_url.as_deref(), Some("http://127.0.0.1:9/api/v3"));
    assert_eq!((deployment.model.as_str(), deployment.max_output), ("plain", Some(4096)));
    assert_eq!(deployment.price.as_ref().unwrap().per_token, Some(0.00002));
    assert_eq!(deployment.api_key.0[0].key.as_ref().unwrap().expose(), std::env::var("HOME").unwrap());
    assert_eq!(config.models["quick"].group.deployments[0].model, "ep-1", "the provider's own name");
    let rules: Vec<_> = config.rules.iter().map(|rule| (rule.name.as_str(), rule.weight)).collect();
    assert_eq!(rules, [("hurry", 0.9), ("rest", 0.1)]);
    let Condition::Expression(when) = &config.rules[0].when else { panic!("{:?}", config.rules[0]) };
    assert_eq!(when, "user_metadata.get('fast') == 'true'");
}

#[test]
fn a_bound_of_the_model_is_not_a_default_of_its_requests() {
    let config = config("ark.jsonc", ARK);
    for name in ["plain", "quick"] {
        let group = &config.models[name].group;
        assert!(group.params.is_empty() && group.deployments[0].params.is_empty(), "{name}");
    }
}

#[test]
fn a_model_that_stands_twice_names_both_places() {
    let text = ARK.replace("\"quick\", \"upstream_model\"", "\"plain\", \"upstream_model\"");
    let found = problems("twice.jsonc", &text);
    assert!(found[0].message.contains("`plain` already at"), "{found:?}");
    assert_eq!(spot(&found[0]), (6, 18));
}

#[test]
fn all_missing_variables_of_a_foreign_file_are_told_together_with_their_lines() {
    let text =
        ARK.replace("\"HOME\"", "\"FAIRLEAD_TEST_NO_ONE\"").replace("\"PATH\"", "\"FAIRLEAD_TEST_NO_TWO\"");
    let found = problems("missing.jsonc", &text);
    let told: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert!(told.iter().any(|one| one.contains("FAIRLEAD_TEST_NO_ONE") && one.contains(":4:")), "{told:?}");
    assert!(told.iter().any(|one| one.contains("FAIRLEAD_TEST_NO_TWO") && one.contains(":7:")), "{told:?}");
}

#[test]
fn a_litellm_file_keeps_its_deployments_and_what_they_are_drawn_by() {
    let config = config("config.yaml", LITELLM);
    let chat = &config.models["chat"].group;
    assert_eq!(chat.strategy, Strategy::Weighted);
    let [first, second] = &chat.deployments[..] else { panic!("{chat:?}") };
    assert_eq!((first.provider.as_str(), first.model.as_str()), ("openai-compatible", "gpt-4o"));
    assert_eq!((first.id.as_deref(), first.context_window), (Some("first"), Some(8000)));
    assert_eq!((first.supports.vision, first.weight), (Some(true), 600.0));
    assert_eq!(first.price.as_ref().unwrap().input, Some(0.15));
    assert_eq!((second.provider.as_str(), second.weight), ("azure", 200.0));
    assert_eq!(second.base_url.as_deref(), Some("https://a.example.com?api-version=2024-06-01"));
    assert_eq!(second.api_key.0[0].key.as_ref().unwrap().expose(), "a$b", "a dollar means itself");
    let small = &config.models["small"].group;
    assert_eq!(small.strategy, Strategy::Ordered);
    assert_eq!(small.deployments.iter().map(|one| one.priority).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(small.deployments[0].params["temperature"], 0.2);
    assert_eq!((small.deployments[1].provider.as_str(), small.timeout.unwrap().as_secs()), ("ollama", 30));
}

#[test]
fn a_litellm_file_keeps_its_fallbacks_aliases_and_limits() {
    let config = config("config.yaml", LITELLM);
    let chat = &config.models["chat"].group;
    assert_eq!(chat.fallbacks.any, ["small", "groq/other"]);
    assert_eq!(chat.fallbacks.context_window, ["small"]);
    assert!(config.models["small"].group.fallbacks.context_window.is_empty(), "not its own fallback");
    assert_eq!(config.models["gpt-4"].alias.as_deref(), Some("chat"));
    assert_eq!(config.models["old"].alias.as_deref(), Some("small"));
    assert_eq!(config.retry.max_retries, 3);
    assert_eq!(config.routing.ejection.base.as_secs(), 12);
    let limits = (config.timeouts.attempt.map(|limit| limit.as_secs()), config.timeouts.total.as_secs());
    assert_eq!(limits, (Some(900), 900), "a call may take as long as its attempt");
}

#[test]
fn every_fallback_of_a_litellm_file_has_its_turn_beside_the_retries() {
    for (retries, most) in [("0", 2), ("3", 5)] {
        let text = LITELLM.replace("num_retries: 3", &format!("num_retries: {retries}"));
        let config = config("config.yaml", &text);
        let profile = config.models["chat"].group.profile.as_deref().unwrap();
        assert_eq!(config.profiles[profile].max_retries, Some(most));
        assert_eq!(config.models["small"].group.profile, None, "it has no fallbacks");
    }
}

#[test]
fn everything_of_a_litellm_file_without_an_equivalent_is_told() {
    let told = notes(&imported("config.yaml", LITELLM));
    for path in [
        "model_list[].litellm_params.rpm",
        "model_list[2].litellm_params.made_up",
        "model_list[4].model_name",
        "router_settings.fallbacks.chat",
        "router_settings.cooldown_time",
        "router_settings.redis_host",
        "litellm_settings.drop_params",
        "general_settings",
    ] {
        assert!(told.contains(&format!("`{path}`")), "{path}:\n{told}");
    }
    assert!(!told.contains("sk-1"), "{told}");
    assert_eq!(told.lines().count(), 8, "{told}");
}

#[test]
fn every_strategy_of_litellm_has_one_of_ours() {
    let pairs = [
        ("simple-shuffle", Strategy::Weighted),
        ("least-busy", Strategy::LeastBusy),
        ("latency-based-routing", Strategy::Latency),
        ("cost-based-routing", Strategy::Cost),
        ("usage-based-routing", Strategy::LeastBusy),
        ("usage-based-routing-v2", Strategy::LeastBusy),
        ("lar1", Strategy::Adaptive),
    ];
    for (theirs, ours) in pairs {
        let config = config("config.yaml", &LITELLM.replace("simple-shuffle", theirs));
        assert_eq!(config.models["chat"].group.strategy, ours, "{theirs}");
    }
    let found = problems("config.yaml", &LITELLM.replace("simple-shuffle", "simple-shufle"));
    assert_eq!(found[0].suggestion.as_deref(), Some("simple-shuffle"), "{found:?}");
}

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
fn overlays_and_our_own_keys_lie_over_a_foreign_file() {
    let folder = Folder::new("import-overlay");
    let over = "default_model = 'quick'\n[retry]\nmax_retries = 7\n";
    let config = folder.load(&[("ark.jsonc", ARK), ("over.toml", over)]).unwrap().config;
    assert_eq!((config.default_model.as_deref(), config.retry.max_retries), (Some("quick"), 7));
}

#[test]
fn shapes_that_nobody_expects_are_faults_or_notes_and_never_a_panic() {
    let shapes =
        ["null", "true", "7", "\"x\"", "[]", "[1]", "[[1]]", "{}", "{\"a\": 1}", "[{\"model_name\": \"m\"}]"];
    let keys = [
        "router_config",
        "models",
        "routing_rules",
        "model_list",
        "router_settings",
        "litellm_settings",
        "credential_list",
        "Providers",
        "Router",
    ];
    for key in keys {
        for other in keys {
            for shape in shapes {
                let text = format!("{{\"{key}\": {shape}, \"{other}\": {shape}}}");
                let Ok(tree) = read::text("c.json", &text, Some(read::Format::Json)) else { continue };
                drop(import::recognise(&tree));
            }
        }
    }
}

fn tree() -> impl Strategy_<Value = Node> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|number| Value::Integer(number.into())),
        any::<f64>().prop_filter("equal to itself", |number| !number.is_nan()).prop_map(Value::Float),
        any::<String>().prop_map(Value::Text),
    ];
    let value = leaf.prop_recursive(4, 32, 4, |inner| {
        let node = inner.prop_map(|value| Node::new(value, None));
        prop_oneof![
            prop::collection::vec(node.clone(), 0..4).prop_map(Value::List),
            prop::collection::btree_map(any::<String>(), node, 0..4).prop_map(|members| {
                Value::Map(members.into_iter().map(|(key, node)| Member { key, at: None, node }).collect())
            }),
        ]
    });
    prop::collection::btree_map(any::<String>(), value, 0..5).prop_map(|members| {
        let member = |(key, value)| Member { key, at: None, node: Node::new(value, None) };
        Node::new(Value::Map(members.into_iter().map(member).collect()), None)
    })
}

proptest! {
    #[test]
    fn any_tree_reads_back_from_its_toml(tree in tree()) {
        let text = write::toml(&tree);
        let read = read::text("c.toml", &text, Some(read::Format::Toml));
        prop_assert_eq!(sorted(read.unwrap()), sorted(tree), "{}", text);
    }
}

/// TOML puts plain members before tables; their order means nothing.
fn sorted(node: Node) -> Node {
    let value = match node.value {
        Value::Map(mut members) => {
            members.sort_by(|one, other| one.key.cmp(&other.key));
            Value::Map(
                members.into_iter().map(|member| Member { node: sorted(member.node), ..member }).collect(),
            )
        }
        Value::List(items) => Value::List(items.into_iter().map(sorted).collect()),
        other => other,
    };
    Node::new(value, None)
}

/// Trees of the keys that foreign files have, in shapes that they do not.
fn foreign() -> impl Strategy_<Value = Node> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i32>().prop_map(|number| Value::Integer(number.into())),
        any::<f64>().prop_map(Value::Float),
        "(os.environ/|\\$\\{?|openai/|\\*|@|,|[a-z]{1,4}|\\}){0,3}".prop_map(Value::Text),
    ];
    let key = prop::sample::select(KEYS.to_vec());
    let value = leaf.prop_recursive(6, 48, 5, move |inner| {
        let node = inner.prop_map(|value| Node::new(value, None));
        prop_oneof![
            prop::collection::vec(node.clone(), 0..5).prop_map(Value::List),
            prop::collection::btree_map(key.clone(), node, 0..6).prop_map(|members| {
                let member = |(key, node): (&str, Node)| Member { key: key.to_owned(), at: None, node };
                Value::Map(members.into_iter().map(member).collect())
            }),
        ]
    });
    let tops = prop::sample::select(vec![
        "models",
        "routing_rules",
        "model_list",
        "arguments",
        "Providers",
        "Router",
    ]);
    let member = (tops, value).prop_map(|(key, value)| Member {
        key: key.to_owned(),
        at: None,
        node: Node::new(value, None),
    });
    prop::collection::vec(member, 1..4).prop_map(|mut members| {
        members.sort_by(|one, other| one.key.cmp(&other.key));
        members.dedup_by(|one, other| one.key == other.key);
        Node::new(Value::Map(members), None)
    })
}

const KEYS: [&str; 43] = [
    "router_config",
    "models",
    "routing_rules",
    "model_list",
    "router_settings",
    "litellm_settings",
    "arguments",
    "credential_list",
    "credential_name",
    "credential_values",
    "Providers",
    "Router",
    "model_name",
    "litellm_params",
    "model_info",
    "model",
    "model_id",
    "endpoint",
    "api_key",
    "api_base",
    "api_version",
    "api_key_env_var",
    "weight",
    "rpm",
    "order",
    "timeout",
    "tags",
    "extra_body",
    "headers",
    "fallbacks",
    "default_fallbacks",
    "model_group_alias",
    "retry_policy",
    "routing_strategy",
    "cooldown_time",
    "*",
    "name",
    "api_base_url",
    "transformer",
    "use",
    "default",
    "longContext",
    "condition",
];

proptest! {
    #[test]
    fn any_foreign_tree_is_converted_without_a_panic_and_its_toml_reads_back(tree in foreign()) {
        if let Some(imported) = import::recognise(&tree) {
            let read = read::text("c.toml", &write::toml(&imported.tree), Some(read::Format::Toml));
            prop_assert!(read.is_ok(), "{:?}\n{}", read, write::toml(&imported.tree));
        }
    }
}
