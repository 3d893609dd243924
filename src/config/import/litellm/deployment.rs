//! One entry of a `model_list`.

use super::params::{REQUEST, provider_and_model};
use super::settings::Settings;
use super::{count, take};
use crate::config::import::Story;
use crate::config::import::build::{
    base_url, copied, is_empty, items, number, numeric, per_million, push, put, put_new, spelled, text,
    truth, variable_in,
};
use crate::config::tree::{Node, Origin, Value, below};
use crate::config::variables::environment;
use crate::provider::presets::{self, ANY_HOST};

const OPENAI: &str = "openai";

/// An entry on its way.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) whole: &'a Node,
    pub(super) params: &'a Node,
    pub(super) name: &'a str,
    pub(super) path: &'a str,
}

/// Adds a deployment to the model that it serves.
pub(super) fn add(entry: Entry<'_>, settings: &Settings<'_>, out: &mut Node, story: &mut Story) {
    let mut ours = Node::new(Node::table().value, entry.whole.at.clone());
    let Some(provider) = address(entry, &mut ours, story) else { return };
    if settings.skips_invalid() && presets::find(&provider).is_none_or(|preset| preset.spoken().is_err()) {
        let message = format!("`{provider}` cannot be spoken to; left out");
        return story.note(entry.path, entry.whole, message);
    }
    for member in entry.params.members().iter().filter(|member| !is_empty(&member.node)) {
        let path = format!("{}.litellm_params.{}", entry.path, member.key);
        param(&member.key, &member.node, &path, entry, &mut ours, out, story);
    }
    weight(entry, settings, &mut ours, story);
    if let Some(info) = entry.whole.get("model_info") {
        model_info(info, entry, &mut ours, out, story);
    }
    for member in entry.whole.members().iter().filter(|member| !is_empty(&member.node)) {
        match member.key.as_str() {
            "model_name" | "litellm_params" | "model_info" | "rpm" | "tpm" => {}
            key => story.lost(&below(entry.path, key), &member.node),
        }
    }
    push(out, &["models", entry.name, "deployments"], ours);
}

/// Who serves it and where. `None`, and a fault, where no model is named.
pub(super) fn address(entry: Entry<'_>, ours: &mut Node, story: &mut Story) -> Option<String> {
    let params = entry.params;
    let path = format!("{}.litellm_params.model", entry.path);
    let Some(model) = params.get("model").filter(|model| model.text().is_some()) else {
        story.fault(&path, params.at.as_ref(), "missing");
        return None;
    };
    let model = &resolved(model, &path, story)?;
    let base = params.get("api_base").or(params.get("base_url")).filter(|base| !is_empty(base));
    let given = params.get("custom_llm_provider").and_then(Node::text);
    let (provider, name) = provider_and_model(model.text().unwrap_or_default(), given);
    let provider = provider.unwrap_or(OPENAI);
    let elsewhere = base.and_then(Node::text).is_some_and(|url| !url.contains("api.openai.com"));
    let unknown = presets::find(provider).is_none();
    let provider = if elsewhere && (provider == OPENAI || unknown) { ANY_HOST } else { provider };
    if elsewhere && unknown {
        story.note(&path, model, "an unknown provider with an `api_base`: spoken to as OpenAI-compatible");
    }
    let part = |part: &str| copied(&Node { value: Value::Text(part.to_owned()), ..model.clone() });
    put(ours, &["provider"], part(provider));
    put(ours, &["model"], part(name));
    if let Some(base) = base {
        put(ours, &["base_url"], with_version(base, params.get("api_version")));
    }
    let version = params.get("api_version").filter(|_| base.is_none() || provider != "azure");
    if let Some(version) = version.filter(|version| !is_empty(version)) {
        let message = "is read from the variable AZURE_API_VERSION where there is no `api_base`; left out";
        story.note(&format!("{}.litellm_params.api_version", entry.path), version, message);
    }
    Some(provider.to_owned())
}

/// What `model` says: a variable is read at once, for its value tells the provider too.
fn resolved(model: &Node, path: &str, story: &mut Story) -> Option<Node> {
    let Some(name) = model.text().and_then(variable_in) else { return Some(model.clone()) };
    let Some(value) = environment(name) else {
        story.fault(path, model.at.as_ref(), format!("the environment variable {name} is not set"));
        return None;
    };
    Some(Node { origin: Origin::Variable, ..text(model, value) })
}

/// The base URL, with Azure's API version in its query.
fn with_version(base: &Node, version: Option<&Node>) -> Node {
    let mut url = copied(&text(base, base_url(base.text().unwrap_or_default())));
    url.origin = base.origin;
    let version = version.map(copied);
    if let (Value::Text(url), Some(Value::Text(version))) = (&mut url.value, version.map(|one| one.value))
        && !url.contains("api-version=")
    {
        url.push_str(if url.contains('?') { "&" } else { "?" });
        url.push_str("api-version=");
        url.push_str(&version);
    }
    url
}

fn param(
    key: &str,
    node: &Node,
    path: &str,
    entry: Entry<'_>,
    ours: &mut Node,
    out: &mut Node,
    story: &mut Story,
) {
    match key {
        "model"
        | "api_base"
        | "base_url"
        | "custom_llm_provider"
        | "api_version"
        | "weight"
        | "rpm"
        | "tpm" => {}
        "api_key" => take(ours, &["api_key"], node),
        "organization" => take(ours, &["headers", "OpenAI-Organization"], node),
        "headers" | "extra_headers" => {
            for header in node.members() {
                take(ours, &["headers", &header.key], &header.node);
            }
        }
        "order" => count(ours, &["priority"], node),
        "max_parallel_requests" => count(ours, &["concurrency"], node),
        "region_name" | "aws_region_name" | "vertex_location" => take(ours, &["region"], node),
        "additional_drop_params" => take(ours, &["drop_params"], node),
        "timeout" => timeout(node, path, entry.name, out, story),
        "tags" => tags(node, path, entry.name, out, story),
        "extra_body" => {
            for member in node.members() {
                take(ours, &["params", &member.key], &member.node);
            }
        }
        "mock_response" => {
            story.fault(
                path,
                node.at.as_ref(),
                "no answer is made up; `fairlead.testing.Upstream` serves tests",
            );
        }
        _ if REQUEST.contains(&key) => take(ours, &["params", key], node),
        _ => cost(key, node, ours).unwrap_or_else(|| story.lost(path, node)),
    }
}

/// Prices, wherever they are written.
fn cost(key: &str, node: &Node, ours: &mut Node) -> Option<()> {
    let (name, node) = match key {
        "input_cost_per_token" => ("input", per_million(node)),
        "output_cost_per_token" => ("output", per_million(node)),
        "cache_read_input_token_cost" => ("cache_read", per_million(node)),
        "cache_creation_input_token_cost" => ("cache_write", per_million(node)),
        "output_cost_per_reasoning_token" => ("reasoning", per_million(node)),
        "input_cost_per_second" | "cost_per_second" => ("per_second", numeric(node)),
        "input_cost_per_request" => ("per_request", numeric(node)),
        "input_cost_per_image" => ("per_image", numeric(node)),
        _ => return None,
    };
    put_new(ours, &["price", name], node);
    Some(())
}

/// Where LiteLLM draws at random, the first of these that is set is the share.
fn weight(entry: Entry<'_>, settings: &Settings<'_>, ours: &mut Node, story: &mut Story) {
    let mut used = false;
    for key in ["weight", "rpm", "tpm"] {
        let beside = entry.whole.get(key).map(|node| (below(entry.path, key), node));
        let within = entry.params.get(key).map(|node| (format!("{}.litellm_params.{key}", entry.path), node));
        let Some((path, node)) = within.or(beside).filter(|(_, node)| !is_empty(node)) else { continue };
        let share = !used && (key == "weight" || settings.strategy() == "weighted");
        if share {
            count(ours, &["weight"], node);
            used = true;
        }
        match (key, share) {
            ("weight", _) => {}
            (_, true) => {
                story.note(&path, node, "is used as the weight; requests are not counted against it");
            }
            (_, false) => story.note(&path, node, "requests are not counted against it; left out"),
        }
    }
}

/// A limit belongs to the model here: the longest of its deployments'.
fn timeout(node: &Node, path: &str, name: &str, out: &mut Node, story: &mut Story) {
    let known = out.find("models").and_then(|models| models.get(name)?.get("timeout")).and_then(number);
    match (known, number(node)) {
        (Some(known), Some(own)) if (known - own).abs() > f64::EPSILON => {
            story.note(path, node, "differs between deployments; the longest holds for all of them");
            if own > known {
                count(out, &["models", name, "timeout"], node);
            }
        }
        _ => count(out, &["models", name, "timeout"], node),
    }
}

fn tags(node: &Node, path: &str, name: &str, out: &mut Node, story: &mut Story) {
    story.note(path, node, "are kept as capabilities of the whole model; a rule can ask for them");
    for tag in items(node) {
        let known = out.find("models").and_then(|models| models.get(name)?.get("capabilities"));
        if known.is_none_or(|known| items(known).iter().all(|known| known.value != tag.value)) {
            push(out, &["models", name, "capabilities"], copied(tag));
        }
    }
}

fn model_info(info: &Node, entry: Entry<'_>, ours: &mut Node, out: &mut Node, story: &mut Story) {
    for member in info.members().iter().filter(|member| member.node.value != Value::Null) {
        let node = &member.node;
        match member.key.as_str() {
            "id" => put(ours, &["id"], spelled(node)),
            "max_output_tokens" => count(ours, &["max_output"], node),
            "max_tokens" => put_new(ours, &["max_output"], numeric(node)),
            "max_input_tokens" => count(ours, &["context_window"], node),
            "supports_function_calling" => put(ours, &["supports", "tools"], truth(node)),
            "supports_vision" => put(ours, &["supports", "vision"], truth(node)),
            "supports_response_schema" => put(ours, &["supports", "json_schema"], truth(node)),
            "supports_reasoning" => put(ours, &["supports", "reasoning"], truth(node)),
            "supports_native_streaming" => put(ours, &["supports", "stream"], truth(node)),
            "description" => put(out, &["models", entry.name, "description"], node.clone()),
            "base_model" => take(ours, &["base_model"], node),
            "order" => put_new(ours, &["priority"], numeric(node)),
            // What is known without them: the call says what it is, and costs come from the catalogue.
            "mode" | "litellm_provider" | "db_model" => {}
            key if cost(key, node, ours).is_some() => {}
            key => story.lost(&format!("{}.model_info.{key}", entry.path), node),
        }
    }
}
