//! What an attempt takes of a provider's limits.

use std::ops::{Add, Sub};

use crate::provider::limit_headers::LimitKind;

/// What an attempt takes, or has taken, by what providers count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Requests: 1 for an attempt.
    pub requests: u64,
    /// Tokens of the prompt, without those that the provider does not count (see [`Preset::counted_input`]).
    ///
    /// [`Preset::counted_input`]: crate::provider::presets::Preset::counted_input
    pub input: u64,
    /// Tokens of the answer.
    pub output: u64,
    /// Images of the prompt.
    pub images: u64,
}

impl Needs {
    /// What a limit of this kind counts of it; `None` where the unit is not known.
    pub fn of(self, kind: LimitKind) -> Option<u64> {
        match kind {
            LimitKind::Requests
            | LimitKind::RequestsPerMinute
            | LimitKind::RequestsPerDay
            | LimitKind::ProjectRequests => Some(self.requests),
            LimitKind::Tokens
            | LimitKind::TokensPerMinute
            | LimitKind::TokensPerDay
            | LimitKind::ProjectTokens => Some(self.input.saturating_add(self.output)),
            LimitKind::InputTokens => Some(self.input),
            LimitKind::OutputTokens => Some(self.output),
            LimitKind::InputImages => Some(self.images),
            LimitKind::UnifiedFiveHours | LimitKind::UnifiedSevenDays => None,
        }
    }
}

impl Add for Needs {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
            images: self.images.saturating_add(other.images),
        }
    }
}

impl Sub for Needs {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(other.requests),
            input: self.input.saturating_sub(other.input),
            output: self.output.saturating_sub(other.output),
            images: self.images.saturating_sub(other.images),
        }
    }
}
