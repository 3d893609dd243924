//! Wildcards of a `model_list`: `anthropic/*` is a provider with its address and key.

use super::deployment::{self, Entry};
use super::take;
use crate::config::import::Story;
use crate::config::import::build::{is_empty, put, text};
use crate::config::tree::{Node, below};
use crate::provider::presets;

/// What names of a provider are followed by.
const ALL: &str = "/*";

/// The text with a `*` in it.
pub(super) fn find<'a>(entry: &'a Node, params: &'a Node) -> Option<&'a Node> {
    let parts = [entry.get("model_name"), params.get("model")];
    parts.into_iter().flatten().find(|node| node.text().is_some_and(|text| text.contains('*')))
}

/// Adds the provider that the wildcard `entry` stands for; what is no whole provider is told.
pub(super) fn add(entry: Entry<'_>, wild: &Node, out: &mut Node, story: &mut Story) {
    let left_out = |story: &mut Story, message: &str| {
        story.note(&below(entry.path, "model_name"), wild, format!("{message}; left out"));
    };
    let whole = |name: &str| name.strip_suffix(ALL).filter(|id| !id.contains('*')).map(str::to_owned);
    let model = entry.params.get("model").and_then(Node::text).unwrap_or_default();
    let (Some(id), Some(_)) = (whole(entry.name), whole(model)) else {
        let message = "is a wildcard that is no whole provider: `provider/model` goes there with the key of its \
                       variable, other names need an entry";
        return left_out(story, message);
    };
    let mut ours = Node::new(Node::table().value, entry.whole.at.clone());
    let Some(provider) = deployment::address(entry, &mut ours, story) else { return };
    if presets::find(&provider).is_none_or(|preset| preset.spoken().is_err()) {
        return left_out(story, &format!("`{provider}` cannot be spoken to"));
    }
    if out.find("providers").is_some_and(|known| known.get(&id).is_some()) {
        return left_out(story, &format!("`{id}` is a provider already"));
    }
    if id != provider {
        put(out, &["providers", &id, "preset"], text(wild, provider));
    }
    if let Some(base) = ours.get("base_url") {
        put(out, &["providers", &id, "base_url"], base.clone());
    }
    for member in entry.params.members().iter().filter(|member| !is_empty(&member.node)) {
        param(&member.key, &member.node, entry.path, &id, out, story);
    }
    for member in entry.whole.members().iter().filter(|member| !is_empty(&member.node)) {
        if !["model_name", "litellm_params"].contains(&member.key.as_str()) {
            story.lost(&below(entry.path, &member.key), &member.node);
        }
    }
}

fn param(key: &str, node: &Node, path: &str, id: &str, out: &mut Node, story: &mut Story) {
    match key {
        "model" | "api_base" | "base_url" | "custom_llm_provider" | "api_version" => {}
        "api_key" => take(out, &["providers", id, "api_key"], node),
        "organization" => take(out, &["providers", id, "headers", "OpenAI-Organization"], node),
        "headers" | "extra_headers" => {
            for header in node.members() {
                take(out, &["providers", id, "headers", &header.key], &header.node);
            }
        }
        _ => story.lost(&format!("{path}.litellm_params.{key}"), node),
    }
}
