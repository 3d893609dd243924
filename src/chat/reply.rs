//! Is this body of an HTTP 200 an answer, and what does it say about itself?

use super::in_band;
use super::json::{self, FaultKind, Raw, ValueKind};
use super::said;
use super::usage::{self, Reading, Usage};
use super::warning::{Warning, Warnings};

/// The most bytes of a broken body that a message may quote.
const SNIPPET: usize = 200;

/// What a body must look like to be an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// An object with a non-empty array `choices` of objects.
    Chat,
    /// An object with a non-empty array `data`.
    Embeddings,
    /// An object with an array `data`, or an array.
    Models,
    /// Any JSON.
    Any,
}

/// What one scan of an answer yields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReplyFacts {
    /// The `id`, where it is not empty.
    pub id: Option<String>,
    /// The `model`, where it is not empty.
    pub model: Option<String>,
    /// The usage; `None` where it is absent or invalid.
    pub usage: Option<Usage>,
    /// The usage is there, but cannot be.
    pub usage_invalid: bool,
    /// Why the first choice ended, where it says so.
    pub finish: Option<String>,
    /// Bytes of text, reasoning and arguments over all choices, for an estimate.
    pub output_bytes: usize,
    /// Oddities that do not spoil the answer.
    pub warnings: Warnings,
}

/// Why a body is not an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyFault {
    /// Not JSON, or not of the shape; the sentence says which. It quotes nothing: see [`snippet`].
    Malformed(String),
    /// Nested deeper than [`json::MAX_DEPTH`].
    TooDeep,
    /// An error instead of an answer: its JSON text, for classification.
    InBand(String),
}

/// Checks the body of an HTTP 200.
pub fn scan(shape: Shape, body: &[u8]) -> Result<ReplyFacts, ReplyFault> {
    let root = json::document(body).map_err(|fault| match fault.kind {
        FaultKind::Depth => ReplyFault::TooDeep,
        _ => ReplyFault::Malformed(fault.to_string()),
    })?;
    let members = Members::read(root);
    if shape == Shape::Any {
        return members.facts();
    }
    if let Some(error) = members.error {
        return Err(ReplyFault::InBand(in_band::text(root, Some(error))));
    }
    if let Err(sentence) = members.check(shape, root) {
        return Err(if in_band::is_flat_error(root) {
            ReplyFault::InBand(in_band::text(root, None))
        } else {
            ReplyFault::Malformed(sentence.to_owned())
        });
    }
    members.facts()
}

/// The beginning of a broken body, at most 200 bytes, for a message. It may hold secrets: scrub it.
pub fn snippet(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..SNIPPET).unwrap_or(body));
    text.trim().replace(char::is_control, " ")
}

/// The members of an answer that matter, of duplicates the last.
#[derive(Default)]
struct Members<'a> {
    id: Option<Raw<'a>>,
    model: Option<Raw<'a>>,
    usage: Option<Raw<'a>>,
    choices: Option<Raw<'a>>,
    data: Option<Raw<'a>>,
    error: Option<Raw<'a>>,
}

impl<'a> Members<'a> {
    fn read(root: Raw<'a>) -> Self {
        let mut members = Self::default();
        for (name, value) in root.fields() {
            match name.decode().as_ref() {
                "id" => members.id = Some(value),
                "model" => members.model = Some(value),
                "usage" => members.usage = Some(value),
                "choices" => members.choices = Some(value),
                "data" => members.data = Some(value),
                "error" => members.error = Some(value).filter(|error| in_band::is_error(*error)),
                _ => {}
            }
        }
        members
    }

    fn check(&self, shape: Shape, root: Raw<'_>) -> Result<(), &'static str> {
        match shape {
            Shape::Any => Ok(()),
            Shape::Chat => check_items(self.choices, 1).map_err(|()| "the reply has no usable `choices`"),
            Shape::Embeddings => check_items(self.data, 1).map_err(|()| "the reply has no usable `data`"),
            Shape::Models => check_items(self.data, 0)
                .or_else(|()| check_items(Some(root), 0))
                .map_err(|()| "the reply has no usable `data`"),
        }
    }

    fn facts(&self) -> Result<ReplyFacts, ReplyFault> {
        let mut facts = ReplyFacts { id: text(self.id), model: text(self.model), ..ReplyFacts::default() };
        match self.usage.map_or(Reading::Absent, usage::read) {
            Reading::Absent => {}
            Reading::Valid(usage) => facts.usage = Some(usage),
            Reading::Invalid => {
                facts.usage_invalid = true;
                facts.warnings.add(Warning::UsageInvalid);
            }
        }
        for choice in self.choices.into_iter().flat_map(Raw::items) {
            facts.choice(choice)?;
        }
        Ok(facts)
    }
}

impl ReplyFacts {
    fn choice(&mut self, choice: Raw<'_>) -> Result<(), ReplyFault> {
        let mut finish = None;
        let mut error = None;
        for (name, value) in choice.fields() {
            match name.decode().as_ref() {
                "finish_reason" => finish = Some(value),
                "error" => error = Some(value).filter(|error| in_band::is_error(*error)),
                "message" => self.output_bytes += said::read(value).bytes,
                "text" => self.output_bytes += value.string().map_or(0, json::Str::decoded_len),
                _ => {}
            }
        }
        let finish = text(finish);
        match error {
            Some(error) => return Err(ReplyFault::InBand(in_band::alone(error))),
            None if finish.as_deref() == Some("error") => {
                return Err(ReplyFault::InBand(in_band::unexplained()));
            }
            None => {}
        }
        self.finish = self.finish.take().or(finish);
        Ok(())
    }
}

/// An array of at least `least` items, all of them objects.
fn check_items(array: Option<Raw<'_>>, least: usize) -> Result<(), ()> {
    let array = array.filter(|array| array.kind() == ValueKind::Array).ok_or(())?;
    let mut count = 0;
    for item in array.items() {
        count += 1;
        if item.kind() != ValueKind::Object {
            return Err(());
        }
    }
    if count < least { Err(()) } else { Ok(()) }
}

fn text(value: Option<Raw<'_>>) -> Option<String> {
    let text = value?.string()?;
    (!text.is_empty()).then(|| text.decode().into_owned())
}
