//! Why a deployment stands where it stands, with the numbers that put it there.

use std::fmt;

use crate::live::Offence;
use crate::provider::price::Nano;

/// Why a deployment stands where it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing {
    /// As written.
    AsWritten,
    /// By lot.
    Drawn {
        /// Its weight.
        weight: f64,
        /// The weights of all that took part.
        of: f64,
    },
    /// By its speed and its load.
    Paced {
        /// Seconds to first content (whole replies: of a reply of common length), failures counted in.
        seconds: f64,
        /// Attempts that are running.
        in_flight: f64,
        /// Was the speed measured, or is it that of its peers?
        known: bool,
    },
    /// By what the call is expected to cost.
    Priced(Nano),
    /// Behind those whose price is known.
    Unpriced,
    /// By its load.
    Loaded {
        /// Attempts that are running.
        in_flight: f64,
        /// Its weight.
        weight: f64,
    },
    /// By success, speed and price together.
    Scored {
        /// 1 is the best in all three.
        score: f64,
        /// The share that answered lately.
        success: f64,
        /// Seconds to first content.
        seconds: f64,
    },
    /// To find out how it does now.
    Explored,
    /// The conversation's own: its prompt cache is warm.
    Kept,
    /// Its breaker has just closed and this call is not of its share: behind those in full service.
    SlowStart {
        /// The share of its usual traffic, 0 to 1.
        share: f64,
    },
    /// Full: behind those that have room.
    Saturated {
        /// Attempts that are running.
        in_flight: f64,
        /// Whose limit is reached.
        limit: Full,
    },
    /// Its weight is 0: only when nothing else is left.
    Spare,
    /// It does far worse than its peers: asked after them.
    SetAside(Offence),
    /// Nothing comes back from it, for longer than nearly all answers took: asked after its peers.
    Silent,
    /// It rests after failures or on the upstream's word: last in the order.
    Resting,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The configured `concurrency`.
    Configured,
    /// Learned: more were throttled, or it has just come back.
    Learned,
}

impl Standing {
    /// Is it asked only after the others?
    pub fn is_resting(self) -> bool {
        matches!(self, Self::Resting | Self::SetAside(_) | Self::Silent)
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsWritten => f.write_str("as written"),
            Self::Drawn { weight, of } => write!(f, "drawn with weight {weight} of {of}"),
            Self::Paced { seconds, in_flight, known: true } => {
                write!(f, "{seconds:.2} s to first token, {in_flight} in flight")
            }
            Self::Paced { seconds, in_flight, known: false } => {
                write!(f, "not measured yet, taken for {seconds:.2} s as its peers, {in_flight} in flight")
            }
            Self::Priced(price) => write!(f, "about {}", Dollars(price.as_usd())),
            Self::Unpriced => f.write_str("price not known"),
            Self::Loaded { in_flight, weight } => write!(f, "{in_flight} in flight for weight {weight}"),
            Self::Scored { score, success, seconds } => {
                write!(f, "score {score:.2}: success {success:.2}, {seconds:.2} s to first token, price")
            }
            Self::Explored => f.write_str("explored, to find out how it does now"),
            Self::Kept => f.write_str("the conversation's own"),
            Self::SlowStart { share } => {
                write!(
                    f,
                    "slow start: its breaker has just closed, it gets {:.0} % of its share",
                    share * 100.0
                )
            }
            Self::Saturated { in_flight, limit: Full::Configured } => {
                write!(f, "saturated: {in_flight} in flight")
            }
            Self::Saturated { in_flight, limit: Full::Learned } => {
                write!(f, "saturated: {in_flight} in flight, more were refused lately")
            }
            Self::Spare => f.write_str("weight 0: only when nothing else is left"),
            Self::SetAside(offence) => write!(f, "set aside: {offence}"),
            Self::Silent => {
                f.write_str("silent: requests wait longer than nearly all answers took, and nothing comes")
            }
            Self::Resting => f.write_str("resting: last in the order"),
        }
    }
}

/// Two digits that count.
struct Dollars(f64);

impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let digits = if self.0 > 0.0 { (1.0 - self.0.log10().floor()).clamp(2.0, 9.0) as usize } else { 2 };
        write!(f, "${:.digits$}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_says_its_numbers() {
        let offence = Offence::Success { failed: 4, asked: 5, peers: 0.9 };
        for (standing, said) in [
            (Standing::Drawn { weight: 9.0, of: 10.0 }, "drawn with weight 9 of 10"),
            (
                Standing::Paced { seconds: 0.412, in_flight: 3.0, known: true },
                "0.41 s to first token, 3 in flight",
            ),
            (Standing::Priced(Nano(1_234_567)), "about $0.0012"),
            (Standing::Priced(Nano(2_500_000_000)), "about $2.50"),
            (Standing::Saturated { in_flight: 64.0, limit: Full::Configured }, "saturated: 64 in flight"),
            (Standing::SetAside(offence), "set aside: 4 failures in 5 against peers' success of 0.90"),
            (
                Standing::SlowStart { share: 0.1 },
                "slow start: its breaker has just closed, it gets 10 % of its share",
            ),
            (Standing::Kept, "the conversation's own"),
        ] {
            assert_eq!(standing.to_string(), said);
        }
    }
}
