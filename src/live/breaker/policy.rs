//! When a breaker opens, for how long, and how it closes again.

use std::time::Duration;

/// Open times are spread by a fifth to either side, so that breakers that opened together do not probe together.
const SPREAD: f64 = 0.2;

/// When a breaker opens, for how long, and how it closes again.
///
/// The defaults are for the rates of language models: a hundred calls in a window, as breakers of web services
/// want them, are never reached there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// Hard failures without an answer between them that open it; 0 is never. Default: 5 (Envoy's
    /// `consecutive_5xx`, linkerd).
    pub in_a_row: u32,
    /// The share of the calls in the window, 0 to 1, whose failure opens it; throttling counts here. Above 1 is
    /// never. Default: 0.5 (linkerd, resilience4j).
    pub failed: f64,
    /// Calls in the window before shares are judged, of failures as of slow calls. Default: 10.
    pub least_calls: u32,
    /// Does slowness open it? Default: no; how long a reply takes depends on its length.
    pub slow: Option<Slow>,
    /// What shares are counted over, in ten slots of exact counts. A changed length counts afresh. Default: 30 s.
    pub window: Duration,
    /// The first open time; it doubles each time in a row. Default: 5 s (Polly, Finagle).
    pub open: Duration,
    /// The longest open time of its own. Default: 60 s.
    pub longest_open: Duration,
    /// The longest wait of an upstream that is believed; it lasts where it is more than the open time. Default:
    /// 600 s.
    pub longest_hint: Duration,
    /// Closed for this long, the next open time is the first again. Default: 60 s.
    pub forgiven_after: Duration,
    /// Probes that may be running half-open, and that must answer to close it; 0 is 1. Default: 1 (Polly).
    pub probes: u32,
    /// After closing, its share of the traffic grows from a tenth to all in this time. Default: 10 s.
    pub slow_start: Duration,
    /// What it may do. Default: guard.
    pub role: Role,
}

/// What counts as slow, and how much of it is too much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slow {
    /// Longer than this to the first token, or to the whole reply where that is no stream.
    pub after: Duration,
    /// The share of the calls in the window, 0 to 1, whose slowness opens it; above 1 is never. Default:
    /// [`Self::SHARE`].
    pub share: f64,
}

impl Slow {
    /// As many as of failures.
    pub const SHARE: f64 = Policy::DEFAULT.failed;
}

/// What a breaker may do to its deployment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Refuse it while open, and let probes through when half-open.
    #[default]
    Guard,
    /// The deployment has no other beside it: while it is not closed, one call a second goes out and the others
    /// are told to wait for less than that. To be available comes before to be polite.
    Lone,
    /// Count and never open.
    Observer,
}

impl Policy {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        in_a_row: 5,
        failed: 0.5,
        least_calls: 10,
        slow: None,
        window: Duration::from_secs(30),
        open: Duration::from_secs(5),
        longest_open: Duration::from_secs(60),
        longest_hint: Duration::from_secs(600),
        forgiven_after: Duration::from_secs(60),
        probes: 1,
        slow_start: Duration::from_secs(10),
        role: Role::Guard,
    };

    /// For gateways with much traffic, as production guides have it: 15 % of at least 20 calls (Hystrix'
    /// `requestVolumeThreshold`) open it for 30 s, growing to 5 min (Envoy's `max_ejection_time`).
    pub const SENSITIVE: Self = Self {
        failed: 0.15,
        least_calls: 20,
        open: Duration::from_secs(30),
        longest_open: Duration::from_secs(300),
        ..Self::DEFAULT
    };

    /// The same for a deployment that has no other beside it.
    #[must_use]
    pub fn for_lone(self) -> Self {
        let role = if self.role == Role::Guard { Role::Lone } else { self.role };
        Self { role, ..self }
    }

    /// How long it stays open the `times`-th time in a row: doubled each time, spread by a fifth to either side,
    /// never above `longest_open`. `chance` is uniform in `[0, 1)`.
    pub fn open_for(&self, times: u32, chance: f64) -> Duration {
        let doubled = self.open.saturating_mul(1 << times.saturating_sub(1).min(30));
        // The spread is kept at the bound too: there breakers are together most.
        let middle = doubled.as_secs_f64().min(self.longest_open.as_secs_f64() / (1.0 + SPREAD));
        let factor = 1.0 - SPREAD + 2.0 * SPREAD * chance.clamp(0.0, 1.0);
        Duration::try_from_secs_f64(middle * factor).unwrap_or(self.longest_open).min(self.longest_open)
    }

    /// The share of the traffic so long after closing; `None` when that is all of it.
    pub(super) fn slow_start_share(&self, closed_for: Duration) -> Option<f64> {
        let grown = closed_for.as_secs_f64() / self.slow_start.as_secs_f64();
        (closed_for < self.slow_start).then_some(super::LEAST_SHARE + (1.0 - super::LEAST_SHARE) * grown)
    }

    /// Are `count` of so many calls at least this share, and calls enough to tell?
    pub(super) fn reaches(&self, count: u32, calls: u32, share: f64) -> bool {
        count > 0 && calls >= self.least_calls && f64::from(count) / f64::from(calls) >= share
    }

    pub(super) fn most_probes(&self) -> u32 {
        self.probes.max(1)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::DEFAULT
    }
}
