//! What one bounded scan of a request yields: all that rules, limits and estimates may read.

mod needs;
mod prose;
mod session;
mod wants;

use std::ops::Range;

pub use needs::Needs;
use prose::{Lines, Prose};
use session::Named;
pub use session::{Session, SessionKind};
pub use wants::Wants;

use super::estimate::{self, Prompt};
use super::json::{self, FaultKind, Raw, ValueKind, Walk};

/// The facts of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent observations, not states")]
pub struct Facts {
    /// The model the caller names.
    pub model: String,
    /// Is a stream asked for?
    pub stream: bool,
    /// Is usage asked for at the end of the stream?
    pub include_usage: bool,
    /// The text of the last user message, its first 4 KiB; without messages that of `input`.
    pub last_user_text: String,
    /// The text of all messages, a line each, the first 64 KiB. Empty unless [`Wants::TEXT`].
    pub text: String,
    /// The text of `system`, `instructions` and the messages of the roles `system` and `developer`, a line each,
    /// the first 64 KiB. Empty unless [`Wants::SYSTEM`].
    pub system: String,
    /// How many messages.
    pub messages: usize,
    /// Are there tools or functions to call?
    pub has_tools: bool,
    /// Does any message hold an image?
    pub has_images: bool,
    /// How many.
    pub images: u64,
    /// Must the answer fit a JSON schema?
    pub needs_json_schema: bool,
    /// Must the answer be a JSON object?
    pub needs_json_object: bool,
    /// Is reasoning asked for (`reasoning`, `reasoning_effort`, `thinking`)?
    pub needs_reasoning: bool,
    /// The most output tokens the caller allows.
    pub max_output: Option<u64>,
    /// The `user` member.
    pub user: Option<String>,
    /// The `metadata` member; what is not a string is given as its JSON text, null is left out.
    pub metadata: Vec<(String, String)>,
    /// The size of the body.
    pub body_bytes: usize,
    /// What of it becomes tokens.
    pub prompt: Prompt,
    /// How many choices are asked for (`n`), at least 1.
    pub choices: u64,
    /// How often `model` is named; more than once, an upstream may read another than we do.
    pub models: usize,
    /// Is the model given as something that is no name?
    pub odd_model: bool,
    /// Do our own options ride in the body?
    pub own_options: bool,
    /// Which of [`OUTPUT_LIMITS`] are there, a bit for each.
    pub output_limits: u8,
    /// The conversation, if the request names it.
    pub session: Option<Session>,
    /// A hash of the first 4 KiB of `messages`, the same in every process. None where they are shorter, and unless
    /// [`Wants::PREFIX`].
    pub prefix: Option<u64>,
    /// Where in the body the value of `stream_options` is.
    pub stream_options: Option<Range<usize>>,
    /// Where in the body the value of `messages` is, if one of them carries the reasoning of an earlier turn.
    pub reasoned: Option<Range<usize>>,
}

/// Our own options, as a member of the request; never sent upstream.
pub const OWN_OPTIONS: &str = "fairlead";

/// One knob under three names.
pub const OUTPUT_LIMITS: [&str; 3] = ["max_tokens", "max_completion_tokens", "max_output_tokens"];

impl Default for Facts {
    fn default() -> Self {
        Self {
            model: String::new(),
            stream: false,
            include_usage: false,
            last_user_text: String::new(),
            text: String::new(),
            system: String::new(),
            messages: 0,
            has_tools: false,
            has_images: false,
            images: 0,
            needs_json_schema: false,
            needs_json_object: false,
            needs_reasoning: false,
            max_output: None,
            user: None,
            metadata: Vec::new(),
            body_bytes: 0,
            prompt: Prompt::default(),
            choices: 1,
            models: 0,
            odd_model: false,
            own_options: false,
            output_limits: 0,
            session: None,
            prefix: None,
            stream_options: None,
            reasoned: None,
        }
    }
}

/// Checks that `body` is JSON and reads its facts; of duplicate members the last counts. No body has no facts.
pub fn scan(body: &[u8], wants: Wants) -> Result<Facts, json::Fault> {
    if body.is_empty() {
        return Ok(Facts::default());
    }
    let mut walk = Walk::start(body)?;
    let mut facts = Facts { body_bytes: body.len(), ..Facts::default() };
    let held = facts.walk(&mut walk).map_err(|kind| walk.fault(kind))?;
    walk.end()?;
    let place = |value: Raw<'_>| {
        let start = value.text().as_ptr().addr() - body.as_ptr().addr();
        start..start + value.text().len()
    };
    facts.include_usage = held.stream_options.is_some_and(|options| is_true(options.get("include_usage")));
    facts.stream_options = held.stream_options.map(place);
    let messages = held.messages.map(place);
    let reasoned = facts.settle(held, wants);
    facts.reasoned = messages.filter(|_| reasoned);
    facts.prompt.beyond_ascii = estimate::beyond_ascii(body);
    Ok(facts)
}

/// Members that others may overrule, until all are read.
#[derive(Default)]
struct Held<'a> {
    completion: Option<u64>,
    output: Option<u64>,
    plain: Option<u64>,
    messages: Option<Raw<'a>>,
    input: Option<Raw<'a>>,
    system: Option<Raw<'a>>,
    instructions: Option<Raw<'a>>,
    stream_options: Option<Raw<'a>>,
    session: Named<'a>,
}

impl Facts {
    /// What the request needs of whoever serves it.
    pub fn needs(&self) -> Needs {
        Needs::NOTHING
            .with(Needs::JSON_SCHEMA, self.needs_json_schema)
            .with(Needs::JSON_OBJECT, self.needs_json_object)
            .with(Needs::TOOLS, self.has_tools)
            .with(Needs::VISION, self.has_images)
            .with(Needs::REASONING, self.needs_reasoning)
    }

    fn walk<'a>(&mut self, walk: &mut Walk<'a>) -> Result<Held<'a>, FaultKind> {
        let mut held = Held::default();
        if !walk.enter(b'{')? {
            walk.value()?;
            return Ok(held);
        }
        while let Some(name) = walk.next_key()? {
            let (name, value) = (name.decode(), walk.value()?);
            if let Some(position) = OUTPUT_LIMITS.iter().position(|limit| *limit == name) {
                self.output_limits |= 1 << position;
            }
            if !held.take(&name, value) {
                self.member(&name, value);
            }
        }
        Ok(held)
    }

    /// Reads what was held back. Does any message carry reasoning?
    fn settle(&mut self, held: Held<'_>, wants: Wants) -> bool {
        let mut reasoned = false;
        self.prompt.text = held.bytes();
        self.max_output = held.completion.or(held.output).or(held.plain);
        self.session = held.session.first();
        let mut text = Lines::wanted(wants.has(Wants::TEXT), &mut self.text);
        let mut system = Lines::wanted(wants.has(Wants::SYSTEM), &mut self.system);
        for prompt in [held.system, held.instructions].into_iter().flatten() {
            system.add(prompt);
        }
        if let Some(messages) = held.messages.or(held.input) {
            let prose = Prose::read(messages, &mut text, &mut system);
            self.images = prose.media.images;
            self.has_images = prose.media.images > 0;
            self.prompt.weigh(&prose);
            reasoned = prose.reasoned;
            self.last_user_text = prose.last_user_text();
            if held.messages.is_some() {
                self.messages = prose.count;
                self.prefix = wants.has(Wants::PREFIX).then(|| prose::prefix(messages)).flatten();
            }
        }
        if let (None, Some(input)) = (held.messages, held.input) {
            self.plain_input(input, wants);
        }
        reasoned
    }

    /// An `input` of plain text is what the user says.
    fn plain_input(&mut self, input: Raw<'_>, wants: Wants) {
        let said = prose::plain_input(input);
        if !said.is_empty() {
            if wants.has(Wants::TEXT) {
                self.text.clone_from(&said);
            }
            self.last_user_text = said;
        }
    }

    /// What names the conversation over all its turns: the id of a previous response names one turn.
    pub fn conversation(&self) -> Option<&str> {
        let lasting = self.session.as_ref().filter(|session| session.kind != SessionKind::Response);
        lasting.map(|session| session.value.as_str())
    }

    /// Must a bound on the output be renamed for an upstream that takes it under `name`?
    pub fn bounds_output_other_than(&self, name: &str) -> bool {
        let others = (OUTPUT_LIMITS.iter().enumerate()).filter(|(_, limit)| **limit != name);
        others.fold(0, |bits, (position, _)| bits | 1 << position) & self.output_limits != 0
    }

    fn member(&mut self, name: &str, value: Raw<'_>) {
        match name {
            OWN_OPTIONS => self.own_options = true,
            "model" => {
                self.model = text(value).unwrap_or_default();
                self.odd_model = !matches!(value.kind(), ValueKind::String | ValueKind::Null);
                self.models += 1;
            }
            "stream" => self.stream = value.as_bool() == Some(true),
            "tools" | "functions" => {
                self.has_tools |= value.items().next().is_some();
                self.prompt.schema += bytes(value);
            }
            "response_format" => {
                self.format(Some(value));
                self.prompt.schema += bytes(value);
            }
            "text" => self.format(value.get("format")),
            "reasoning_effort" => self.needs_reasoning |= is_effort(Some(value)),
            "reasoning" => self.needs_reasoning |= reasons(value),
            "thinking" => self.needs_reasoning |= thinks(value),
            "user" => self.user = text(value),
            "metadata" => self.metadata = metadata(value),
            "n" => self.choices = value.as_u64().unwrap_or(1).max(1),
            _ => {}
        }
    }

    fn format(&mut self, format: Option<Raw<'_>>) {
        let kind = format.and_then(|format| format.get("type")?.string());
        self.needs_json_schema = kind.is_some_and(|kind| kind.is("json_schema"));
        self.needs_json_object = kind.is_some_and(|kind| kind.is("json_object"));
    }
}

impl Prompt {
    /// Takes what is no text out of it.
    fn weigh(&mut self, prose: &Prose<'_>) {
        let media = prose.media;
        self.text = self.text.saturating_sub(media.bytes);
        self.messages = prose.spoken;
        self.images = media.images;
        self.attachments = media.attachments;
        self.attached = media.attached;
    }
}

impl<'a> Held<'a> {
    /// The size of all that the model reads.
    fn bytes(&self) -> usize {
        let read = [self.messages, self.input, self.system, self.instructions];
        read.into_iter().flatten().map(bytes).sum()
    }

    /// Keeps `value` if it is one of these; else false.
    fn take(&mut self, name: &str, value: Raw<'a>) -> bool {
        match name {
            "max_completion_tokens" => self.completion = value.as_u64(),
            "max_output_tokens" => self.output = value.as_u64(),
            "max_tokens" => self.plain = value.as_u64(),
            "messages" => self.messages = Some(value),
            "input" => self.input = Some(value),
            "system" => self.system = Some(value),
            "instructions" => self.instructions = Some(value),
            "stream_options" => self.stream_options = Some(value),
            "session_id" | "prompt_cache_key" | "previous_response_id" | "thread_id" => {
                self.session.take(name, value.string());
            }
            _ => return false,
        }
        true
    }
}

/// The size of a list, object or text as it is written, without its brackets.
fn bytes(value: Raw<'_>) -> usize {
    match value.kind() {
        ValueKind::Array | ValueKind::Object | ValueKind::String => value.text().len().saturating_sub(2),
        _ => 0,
    }
}

fn text(value: Raw<'_>) -> Option<String> {
    value.string().map(|text| text.decode().into_owned())
}

fn is_true(value: Option<Raw<'_>>) -> bool {
    value.and_then(Raw::as_bool) == Some(true)
}

/// `reasoning_effort`, where it asks for any.
fn is_effort(effort: Option<Raw<'_>>) -> bool {
    effort.and_then(Raw::string).is_some_and(|effort| !effort.is("none"))
}

/// `reasoning`: an object that does not switch it off.
fn reasons(reasoning: Raw<'_>) -> bool {
    let off = reasoning.get("enabled").and_then(Raw::as_bool) == Some(false)
        || reasoning
            .get("effort")
            .is_some_and(|effort| effort.string().is_some() && !is_effort(Some(effort)));
    reasoning.fields().next().is_some() && !off
}

/// `thinking`: an object whose type is not `disabled`.
fn thinks(thinking: Raw<'_>) -> bool {
    thinking.get("type").and_then(Raw::string).is_some_and(|kind| !kind.is("disabled"))
}

fn metadata(object: Raw<'_>) -> Vec<(String, String)> {
    object
        .fields()
        .filter(|(_, value)| value.kind() != ValueKind::Null)
        .map(|(name, value)| {
            (name.decode().into_owned(), text(value).unwrap_or_else(|| value.text().to_owned()))
        })
        .collect()
}
