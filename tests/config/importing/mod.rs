//! Files of other routers: what they mean here, what is told of the rest, and that the TOML made of them means the
//! same.

mod ark;
mod claude_code;
mod litellm;
mod trees;

use fairlead::config::import::{self, Format, Imported};
use fairlead::config::load::Loaded;
use fairlead::config::{Config, read, write};

use crate::Folder;
use ark::ARK;
use claude_code::CLAUDE_CODE;
use litellm::LITELLM;

const FILES: [(&str, &str); 3] = [("ark.jsonc", ARK), ("config.yaml", LITELLM), ("config.json", CLAUDE_CODE)];

fn imported(name: &str, text: &str) -> Imported {
    import::recognise(&read::text(name, text, read::Format::of(name.as_ref())).unwrap().0).unwrap()
}

fn loaded(name: &str, text: &str) -> Loaded {
    Folder::new(name).load(&[(name, text)]).unwrap()
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
    assert!(import::recognise(&read::text("c.toml", ours, Some(read::Format::Toml)).unwrap().0).is_none());
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
                drop(import::recognise(&tree.0));
            }
        }
    }
}
