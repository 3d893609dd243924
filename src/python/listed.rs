//! The models of a configuration, as providers list theirs.

use serde_json::{Value, json};

use crate::config::{Config, Model};

/// The configured models by name; `None` where there are none.
pub(super) fn page(config: &Config) -> Option<Value> {
    let models: Vec<_> = config.models.iter().map(|(name, model)| entry(name, model)).collect();
    (!models.is_empty()).then(|| json!({ "object": "list", "data": models }))
}

fn entry(name: &str, model: &Model) -> Value {
    let mut entry = json!({ "id": name, "object": "model", "created": 0, "owned_by": "fairlead" });
    let group = &model.group;
    let own = [
        ("alias", model.alias.as_ref().map(|alias| json!(alias))),
        ("description", group.description.as_ref().map(|text| json!(text))),
        ("capabilities", (!group.capabilities.is_empty()).then(|| json!(group.capabilities))),
    ];
    if let Some(entry) = entry.as_object_mut() {
        entry.extend(own.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    }
    entry
}
