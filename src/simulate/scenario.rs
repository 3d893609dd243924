//! How fast the upstreams of a simulation are, and when they are ill.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::config::{Moment, optional_seconds, seconds};
use crate::error::{Error, Kind};
use crate::route::glob;

/// A Monday.
const START: Duration = Duration::from_secs(1_767_571_200);

/// How upstreams behave over the time of a simulation.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Scenario {
    /// The calendar time of the beginning, for budgets and rules. Default: 2026-01-05T00:00:00Z, a Monday.
    pub start: Option<Moment>,
    /// How fast they are, by the id, else `provider/model`, of a deployment; a name with `*` is for many, and the
    /// longest that fits holds. Default: as [`Upstream::default`].
    pub upstreams: BTreeMap<String, Upstream>,
    /// When they are ill.
    pub phases: Vec<Phase>,
}

/// How an upstream behaves while it is well.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Upstream {
    /// Half of the answers begin sooner, in seconds. Default: 0.6.
    #[serde(deserialize_with = "seconds")]
    pub first_token: Duration,
    /// For each token of the answer, in seconds. Default: 0.01.
    #[serde(deserialize_with = "seconds")]
    pub per_token: Duration,
    /// The deviation of the logarithm of both. Default: 0.35.
    pub spread: f64,
    /// This share of the answers takes much longer, 0 to 1. Default: none.
    pub tail_share: f64,
    /// They take so many times as long as a Pareto distribution of this shape says, at least 1 and at most 100 times:
    /// the smaller, the heavier. Default: 1.1.
    pub tail_shape: f64,
    /// Works on so many at once; others wait in line there. Default: on all.
    pub workers: Option<usize>,
    /// Refuses more than so many a minute with 429 and `Retry-After`; a tenth of them may come at once.
    pub requests_per_minute: Option<f64>,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            first_token: Duration::from_millis(600),
            per_token: Duration::from_millis(10),
            spread: 0.35,
            tail_share: 0.0,
            tail_shape: 1.1,
            workers: None,
            requests_per_minute: None,
        }
    }
}

/// A time of illness.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Phase {
    /// Whom it meets, by name (globs). Default: everybody in `regions`.
    pub deployments: Vec<String>,
    /// And only in these regions (globs). Default: anywhere.
    pub regions: Vec<String>,
    /// From when, in seconds from the beginning. Default: 0.
    #[serde(deserialize_with = "seconds")]
    pub from: Duration,
    /// Until when. Default: for ever.
    #[serde(deserialize_with = "optional_seconds")]
    pub to: Option<Duration>,
    /// What becomes of requests. Default: they are answered.
    pub fault: Option<Fault>,
    /// Of which share of them, 0 to 1. Default: all.
    pub share: f64,
    /// Does the share grow from nothing over the phase? Default: no.
    pub grows: bool,
    /// The others take so many times as long. Default: 1.
    pub slower: f64,
    /// In seconds, on refusals.
    #[serde(deserialize_with = "optional_seconds")]
    pub retry_after: Option<Duration>,
    /// Ill and well in turn, each for so many seconds. Default: ill throughout.
    pub flaps: Option<[f64; 2]>,
}

impl Default for Phase {
    fn default() -> Self {
        Self {
            deployments: Vec::new(),
            regions: Vec::new(),
            from: Duration::ZERO,
            to: None,
            fault: None,
            share: 1.0,
            grows: false,
            slower: 1.0,
            retry_after: None,
            flaps: None,
        }
    }
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// No connection.
    Refuse,
    /// 500.
    Error,
    /// 503.
    Unavailable,
    /// 529.
    Overloaded,
    /// 429.
    Throttled,
    /// Nothing, for ever: a black hole.
    Hang,
    /// 200 with what is no answer.
    Garbage,
    /// The connection breaks before the answer begins.
    Reset,
    /// It breaks after the head and, of a stream, the first event, which has no content yet.
    CutPreamble,
    /// It breaks in the middle of the answer.
    CutContent,
    /// It ends in order, but for what says that the answer is complete.
    CutFinish,
    /// Silence from the middle of the answer on.
    Stall,
}

impl Scenario {
    /// Reads TOML.
    ///
    /// # Errors
    ///
    /// [`Kind::Config`] with what is wrong.
    pub fn read(text: &str) -> Result<Self, Error> {
        let wrong = |what: String| Error::new(Kind::Config, format!("the scenario: {what}"));
        let scenario: Self = toml::from_str(text).map_err(|fault| wrong(fault.to_string()))?;
        match scenario.fault() {
            None => Ok(scenario),
            Some(fault) => Err(wrong(fault)),
        }
    }

    fn fault(&self) -> Option<String> {
        let upstreams = self.upstreams.iter();
        let mut faults =
            upstreams.filter_map(|(name, one)| Some(format!("`upstreams.{name}`: {}", one.fault()?)));
        let phases = self.phases.iter().enumerate();
        let ill = phases.filter_map(|(place, one)| Some(format!("`phases[{place}]`: {}", one.fault()?)));
        faults.next().or_else(|| ill.into_iter().next())
    }

    /// The calendar time of the beginning, since the Unix epoch.
    pub fn starts_at(&self) -> Duration {
        self.start.map_or(START, |Moment(start)| start)
    }

    /// How the deployment of this name behaves while it is well.
    pub(super) fn upstream(&self, name: &str) -> Upstream {
        let fitting = self.upstreams.iter().filter(|(pattern, _)| glob::fits(pattern, name));
        let longest = fitting.max_by_key(|(pattern, _)| (pattern.as_str() == name, pattern.len()));
        longest.map(|(_, upstream)| upstream.clone()).unwrap_or_default()
    }
}

impl Upstream {
    fn fault(&self) -> Option<&'static str> {
        if !(0.0..=5.0).contains(&self.spread) {
            return Some("`spread`: expected 0 to 5");
        }
        if !(0.0..=1.0).contains(&self.tail_share) || !(0.1..=100.0).contains(&self.tail_shape) {
            return Some("`tail_share`: expected 0 to 1, `tail_shape`: 0.1 to 100");
        }
        if self.workers == Some(0)
            || self.requests_per_minute.is_some_and(|most| most.is_nan() || most <= 0.0)
        {
            return Some("`workers` and `requests_per_minute`: expected more than 0");
        }
        None
    }
}

impl Phase {
    fn fault(&self) -> Option<&'static str> {
        if self.to.is_some_and(|to| to <= self.from) {
            return Some("`to`: expected a time after `from`");
        }
        if !(0.0..=1.0).contains(&self.share) {
            return Some("`share`: expected 0 to 1");
        }
        if !(0.01..=10_000.0).contains(&self.slower) {
            return Some("`slower`: expected 0.01 to 10,000");
        }
        let odd = |flaps: [f64; 2]| flaps.iter().any(|side| !(0.001..=1e9).contains(side));
        self.flaps.is_some_and(odd).then_some("`flaps`: expected two times in seconds")
    }

    /// Does it meet a deployment with this name, in this region?
    pub(super) fn meets(&self, name: &str, region: Option<&str>) -> bool {
        let named = self.deployments.is_empty() || glob::any(&self.deployments, name);
        named && (self.regions.is_empty() || region.is_some_and(|region| glob::any(&self.regions, region)))
    }

    /// Is `at` within it, well or ill?
    pub(super) fn holds(&self, at: Duration) -> bool {
        at >= self.from && self.to.is_none_or(|to| at < to)
    }

    /// The share of requests that are ill at `at`; `None` while it is well.
    pub(super) fn share_at(&self, at: Duration) -> Option<f64> {
        if !self.holds(at) {
            return None;
        }
        let within = at.saturating_sub(self.from).as_secs_f64();
        if let Some([ill, well]) = self.flaps
            && within.rem_euclid(ill + well) >= ill
        {
            return None;
        }
        let grown = match self.to {
            Some(to) if self.grows => within / (to.saturating_sub(self.from)).as_secs_f64(),
            _ => 1.0,
        };
        Some(self.share * grown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_told_with_their_place() {
        for (text, told) in [
            ("[[phases]]\nfrom = 5\nto = 5", "phases[0]"),
            ("[[phases]]\nshare = 2", "`share`"),
            ("[[phases]]\nfault = \"sulks\"", "sulks"),
            ("[upstreams.a]\nspread = -1", "upstreams.a"),
            ("[upstreams.a]\nworkers = 0", "workers"),
            ("seed = 1", "seed"),
        ] {
            let error = Scenario::read(text).unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
        }
    }

    #[test]
    fn the_longest_name_that_fits_holds() {
        let text =
            "[upstreams.\"*\"]\nspread = 1\n[upstreams.\"a/*\"]\nspread = 2\n[upstreams.\"a/b\"]\nspread = 3";
        let scenario = Scenario::read(text).unwrap();
        let spread = |name| scenario.upstream(name).spread;
        assert!((spread("x") - 1.0).abs() < 1e-9 && (spread("a/c") - 2.0).abs() < 1e-9);
        assert!((spread("a/b") - 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_flapping_phase_is_ill_and_well_in_turn_and_a_growing_one_begins_with_nothing() {
        let text =
            "[[phases]]\nfrom = 10\nto = 20\nflaps = [1, 2]\n[[phases]]\nfrom = 10\nto = 20\ngrows = true";
        let scenario = Scenario::read(text).unwrap();
        let at = |phase: usize, second: f64| scenario.phases[phase].share_at(Duration::from_secs_f64(second));
        assert_eq!(
            [9.9, 10.5, 11.5, 13.5, 20.0].map(|second| at(0, second).is_some()),
            [false, true, false, true, false]
        );
        assert_eq!(at(1, 10.0), Some(0.0));
        assert_eq!(at(1, 15.0), Some(0.5));
    }
}
