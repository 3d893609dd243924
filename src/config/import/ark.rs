//! `router_config`, `models[].model_id`, `routing_rules`: one endpoint and one key a model.

use super::Story;
use super::build::{self, base_url, copied, host, is_empty, items, preset_at, push, put, text, variable};
use crate::config::tree::{Member, Node, below};
use crate::provider::presets::{self, ANY_HOST};

/// The provider of hosts whose name ends in one of [`ARK_HOSTS`].
const ARK: &str = "ark";
const ARK_HOSTS: &[&str] = &["volces.com", "volcengine.com"];
/// Members of a model that are request parameters.
const PARAMS: &[&str] = &["temperature", "top_p", "seed", "stop", "presence_penalty", "frequency_penalty"];

/// The file in our schema.
pub(super) fn convert(tree: &Node, story: &mut Story) -> Node {
    let mut out = Node::table();
    for member in tree.members() {
        match member.key.as_str() {
            "router_config" => router(&member.node, &mut out, story),
            "models" => models(&member.node, &mut out, story),
            "routing_rules" => rules(&member.node, &mut out, story),
            key => story.lost(key, &member.node),
        }
    }
    out
}

fn router(node: &Node, out: &mut Node, story: &mut Story) {
    for member in node.members() {
        match member.key.as_str() {
            "default_model" => put(out, &["default_model"], copied(&member.node)),
            // What rules and weights do anyway.
            "strategy" if member.node.text() == Some("rule_based") => {}
            key => story.lost(&below("router_config", key), &member.node),
        }
    }
}

fn models(node: &Node, out: &mut Node, story: &mut Story) {
    let mut seen: Vec<(&str, &Node)> = Vec::new();
    for (position, model) in items(node).iter().enumerate() {
        let path = format!("models[{position}]");
        let Some(id) = model.get("model_id").filter(|id| id.text().is_some_and(|id| !id.is_empty())) else {
            story.fault(&below(&path, "model_id"), model.at.as_ref(), "missing");
            continue;
        };
        let name = id.text().unwrap_or_default();
        if let Some((_, first)) = seen.iter().find(|(known, _)| *known == name) {
            let first = first.at.as_ref().map(|at| format!(" already at {at}")).unwrap_or_default();
            story.fault(
                &below(&path, "model_id"),
                id.at.as_ref(),
                format!("a model is called `{name}`{first}"),
            );
            continue;
        }
        seen.push((name, id));
        self::model(model, name, &path, out, story);
    }
    if let Some((_, id)) = seen.first()
        && items(node).iter().all(|model| model.get("upstream_model").is_none())
    {
        let message = "is also what the provider is asked for; `upstream_model` gives it another name";
        story.note("models[].model_id", id, message);
    }
}

fn model(model: &Node, name: &str, path: &str, out: &mut Node, story: &mut Story) {
    let mut deployment = Node::new(Node::table().value, model.at.clone());
    put(&mut deployment, &["provider"], provider(model, path, story));
    put(
        &mut deployment,
        &["model"],
        copied(model.get("upstream_model").or(model.get("model_id")).unwrap_or(model)),
    );
    for member in model.members().iter().filter(|member| !is_empty(&member.node)) {
        member_of(member, name, path, &mut deployment, out, story);
    }
    push(out, &["models", name, "deployments"], deployment);
}

fn member_of(
    member: &Member,
    name: &str,
    path: &str,
    deployment: &mut Node,
    out: &mut Node,
    story: &mut Story,
) {
    let node = &member.node;
    match member.key.as_str() {
        "model_id" | "upstream_model" => {}
        "endpoint" => {
            let url = base_url(node.text().unwrap_or_default());
            put(deployment, &["base_url"], copied(&text(node, url)));
        }
        "api_key_env_var" => {
            put(deployment, &["api_key"], variable(node, node.text().unwrap_or_default()));
        }
        "api_key" => put(deployment, &["api_key"], copied(node)),
        // What the model can answer at most; a request that names no bound gets none.
        "max_tokens" => put(deployment, &["max_output"], copied(node)),
        "context_window" => put(deployment, &["context_window"], copied(node)),
        "cost_per_token" => put(deployment, &["price", "per_token"], copied(node)),
        "description" => put(out, &["models", name, "description"], node.clone()),
        "capabilities" => put(out, &["models", name, "capabilities"], copied(node)),
        "timeout" => put(out, &["models", name, "timeout"], copied(node)),
        "priority" => {
            let message = "orders the deployments of one model, and this model has one; left out";
            story.note(&below(path, "priority"), node, message);
        }
        key if PARAMS.contains(&key) => put(out, &["models", name, "params", key], copied(node)),
        key => story.lost(&below(path, key), node),
    }
}

fn provider(model: &Node, path: &str, story: &mut Story) -> Node {
    let Some(endpoint) = model.get("endpoint") else {
        story.fault(&below(path, "endpoint"), model.at.as_ref(), "missing");
        return text(model, ANY_HOST);
    };
    let url = endpoint.text().unwrap_or_default();
    let ark = host(url).is_some_and(|host| {
        ARK_HOSTS
            .iter()
            .any(|known| host.strip_suffix(known).is_some_and(|sub| sub.is_empty() || sub.ends_with('.')))
    });
    let provider = preset_at(url).unwrap_or(if ark { ARK } else { ANY_HOST });
    if ark && preset_at(url).is_none() && story.notes.iter().all(|note| !note.message.contains(url)) {
        let known = presets::find(ARK).and_then(|preset| preset.base_url).unwrap_or_default();
        let message = format!("{url} is kept; the documented address of this provider is {known}");
        story.note(&below(path, "endpoint"), endpoint, message);
    }
    text(endpoint, provider)
}

fn rules(node: &Node, out: &mut Node, story: &mut Story) {
    for (position, rule) in items(node).iter().enumerate() {
        let mut ours = Node::new(Node::table().value, rule.at.clone());
        for member in rule.members().iter().filter(|member| member.node != Node::default()) {
            match member.key.as_str() {
                "name" | "weight" => put(&mut ours, &[&member.key], copied(&member.node)),
                "description" => put(&mut ours, &["description"], member.node.clone()),
                "condition" => put(&mut ours, &["when"], member.node.clone()),
                "target_model" => put(&mut ours, &["model"], copied(&member.node)),
                key => story.lost(&format!("routing_rules[{position}].{key}"), &member.node),
            }
        }
        build::put_new(&mut ours, &["name"], text(rule, format!("rule {}", position + 1)));
        push(out, &["rules"], ours);
    }
}
