//! The calls of a simulation: one JSON object a line, or a Poisson process.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::upstream;
use crate::call::{Call, CallOptions, Operation};
use crate::clock::Rng;
use crate::error::{Error, Kind};

/// A year: what comes later is a mistake in the unit.
const LATEST: f64 = 366.0 * 86_400.0;
/// No prompt and no answer is larger, in tokens.
const LARGEST: u64 = 10_000_000;
/// Tells a simulated upstream which call a request belongs to.
pub(super) const NUMBER: &str = "x-simulated-call";
/// Four bytes, which is what a token of English has.
const FILLER: &[u8] = b"keel";

/// One call.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Arrival {
    /// When it comes, in seconds from the beginning.
    pub at: f64,
    /// As the caller names it; none leaves it to rules and defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Tokens of the prompt, where `text` does not say it. Default: 0, which is a prompt of one word.
    pub input: u64,
    /// Tokens of the answer.
    pub output: u64,
    /// Is a stream asked for?
    #[serde(skip_serializing_if = "is_false")]
    pub stream: bool,
    /// The prompt itself, where rules read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The bound that the caller sets on the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Who calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Who calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Who calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The conversation it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// 0 to 9.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// A named preset of timeouts and retries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The end of everything, in seconds from its arrival.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<f64>,
    /// For rules.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Calls in the order in which they come.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// By time.
    pub arrivals: Vec<Arrival>,
}

impl Trace {
    /// Reads one JSON object a line; empty lines are nothing.
    ///
    /// # Errors
    ///
    /// [`Kind::Config`] naming the line.
    pub fn read(text: &str) -> Result<Self, Error> {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let read = lines.map(|(number, line)| {
            let wrong =
                |what: String| Error::new(Kind::Config, format!("line {} of the trace: {what}", number + 1));
            let arrival: Arrival = serde_json::from_str(line).map_err(|fault| wrong(fault.to_string()))?;
            arrival.fault().map_or(Ok(arrival), |fault| Err(wrong(fault)))
        });
        Ok(Self::new(read.collect::<Result<_, _>>()?))
    }

    /// Puts them in order; those that come together stay as they were.
    pub fn new(mut arrivals: Vec<Arrival>) -> Self {
        arrivals.sort_by(|one, other| one.at.total_cmp(&other.at));
        Self { arrivals }
    }

    /// As [`Trace::read`] reads it.
    ///
    /// # Errors
    ///
    /// [`Kind::Internal`], which cannot happen: every field has a form in JSON.
    pub fn written(&self) -> Result<String, Error> {
        let mut text = String::new();
        for arrival in &self.arrivals {
            let line = serde_json::to_string(arrival);
            text.push_str(&line.map_err(|fault| Error::new(Kind::Internal, fault.to_string()))?);
            text.push('\n');
        }
        Ok(text)
    }
}

impl Arrival {
    fn fault(&self) -> Option<String> {
        if !(0.0..=LATEST).contains(&self.at) {
            return Some(format!("`at`: expected seconds from the beginning, 0 or more: {}", self.at));
        }
        if self.deadline.is_some_and(|deadline| !(0.0..=LATEST).contains(&deadline)) {
            return Some("`deadline`: expected seconds, 0 or more".to_owned());
        }
        if self.input > LARGEST || self.output > LARGEST {
            return Some(format!("`input` and `output` are at most {LARGEST} tokens"));
        }
        self.priority.is_some_and(|level| level > 9).then(|| "`priority`: expected 0 to 9".to_owned())
    }

    /// When it comes.
    pub(super) fn after(&self) -> Duration {
        Duration::try_from_secs_f64(self.at).unwrap_or_default()
    }

    /// The call itself; upstreams find its size by `number`.
    pub(super) fn call(&self, number: usize) -> Call {
        let mut body = serde_json::Map::new();
        if let Some(model) = &self.model {
            body.insert("model".to_owned(), model.as_str().into());
        }
        let words = usize::try_from(self.input.max(1)).unwrap_or(usize::MAX);
        let filler = || String::from_utf8_lossy(&FILLER.repeat(words)).into_owned();
        let text = self.text.clone().unwrap_or_else(filler);
        body.insert("messages".to_owned(), serde_json::json!([{ "role": "user", "content": text }]));
        if let Some(most) = self.max_tokens {
            body.insert("max_tokens".to_owned(), most.into());
        }
        if self.stream {
            body.insert("stream".to_owned(), true.into());
        }
        let options = CallOptions {
            headers: vec![(NUMBER.to_owned(), Some(number.to_string()))],
            user: self.user.clone(),
            tenant: self.tenant.clone(),
            key: self.key.clone(),
            session: self.session.clone(),
            priority: self.priority,
            profile: self.profile.clone(),
            deadline: self.deadline.and_then(|deadline| Duration::try_from_secs_f64(deadline).ok()),
            metadata: self.metadata.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            ..CallOptions::default()
        };
        let body = Bytes::from(serde_json::Value::Object(body).to_string());
        Call { operation: Operation::Chat, body, options }
    }
}

/// Calls that know nothing of each other: the time between two is exponential.
#[derive(Clone, Debug)]
pub struct Poisson {
    /// Calls a second.
    pub rate: f64,
    /// How long, in seconds.
    pub seconds: f64,
    /// As callers name it; none leaves it to rules and defaults.
    pub model: Option<String>,
    /// The share that asks for a stream, 0 to 1.
    pub streams: f64,
    /// Half of the prompts are shorter, in tokens; log-normal with a deviation of 1.
    pub input: f64,
    /// The same of answers, with a deviation of 0.4.
    pub output: f64,
}

impl Default for Poisson {
    fn default() -> Self {
        Self { rate: 10.0, seconds: 600.0, model: None, streams: 0.5, input: 400.0, output: 250.0 }
    }
}

impl Poisson {
    /// The calls that `seed` gives. Without a rate or a time there are none.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to what a call may have"
    )]
    pub fn trace(&self, seed: u64) -> Trace {
        let rng = Rng::seeded(seed);
        let mut arrivals = Vec::new();
        let mut at = 0.0;
        if !(self.rate > 0.0 && self.seconds <= LATEST) {
            return Trace::default();
        }
        loop {
            at += -(1.0 - rng.unit()).ln() / self.rate;
            if at >= self.seconds {
                return Trace { arrivals };
            }
            let tokens = |middle: f64, spread: f64| {
                let luck = [rng.unit(), rng.unit()];
                (middle * upstream::log_normal(luck, spread)).clamp(1.0, middle * 20.0) as u64
            };
            let (input, output) = (tokens(self.input, 1.0), tokens(self.output, 0.4));
            let stream = rng.unit() < self.streams;
            // Microseconds are exact enough, and short to write.
            let at = (at * 1e6).round() / 1e6;
            arrivals.push(Arrival {
                at,
                model: self.model.clone(),
                input,
                output,
                stream,
                ..Arrival::default()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_reads_what_it_writes() {
        let trace = Poisson { rate: 5.0, seconds: 60.0, ..Poisson::default() }.trace(7);
        assert!((240..360).contains(&trace.arrivals.len()), "{}", trace.arrivals.len());
        assert_eq!(Trace::read(&trace.written().unwrap()).unwrap(), trace);
        assert_ne!(trace, Poisson { rate: 5.0, seconds: 60.0, ..Poisson::default() }.trace(8));
    }

    #[test]
    fn calls_are_sorted_by_time_and_faults_tell_their_line() {
        let trace = Trace::read("{\"at\": 2, \"output\": 5}\n\n{\"at\": 1.5, \"user\": \"u\"}\n").unwrap();
        assert_eq!(trace.arrivals.iter().map(|one| one.at).collect::<Vec<_>>(), [1.5, 2.0]);
        for (text, told) in [
            ("{\"at\": 1}\n{\"at\": -1}", "line 2"),
            ("{\"at\": 1, \"modle\": \"m\"}", "modle"),
            ("{\"at\": 1, \"priority\": 12}", "priority"),
            ("nothing", "line 1"),
        ] {
            let error = Trace::read(text).unwrap_err();
            assert!(error.to_string().contains(told), "{error}");
        }
    }

    #[test]
    fn a_call_carries_its_size_and_who_calls() {
        let arrival = Arrival { input: 100, stream: true, user: Some("u".to_owned()), ..Arrival::default() };
        let call = arrival.call(3);
        let facts = call.facts(crate::chat::facts::Wants::NOTHING).unwrap();
        assert!(facts.stream && facts.model.is_empty());
        assert!((400..440).contains(&call.body.len()) || call.body.len() < 500);
        assert_eq!(call.options.user.as_deref(), Some("u"));
    }
}
