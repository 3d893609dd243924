//! The table in the binary.

use std::collections::HashSet;

use fairlead::provider::catalogue::{self, Entry, Known};
use fairlead::provider::presets;
use fairlead::provider::price::Hours;

fn entry(provider: &str, model: &str) -> &'static Entry {
    catalogue::find(provider, model).unwrap_or_else(|| panic!("{provider}/{model} is not in the table"))
}

#[test]
fn every_line_is_read_and_belongs_to_a_preset() {
    let entries: Vec<_> = catalogue::all().collect();
    assert_eq!(entries.len(), catalogue::about().rows);
    assert!(entries.len() > 3000, "{}", entries.len());
    let mut seen = HashSet::new();
    for entry in entries {
        let name = format!("{}/{}", entry.provider, entry.model);
        assert!(presets::all().iter().any(|preset| preset.id == entry.provider), "{name}");
        assert!(seen.insert(name.clone()), "{name} twice");
        assert!(
            ["litellm", "genai-prices", "models.dev"].contains(&entry.source),
            "{name}: {}",
            entry.source
        );
    }
}

#[test]
fn money_in_the_table_is_exact_to_the_nano_dollar() {
    let table = include_str!("../../src/provider/catalogue/models.tsv");
    let mut prices = 0;
    for line in table.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let cell = line.split('\t').nth(8).unwrap();
        for (_, price) in cell.split(' ').filter_map(|word| word.split_once('=')) {
            let (whole, part) = price.split_once('.').unwrap_or((price, ""));
            assert!(whole.bytes().chain(part.bytes()).all(|byte| byte.is_ascii_digit()), "{line}");
            assert!(!whole.is_empty() && part.len() <= 9, "{line}");
            prices += 1;
        }
    }
    assert!(prices > 10_000, "{prices}");
}

#[test]
fn tiers_rise_and_prices_are_plausible() {
    for entry in catalogue::all() {
        let Some(prices) = &entry.prices else { continue };
        let levels =
            [Some(&prices.standard), prices.batch.as_ref(), prices.flex.as_ref(), prices.priority.as_ref()];
        for schedule in levels.into_iter().flatten() {
            let name = format!("{}/{}", entry.provider, entry.model);
            assert!(schedule.tiers.windows(2).all(|two| two[0].0 < two[1].0), "{name}");
            // A thousand dollars for a million tokens is more than anybody asks.
            assert!(schedule.base.input.unwrap_or(0) <= 1_000_000_000_000, "{name}");
        }
    }
}

#[test]
fn the_sources_are_named_with_version_and_licence() {
    let about = catalogue::about();
    assert_eq!(about.sources[0].name, "litellm");
    assert!(about.sources.iter().all(|source| source.licence == "MIT" && source.rows > 0));
    assert!(about.sources.iter().all(|source| !source.version.is_empty() && source.taken.len() == 10));
}

#[test]
fn a_row_says_what_the_model_takes_and_can() {
    let sonnet = entry("anthropic", "claude-sonnet-4-5");
    assert_eq!((sonnet.context_window, sonnet.max_output), (Some(200_000), Some(64_000)));
    assert_eq!(
        (sonnet.inputs.as_slice(), sonnet.outputs.as_slice()),
        (&["text", "image"][..], &["text"][..])
    );
    assert_eq!((sonnet.capabilities.tools, sonnet.capabilities.audio), (Known::Yes, Known::No));
    assert_eq!(sonnet.mode, "chat");
    assert!(sonnet.rejects.is_empty() && sonnet.retires.is_some());
    assert!(entry("anthropic", "claude-opus-5").rejects.contains(&"temperature"));
    for name in ["gpt-5", "gpt-5-2025-08-07", "gpt-5-mini-2025-08-07"] {
        assert_eq!(catalogue::rejects(entry("openai", name)), ["temperature"], "{name}");
    }
    assert!(catalogue::rejects(entry("openai", "gpt-4o-2024-08-06")).is_empty());
    assert_eq!(entry("openai", "text-embedding-3-small").mode, "embedding");
    let bare = entry("anthropic", "claude-3-haiku");
    assert_eq!(bare.capabilities.tools, Known::Unknown, "what nobody said is unknown");
}

#[test]
fn quiet_hours_are_hours_of_the_week() {
    let prices = entry("deepseek", "deepseek-v4-pro").prices.as_ref().unwrap();
    let (Hours(hours), _) = prices.off_peak.as_ref().unwrap();
    assert_eq!(hours[6], 0xff_ffff, "all of Sunday");
    assert_eq!(hours[0], 0b1111_1111_1111_1100_0011_0001, "Monday: 0-1, 4-6 and from 10 on");
}
