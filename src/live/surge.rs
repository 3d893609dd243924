//! Failing far more often than before, found as soon as the evidence allows.
//!
//! A window of a minute tells it late where there is much traffic: twenty answers a second from before the trouble
//! outweigh the failures for long. A cumulative sum (Page: Continuous inspection schemes, Biometrika 1954) forgets what
//! was well: each failure adds, each answer takes away, and it never falls below nothing. What it adds and takes away
//! are the log-likelihoods of failing in 30 % against 5 % of the attempts. It is found after some 25 attempts of
//! which 30 % fail, after 5 in a row, and once in tens of thousands of attempts of which 5 % fail.

/// ln(0.30 / 0.05).
const FAILURE: f64 = 1.792;
/// ln(0.70 / 0.95).
const ANSWER: f64 = -0.305;
/// ln(3000): how much more likely it is than chance.
pub const FOUND: f64 = 8.0;

/// The sum, as of the last change.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Surge {
    /// The sum.
    pub sum: f64,
    /// When it last changed, in seconds.
    pub at: f64,
}

impl Surge {
    /// As it stands at `now`: old evidence fades as counts do.
    #[must_use]
    pub fn faded(self, now: f64, decay: f64) -> Self {
        Self { sum: self.sum * super::pace::kept(now - self.at, decay), at: now.max(self.at) }
    }

    /// With one more failure.
    #[must_use]
    pub fn failed(self) -> Self {
        // Beyond twice the evidence that is needed, more of it would only take longer to live down.
        Self { sum: (self.sum + FAILURE).min(2.0 * FOUND), ..self }
    }

    /// With one more answer.
    #[must_use]
    pub fn answered(self) -> Self {
        Self { sum: (self.sum + ANSWER).max(0.0), ..self }
    }
}

impl From<[f64; 2]> for Surge {
    fn from([sum, at]: [f64; 2]) -> Self {
        Self { sum, at }
    }
}

impl From<Surge> for [f64; 2] {
    fn from(surge: Surge) -> Self {
        [surge.sum, surge.at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Rng;

    /// Attempts until it is found, where this share fails.
    fn found_after(share: f64, rng: &Rng) -> usize {
        let mut surge = Surge::default();
        (1..1_000_000)
            .find(|_| {
                surge = if rng.unit() < share { surge.failed() } else { surge.answered() };
                surge.sum >= FOUND
            })
            .unwrap_or(1_000_000)
    }

    fn mean(share: f64, runs: usize) -> f64 {
        let rng = Rng::seeded(5);
        (0..runs).map(|_| found_after(share, &rng) as f64).sum::<f64>() / runs as f64
    }

    #[test]
    fn a_brown_out_is_found_within_some_dozens_of_attempts_and_a_few_failures_are_none() {
        assert!(mean(0.3, 500) < 40.0, "{}", mean(0.3, 500));
        assert_eq!(found_after(1.0, &Rng::seeded(1)), 5);
        assert!(mean(0.05, 30) > 10_000.0, "{}", mean(0.05, 30));
    }

    #[test]
    fn old_evidence_fades() {
        let surge = Surge::default().failed().failed();
        assert!(surge.faded(600.0, 60.0).sum < 0.01);
        assert!(Surge { sum: 16.0, at: 0.0 }.failed().sum <= 2.0 * FOUND);
    }
}
