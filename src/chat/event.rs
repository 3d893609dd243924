//! The events of one chat stream: which of them commit, whether the stream has ended properly, what it used.
//!
//! The state costs no allocation per event beyond the text it keeps, and is bounded: 1 MiB of text, 128 choices of
//! 128 tool calls.

use super::chunk::{Choice, Choices, Chunk};
use super::in_band;
use super::json::{self, Raw, Str, ValueKind};
use super::said::{self, Said};
use super::template::Template;
use super::usage::{self, Reading, Service, Usage};
use super::warning::{Warning, Warnings};

/// The most bytes of text that are kept for [`StreamState::partial_text`], escapes included.
const MAX_PARTIAL: usize = 1 << 20;

/// Choices of a stream and tool calls of a choice that can be told apart.
const MAX_INDEX: u64 = 127;

const DONE: &[u8] = b"[DONE]";

/// What an event means for the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing the caller has waited for yet; hold it.
    Preamble,
    /// The first content, reasoning, call or refusal: hand out what was held, then this.
    Commit,
    /// Anything after that; hand it out.
    Content,
    /// `[DONE]`.
    Done,
    /// Something after the end; ignore it.
    AfterEnd,
}

/// Why an event is not part of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventFault {
    /// Not JSON or not a chunk; the sentence says which.
    Malformed(String),
    /// An error: its JSON text, for classification.
    InBand(String),
}

/// What is known of one chat stream so far.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent observations, not states")]
pub struct StreamState {
    expected: u32,
    finish_optional: bool,
    committed: bool,
    done: bool,
    /// Choices seen, a bit for each index.
    seen: u128,
    /// Choices that have ended.
    ended: u128,
    /// Tool calls seen, a bit for each index, for each choice.
    tools: Vec<u128>,
    usage: Option<Usage>,
    service: Option<Service>,
    /// Did the last event bring usage and no choice?
    only_usage: bool,
    usage_invalid: bool,
    output_bytes: usize,
    /// The text of the first choice as it came, with its escapes.
    partial: String,
    partial_full: bool,
    id: Option<String>,
    model: Option<String>,
    finish: Option<String>,
    template: Template,
    warnings: Warnings,
}

impl StreamState {
    /// The state of a stream that was asked for `choices` choices. `finish_optional` is for upstreams that never
    /// send a finish: their `[DONE]` alone ends a stream properly.
    pub fn new(choices: u64, finish_optional: bool) -> Self {
        Self {
            expected: u32::try_from(choices).unwrap_or(u32::MAX).max(1),
            finish_optional,
            committed: false,
            done: false,
            seen: 0,
            ended: 0,
            tools: Vec::new(),
            usage: None,
            service: None,
            only_usage: false,
            usage_invalid: false,
            output_bytes: 0,
            partial: String::new(),
            partial_full: false,
            id: None,
            model: None,
            finish: None,
            template: Template::default(),
            warnings: Warnings::default(),
        }
    }

    /// Takes the data of one event.
    ///
    /// Broken events after an answer that has ended are warnings, not faults; so are errors, unless the answer
    /// was cut off (`length`): then the error says why.
    pub fn event(&mut self, data: &[u8]) -> Result<Step, EventFault> {
        let data = data.trim_ascii();
        self.only_usage = false;
        if self.done {
            self.warnings.add(Warning::DataAfterDone);
            return Ok(Step::AfterEnd);
        }
        if data == DONE {
            self.done = true;
            return Ok(Step::Done);
        }
        if data.is_empty() {
            return Ok(self.step(false));
        }
        let ended = self.committed && self.is_complete();
        if self.committed
            && !ended
            && let Some((choice, text)) = self.template.text(data)
        {
            self.output_bytes += text.raw().len();
            self.keep(choice, text);
            return Ok(Step::Content);
        }
        let cut_off = self.finish() == Some("length");
        match self.chunk(data) {
            Err(EventFault::InBand(error)) if ended && cut_off => Err(EventFault::InBand(error)),
            Err(fault) if ended => {
                self.warnings.add(match fault {
                    EventFault::Malformed(_) => Warning::MalformedAfterFinish,
                    EventFault::InBand(_) => Warning::ErrorAfterFinish,
                });
                Ok(Step::AfterEnd)
            }
            outcome => outcome.map(|spoke| self.step(spoke)),
        }
    }

    /// Has the stream said all it was asked for? A finish for every choice seen, and for as many as were asked for
    /// unless `[DONE]` shows that there are no more; where a finish is optional, `[DONE]` after a choice.
    pub fn finished(&self) -> bool {
        self.is_complete()
            || (self.done && self.seen != 0 && (self.finish_optional || self.seen == self.ended))
    }

    /// Was `[DONE]` seen?
    pub fn done(&self) -> bool {
        self.done
    }

    /// Was there content?
    pub fn committed(&self) -> bool {
        self.committed
    }

    /// Why the stream's first choice to end has ended.
    pub fn finish(&self) -> Option<&str> {
        self.finish.as_deref()
    }

    /// The last usage told, if it is plausible.
    pub fn usage(&self) -> Option<Usage> {
        self.usage.map(|usage| usage.served(self.service))
    }

    /// Did the last event bring usage and no choice? Those who did not ask for usage do not expect such an event.
    pub fn only_usage(&self) -> bool {
        self.only_usage
    }

    /// Was the last usage told implausible?
    pub fn usage_invalid(&self) -> bool {
        self.usage_invalid
    }

    /// Bytes of text, reasoning and arguments so far, for an estimate.
    pub fn output_bytes(&self) -> usize {
        self.output_bytes
    }

    /// The text of the first choice so far, its first mebibyte.
    pub fn partial_text(&self) -> String {
        Str::assume(&self.partial).decode().into_owned()
    }

    /// The first id that is not empty, as it is spelled.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The first model that is not empty, as it is spelled.
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Oddities so far; a missing `[DONE]` is one from the finish on until it comes.
    pub fn warnings(&self) -> Warnings {
        let mut warnings = self.warnings;
        if self.usage_invalid {
            warnings.add(Warning::UsageInvalid);
        }
        if self.finished() && !self.done {
            warnings.add(Warning::MissingDone);
        }
        warnings
    }

    fn is_complete(&self) -> bool {
        self.seen == self.ended && self.ended.count_ones() >= self.expected
    }

    fn step(&mut self, spoke: bool) -> Step {
        match (self.committed, spoke) {
            (true, _) => Step::Content,
            (false, true) => {
                self.committed = true;
                Step::Commit
            }
            (false, false) => Step::Preamble,
        }
    }

    /// Takes one chunk; true if it brings content.
    fn chunk(&mut self, data: &[u8]) -> Result<bool, EventFault> {
        let chunk = Chunk::read(data).map_err(|fault| EventFault::Malformed(fault.to_string()))?;
        let Some(chunk) = chunk else { return Err(not_a_chunk(root(data))) };
        remember(&mut self.id, chunk.id);
        self.read_model(chunk.model);
        self.read_usage(chunk.usage);
        self.service = Service::read(chunk.service).or(self.service);
        if let Some(own) = chunk.x_groq {
            self.read_groq(own)?;
        }
        match (chunk.error, &chunk.choices) {
            (Some(_), _) => Err(EventFault::InBand(in_band::text(root(data), chunk.error))),
            (None, Choices::One(choice)) => {
                let spoke = self.choice(0, choice)?;
                self.template.learn(data, &chunk, place(choice.index, 0).unwrap_or(0));
                Ok(spoke)
            }
            (None, Choices::Other(choices)) => {
                let choices = *choices;
                let told = chunk.usage.is_some_and(|usage| !usage.is_null());
                self.only_usage = told && choices.items().next().is_none();
                self.choices(choices)
            }
            (None, Choices::Absent) if in_band::is_flat_error(root(data)) => {
                Err(EventFault::InBand(in_band::text(root(data), None)))
            }
            (None, Choices::Absent) => Ok(false),
        }
    }

    fn read_model(&mut self, value: Option<Raw<'_>>) {
        let Some(known) = &self.model else { return remember(&mut self.model, value) };
        let model = value.and_then(Raw::string).map_or("", Str::raw);
        if model != known && !model.is_empty() {
            self.warnings.add(Warning::ModelChanged);
        }
    }

    fn read_usage(&mut self, value: Option<Raw<'_>>) {
        match value.map_or(Reading::Absent, usage::read) {
            Reading::Absent => {}
            Reading::Valid(usage) => {
                self.usage = Some(usage);
                self.usage_invalid = false;
            }
            Reading::Invalid => {
                self.usage = None;
                self.usage_invalid = true;
            }
        }
    }

    /// Groq tells usage and why it stopped early in a member of its own.
    fn read_groq(&mut self, own: Raw<'_>) -> Result<(), EventFault> {
        self.read_usage(own.get("usage"));
        match own.get("error").filter(|error| in_band::is_error(*error)) {
            Some(error) => Err(EventFault::InBand(in_band::alone(error))),
            None => Ok(()),
        }
    }

    fn choices(&mut self, choices: Raw<'_>) -> Result<bool, EventFault> {
        if !matches!(choices.kind(), ValueKind::Array | ValueKind::Null) {
            return Err(malformed("the stream event's `choices` is not an array"));
        }
        let mut spoke = false;
        for (position, choice) in choices.items().enumerate() {
            let choice = Choice::read(choice)
                .ok_or_else(|| malformed("a choice of the stream event is not an object"))?;
            spoke |= self.choice(position, &choice)?;
        }
        Ok(spoke)
    }

    fn choice(&mut self, position: usize, choice: &Choice<'_>) -> Result<bool, EventFault> {
        self.read_usage(choice.usage);
        if let Some(error) = choice.error {
            return Err(EventFault::InBand(in_band::alone(error)));
        }
        if choice.finish.is_some_and(|reason| reason.is("error")) {
            return Err(EventFault::InBand(in_band::unexplained()));
        }
        let index =
            place(choice.index, position).ok_or_else(|| malformed("a choice has an impossible `index`"))?;
        self.seen |= bit(index);
        let mut spoke = self.said(index, choice.said)?;
        if let Some(text) = choice.text {
            self.output_bytes += text.decoded_len();
            self.keep(index, text);
            spoke |= !text.is_empty();
        }
        if let Some(reason) = choice.finish {
            self.end(index, reason)?;
        }
        Ok(spoke)
    }

    fn said(&mut self, choice: usize, said: Said<'_>) -> Result<bool, EventFault> {
        self.output_bytes += said.bytes;
        if let Some(content) = said.content {
            match content.string() {
                Some(text) => self.keep(choice, text),
                None => said::part_texts(content).for_each(|text| self.keep(choice, text)),
            }
        }
        if let Some(calls) = said.tool_calls {
            self.tool_calls(choice, calls)?;
        }
        Ok(said.anything)
    }

    fn keep(&mut self, choice: usize, text: Str<'_>) {
        if choice != 0 {
            return;
        }
        self.partial_full |= self.partial.len() + text.raw().len() > MAX_PARTIAL;
        if !self.partial_full {
            self.partial.push_str(text.raw());
        }
    }

    fn tool_calls(&mut self, choice: usize, calls: Raw<'_>) -> Result<(), EventFault> {
        if self.tools.len() <= choice {
            self.tools.resize(choice + 1, 0);
        }
        for (position, call) in calls.items().enumerate() {
            if call.kind() != ValueKind::Object {
                return Err(malformed("a tool call of the stream event is not an object"));
            }
            let index = place(call.get("index"), position)
                .ok_or_else(|| malformed("a tool call has an impossible `index`"))?;
            if let Some(seen) = self.tools.get_mut(choice) {
                *seen |= bit(index);
            }
        }
        Ok(())
    }

    fn end(&mut self, choice: usize, reason: Str<'_>) -> Result<(), EventFault> {
        let seen = self.tools.get(choice).copied().unwrap_or(0);
        // Calls may arrive in any order, but when the choice ends none may be missing.
        if seen & seen.wrapping_add(1) != 0 {
            return Err(malformed("the tool calls of a choice have a gap in their `index`"));
        }
        if self.ended & bit(choice) != 0 {
            self.warnings.add(Warning::FinishTwice);
        }
        self.ended |= bit(choice);
        if self.finish.is_none() {
            self.finish = Some(reason.decode().into_owned());
        }
        Ok(())
    }
}

fn bit(index: usize) -> u128 {
    1 << (index & 127)
}

/// The index that is told, or the position where none is.
fn place(index: Option<Raw<'_>>, position: usize) -> Option<usize> {
    let told = index.filter(|index| !index.is_null());
    let index = told.map_or(Some(position as u64), |index| usage::whole(index, MAX_INDEX))?;
    usize::try_from(index).ok().filter(|_| index <= MAX_INDEX)
}

fn remember(known: &mut Option<String>, value: Option<Raw<'_>>) {
    if known.is_none() {
        *known =
            value.and_then(Raw::string).filter(|text| !text.is_empty()).map(|text| text.raw().to_owned());
    }
}

/// The value of an event that was checked before.
fn root(data: &[u8]) -> Raw<'_> {
    json::document(data).unwrap_or(Raw::assume("null"))
}

/// Google's upstreams wrap errors in an array.
fn not_a_chunk(root: Raw<'_>) -> EventFault {
    let error = root.items().find_map(|item| item.get("error")).filter(|error| in_band::is_error(*error));
    error.map_or_else(
        || malformed("the stream event is not an object"),
        |error| EventFault::InBand(in_band::alone(error)),
    )
}

fn malformed(sentence: &str) -> EventFault {
    EventFault::Malformed(sentence.to_owned())
}
