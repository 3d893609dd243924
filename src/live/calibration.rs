//! How many tokens a deployment really counts for a prompt, learned from what it says it used.
//!
//! An estimate from sizes errs in two ways: another tokenizer makes more or fewer tokens of the same text, and hosts
//! put text of their own before it (instructions, templates for tools). So each deployment has a line, counted tokens
//! over estimated ones, with a slope and a base, fitted to the last few answers; prompts with tools have one of their
//! own. While there are few answers, a moderate difference is taken for the tokenizer's. Its arithmetic is pure;
//! pictures, sounds and files stay with their table, and prompts that hold any teach nothing.

use super::published::Published;
use crate::chat::estimate::{Family, Prompt, whole};

/// Answers that the line looks back on, about.
const ANSWERS: f64 = 32.0;
/// As many answers hold the slope to what is likely.
const HELD: f64 = 4.0;
/// So much more than estimated is likely another tokenizer's doing; the rest stands before every prompt.
const TOKENIZERS: f64 = 1.35;
/// The least and the most that the slope may be.
const SLOPES: [f64; 2] = [0.25, 2.0];
/// A count this many times below the estimate, or above it and [`BASE`], is not believed further than that.
const FACTOR: f64 = 4.0;
/// Tokens that a host may plausibly put before a short prompt.
const BASE: f64 = 4096.0;

/// What a deployment counts.
#[derive(Debug, Default)]
pub struct Calibration {
    plain: Published<5>,
    with_tools: Published<5>,
}

impl Calibration {
    /// The tokens that it will count for `prompt`.
    pub fn tokens(&self, prompt: &Prompt, family: Family) -> u64 {
        if prompt.is_empty() {
            return 0;
        }
        let line = Line::from(self.line(prompt).read());
        whole(line.counted(prompt.text_tokens(family)) + prompt.media_tokens(family))
    }

    /// It counted so many.
    pub fn learn(&self, prompt: &Prompt, family: Family, counted: u64) {
        if counted == 0 || prompt.is_empty() || prompt.images > 0 || prompt.attachments > 0 {
            return;
        }
        let estimated = prompt.text_tokens(family);
        self.line(prompt).change(|line| Line::from(line).with(estimated, counted as f64).into());
    }

    fn line(&self, prompt: &Prompt) -> &Published<5> {
        if prompt.schema > 0 { &self.with_tools } else { &self.plain }
    }
}

/// Counted tokens over estimated ones: the means of both, the spread of the estimates, and how the two go together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Line {
    estimated: f64,
    counted: f64,
    spread: f64,
    together: f64,
    count: f64,
}

impl Line {
    /// With one more answer: exponentially weighted moments (West, 1979).
    fn with(self, estimated: f64, counted: f64) -> Self {
        let counted = counted.clamp(estimated / FACTOR, estimated * FACTOR + BASE);
        let count = self.count + 1.0;
        let weight = 1.0 / count.min(ANSWERS);
        let (off, counted_off) = (estimated - self.estimated, counted - self.counted);
        Self {
            estimated: self.estimated + weight * off,
            counted: self.counted + weight * counted_off,
            spread: (1.0 - weight) * (self.spread + weight * off * off),
            together: (1.0 - weight) * (self.together + weight * off * counted_off),
            count,
        }
    }

    /// What will be counted where so many are estimated.
    fn counted(self, estimated: f64) -> f64 {
        if self.count < 1.0 {
            return estimated;
        }
        let [least, most] = SLOPES;
        let ratio = self.counted / self.estimated.max(1.0);
        let likely = ratio.clamp(least, TOKENIZERS);
        // Held to what is likely, the less the more answers there were and the more their estimates differed.
        let hold = ((self.estimated / 4.0).powi(2) + 100.0) * HELD / self.count.min(ANSWERS);
        let slope = (self.together + likely * hold) / (self.spread + hold);
        // No host counts less than nothing before a prompt.
        let slope = slope.clamp(least, most).min(ratio.max(least));
        let line = self.counted + slope * (estimated - self.estimated);
        line.clamp(estimated / FACTOR, estimated * FACTOR + BASE)
    }
}

impl From<[f64; 5]> for Line {
    fn from([estimated, counted, spread, together, count]: [f64; 5]) -> Self {
        Self { estimated, counted, spread, together, count }
    }
}

impl From<Line> for [f64; 5] {
    fn from(line: Line) -> Self {
        [line.estimated, line.counted, line.spread, line.together, line.count]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chat::estimate::UNKNOWN;

    fn prompt(text: usize) -> Prompt {
        Prompt { text, messages: 1, ..Prompt::default() }
    }

    fn off(calibration: &Calibration, text: usize, truth: f64) -> f64 {
        (calibration.tokens(&prompt(text), UNKNOWN) as f64 - truth).abs() / truth
    }

    #[test]
    fn a_denser_tokenizer_and_a_hidden_base_are_both_learned() {
        let truth = |text: usize| (text * 10 / 29 + 340) as f64;
        let calibration = Calibration::default();
        assert!(off(&calibration, 8000, truth(8000)) > 0.2);
        for round in 0..64_usize {
            let text = 200 + round * 761 % 12_000;
            calibration.learn(&prompt(text), UNKNOWN, (text * 10 / 29 + 340) as u64);
        }
        for text in [300, 2000, 8000, 12_000] {
            assert!(off(&calibration, text, truth(text)) < 0.05, "{text}");
        }
        assert!(off(&calibration, 100_000, truth(100_000)) < 0.1, "far beyond what was seen");
    }

    #[test]
    fn prompts_with_tools_have_a_line_of_their_own() {
        let calibration = Calibration::default();
        let tools = Prompt { schema: 500, ..prompt(400) };
        let before = calibration.tokens(&prompt(400), UNKNOWN);
        for _ in 0..8 {
            calibration.learn(&tools, UNKNOWN, 800);
        }
        assert_eq!(calibration.tokens(&tools, UNKNOWN), 800);
        assert_eq!(calibration.tokens(&prompt(400), UNKNOWN), before);
    }

    #[test]
    fn what_is_no_text_teaches_nothing() {
        let calibration = Calibration::default();
        let picture = Prompt { images: 1, ..prompt(400) };
        calibration.learn(&picture, UNKNOWN, 90_000);
        calibration.learn(&prompt(400), UNKNOWN, 0);
        calibration.learn(&Prompt::default(), UNKNOWN, 7);
        assert_eq!(calibration.tokens(&prompt(400), UNKNOWN), prompt(400).tokens(UNKNOWN));
    }

    proptest! {
        #[test]
        fn no_history_of_counts_leads_beyond_the_bounds(
            history in prop::collection::vec((1_usize..1_000_000, 0_u64..100_000_000), 0..100),
            text in 1_usize..1_000_000,
        ) {
            let calibration = Calibration::default();
            for (text, counted) in history {
                calibration.learn(&prompt(text), UNKNOWN, counted);
            }
            let estimated = prompt(text).text_tokens(UNKNOWN);
            let tokens = calibration.tokens(&prompt(text), UNKNOWN) as f64;
            prop_assert!(tokens >= estimated / 4.0 && tokens <= estimated * 4.0 + 4097.0);
        }
    }
}
