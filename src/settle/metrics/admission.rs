//! What limits, budgets and the lines of those who wait say now.

use std::collections::BTreeMap;

use super::exposition::{Exposition, Type};
use crate::engine::Engine;
use crate::store::{Measure, Window};

/// The accounts of one limit and scope, together: subjects and names are no labels.
#[derive(Default)]
struct Sum {
    granted: u64,
    denied: u64,
    shadowed: u64,
    utilisation: f64,
}

/// Writes the families of admission.
pub(super) fn write(engine: &Engine, out: &mut Exposition) {
    limits(engine, out);
    let mut depth =
        out.family("queue_depth", Type::Gauge, "Calls that stand in line, by the priority they came with.");
    for (priority, waiting) in engine.live().lines.depth().into_iter().enumerate() {
        depth.sample(&[("priority", &priority.to_string())], waiting as u64);
    }
    let aside = "Calls that wait aside, for limits of their own.";
    out.single("queue_aside", Type::Gauge, aside, engine.live().lines.aside() as u64);
}

fn limits(engine: &Engine, out: &mut Exposition) {
    let mut sums = BTreeMap::<(String, &'static str), Sum>::new();
    for standing in engine.limits() {
        let limit = &standing.limit;
        let sum = sums.entry((name(limit.measure, &limit.window), limit.scope.name())).or_default();
        sum.granted += standing.granted;
        if limit.shadow {
            sum.shadowed += standing.denied;
        } else {
            sum.denied += standing.denied;
        }
        sum.utilisation = sum.utilisation.max(standing.used as f64 / limit.most.max(1) as f64);
    }
    let help = "Reservations under our limits; `shadow`: would have been denied, were it no dry run.";
    let mut decisions = out.family("limit_decisions_total", Type::Counter, help);
    for ((limit, scope), sum) in &sums {
        for (decision, count) in [("admitted", sum.granted), ("denied", sum.denied), ("shadow", sum.shadowed)]
        {
            decisions.sample(&[("limit", limit), ("scope", scope), ("decision", decision)], count);
        }
    }
    let help = "How much of a limit is in use, 1 is all; of the one who uses most.";
    let mut utilisation = out.family("limit_utilisation", Type::Gauge, help);
    for ((limit, scope), sum) in &sums {
        utilisation.sample(&[("limit", limit), ("scope", scope)], sum.utilisation);
    }
}

/// A limit in labels: `requests/60s`, `cost/day`, `concurrency`.
fn name(measure: Measure, window: &Window) -> String {
    let measure = measure.name();
    match window {
        Window::Concurrency => measure.to_owned(),
        Window::Sliding { length: per } | Window::Log { length: per } | Window::Bucket { per, .. } => {
            format!("{measure}/{per:?}")
        }
        Window::Calendar { every, .. } => format!("{measure}/{}", every.name()),
    }
}
