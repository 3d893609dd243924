//! Model names: `provider/model`, `provider:model`, or a bare name.

use super::presets::{self, Preset};

/// A model name, read.
#[derive(Clone, Debug)]
pub enum Name {
    /// It begins with the name of a preset.
    Qualified {
        /// The provider.
        preset: &'static Preset,
        /// The rest: the upstream's name, variants such as `:free` and all.
        model: String,
    },
    /// It does not: an alias, or a model of the default provider.
    Bare(String),
}

/// Reads a model name. What stands before the first `/` or `:` counts as a provider only if a preset answers to it;
/// everything after belongs to the model, so `openrouter/anthropic/claude-x:free` is `anthropic/claude-x:free` at
/// OpenRouter and `llama3:8b` is a bare name.
pub fn parse(text: &str) -> Name {
    let text = text.trim();
    let qualified = text
        .split_once(['/', ':'])
        .filter(|(_, model)| !model.is_empty())
        .and_then(|(provider, model)| Some((presets::find(provider)?, model)));
    match qualified {
        Some((preset, model)) => Name::Qualified { preset, model: model.to_owned() },
        None => Name::Bare(text.to_owned()),
    }
}

/// At OpenRouter, `model@one,two` asks these of its upstream providers, in this order, and nobody else; variants such
/// as `:nitro` stay in the model's name.
pub fn upstreams(model: &str) -> (&str, Vec<&str>) {
    match model.split_once('@') {
        Some((model, order)) => {
            (model, order.split(',').map(str::trim).filter(|one| !one.is_empty()).collect())
        }
        None => (model, Vec::new()),
    }
}

/// How many letters must be added, dropped, changed or swapped with their neighbour to get from `one` to `other` (optimal
/// string alignment).
pub(super) fn distance(one: &str, other: &str) -> usize {
    within(one, other, usize::MAX).unwrap_or_default()
}

/// The same, if it is at most `most`: gives up as soon as it cannot be.
pub(super) fn within(one: &str, other: &str, most: usize) -> Option<usize> {
    let other: Vec<char> = other.chars().collect();
    let (mut two_above, mut above): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..=other.len()).collect());
    let mut letter_above = None;
    for (count, letter) in one.chars().enumerate() {
        let (mut left, mut theirs_before) = (count + 1, None);
        let mut row = Vec::with_capacity(above.len());
        row.push(left);
        for (position, (theirs, over)) in other.iter().zip(above.windows(2)).enumerate() {
            let [diagonal, over] = over else { continue };
            let changed = diagonal + usize::from(letter != *theirs);
            left = changed.min(left + 1).min(over + 1);
            if theirs_before == Some(letter) && letter_above == Some(*theirs) {
                let corner = position.checked_sub(1).and_then(|position| two_above.get(position));
                left = corner.map_or(left, |corner| left.min(corner + 1));
            }
            row.push(left);
            theirs_before = Some(*theirs);
        }
        (two_above, above, letter_above) = (above, row, Some(letter));
        // Every way on leads through one of these rows.
        if above.iter().chain(&two_above).all(|distance| *distance > most) {
            return None;
        }
    }
    above.last().copied().filter(|distance| *distance <= most)
}
