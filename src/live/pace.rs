//! How fast a deployment answers: pure arithmetic over samples in seconds, time as an argument.

/// Seconds in which a peak falls to 1/e (linkerd's and Finagle's default).
pub const DECAY: f64 = 10.0;
/// Replies that `lately` looks back on, about.
const LATELY: f64 = 8.0;
/// Replies that `usual` looks back on, about.
const USUAL: f64 = 256.0;
/// A single reply counts as at most so many times the usual one in `lately`, so that none alone moves it far.
const CLIPPED: f64 = 8.0;
/// Tokens that stand for the time before the first one when whole replies are compared.
const BEFORE_FIRST: f64 = 50.0;
/// The length, in tokens, to which whole replies are brought.
const LENGTH: f64 = 256.0;

/// How fast replies of one kind came.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace {
    /// The peak: a slower reply replaces it at once, faster ones pull it down with time.
    pub peak: f64,
    /// The mean of the last few.
    pub lately: f64,
    /// The mean of many, each clipped to twice the mean: a slow hour does not become usual before it is noticed.
    pub usual: f64,
    /// How many were measured.
    pub count: f64,
    /// When the last one came, in seconds.
    pub at: f64,
}

impl Pace {
    /// With one more reply. The peak is the peak-EWMA of Finagle and linkerd.
    #[must_use]
    pub fn with(self, seconds: f64, now: f64) -> Self {
        if self.count < 1.0 {
            return Self { peak: seconds, lately: seconds, usual: seconds, count: 1.0, at: now };
        }
        let kept = kept(now - self.at, DECAY);
        let count = self.count + 1.0;
        let towards = |mean: f64, sample: f64, over: f64| mean + (sample - mean) / count.min(over);
        Self {
            peak: if seconds > self.peak { seconds } else { self.peak * kept + seconds * (1.0 - kept) },
            lately: towards(self.lately, seconds.min(self.usual * CLIPPED), LATELY),
            usual: towards(self.usual, seconds.min(self.usual * 2.0), USUAL),
            count,
            at: now.max(self.at),
        }
    }

    /// As if the last few had been usual.
    #[must_use]
    pub fn forgiven(self) -> Self {
        Self { lately: self.usual, ..self }
    }

    /// The peak at `now`: it fades while nothing is measured, so that a deployment that was slow is asked again.
    pub fn fading(self, now: f64) -> f64 {
        self.peak * kept(now - self.at, DECAY)
    }

    /// How many times as long as usual replies take lately; `None` before `least` were measured.
    pub fn slowdown(self, least: f64) -> Option<f64> {
        (self.count >= least && self.usual > 0.0).then(|| self.lately / self.usual)
    }
}

impl From<[f64; 5]> for Pace {
    fn from([peak, lately, usual, count, at]: [f64; 5]) -> Self {
        Self { peak, lately, usual, count, at }
    }
}

impl From<Pace> for [f64; 5] {
    fn from(pace: Pace) -> Self {
        [pace.peak, pace.lately, pace.usual, pace.count, pace.at]
    }
}

/// Prompt tokens that take as long to read as one token of the answer takes to write, about.
const READING: f64 = 50.0;

/// How many times as long a reply with so many tokens of prompt and answer takes as the one of usual size.
pub fn size(input: f64, output: f64) -> f64 {
    (BEFORE_FIRST + output + input / READING) / (BEFORE_FIRST + LENGTH)
}

/// The duration of a whole reply of `tokens` brought to one length: hosts send the head of a whole reply when all
/// of it is written, so without this whoever was asked for short answers would look fast.
pub fn brought_to_length(seconds: f64, tokens: f64) -> f64 {
    seconds * (BEFORE_FIRST + LENGTH) / (BEFORE_FIRST + tokens)
}

/// What is left after `seconds` of what falls to 1/e in `decay` seconds.
pub(super) fn kept(seconds: f64, decay: f64) -> f64 {
    (-seconds.max(0.0) / decay).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_taken_at_once_and_forgotten_with_time() {
        let pace = Pace::default().with(0.4, 0.0).with(4.0, 1.0);
        assert!((pace.peak - 4.0).abs() < 1e-9);
        let after = pace.with(0.4, 11.0);
        assert!((after.peak - (4.0 / 1_f64.exp() + 0.4 * (1.0 - 1.0 / 1_f64.exp()))).abs() < 1e-9);
        assert!(pace.fading(61.0) < 0.02, "asked again after a minute of silence");
    }

    #[test]
    fn one_very_slow_reply_is_no_slowdown_but_several_are() {
        let mut pace = (0..50).fold(Pace::default(), |pace, now| pace.with(0.5, f64::from(now)));
        pace = pace.with(60.0, 51.0);
        assert!(pace.slowdown(20.0).unwrap() < 2.0);
        for now in 52..60 {
            pace = pace.with(5.0, f64::from(now));
        }
        assert!(pace.slowdown(20.0).unwrap() > 4.0);
        assert_eq!(Pace::default().with(1.0, 0.0).slowdown(20.0), None);
    }

    #[test]
    fn long_and_short_replies_of_one_host_compare() {
        let seconds = |tokens: f64| 0.5 + tokens / 100.0;
        let short = brought_to_length(seconds(10.0), 10.0);
        let long = brought_to_length(seconds(2000.0), 2000.0);
        assert!((short - long).abs() < 1e-9, "{short} {long}");
    }
}
