//! Overlays and overrides.

use fairlead::config::merge;
use fairlead::config::read::{Format, text};
use fairlead::config::tree::{Node, Value};

use crate::Folder;

fn toml(written: &str) -> Node {
    text("c.toml", written, Some(Format::Toml)).unwrap().0
}

fn over(tree: &mut Node, pairs: &[(&str, &str)]) -> Vec<String> {
    let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    merge::overrides(tree, pairs).iter().map(ToString::to_string).collect()
}

#[test]
fn an_overlay_joins_tables_and_replaces_the_rest() {
    let folder = Folder::new("overlay");
    let base = "default_model = 'm'\n[retry]\nmax_retries = 5\ncap = 1\n[[models.m.deployments]]\nprovider = 'ollama'\nmodel = 'a'\n[[models.m.deployments]]\nprovider = 'ollama'\nmodel = 'b'\n";
    let prod = "retry: {cap: 9}\ndefault_model: null\nmodels:\n  m:\n    deployments: [{provider: ollama, model: c}]\n";
    let loaded = folder.load(&[("base.toml", base), ("prod.yaml", prod)]).unwrap();
    let config = loaded.config;
    assert_eq!((config.retry.max_retries, config.retry.cap.as_secs()), (5, 9));
    assert_eq!(config.default_model, None);
    let models: Vec<_> = config.models["m"].group.deployments.iter().map(|one| one.model.as_str()).collect();
    assert_eq!(models, ["c"]);
    assert_eq!(loaded.sources.len(), 2);
}

#[test]
fn a_fault_of_an_overlay_stands_in_the_overlay() {
    let folder = Folder::new("overlay-fault");
    let error = folder
        .load(&[("base.toml", "[retry]\ncap = 1\n"), ("prod.toml", "[retry]\ncap = 'x'\n")])
        .unwrap_err();
    assert!(error.to_string().contains("prod.toml:2:7"), "{error}");
}

#[test]
fn variables_override_keys_in_any_case_and_inside_lists() {
    let mut tree =
        toml("[retry]\ncap = 1\n[models.Smart]\ndeployments = [{ provider = 'a', model = 'b' }]\n");
    let faults = over(
        &mut tree,
        &[
            ("FAIRLEAD__RETRY__MAX_RETRIES", "7"),
            ("FAIRLEAD__MODELS__SMART__DEPLOYMENTS__0__MODEL", "c"),
            ("fairlead__default_model", "Smart"),
            ("FAIRLEAD__MODELS__SMART__CAPABILITIES", "['x', 'y']"),
            ("FAIRLEAD_ENV", "prod"),
        ],
    );
    assert!(faults.is_empty(), "{faults:?}");
    let found = |path: &str| tree.find(path).unwrap().value.clone();
    assert_eq!(found("models.Smart.deployments[0].model"), Value::Text("c".to_owned()));
    assert_eq!(found("default_model"), Value::Text("Smart".to_owned()));
    assert_eq!(found("retry.max_retries"), Value::Text("7".to_owned()), "the schema decides what it is");
    assert!(matches!(found("models.Smart.capabilities"), Value::List(items) if items.len() == 2));
    assert_eq!(tree.place("retry.max_retries").unwrap().to_string(), "FAIRLEAD__RETRY__MAX_RETRIES");
}

#[test]
fn an_override_that_fits_nowhere_is_told() {
    let mut tree = toml("rules = []\n[retry]\ncap = 1\n");
    let faults = over(
        &mut tree,
        &[("FAIRLEAD__RETRY__CAP__X", "1"), ("FAIRLEAD__RULES__4", "1"), ("FAIRLEAD__A____B", "1")],
    );
    assert_eq!(faults.len(), 3, "{faults:?}");
}
