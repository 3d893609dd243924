//! Is this body of an HTTP 200 an answer, and what does it say about itself?

use super::chunk::{Choice, Choices};
use super::in_band;
use super::json::{self, Fault, FaultKind, Raw, ValueKind, Walk};
use super::usage::{self, Reading, Service, Usage};
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
    /// Any JSON, or nothing: what deletes or starts something often says no more than its status.
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
    if shape == Shape::Any && body.trim_ascii().is_empty() {
        return Ok(ReplyFacts::default());
    }
    let members = Members::read(body).map_err(|fault| match fault.kind {
        FaultKind::Depth => ReplyFault::TooDeep,
        _ => ReplyFault::Malformed(fault.to_string()),
    })?;
    if shape == Shape::Any {
        return members.facts();
    }
    if members.error.is_some() {
        return Err(ReplyFault::InBand(in_band::text(root(body), members.error)));
    }
    if let Err(sentence) = members.check(shape, body) {
        return Err(if in_band::is_flat_error(root(body)) {
            ReplyFault::InBand(in_band::text(root(body), None))
        } else {
            ReplyFault::Malformed(sentence.to_owned())
        });
    }
    members.facts()
}

/// The whole of a document that has been checked.
fn root(body: &[u8]) -> Raw<'_> {
    json::document(body).unwrap_or(Raw::assume("null"))
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
    service: Option<Raw<'a>>,
    choices: Choices<'a>,
    data: Option<Raw<'a>>,
    error: Option<Raw<'a>>,
}

impl<'a> Members<'a> {
    /// Checks and reads `body` in one pass.
    fn read(body: &'a [u8]) -> Result<Self, Fault> {
        let mut walk = Walk::start(body)?;
        let mut members = Self::default();
        members.walk(&mut walk).map_err(|kind| walk.fault(kind))?;
        walk.end()?;
        Ok(members)
    }

    fn walk(&mut self, walk: &mut Walk<'a>) -> Result<(), FaultKind> {
        if !walk.enter(b'{')? {
            return walk.value().map(drop);
        }
        while let Some(name) = walk.next_key()? {
            match name.decode().as_ref() {
                "id" => self.id = Some(walk.value()?),
                "model" => self.model = Some(walk.value()?),
                "usage" => self.usage = Some(walk.value()?),
                "service_tier" => self.service = Some(walk.value()?),
                "choices" => self.choices = Choices::walk(walk)?,
                "data" => self.data = Some(walk.value()?),
                "error" => self.error = Some(walk.value()?).filter(|error| in_band::is_error(*error)),
                _ => drop(walk.value()?),
            }
        }
        Ok(())
    }

    fn check(&self, shape: Shape, body: &[u8]) -> Result<(), &'static str> {
        match (shape, &self.choices) {
            (Shape::Any, _) | (Shape::Chat, Choices::One(_)) => Ok(()),
            (Shape::Chat, Choices::Other(choices)) if are_objects(Some(*choices), 1) => Ok(()),
            (Shape::Chat, _) => Err("the reply has no usable `choices`"),
            (Shape::Embeddings, _) if are_objects(self.data, 1) => Ok(()),
            (Shape::Models, _) if are_objects(self.data, 0) || are_objects(Some(root(body)), 0) => Ok(()),
            (Shape::Embeddings | Shape::Models, _) => Err("the reply has no usable `data`"),
        }
    }

    fn facts(&self) -> Result<ReplyFacts, ReplyFault> {
        let mut facts = ReplyFacts { id: text(self.id), model: text(self.model), ..ReplyFacts::default() };
        match self.usage.map_or(Reading::Absent, usage::read) {
            Reading::Absent => {}
            Reading::Valid(usage) => facts.usage = Some(usage.served(Service::read(self.service))),
            Reading::Invalid => {
                facts.usage_invalid = true;
                facts.warnings.add(Warning::UsageInvalid);
            }
        }
        match &self.choices {
            Choices::Absent => {}
            Choices::One(choice) => facts.choice(choice)?,
            Choices::Other(choices) => {
                for choice in choices.items().filter_map(Choice::read) {
                    facts.choice(&choice)?;
                }
            }
        }
        Ok(facts)
    }
}

impl ReplyFacts {
    fn choice(&mut self, choice: &Choice<'_>) -> Result<(), ReplyFault> {
        self.output_bytes +=
            choice.said.bytes.max(choice.message.bytes) + choice.text.map_or(0, json::Str::decoded_len);
        if let Some(error) = choice.error {
            return Err(ReplyFault::InBand(in_band::alone(error)));
        }
        if choice.finish.is_some_and(|reason| reason.is("error")) {
            return Err(ReplyFault::InBand(in_band::unexplained()));
        }
        if self.finish.is_none() {
            self.finish = choice.finish.map(|reason| reason.decode().into_owned());
        }
        Ok(())
    }
}

/// An array of at least `least` items, all of them objects?
fn are_objects(array: Option<Raw<'_>>, least: usize) -> bool {
    array.filter(|array| array.kind() == ValueKind::Array).is_some_and(|array| {
        array.items().all(|item| item.kind() == ValueKind::Object)
            && (least == 0 || array.items().count() >= least)
    })
}

fn text(value: Option<Raw<'_>>) -> Option<String> {
    let text = value?.string()?;
    (!text.is_empty()).then(|| text.decode().into_owned())
}
