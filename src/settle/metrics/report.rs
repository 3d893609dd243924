//! All that is counted, as Prometheus' text.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use super::exposition::{Exposition, Type, Value};
use super::meters::{DeploymentMeter, ModelMeter, Spent};
use super::series::{Entry, Series};
use super::{Distribution, Metrics, admission, standing};
use crate::clock;
use crate::engine::Engine;
use crate::settle::Stats;

/// A distribution of a meter: the name of its family, the help, and where it is.
type Part<T> = (&'static str, &'static str, fn(&T) -> &Distribution);

/// The text of an engine's metrics.
pub(crate) fn text(engine: &Engine) -> String {
    let mut out = Exposition::default();
    let metrics = engine.metrics();
    let version = &[("version", env!("CARGO_PKG_VERSION"))];
    out.family("build_info", Type::Gauge, "Always 1; the label is what runs.").sample(version, 1_u64);
    calls(metrics, &mut out);
    attempts(metrics, &mut out);
    money(metrics, &mut out);
    odd(engine, metrics, &mut out);
    gauges(engine, &mut out);
    standing::write(engine, &mut out);
    admission::write(engine, &mut out);
    for source in metrics.sources.lock().iter() {
        source.write(&mut out);
    }
    out.text()
}

fn calls(metrics: &Metrics, out: &mut Exposition) {
    let models = metrics.models.all();
    let help = "Calls that ended, by model and outcome: ok, cancelled, or what was raised.";
    let mut family = out.family("calls_total", Type::Counter, help);
    for entry in &models {
        let ([model], meter) = (entry.named(["model"]), &entry.value);
        family.sample(&[model, ("outcome", "ok")], read(&meter.ok));
        family.sample(&[model, ("outcome", "cancelled")], read(&meter.cancelled));
        for failure in meter.failures.all() {
            let [outcome] = failure.named(["outcome"]);
            family.sample(&[model, outcome], read(&failure.value));
        }
    }
    let of_models: [Part<ModelMeter>; 2] = [
        ("call_duration_seconds", "How long calls took that answered or raised.", |meter| &meter.durations),
        ("queue_wait_seconds", "How long admitted calls stood in line for room.", |meter| &meter.queue),
    ];
    for (name, help, distribution) in of_models {
        let mut family = out.family(name, Type::Histogram, help);
        for entry in &models {
            family.distribution(&entry.named(["model"]), distribution(&entry.value));
        }
    }
    let mut family = out.family("call_tokens", Type::Histogram, "Tokens of an answer, by kind.");
    for entry in &models {
        let [model] = entry.named(["model"]);
        family.distribution(&[model, ("kind", "input")], &entry.value.input);
        family.distribution(&[model, ("kind", "output")], &entry.value.output);
    }
    let help = "What fairlead itself added to calls that answered: their time (a stream's until it began) but for \
                attempts, backoff and standing in line.";
    out.family("overhead_seconds", Type::Histogram, help).distribution(&[], &metrics.overhead);
    counts(out, "rule_calls_total", "Calls that a rule led.", &metrics.rules, ["rule"]);
}

fn attempts(metrics: &Metrics, out: &mut Exposition) {
    let deployments = metrics.deployments.all();
    let help = "Upstream requests that ended, by what they ended in and the HTTP status.";
    let mut family = out.family("attempts_total", Type::Counter, help);
    for entry in &deployments {
        let [deployment] = entry.named(["deployment"]);
        for (class, code, count) in entry.value.outcomes.all() {
            family.sample(&[deployment, ("class", class.name()), ("code", &code)], count);
        }
    }
    let mut family = out.family(
        "attempts_in_flight",
        Type::Gauge,
        "Upstream requests that have not ended, streams included.",
    );
    for entry in &deployments {
        family.sample(&entry.named(["deployment"]), entry.value.in_flight.get());
    }
    let of_deployments: [Part<DeploymentMeter>; 3] = [
        ("attempt_duration_seconds", "How long upstream requests took, streams to their end.", |meter| {
            &meter.durations
        }),
        (
            "time_to_first_token_seconds",
            "From the start of an attempt to the first content of its stream.",
            |meter| &meter.first_token,
        ),
        ("inter_token_seconds", "Between two pieces of a stream, as its reader got them.", |meter| {
            &meter.gaps
        }),
    ];
    for (name, help, distribution) in of_deployments {
        let mut family = out.family(name, Type::Histogram, help);
        for entry in &deployments {
            family.distribution(&entry.named(["deployment"]), distribution(&entry.value));
        }
    }
    let help = "Attempts after a failed one, by the class of that failure and how they ended.";
    counts(out, "retries_total", help, &metrics.retries, ["reason", "outcome"]);
    let help = "Calls that raised without a further attempt, by why.";
    counts(out, "retries_denied_total", help, &metrics.denied, ["reason"]);
    counts(out, "timeouts_total", "Limits of time that ended, by phase.", &metrics.timeouts, ["phase"]);
    let help = "Changes of breakers.";
    counts(out, "breaker_transitions_total", help, &metrics.transitions, ["from", "to", "reason"]);
    counts(out, "shed_total", "Calls turned away from the waiting line, by why.", &metrics.sheds, ["reason"]);
}

fn money(metrics: &Metrics, out: &mut Exposition) {
    let deployments = metrics.deployments.all();
    let spent =
        deployments.iter().map(|entry| (entry.named(["deployment"]), &entry.value.spent)).collect::<Vec<_>>();
    spend(out, ["tokens_total", "cost_dollars_total"], &spent);
    let tenants = metrics.tenants.all();
    if tenants.is_empty() {
        return;
    }
    let mut family = out.family("tenant_calls_total", Type::Counter, "Calls that ended, by tenant.");
    for entry in &tenants {
        let ([tenant], meter) = (entry.named(["tenant"]), &entry.value);
        for (outcome, count) in
            [("ok", &meter.ok), ("failed", &meter.failed), ("cancelled", &meter.cancelled)]
        {
            family.sample(&[tenant, ("outcome", outcome)], read(count));
        }
    }
    let spent = tenants.iter().map(|entry| (entry.named(["tenant"]), &entry.value.spent)).collect::<Vec<_>>();
    spend(out, ["tenant_tokens_total", "tenant_cost_dollars_total"], &spent);
}

fn spend(out: &mut Exposition, [tokens, cost]: [&'static str; 2], spent: &[([(&str, &str); 1], &Spent)]) {
    let help = "Tokens by kind; cached ones are input too, reasoning is as its provider counts it.";
    let mut family = out.family(tokens, Type::Counter, help);
    for ([label], spent) in spent {
        for (kind, count) in spent.tokens() {
            family.sample(&[*label, ("kind", kind)], count);
        }
    }
    let mut family = out.family(cost, Type::Counter, "US dollars, as far as prices are known.");
    for (label, spent) in spent {
        family.sample(label, Value::Billionths(spent.nanos()));
    }
}

fn odd(engine: &Engine, metrics: &Metrics, out: &mut Exposition) {
    let Stats { transparent_retries, missing_done, usage_invalid, estimated_tokens, unpriced, .. } =
        engine.stats();
    for (name, help, count) in [
        (
            "transparent_retries_total",
            "Repeats on a fresh connection, because a reused one had died.",
            transparent_retries,
        ),
        ("missing_done_total", "Streams that ended well without [DONE].", missing_done),
        ("usage_invalid_total", "Usage that could not be, and was estimated.", usage_invalid),
        ("estimated_tokens_total", "Tokens that were estimated, because nobody told.", estimated_tokens),
        ("unpriced_calls_total", "Answers whose cost is not known.", unpriced),
    ] {
        out.single(name, Type::Counter, help, count);
    }
    let mut faults: BTreeMap<String, u64> = engine.rule_faults();
    for past in metrics.past_faults.all() {
        let [name] = &past.labels;
        *faults.entry(name.to_string()).or_default() += read(&past.value);
    }
    let merged = Series::<AtomicU64, 1>::bounded(super::NAMES);
    for (name, count) in &faults {
        merged.of([name]).value.fetch_add(*count, Ordering::Relaxed);
    }
    counts(out, "rule_faults_total", "Times a rule could not say whether it holds.", &merged, ["rule"]);
}

fn gauges(engine: &Engine, out: &mut Exposition) {
    let gauges = engine.gauges();
    out.single("calls_in_flight", Type::Gauge, "Calls that have not ended.", gauges.calls.get());
    out.single(
        "streams_open",
        Type::Gauge,
        "Streams that were handed out and have not ended.",
        gauges.streams.get(),
    );
    let idle = gauges.connections_idle.get();
    let mut family = out.family("connections", Type::Gauge, "Sockets, in use or idle.");
    family.sample(&[("state", "idle")], idle);
    family.sample(&[("state", "busy")], gauges.connections_open.get().saturating_sub(idle));
    let mut disabled = BTreeMap::<String, u64>::new();
    for key in engine.live().key_usage(clock::now()) {
        *disabled.entry(key.provider).or_default() += u64::from(key.disabled_for > 0.0);
    }
    let mut family = out.family("keys_disabled", Type::Gauge, "Keys left alone after they were refused.");
    for (provider, count) in &disabled {
        family.sample(&[("provider", provider)], *count);
    }
}

fn counts<const N: usize>(
    out: &mut Exposition,
    name: &'static str,
    help: &str,
    series: &Series<AtomicU64, N>,
    labels: [&str; N],
) {
    let mut family = out.family(name, Type::Counter, help);
    for entry in series.all() {
        let Entry { value, .. } = &*entry;
        family.sample(&entry.named(labels), read(value));
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
