//! A file of endpoints and rules.

use fairlead::config::Condition;

use super::config;
use crate::{problems, spot};

pub(super) const ARK: &str = r#"{
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
