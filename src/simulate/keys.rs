//! Keys of a simulated configuration: as many as there are, none of them real, none of them fetched.

use crate::config::{Config, Key, Keys, Secret, provider_id};
use crate::provider::presets::{self, Dialect};

/// Replaces every key. Two that were told apart by their source stay two; where a key is missing one is put, since
/// nothing needs it.
pub(super) fn replace(config: &mut Config) {
    let mut number = 0;
    let mut dummy = |key: &Key| {
        number += 1;
        let (id, not_before, not_after) = (key.id.clone(), key.not_before, key.not_after);
        Key { id, not_before, not_after, ..Key::plain(Secret::new(format!("simulated-{number}"))) }
    };
    let mut same: Vec<(String, Key)> = Vec::new();
    let mut all = |keys: &mut Keys| {
        for key in &mut keys.0 {
            // Deployments that share a key share its limits.
            let source = source(key);
            let known = same.iter().find(|(known, _)| *known == source).map(|(_, made)| made.key.clone());
            let made = dummy(key);
            let made = Key { key: known.unwrap_or_else(|| made.key.clone()), ..made };
            same.push((source, made.clone()));
            *key = made;
        }
    };
    for model in config.models.values_mut() {
        model.group.deployments.iter_mut().for_each(|deployment| all(&mut deployment.api_key));
    }
    config.tenants.values_mut().flat_map(|tenant| tenant.api_keys.values_mut()).for_each(&mut all);
    config.providers.values_mut().for_each(|provider| all(&mut provider.api_key));
    all(&mut config.client.api_key);
    for preset in presets::all().iter().filter(|preset| preset.dialect == Dialect::OpenAiChat) {
        let id = provider_id(&config.providers, preset.id).to_owned();
        let own = config.providers.entry(id).or_default();
        if own.api_key.0.is_empty() {
            own.api_key.0.push(Key::plain(Secret::new(format!("simulated-{}", preset.id))));
        }
    }
    for own in config.providers.values_mut().filter(|own| own.api_key.0.is_empty()) {
        own.api_key.0.push(Key::plain(Secret::new("simulated")));
    }
}

/// What tells two keys apart.
fn source(key: &Key) -> String {
    match &key.key {
        Some(secret) => secret.expose().to_owned(),
        None => format!("{:?}{:?}{:?}{:?}{:?}", key.env, key.file, *key.exec, key.plugin, key.callable),
    }
}
