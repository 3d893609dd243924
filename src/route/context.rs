//! What a rule may know about a call.

use std::time::Duration;

use crate::call::CallOptions;
use crate::chat::estimate;
use crate::chat::facts::Facts;

/// A call as its rules see it; borrows everything.
#[derive(Debug)]
pub struct Context<'a> {
    /// What the request says.
    pub facts: &'a Facts,
    /// Who calls, with which headers.
    pub options: &'a CallOptions,
    /// Estimated tokens of the input.
    pub tokens: u64,
    /// Tags of the model that was asked for, or of the default model. Default: none.
    pub capabilities: &'a [String],
    /// Below the base URL. Default: `/chat/completions`.
    pub path: &'a str,
    /// 0 to 23.
    pub hour: u8,
    /// 1 Monday to 7 Sunday.
    pub weekday: u8,
}

impl<'a> Context<'a> {
    /// A chat call at the Unix epoch, of a model without tags.
    pub fn new(facts: &'a Facts, options: &'a CallOptions) -> Self {
        Self {
            facts,
            options,
            tokens: estimate::tokens(facts.body_bytes),
            capabilities: &[],
            path: "/chat/completions",
            hour: 0,
            weekday: 4,
        }
    }

    /// At `since_epoch`, where clocks are `utc_offset` seconds ahead of UTC.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "remainders of 24 and 7")]
    pub fn at(mut self, since_epoch: Duration, utc_offset: i64) -> Self {
        let seconds = i64::try_from(since_epoch.as_secs()).unwrap_or(i64::MAX).saturating_add(utc_offset);
        self.hour = (seconds.div_euclid(3600)).rem_euclid(24) as u8;
        // The epoch was a Thursday.
        self.weekday = ((seconds.div_euclid(86_400)) + 3).rem_euclid(7) as u8 + 1;
        self
    }

    /// The text of the last user message.
    pub fn user_input(&self) -> &'a str {
        &self.facts.last_user_text
    }

    /// The model the caller names.
    pub fn model(&self) -> Option<&'a str> {
        Some(self.facts.model.as_str()).filter(|model| !model.is_empty())
    }

    /// Who the call is for: by its options, else by the request.
    pub fn user(&self) -> Option<&'a str> {
        self.options.user.as_deref().or(self.facts.user.as_deref())
    }

    /// The conversation: by the call's options, else by the request.
    pub fn session(&self) -> Option<&'a str> {
        let found = self.facts.session.as_ref().map(|session| session.value.as_str());
        self.options.session.as_deref().or(found)
    }

    /// What the caller noted under `key`: in the call's options, else in the request.
    pub fn metadata(&self, key: &str) -> Option<&'a str> {
        let options = self.options.metadata.iter().rev();
        let found = options.chain(self.facts.metadata.iter().rev()).find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str())
    }

    /// The header the call sends under `name`, in any case.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let found = self.options.headers.iter().rev().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        found.1.as_deref()
    }
}
