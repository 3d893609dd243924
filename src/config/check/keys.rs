//! Keys: each with one source, none empty, no id twice.

use std::collections::HashMap;

use super::Check;
use crate::config::{Key, provider_id};
use crate::provider::presets;

impl Check<'_> {
    /// The keys at `path`, where an empty one is a fault.
    pub(super) fn keys(&mut self, keys: &[Key], path: &str) {
        self.own_keys(keys, path, true);
    }

    /// The keys of `provider`; where it takes calls without one, an empty key is none.
    pub(super) fn keys_of(&mut self, provider: &str, keys: &[Key], path: &str) {
        self.own_keys(keys, path, self.needs_key(provider));
    }

    fn needs_key(&self, provider: &str) -> bool {
        let provider = provider_id(&self.config.providers, provider);
        let written = self.config.providers.get(provider);
        let preset = written.and_then(|written| written.preset.as_deref()).unwrap_or(provider);
        presets::find(preset).is_some_and(|preset| preset.key_required)
    }

    fn own_keys(&mut self, keys: &[Key], path: &str, needed: bool) {
        for (position, key) in keys.iter().enumerate() {
            let path = if keys.len() == 1 { path.to_owned() } else { format!("{path}[{position}]") };
            self.key(key, &path);
            if needed && key.is_blank() {
                self.fault(&path, "empty");
            }
        }
        self.repeated(keys, path);
    }

    fn key(&mut self, key: &Key, path: &str) {
        let sources = [
            key.key.is_some(),
            key.env.is_some(),
            key.file.is_some(),
            key.exec.is_some(),
            key.oauth.is_some(),
            key.token_exchange.is_some(),
            key.plugin.is_some(),
            key.callable.is_some(),
        ];
        match sources.iter().filter(|source| **source).count() {
            1 => {}
            0 => self.fault(
                path,
                "no source: set `key`, `env`, `file`, `exec`, `oauth`, `token_exchange` or `plugin`",
            ),
            _ => self.fault(path, "more than one source"),
        }
        if key.exec.as_ref().is_some_and(Vec::is_empty) {
            self.fault(&format!("{path}.exec"), "no command");
        }
        if let (Some(first), Some(end)) = (key.not_before, key.not_after)
            && first >= end
        {
            self.fault(&format!("{path}.not_after"), "not after `not_before`");
        }
    }

    /// Entries of one list that share an id: the second would hide behind the first in statistics.
    fn repeated(&mut self, keys: &[Key], path: &str) {
        let mut seen = HashMap::<&str, String>::new();
        for (position, key) in keys.iter().enumerate() {
            let Some(id) = key.id.as_deref().or(key.env.as_deref()) else { continue };
            let path = format!("{path}[{position}]");
            match seen.get(id).cloned() {
                Some(first) => self.twice(&path, "key", id, &first),
                None => drop(seen.insert(id, path)),
            }
        }
    }
}
