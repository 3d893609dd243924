//! LiteLLM: a `model_list` with its settings.

mod deployment;
mod params;
mod settings;
mod wildcard;

use super::Story;
use super::build::{copied, is_empty, items, like, listed, numeric, put, put_new, text};
use crate::config::tree::{Node, Value};

/// The configuration in our schema.
pub(super) fn convert(tree: &Node, story: &mut Story) -> Node {
    let mut out = Node::table();
    let settings = settings::collect(tree, story);
    for member in tree.members().iter().filter(|member| !is_empty(&member.node)) {
        match member.key.as_str() {
            "model_list" => models(&member.node, tree.get("credential_list"), &settings, &mut out, story),
            "router_settings" | "litellm_settings" | "credential_list" | "arguments" => {}
            "general_settings" => {
                story.note("general_settings", &member.node, "belongs to LiteLLM's proxy; left out");
            }
            "environment_variables" => {
                let message = "sets variables of LiteLLM's process; set them in the environment; left out";
                story.note("environment_variables", &member.node, message);
            }
            key => story.lost(key, &member.node),
        }
    }
    settings::apply(&settings, &mut out, story);
    out
}

fn models(
    list: &Node,
    credentials: Option<&Node>,
    settings: &settings::Settings<'_>,
    out: &mut Node,
    story: &mut Story,
) {
    for (position, entry) in listed(list, "model_list", "deployments", story).iter().enumerate() {
        let path = format!("model_list[{position}]");
        let name = entry.get("model_name").and_then(Node::text).filter(|name| !name.is_empty());
        let params = entry.get("litellm_params");
        let (Some(name), Some(params)) = (name, params) else {
            let missing = if name.is_none() { "model_name" } else { "litellm_params" };
            story.fault(&format!("{path}.{missing}"), entry.at.as_ref(), "missing");
            continue;
        };
        if let Some(wild) = wildcard::find(entry, params) {
            let params = layered(params, None, credentials);
            let entry = deployment::Entry { whole: entry, params: &params, name, path: &path };
            wildcard::add(entry, wild, out, story);
            continue;
        }
        let params = layered(params, settings.default_params(), credentials);
        deployment::add(
            deployment::Entry { whole: entry, params: &params, name, path: &path },
            settings,
            out,
            story,
        );
    }
    for name in names(out) {
        strategy(&name, settings, out);
    }
}

/// `params` over the values of the credential they name, over what all deployments share.
fn layered(params: &Node, shared: Option<&Node>, credentials: Option<&Node>) -> Node {
    let mut all = params.clone();
    let named = params.get("litellm_credential_name").and_then(Node::text);
    let listed = credentials.map_or(&[][..], items);
    let credential = listed.iter().find(|one| one.get("credential_name").and_then(Node::text) == named);
    let values = credential.filter(|_| named.is_some()).and_then(|one| one.get("credential_values"));
    let Value::Map(members) = &mut all.value else { return all };
    if values.is_some() {
        members.retain(|member| member.key != "litellm_credential_name");
    }
    for member in values.into_iter().chain(shared).flat_map(Node::members) {
        if !members.iter().any(|known| known.key == member.key) {
            members.push(member.clone());
        }
    }
    all
}

/// The models that have deployments so far; an alias is none.
fn names(out: &Node) -> Vec<String> {
    let models = out.get("models").map_or(&[][..], Node::members);
    let models = models.iter().filter(|member| member.node.text().is_none());
    models.map(|member| member.key.clone()).collect()
}

/// How the deployments of one model are ordered: by `order`, and where that is the same by the strategy. LiteLLM
/// draws at random unless told otherwise.
fn strategy(name: &str, settings: &settings::Settings<'_>, out: &mut Node) {
    let model = out.get_mut("models").and_then(|models| models.get_mut(name));
    let Some(deployments) = model.and_then(|model| model.get_mut("deployments")) else { return };
    if items(deployments).len() < 2 {
        return;
    }
    let word = text(deployments, settings.strategy());
    last(deployments);
    put(out, &["models", name, "strategy"], word);
}

/// Where some deployments have an `order`, those without one come behind them.
fn last(deployments: &mut Node) {
    let orders = items(deployments).iter().filter_map(|deployment| match deployment.get("priority")?.value {
        Value::Integer(order) => Some(order),
        _ => None,
    });
    let (Some(highest), Value::List(deployments)) = (orders.max(), &mut deployments.value) else { return };
    for deployment in deployments {
        let behind = like(deployment, Value::Integer(highest.saturating_add(1)));
        put_new(deployment, &["priority"], behind);
    }
}

/// A copy of `node` under `path`, as LiteLLM spells variables.
fn take(out: &mut Node, path: &[&str], node: &Node) {
    put(out, path, copied(node));
}

/// As [`take`], for a number.
fn count(out: &mut Node, path: &[&str], node: &Node) {
    put(out, path, numeric(node));
}
