//! The names the table answers to, heirs of retired models, suggestions.

use fairlead::provider::catalogue::{self, nearest, successor};
use proptest::prelude::*;

fn model(provider: &str, name: &str) -> Option<&'static str> {
    catalogue::find(provider, name).map(|entry| entry.model)
}

#[test]
fn a_name_is_found_however_it_is_spelled() {
    for (provider, name, found) in [
        ("openai", "gpt-4o-mini", "gpt-4o-mini"),
        ("openai", "GPT-4o-Mini", "gpt-4o-mini"),
        ("openai", "openai/gpt-4o-mini", "gpt-4o-mini"),
        ("anthropic", "claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("claude", "claude-sonnet-4-5-latest", "claude-sonnet-4-5"),
        ("anthropic", "claude-3-haiku-20240307", "claude-3-haiku"),
        ("anthropic", "claude-haiku-4-5-20251001", "claude-haiku-4-5-20251001"),
        ("gemini", "models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("google", "gemini-2.5-pro", "gemini-2.5-pro"),
        ("openrouter", "anthropic/claude-sonnet-4.5", "anthropic/claude-sonnet-4.5"),
        ("openrouter", "anthropic/claude-sonnet-4.5:nitro", "anthropic/claude-sonnet-4.5"),
        ("openrouter", "anthropic/claude-sonnet-4.5@anthropic", "anthropic/claude-sonnet-4.5"),
        ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "meta-llama/Llama-3.3-70B-Instruct-Turbo"),
    ] {
        assert_eq!(model(provider, name), Some(found), "{provider}/{name}");
    }
}

#[test]
fn what_is_not_known_is_not_guessed() {
    for (provider, name) in [
        ("azure", "gpt-4o"),
        ("openai-compatible", "gpt-4o"),
        ("nobody", "gpt-4o"),
        ("openai", "gpt-4o-minus"),
        ("openai", "gpt-40-mini"),
        ("anthropic", "claude"),
        ("openai", ""),
        ("openai", "-2024-08-06"),
        ("openai", "gpt-4o-mini-2024-08-0é"),
    ] {
        assert_eq!(model(provider, name), None, "{provider}/{name}");
    }
}

#[test]
fn a_retired_model_has_the_heir_its_provider_named() {
    assert_eq!(successor("anthropic", "claude-2.1"), Some("claude-opus-4-7"));
    assert_eq!(successor("claude", "claude-instant-1.2"), Some("claude-haiku-4-5-20251001"));
    assert_eq!(successor("anthropic", "claude-3-5-sonnet-latest"), Some("claude-sonnet-4-6"));
    assert_eq!(successor("openai", "gpt-4-vision-preview"), Some("gpt-4o"));
    assert_eq!(successor("openai", "openai/gpt-4-vision-preview"), Some("gpt-4o"));
    for living in ["gpt-4o", "gpt-4o-2024-08-06", "gpt-5.6-terra", "nonsense", ""] {
        assert_eq!(successor("openai", living), None, "{living}");
    }
    assert_eq!(successor("nobody", "claude-2.1"), None);
}

#[test]
fn heirs_that_retired_in_turn_are_passed_over() {
    // gpt-3.5-turbo-0301, then gpt-3.5-turbo; text-davinci-003, then gpt-3.5-turbo-instruct.
    assert_eq!(successor("openai", "gpt-3.5-turbo-0301"), Some("gpt-5.6-terra"));
    assert_eq!(successor("openai", "text-davinci-003"), Some("gpt-5.6-terra"));
}

#[test]
fn every_heir_is_in_the_table_and_served() {
    let taken = catalogue::about().sources[0].taken;
    let written = include_str!("../../src/provider/catalogue/successors.tsv");
    let mut heirs = 0;
    for line in written.lines().skip(1) {
        let cells: Vec<_> = line.split('\t').collect();
        let [provider, retired, _, since, said_by] = cells[..] else { panic!("{line}") };
        assert!(since <= taken && !said_by.is_empty(), "{line}");
        let heir = successor(provider, retired).unwrap_or_else(|| panic!("{line}"));
        let entry = catalogue::find(provider, heir).unwrap_or_else(|| panic!("{heir} is not in the table"));
        assert_eq!(entry.model, heir);
        assert!(entry.retires.is_none_or(|date| date > taken), "{heir} is retired itself");
        heirs += 1;
    }
    assert!(heirs > 80, "{heirs}");
}

#[test]
fn a_mistyped_name_has_suggestions() {
    assert_eq!(nearest("gpt-4o-mni")[0], "openai/gpt-4o-mini");
    assert_eq!(nearest("openai/gpt-4o-mni")[0], "openai/gpt-4o-mini");
    assert_eq!(nearest("anthropic:claude-sonet-4-5")[0], "anthropic/claude-sonnet-4-5");
    assert!(nearest("claude-sonnet-4.5").contains(&"anthropic/claude-sonnet-4-5".to_owned()));
    assert_eq!(nearest("claude-sonet-4-5")[0], "anthropic/claude-sonnet-4-5", "its maker first");
    assert_eq!(nearest("gemini-2.5-por")[0], "gemini/gemini-2.5-pro");
    assert!(nearest("a-name-nobody-ever-gave").is_empty());
    assert!(nearest("").is_empty());
    assert!(nearest(&"é".repeat(5000)).is_empty());
    assert!(nearest("gpt-4o-mni").len() <= 3);
}

#[test]
fn two_letters_that_changed_places_are_one_mistake() {
    assert_eq!(nearest("gtp-5")[0], "openai/gpt-5");
    assert_eq!(fairlead::provider::presets::near("gorq"), Some("groq"));
}

proptest! {
    /// Any text, as a provider or as a model, with the marks names are made of.
    #[test]
    fn no_name_breaks_the_table(
        provider in "(openai|openrouter|anthropic|gemini|\\PC{0,12})",
        name in "\\PC{0,8}[-@/:.]?[0-9-]{0,12}(-latest|:nitro|@|/)?\\PC{0,8}",
    ) {
        let found = catalogue::find(&provider, &name);
        prop_assert!(found.is_none_or(|entry| !entry.model.is_empty()));
        prop_assert!(nearest(&name).len() <= 3);
        let _ = successor(&provider, &name);
    }
}
