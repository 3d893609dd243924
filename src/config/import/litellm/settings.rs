//! What holds for all models: `router_settings`, `litellm_settings`, or the arguments of a `Router`.

use super::{count, names};
use crate::config::import::Story;
use crate::config::import::build::{
    copied, is_empty, is_on, items, like, listed, misfit, number, numeric, push, put, put_new, tabled, text,
};
use crate::config::tree::{Member, Node, Value, below};

/// The strategy that LiteLLM has where none is named.
const SHUFFLE: &str = "simple-shuffle";

/// What a `Router` was constructed with stands here, beside its `model_list`.
const ARGUMENTS: &str = "arguments";

/// A count that somebody wrote as a number of any kind.
fn whole(number: f64) -> i128 {
    format!("{number:.0}").parse().unwrap_or(RETRIES)
}

/// LiteLLM's strategies and ours.
const STRATEGIES: &[(&str, &str)] = &[
    (SHUFFLE, "weighted"),
    ("least-busy", "least_busy"),
    ("latency-based-routing", "latency"),
    ("cost-based-routing", "cost"),
    ("usage-based-routing", "least_busy"),
    ("usage-based-routing-v2", "least_busy"),
    ("lar1", "adaptive"),
];

/// LiteLLM's lists of fallbacks and our causes.
const FALLBACKS: &[(&str, &str)] = &[
    ("fallbacks", "any"),
    ("context_window_fallbacks", "context_window"),
    ("content_policy_fallbacks", "content_filter"),
];

/// What is done anyway, or has no meaning here.
const ALWAYS: &[&str] = &[
    "enable_pre_call_checks",
    "set_verbose",
    "debug_level",
    "ignore_invalid_deployments",
    "disable_cooldowns",
    "default_litellm_params",
    "enable_weighted_failover",
];

/// Affinity is on unless switched off.
const AFFINITY: &[&str] =
    &["prompt_caching", "deployment_affinity", "session_affinity", "responses_api_deployment_check"];

/// All settings with the paths they stand at.
pub(super) struct Settings<'a> {
    members: Vec<(String, &'a Member)>,
}

/// The settings of a configuration; what `router_settings` says goes before `litellm_settings`.
pub(super) fn collect<'a>(tree: &'a Node, story: &mut Story) -> Settings<'a> {
    let mut members: Vec<(String, &Member)> = Vec::new();
    for table in [ARGUMENTS, "router_settings", "litellm_settings"] {
        let path = if table == ARGUMENTS { "" } else { table };
        for member in tree.get(table).map_or(&[][..], Node::members) {
            let known = members.iter().any(|(_, known)| known.key == member.key);
            if known && !is_empty(&member.node) {
                story.note(&below(table, &member.key), &member.node, "is said otherwise already; left out");
            } else if !is_empty(&member.node) {
                members.push((below(path, &member.key), member));
            }
        }
    }
    Settings { members }
}

impl<'a> Settings<'a> {
    fn get(&self, key: &str) -> Option<&'a Node> {
        self.members.iter().find(|(_, member)| member.key == key).map(|(_, member)| &member.node)
    }

    /// Parameters that all deployments share.
    pub(super) fn default_params(&self) -> Option<&'a Node> {
        self.get("default_litellm_params")
    }

    /// Are deployments of unknown providers left out?
    pub(super) fn skips_invalid(&self) -> bool {
        self.get("ignore_invalid_deployments").is_some_and(is_on)
    }

    /// Has `name` an entry of its own in a list of fallbacks?
    fn lists_fallbacks_of(&self, name: &str) -> bool {
        let lists =
            self.members.iter().filter(|(_, member)| FALLBACKS.iter().any(|(key, _)| *key == member.key));
        lists.flat_map(|(_, member)| items(&member.node)).any(|entry| entry.get(name).is_some())
    }

    /// Our name of the strategy.
    pub(super) fn strategy(&self) -> &'static str {
        let theirs = self.get("routing_strategy").and_then(Node::text).unwrap_or(SHUFFLE);
        STRATEGIES.iter().find(|(name, _)| *name == theirs).map_or("weighted", |(_, ours)| *ours)
    }
}

/// Puts the settings into `out`, which holds the models already.
pub(super) fn apply(settings: &Settings<'_>, out: &mut Node, story: &mut Story) {
    // First, because an alias may have fallbacks.
    for (path, member) in settings.members.iter().filter(|(_, member)| member.key == "model_group_alias") {
        aliases(&member.node, path, settings, out, story);
    }
    for (path, member) in &settings.members {
        setting(&member.key, &member.node, path, settings, out, story);
    }
    for (path, member) in settings.members.iter().filter(|(_, member)| member.key == "default_fallbacks") {
        default_fallbacks(&member.node, path, "any", settings.get("fallbacks"), out, story);
    }
    turns(settings, out);
}

/// What a list of fallbacks holds.
const NAMES: &str = "names of models";

/// Retries that LiteLLM makes where nobody says how many; ours are as many.
const RETRIES: i128 = 2;

/// A fallback is an attempt here and counts as a retry, and is asked after the model's own deployments: a model has
/// as many retries as it takes for each of them to have its turn, even where nothing is to be retried.
fn turns(settings: &Settings<'_>, out: &mut Node) {
    let retries = settings.get("num_retries").and_then(number).map_or(RETRIES, whole);
    for name in names(out) {
        let model = out.get("models").and_then(|models| models.get(&name));
        let fallbacks =
            model.and_then(|model| model.get("fallbacks")?.get("any")).cloned().unwrap_or_default();
        if items(&fallbacks).is_empty() {
            continue;
        }
        let targets = items(&fallbacks).iter().filter_map(Node::text);
        let most = retries.max(size(out, &name) - 1) + targets.map(|target| size(out, target)).sum::<i128>();
        let profile = format!("retries-{most}");
        put(out, &["models", &name, "profile"], text(&fallbacks, &profile));
        put_new(out, &["profiles", &profile, "max_retries"], like(&fallbacks, Value::Integer(most)));
    }
}

/// How many attempts it takes to ask each deployment of a model; an alias has those of its target.
fn size(out: &Node, name: &str) -> i128 {
    let find = |name: &str| out.get("models").and_then(|models| models.get(name));
    let model = find(name).and_then(|model| model.text().map_or(Some(model), find));
    let deployments = model.and_then(|model| model.get("deployments")).map_or(0, |list| items(list).len());
    i128::try_from(deployments.max(1)).unwrap_or(1)
}

fn setting(key: &str, node: &Node, path: &str, all: &Settings<'_>, out: &mut Node, story: &mut Story) {
    if let Some((_, cause)) = FALLBACKS.iter().find(|(theirs, _)| *theirs == key) {
        return fallbacks(node, path, cause, out, story);
    }
    match key {
        "routing_strategy" => strategy(node, path, story),
        "num_retries" => count(out, &["retry", "max_retries"], node),
        "retry_policy" => retry_policy(node, path, all, out, story),
        "request_timeout" if all.get("timeout").is_some() => {
            story.note(path, node, "`timeout` is said beside it and holds; left out");
        }
        "timeout" | "request_timeout" => timeout(node, out),
        "stream_timeout" => {
            count(out, &["timeouts", "first_token"], node);
            count(out, &["timeouts", "idle"], node);
        }
        "default_fallbacks" | "model_group_alias" => {}
        "default_max_parallel_requests" => concurrency(node, out),
        "cooldown_time" => {
            count(out, &["routing", "ejection", "base"], node);
            story.note(
                path,
                node,
                "is used as `routing.ejection.base`; failing deployments rest by our own rules",
            );
        }
        "disable_cooldowns" if is_on(node) => put(out, &["stages", "health"], like(node, Value::Bool(false))),
        "optional_pre_call_checks" => {
            for check in
                items(node).iter().filter(|check| !check.text().is_some_and(|one| AFFINITY.contains(&one)))
            {
                story.lost(&format!("{path}: {}", check.text().unwrap_or_default()), check);
            }
        }
        "allowed_fails" | "allowed_fails_policy" => {
            story.note(path, node, "failing deployments rest by our own rules; left out");
        }
        "retry_after" => {
            story.note(path, node, "waits follow the upstream's word, else `retry.base`; left out");
        }
        "drop_params" if is_on(node) => {
            story.note(
                path,
                node,
                "defaults that a model refuses are never sent, what the caller sets always is; left out",
            );
        }
        _ if ALWAYS.contains(&key) => {}
        _ => story.lost(path, node),
    }
}

fn strategy(node: &Node, path: &str, story: &mut Story) {
    let name = node.text().unwrap_or_default();
    match STRATEGIES.iter().find(|(theirs, _)| *theirs == name) {
        Some((_, "least_busy")) if name != "least-busy" => {
            story.note(path, node, "counts tokens a minute in LiteLLM; here the fewest attempts in flight");
        }
        Some((_, "adaptive")) => story.note(path, node, "is read as `adaptive`"),
        Some(_) => {}
        None => {
            let message = format!("no strategy is called `{name}`");
            let known = STRATEGIES.iter().map(|(theirs, _)| *theirs);
            let problem = crate::config::problem::Problem::new(path, node.at.as_ref(), message);
            story.faults.push(problem.or_nearest(name, known));
        }
    }
}

/// One number for all classes of failures: the largest of those that can be retried.
fn retry_policy(node: &Node, path: &str, all: &Settings<'_>, out: &mut Node, story: &mut Story) {
    const RETRIED: &[&str] = &[
        "TimeoutErrorRetries",
        "RateLimitErrorRetries",
        "InternalServerErrorRetries",
        "ServiceUnavailableErrorRetries",
        "DefaultRetries",
    ];
    let amount = |member: &Member| number(&member.node).unwrap_or_default();
    let counts = node.members().iter().filter(|member| RETRIED.contains(&member.key.as_str()));
    let most = counts.max_by(|one, other| amount(one).total_cmp(&amount(other)));
    match most.filter(|_| all.get("num_retries").is_none()) {
        Some(most) => {
            count(out, &["retry", "max_retries"], &most.node);
            let message = format!("`{}` holds for all failures that can be retried", most.key);
            story.note(path, node, message);
        }
        None => story.note(path, node, "retries are not counted by class; `num_retries` holds; left out"),
    }
}

/// The limit of one attempt; the call as a whole gets at least as long.
fn timeout(node: &Node, out: &mut Node) {
    const TOTAL: f64 = 600.0;
    count(out, &["timeouts", "attempt"], node);
    if number(node).is_some_and(|seconds| seconds > TOTAL) {
        count(out, &["timeouts", "total"], node);
    }
}

/// `[{"a": ["b", "c"]}, ...]`; `*` stands for every model without an entry of its own.
fn fallbacks(node: &Node, path: &str, cause: &str, out: &mut Node, story: &mut Story) {
    const ENTRIES: &str = "tables such as `{a: [b]}`";
    for (position, entry) in listed(node, path, ENTRIES, story).iter().enumerate() {
        for member in tabled(entry, &format!("{path}[{position}]"), "a table such as `{a: [b]}`", story) {
            fallback(member, node, (path, cause), out, story);
        }
    }
}

fn fallback(member: &Member, all: &Node, (path, cause): (&str, &str), out: &mut Node, story: &mut Story) {
    if member.key == "*" {
        return default_fallbacks(&member.node, &below(path, "*"), cause, Some(all), out, story);
    }
    let path = below(path, &member.key);
    if out.get("models").is_none_or(|models| models.get(&member.key).is_none()) {
        return story.note(&path, &member.node, "no model has this name; left out");
    }
    for target in listed(&member.node, &path, NAMES, story) {
        let target = self::target(target, &path, story);
        push(out, &["models", &member.key, "fallbacks", cause], target);
    }
}

/// A fallback is a name, or a table whose other members would change where the call goes: none of them is dropped.
fn target(target: &Node, path: &str, story: &mut Story) -> Node {
    let Some(model) = target.get("model") else {
        if target.text().is_none() {
            misfit(target, path, "the name of a model", story);
        }
        return copied(target);
    };
    let more = target.members().iter().filter(|member| member.key != "model" && !is_empty(&member.node));
    let more: Vec<String> = more.map(|member| format!("`{}`", member.key)).collect();
    if !more.is_empty() {
        let message = format!(
            "a fallback is a model's name; {} cannot be carried: give such a target an entry of its own in \
             `model_list`",
            more.join(", ")
        );
        story.fault(path, target.at.as_ref(), &message);
    }
    copied(model)
}

fn default_fallbacks(
    node: &Node,
    path: &str,
    cause: &str,
    own: Option<&Node>,
    out: &mut Node,
    story: &mut Story,
) {
    let own = own.map_or(&[][..], items);
    let targets = listed(node, path, NAMES, story);
    let targets: Vec<Node> = targets.iter().map(|target| self::target(target, path, story)).collect();
    for name in names(out) {
        if own.iter().any(|entry| entry.get(&name).is_some()) {
            continue;
        }
        for target in targets.iter().filter(|target| target.text() != Some(&name)) {
            push(out, &["models", &name, "fallbacks", cause], target.clone());
        }
    }
}

fn aliases(node: &Node, path: &str, all: &Settings<'_>, out: &mut Node, story: &mut Story) {
    for member in tabled(node, path, "a table of names", story) {
        let target = member.node.get("model").unwrap_or(&member.node);
        if target.text().is_none() {
            misfit(target, &below(path, &member.key), "the name of a model", story);
        }
        let target = copied(&text(target, target.text().unwrap_or_default()));
        let own = all.lists_fallbacks_of(&member.key).then(|| namesake(&target, out)).flatten();
        put_new(out, &["models", &member.key], own.unwrap_or(target));
    }
}

/// The model that an alias stands for, to be one of its own: a plain alias has the fallbacks of its target. Ids stay
/// with the target, since each is unique.
fn namesake(target: &Node, out: &Node) -> Option<Node> {
    let models = out.get("models")?;
    let mut model = models.get(target.text()?).filter(|model| model.text().is_none())?.clone();
    if let Some(Value::List(deployments)) = model.get_mut("deployments").map(|list| &mut list.value) {
        for deployment in deployments {
            deployment.remove("id");
        }
    }
    Some(model)
}

fn concurrency(node: &Node, out: &mut Node) {
    for name in names(out) {
        let Some(models) = out.get_mut("models") else { return };
        let deployments = models.get_mut(&name).and_then(|model| model.get_mut("deployments"));
        if let Some(Value::List(deployments)) = deployments.map(|list| &mut list.value) {
            for deployment in deployments {
                put_new(deployment, &["concurrency"], numeric(node));
            }
        }
    }
}
