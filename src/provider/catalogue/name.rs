//! One model, many spellings: prefixes, variants, dates, dots; and what a mistyped name may have meant.

use super::table::{self, Row};
use crate::provider::name::within;
use crate::provider::presets;

/// The most suggestions for a mistyped name.
const SUGGESTIONS: usize = 3;

/// More heirs in a row than any model had; a ring of them ends here.
const HEIRS: usize = 8;

/// Ways to OpenRouter's hosts that do not change the model.
const VARIANTS: [&str; 4] = [":nitro", ":floor", ":online", ":exacto"];

/// What Google and Fireworks write before a name.
const PATHS: [&str; 4] = ["models/", "publishers/google/models/", "accounts/fireworks/models/", "cohere/"];

pub(super) fn find(provider: &str, model: &str) -> Option<&'static Row> {
    if model.is_empty() {
        return None; // a client without a model yet: not worth reading the table
    }
    let provider = presets::find(provider)?.id;
    let bare = bare(provider, model);
    table::exactly(provider, model)
        .or_else(|| table::exactly(provider, bare))
        .or_else(|| table::exactly(provider, undated(bare)))
        .or_else(|| alike(provider, bare))
}

/// The row of the same name without its date, if it has one.
pub(super) fn without_date(provider: &str, model: &str) -> Option<&'static Row> {
    table::exactly(provider, undated(model)).filter(|row| row.model != model)
}

/// Without what says where rather than which.
fn bare<'a>(provider: &str, model: &'a str) -> &'a str {
    let model = model.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/')).unwrap_or(model);
    let model = PATHS.iter().find_map(|path| model.strip_prefix(path)).unwrap_or(model);
    let model = model.split_once('@').filter(|_| provider == "openrouter").map_or(model, |(model, _)| model);
    VARIANTS.iter().find_map(|variant| model.strip_suffix(variant)).unwrap_or(model)
}

/// Without a date or `latest` at its end: `-20250929`, `@20250929`, `-2024-08-06`, `-latest`.
fn undated(model: &str) -> &str {
    if let Some(model) = model.strip_suffix("-latest") {
        return model;
    }
    let date = |length: usize, dashes: [usize; 2]| {
        let at = model.len().checked_sub(length + 1)?;
        let (name, date) = (model.get(..at)?, model.get(at + 1..)?);
        let parted = matches!(model.as_bytes().get(at), Some(b'-' | b'@'));
        let digits = date.bytes().enumerate().all(|(at, byte)| match byte {
            b'-' => dashes.contains(&at),
            byte => byte.is_ascii_digit() && !dashes.contains(&at),
        });
        (parted && digits && date.starts_with("20") && !name.is_empty()).then_some(name)
    };
    date(8, [8, 8]).or_else(|| date(10, [4, 7])).unwrap_or(model)
}

/// The one row whose name is the same but for dots, dashes, its date and its path; several that say different things
/// are none.
fn alike(provider: &str, model: &str) -> Option<&'static Row> {
    let path = provider == "openrouter";
    let wanted = plain(model, path);
    let mut found = table::of(provider).iter().filter(|row| plain(row.model, path) == wanted);
    let first = found.next()?;
    found.all(|row| row.says_the_same(first)).then_some(first)
}

/// The name that spellings of one model share. At OpenRouter the vendor is part of it.
fn plain(model: &str, path: bool) -> String {
    let name = if path { model } else { model.rsplit('/').next().unwrap_or(model) };
    undated(name).to_ascii_lowercase().replace(['.', '_'], "-")
}

/// Follows heirs until one that is not retired itself.
pub(super) fn successor(provider: &str, model: &str) -> Option<&'static str> {
    let provider = presets::find(provider)?.id;
    let mut heir = heir(provider, bare(provider, model))?;
    for _ in 0..HEIRS {
        match self::heir(provider, heir) {
            Some(next) => heir = next,
            None => return Some(heir),
        }
    }
    None
}

fn heir(provider: &'static str, model: &str) -> Option<&'static str> {
    table::retired(provider).find(|retired| retired.model.eq_ignore_ascii_case(model)).map(|found| found.heir)
}

/// Up to three models, as `provider/model`, that a mistyped or unqualified name may mean; nearest first. At most a
/// quarter of its letters may differ.
pub fn nearest(name: &str) -> Vec<String> {
    let (provider, model) = match name.split_once(['/', ':']) {
        Some((provider, model)) if presets::find(provider).is_some() => (presets::find(provider), model),
        _ => (None, name),
    };
    let wanted = plain(model, false);
    let most = (wanted.len() / 4).min(4);
    let mut near: Vec<(usize, usize, &Row)> = Vec::new();
    for (rank, preset) in presets::all().iter().enumerate() {
        if preset.spoken().is_err() || provider.is_some_and(|provider| provider.id != preset.id) {
            continue;
        }
        near.extend(
            table::of(preset.id).iter().filter_map(|row| Some((far(row, &wanted, most)?, rank, row))),
        );
    }
    let homes = homes(&near);
    // Who made the model before who hosts it, and who hosts it under its own name before who does under a path.
    near.sort_by_key(|(far, rank, row)| {
        let hosted = !homes.contains(&row.provider);
        (*far, hosted, row.model.contains('/'), *rank, row.model.len(), row.model)
    });
    let mut names: Vec<String> = Vec::new();
    for (_, _, row) in near {
        let name = format!("{}/{}", row.provider, row.model);
        if names.len() < SUGGESTIONS && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Who made these models: OpenRouter names them `maker/model`.
fn homes(near: &[(usize, usize, &Row)]) -> Vec<&'static str> {
    let makers = near.iter().filter(|(_, _, row)| row.provider == "openrouter");
    makers.filter_map(|(_, _, row)| Some(presets::find(row.model.split_once('/')?.0)?.id)).collect()
}

/// How far a row's name is from the wanted one, if it is near.
fn far(row: &Row, wanted: &str, most: usize) -> Option<usize> {
    let name = row.model.rsplit('/').next().unwrap_or(row.model);
    // A date adds up to eleven letters, which `plain` takes away.
    if name.len() + most < wanted.len() || name.len() > wanted.len() + most + 11 {
        return None;
    }
    let name = plain(name, false);
    if name.len().abs_diff(wanted.len()) > most {
        return None;
    }
    within(&name, wanted, most)
}
