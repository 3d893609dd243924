//! How quickly the line moves: time per service, over the last minute or so of waiting.

use std::time::Duration;

/// What is older counts for less than 1/e.
const MEMORY: f64 = 60.0;
/// With fewer services remembered, nothing is predicted.
const EVIDENCE: f64 = 3.0;

/// How quickly the line moves. Time in which nobody waits does not count.
#[derive(Debug, Default)]
pub(super) struct Pace {
    seconds: f64,
    services: f64,
    /// When the line last moved, or began.
    moved: u64,
    /// Up to when what is remembered has faded.
    faded: u64,
}

impl Pace {
    /// Somebody came to an empty line.
    pub(super) fn begins(&mut self, now: u64) {
        self.moved = now;
    }

    /// Somebody was served.
    pub(super) fn served(&mut self, now: u64) {
        let fading = (-seconds(self.faded, now) / MEMORY).exp();
        self.seconds = self.seconds * fading + seconds(self.moved, now);
        self.services = self.services * fading + 1.0;
        (self.moved, self.faded) = (now, now);
    }

    /// When somebody was served last; 0 if nobody was.
    pub(super) fn last(&self) -> u64 {
        self.faded
    }

    /// The time per service, the present wait for one included. `None` where too little is known.
    pub(super) fn interval(&self, now: u64) -> Option<Duration> {
        let fading = (-seconds(self.faded, now) / MEMORY).exp();
        let services = self.services * fading;
        let seconds = self.seconds * fading + seconds(self.moved, now);
        (services >= EVIDENCE)
            .then(|| Duration::try_from_secs_f64(seconds / services).unwrap_or(Duration::MAX))
    }
}

fn seconds(since: u64, now: u64) -> f64 {
    Duration::from_nanos(now.saturating_sub(since)).as_secs_f64()
}
