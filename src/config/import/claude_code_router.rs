//! claude-code-router's `config.json`: `Providers` with their models, and a `Router` with one model a purpose.

use super::Story;
use super::build::{
    base_url, is_empty, is_of_another_dialect, items, listed, number, preset_at, push, put, text,
};
use crate::config::tree::{Node, Origin, Value, below};
use crate::provider::presets;

/// Where `Router.longContextThreshold` is not set.
const LONG_CONTEXT: f64 = 60_000.0;
/// The names under which Claude Code asks; the file redirects all of them.
const CALLERS: &str = "claude-*";

/// The file in our schema.
pub(super) fn convert(tree: &Node, story: &mut Story) -> Node {
    let mut out = Node::table();
    for member in tree.members().iter().filter(|member| !is_empty(&member.node)) {
        let node = &member.node;
        match member.key.as_str() {
            "Providers" => {
                for (position, provider) in listed(node, "Providers", "providers", story).iter().enumerate() {
                    self::provider(provider, &format!("Providers[{position}]"), tree, &mut out, story);
                }
            }
            "Router" => {}
            "PROXY_URL" => {}
            "API_TIMEOUT_MS" => {
                let seconds = number(node).map(|milliseconds| milliseconds / 1000.0);
                put(&mut out, &["timeouts", "total"], text_or(node, seconds));
            }
            "APIKEY" | "HOST" | "PORT" => story.note(&member.key, node, "belongs to the server; left out"),
            "CUSTOM_ROUTER_PATH" => {
                story.note(&member.key, node, "is a program; write `rules` instead; left out");
            }
            key => story.lost(key, node),
        }
    }
    if let Some(router) = tree.get("Router") {
        self::router(router, &mut out, story);
    }
    out
}

fn text_or(node: &Node, number: Option<f64>) -> Node {
    Node::new(number.map_or(node.value.clone(), Value::Float), node.at.clone())
}

fn provider(node: &Node, path: &str, tree: &Node, out: &mut Node, story: &mut Story) {
    let Some(name) = node.get("name").and_then(Node::text).filter(|name| !name.is_empty()) else {
        return story.fault(&below(path, "name"), node.at.as_ref(), "missing");
    };
    let mut ours = Node::new(Node::table().value, node.at.clone());
    for member in node.members().iter().filter(|member| !is_empty(&member.node)) {
        match member.key.as_str() {
            "name" => {}
            "api_base_url" => address(&member.node, name, &below(path, "api_base_url"), &mut ours, story),
            "api_key" => put(&mut ours, &["api_key"], referring(&member.node)),
            "models" => models(&member.node, name, &below(path, "models"), out, story),
            "transformer" => transformer(&member.node, name, &below(path, "transformer"), story),
            key => story.lost(&below(path, key), &member.node),
        }
    }
    if let Some(proxy) = tree.get("PROXY_URL").filter(|proxy| !is_empty(proxy)) {
        put(&mut ours, &["proxy"], referring(proxy));
    }
    put(out, &["providers", name], ours);
}

/// The whole address of the endpoint stands in the file.
fn address(node: &Node, name: &str, path: &str, ours: &mut Node, story: &mut Story) {
    let url = node.text().unwrap_or_default();
    let preset = preset_at(url);
    if let Some(preset) = preset.filter(|preset| presets::find(name).is_none_or(|own| own.id != *preset)) {
        put(ours, &["preset"], text(node, preset));
    }
    if is_of_another_dialect(url) {
        let way = preset.map_or("without its ending", |_| "of its preset");
        story.note(path, node, format!("is asked in OpenAI's form, at the address {way}"));
        if preset.is_some() {
            return;
        }
    }
    put(ours, &["base_url"], referring(&text(node, base_url(url))));
}

/// `provider,model`, as the file itself and its users name them.
fn models(list: &Node, provider: &str, path: &str, out: &mut Node, story: &mut Story) {
    for model in listed(list, path, "names", story) {
        let name = format!("{provider},{}", model.text().unwrap_or_default());
        let mut deployment = Node::new(Node::table().value, model.at.clone());
        put(&mut deployment, &["provider"], text(model, provider));
        put(&mut deployment, &["model"], referring(model));
        push(out, &["models", &name, "deployments"], deployment);
    }
}

/// Presets know what their providers want; what else a transformer would change is told.
fn transformer(node: &Node, provider: &str, path: &str, story: &mut Story) {
    for used in node.get("use").map_or(&[][..], items) {
        let name = used.text().or_else(|| items(used).first().and_then(Node::text)).unwrap_or_default();
        if presets::find(name).is_none_or(|preset| !preset.names().any(|known| known == provider)) {
            story.note(
                &format!("{path}.use"),
                used,
                format!("the transformer `{name}` has no equivalent; left out"),
            );
        }
    }
    for member in node.members().iter().filter(|member| member.key != "use") {
        story.note(
            &below(path, &member.key),
            &member.node,
            "transformers of single models have no equivalent; left out",
        );
    }
}

/// One rule a purpose, in the order in which claude-code-router looks at them.
fn router(router: &Node, out: &mut Node, story: &mut Story) {
    let threshold = router.get("longContextThreshold").and_then(number).unwrap_or(LONG_CONTEXT);
    for member in router.members().iter().filter(|member| !is_empty(&member.node)) {
        let node = &member.node;
        match member.key.as_str() {
            "longContext" => rule("long_context", &format!("tokens > {threshold}"), 6.0, node, out),
            "background" => {
                rule("background", "model != null && icontains(model, 'haiku')", 5.0, node, out);
            }
            "think" => rule("think", "'reasoning' in needs", 4.0, node, out),
            "image" => rule("image", "has_images", 3.0, node, out),
            "default" => {
                rule("default", "true", 1.0, node, out);
                put(out, &["default_model"], target(node));
            }
            "longContextThreshold" => {}
            "webSearch" => {
                story.note("Router.webSearch", node, "no rule can see which tools are searches; left out");
            }
            key => story.lost(&below("Router", key), node),
        }
    }
}

fn rule(name: &str, when: &str, weight: f64, target: &Node, out: &mut Node) {
    let mut rule = Node::new(Node::table().value, target.at.clone());
    put(&mut rule, &["name"], text(target, name));
    put(&mut rule, &["when"], text(target, when));
    put(&mut rule, &["model"], self::target(target));
    put(&mut rule, &["weight"], Node::new(Value::Float(weight), target.at.clone()));
    put(&mut rule, &["models"], Node::new(Value::List(vec![text(target, CALLERS)]), target.at.clone()));
    push(out, &["rules"], rule);
}

/// `provider,model`; spaces around the comma do not count.
fn target(node: &Node) -> Node {
    let written = node.text().unwrap_or_default();
    let joined =
        written.split_once(',').map(|(provider, model)| format!("{},{}", provider.trim(), model.trim()));
    referring(&text(node, joined.as_deref().unwrap_or(written)))
}

/// A copy in which `$NAME` and `${NAME}` are variables of the environment.
fn referring(node: &Node) -> Node {
    let Value::Text(text) = &node.value else { return node.clone() };
    if node.origin != Origin::Written {
        return node.clone();
    }
    let (mut out, mut rest) = (String::with_capacity(text.len()), text.as_str());
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let braced = after.strip_prefix('{').and_then(|after| after.split_once('}'));
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
        let (name, tail) = braced.or_else(|| after.split_at_checked(end)).unwrap_or_default();
        if name.is_empty() {
            out.push_str("$$");
        } else {
            out.extend(["${", name, "}"]);
        }
        rest = tail;
    }
    out.push_str(rest);
    Node { value: Value::Text(out), at: node.at.clone(), origin: node.origin }
}
