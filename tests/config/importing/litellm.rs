//! The configurations of LiteLLM.

use fairlead::config::{Group, Strategy};

use super::{config, imported, loaded, notes};
use crate::problems;

pub(super) const LITELLM: &str = r#"
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
  fallbacks: [{chat: [small, {model: groq/other}]}]
  context_window_fallbacks: [{"*": [small]}]
  model_group_alias: {gpt-4: chat, old: {model: small, hidden: true}}
  cooldown_time: 12
  redis_host: localhost
litellm_settings: {request_timeout: 900, drop_params: true}
general_settings: {master_key: sk-1}
"#;

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
    assert_eq!(small.strategy, Strategy::Weighted);
    assert_eq!(small.deployments.iter().map(|one| one.priority).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(small.deployments[0].params["temperature"], 0.2);
    assert_eq!((small.deployments[1].provider.as_str(), small.timeout.unwrap().as_secs()), ("ollama", 30));
}

#[test]
fn entries_without_an_order_come_behind_those_with_one_and_the_strategy_holds_within_each() {
    let text = r#"
model_list:
  - {model_name: m, litellm_params: {model: groq/last}}
  - {model_name: m, litellm_params: {model: groq/first, order: 1}}
  - {model_name: m, litellm_params: {model: groq/first-too}, model_info: {order: "1"}}
  - {model_name: m, litellm_params: {model: groq/second, order: 2}, model_info: {order: 1}}
  - {model_name: plain, litellm_params: {model: groq/one}}
  - {model_name: plain, litellm_params: {model: groq/other}}
router_settings: {routing_strategy: latency-based-routing}
"#;
    let config = config("config.yaml", text);
    let priorities = |name: &str| {
        let group = &config.models[name].group;
        assert_eq!(group.strategy, Strategy::Latency);
        group.deployments.iter().map(|one| one.priority).collect::<Vec<_>>()
    };
    assert_eq!(priorities("m"), [3, 1, 1, 2]);
    assert_eq!(priorities("plain"), [0, 0]);
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
fn an_alias_with_fallbacks_stands_for_its_target_first() {
    let with = |more: &str| {
        let text = LITELLM.replace("  redis_host: localhost", &format!("  {more}"));
        config("config.yaml", &text.replace("fallbacks: [{chat: [small, {model: groq/other}]}]", ""))
    };
    for all in [
        "default_fallbacks: [small]",
        "content_policy_fallbacks: [{\"*\": [small]}]",
        "default_max_parallel_requests: 3",
    ] {
        assert_eq!(with(all).models["gpt-4"].alias.as_deref(), Some("chat"), "{all}");
    }
    for own in ["fallbacks: [{gpt-4: [small]}]", "content_policy_fallbacks: [{gpt-4: [small]}]"] {
        let config = with(own);
        let (alias, target) = (&config.models["gpt-4"].group, &config.models["chat"].group);
        let models =
            |group: &Group| group.deployments.iter().map(|one| one.model.clone()).collect::<Vec<_>>();
        assert_eq!(models(alias), models(target), "{own}");
        let targets = |group: &Group| {
            let targets = group.fallbacks.targets().filter(|(cause, _)| *cause != "context_window");
            targets.map(|(_, target)| target.clone()).collect::<Vec<_>>()
        };
        assert_eq!((targets(alias), targets(target)), (vec!["small".to_owned()], vec![]), "{own}");
    }
}

#[test]
fn every_fallback_of_a_litellm_file_has_its_turn_after_all_deployments_of_its_model() {
    for (retries, most) in [("0", 4), ("3", 6)] {
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
        "router_settings.cooldown_time",
        "router_settings.redis_host",
        "litellm_settings.drop_params",
        "general_settings",
    ] {
        assert!(told.contains(&format!("`{path}`")), "{path}:\n{told}");
    }
    assert!(!told.contains("sk-1"), "{told}");
    assert_eq!(told.lines().count(), 6, "{told}");
}

#[test]
fn a_second_timeout_is_told() {
    let text = LITELLM.replace("  cooldown_time: 12", "  timeout: 30\n  cooldown_time: 12");
    let told = notes(&imported("config.yaml", &text));
    assert!(told.contains("`litellm_settings.request_timeout`"), "{told}");
    assert_eq!(config("config.yaml", &text).timeouts.attempt.unwrap().as_secs(), 30);
}

#[test]
fn the_base_model_of_an_azure_deployment_tells_its_prices_and_abilities() {
    let text = LITELLM.replace("{id: first,", "{id: first, base_model: azure/gpt-4o,");
    let told = notes(&imported("config.yaml", &text));
    assert!(!told.contains("base_model"), "{told}");
    let config = config("config.yaml", &text);
    let deployment = &config.models["chat"].group.deployments[0];
    assert_eq!(deployment.base_model.as_deref(), Some("azure/gpt-4o"));
    assert!(deployment.listed().unwrap().prices.is_some());
}

#[test]
fn a_variable_that_holds_the_model_is_read_before_its_provider_is_told() {
    let named = |name: &str| LITELLM.replace("model: groq/llama,", &format!("model: os.environ/{name},"));
    let config = config("config.yaml", &named("CARGO_PKG_NAME"));
    let small = &config.models["small"].group.deployments[0];
    assert_eq!((small.provider.as_str(), small.model.as_str()), ("openai", "fairlead"));
    let found = problems("config.yaml", &named("FAIRLEAD_TEST_UNSET"));
    assert_eq!(found[0].path, "model_list[2].litellm_params.model");
    assert!(found[0].message.contains("FAIRLEAD_TEST_UNSET is not set"), "{found:?}");
}

#[test]
fn ids_that_are_numbers_and_truths_that_are_texts_are_read() {
    let text = LITELLM.replace("id: first,", "id: 1, supports_reasoning: \"False\",");
    let config = config("config.yaml", &text.replace("supports_vision: true", "supports_vision: \"true\""));
    let deployment = &config.models["chat"].group.deployments[0];
    assert_eq!(deployment.id.as_deref(), Some("1"));
    assert_eq!((deployment.supports.vision, deployment.supports.reasoning), (Some(true), Some(false)));
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
fn a_fallback_that_says_more_than_a_model_is_a_fault() {
    for members in ["api_base: \"http://127.0.0.1:9\"", "temperature: 1"] {
        let text = LITELLM.replace("{model: groq/other}", &format!("{{model: groq/other, {members}}}"));
        let found = problems("config.yaml", &text);
        assert!(found[0].message.contains("cannot be carried"), "{found:?}");
        assert_eq!(found[0].path, "router_settings.fallbacks.chat");
    }
}

#[test]
fn fallbacks_and_aliases_of_another_form_are_faults_with_their_place() {
    const FALLBACKS: &str = "[{chat: [small, {model: groq/other}]}]";
    for (wrong, path) in [
        ("{chat: [small]}", ""),
        ("small", ""),
        ("[small]", "[0]"),
        ("[[small]]", "[0]"),
        ("[{chat: small}]", ".chat"),
        ("[{chat: [[small]]}]", ".chat"),
        ("[{chat: [{small: 1}]}]", ".chat"),
        ("[{\"*\": small}]", ".*"),
    ] {
        for key in ["fallbacks", "context_window_fallbacks", "content_policy_fallbacks"] {
            let text = LITELLM.replace("context_window_fallbacks: [{\"*\": [small]}]", "");
            let text = text.replace(&format!("fallbacks: {FALLBACKS}"), &format!("{key}: {wrong}"));
            let found = problems("config.yaml", &text);
            assert_eq!(found[0].path, format!("router_settings.{key}{path}"), "{wrong}");
            assert!(found[0].message.starts_with("expected") && found[0].at.is_some(), "{found:?}");
        }
    }
    for (key, wrong, path) in [
        ("default_fallbacks", "small", ""),
        ("default_fallbacks", "{a: b}", ""),
        ("model_group_alias", "[small]", ""),
        ("model_group_alias", "{new: [small]}", ".new"),
    ] {
        let text = LITELLM.replace("  redis_host: localhost", &format!("  {key}: {wrong}"));
        let text =
            text.replace("  model_group_alias: {gpt-4: chat, old: {model: small, hidden: true}}\n", "");
        assert_eq!(problems("config.yaml", &text)[0].path, format!("router_settings.{key}{path}"), "{wrong}");
    }
    assert_eq!(problems("config.yaml", "model_list: {model_name: a}")[0].path, "model_list");
}

#[test]
fn a_wildcard_is_a_provider_with_its_key_and_address() {
    let text = r#"
credential_list: [{credential_name: c, credential_values: {api_key: k2}}]
model_list:
  - {model_name: "anthropic/*", litellm_params: {model: "anthropic/*", api_key: "a$b", api_base: "http://127.0.0.1:9/v1"}}
  - {model_name: "fast/*", litellm_params: {model: "groq/*", litellm_credential_name: c, rpm: 3}}
  - {model_name: "own/*", litellm_params: {model: "openai/*", api_base: "http://127.0.0.1:8/v1", headers: {x-a: "1"}}}
  - {model_name: "mistral/*", litellm_params: {model: "mistral/*"}}
  - {model_name: "*", litellm_params: {model: "openai/*", api_key: lost}}
  - {model_name: "bedrock/*", litellm_params: {model: "bedrock/*", api_key: lost}}
  - {model_name: "anthropic/*", litellm_params: {model: "anthropic/*", api_key: second}}
"#;
    let loaded = loaded("config.yaml", text);
    let providers = &loaded.config.providers;
    let key = |id: &str| providers[id].api_key.0[0].key.as_ref().map(|key| key.expose().to_owned());
    assert_eq!(providers.keys().collect::<Vec<_>>(), ["anthropic", "fast", "own"]);
    assert_eq!(providers["anthropic"].base_url.as_deref(), Some("http://127.0.0.1:9/v1"));
    assert_eq!((key("anthropic").as_deref(), key("fast").as_deref()), (Some("a$b"), Some("k2")));
    assert_eq!(
        (providers["anthropic"].preset.as_deref(), providers["fast"].preset.as_deref()),
        (None, Some("groq"))
    );
    assert_eq!(providers["own"].preset.as_deref(), Some("openai-compatible"));
    assert_eq!(providers["own"].headers["x-a"], "1");
    let told = notes(&imported("config.yaml", text));
    for (path, why) in [
        ("model_list[1].litellm_params.rpm", "no equivalent"),
        ("model_list[4].model_name", "key of its variable"),
        ("model_list[5].model_name", "cannot be spoken to"),
        ("model_list[6].model_name", "already"),
    ] {
        assert!(told.lines().any(|line| line.contains(path) && line.contains(why)), "{path}:\n{told}");
    }
    assert_eq!(told.lines().count(), 4, "{told}");
}
