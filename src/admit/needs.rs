//! What an attempt is expected to use, in the terms of limits.

use crate::chat::usage::Usage;
use crate::live::learned;
use crate::provider::price::Nano;
use crate::store::Measure;

/// What an attempt is expected to use.
#[derive(Clone, Copy, Debug, Default)]
pub struct Needs {
    /// Tokens.
    pub usage: Usage,
    /// What they cost at the deployment; `None` is unknown.
    pub cost: Option<Nano>,
}

impl Needs {
    /// The same as providers count it.
    pub fn learned(&self, images: u64) -> learned::Needs {
        learned::Needs { requests: 1, input: self.usage.input, output: self.usage.output, images }
    }

    /// How much of `measure` that is.
    pub fn of(&self, measure: Measure) -> u64 {
        match measure {
            Measure::Requests | Measure::Concurrency => 1,
            Measure::Tokens => self.usage.input.saturating_add(self.usage.output),
            Measure::InputTokens => self.usage.input,
            Measure::OutputTokens => self.usage.output,
            Measure::Cost => self.cost.map_or(0, |Nano(nanos)| nanos),
        }
    }
}
