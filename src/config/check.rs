//! Every fault of a configuration at once, each with its path.

use super::Config;
use crate::error::{Error, Kind};
use crate::provider::presets;

/// Reports all faults of `config` in one error.
///
/// # Errors
///
/// [`Kind::Config`], one line a fault.
pub fn check(config: &Config) -> Result<(), Error> {
    let mut faults = Vec::new();
    models(config, &mut faults);
    providers(config, &mut faults);
    if let Some(name) = &config.default_model
        && !config.models.is_empty()
        && !config.models.contains_key(name)
        && !name.contains(['/', ':'])
    {
        faults.push(format!("`default_model`: no model is called `{name}`"));
    }
    match faults.len() {
        0 => Ok(()),
        1 => Err(Error::new(Kind::Config, faults.concat())),
        many => Err(Error::new(Kind::Config, format!("{many} faults:\n  {}", faults.join("\n  ")))),
    }
}

fn models(config: &Config, faults: &mut Vec<String>) {
    for (name, model) in &config.models {
        if model.alias.is_some() {
            continue;
        }
        let model = &model.group;
        if model.deployments.is_empty() && model.fallbacks.any.is_empty() {
            faults.push(format!("`models.{name}`: no deployments"));
        }
        for (position, deployment) in model.deployments.iter().enumerate() {
            let path = format!("models.{name}.deployments[{position}]");
            if deployment.model.is_empty() {
                faults.push(format!("`{path}.model`: missing"));
            }
            provider(config, &deployment.provider, &format!("{path}.provider"), faults);
        }
    }
}

fn providers(config: &Config, faults: &mut Vec<String>) {
    for (id, written) in &config.providers {
        if let Some(preset) = &written.preset
            && presets::find(preset).is_none()
        {
            faults.push(unknown(preset, &format!("providers.{id}.preset")));
        }
        if written.base_url.is_none() && written.preset.is_none() && presets::find(id).is_none() {
            faults.push(format!("`providers.{id}.base_url`: missing"));
        }
    }
    if let Some(id) = &config.client.provider {
        provider(config, id, "client.provider", faults);
    }
}

fn provider(config: &Config, id: &str, path: &str, faults: &mut Vec<String>) {
    if id.is_empty() {
        faults.push(format!("`{path}`: missing"));
    } else if !config.providers.contains_key(id) && presets::find(id).is_none() {
        faults.push(unknown(id, path));
    }
}

fn unknown(id: &str, path: &str) -> String {
    match presets::near(id) {
        Some(near) => format!("`{path}`: no provider is called `{id}`; did you mean `{near}`?"),
        None => format!("`{path}`: no provider is called `{id}`"),
    }
}
