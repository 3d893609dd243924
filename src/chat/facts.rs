//! What one bounded scan of a request yields: all that rules, limits and estimates may read.

use super::json::{self, FaultKind, Raw, Str, Walk};

/// The most bytes of the last user message that are kept.
const MAX_TEXT: usize = 4096;

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
    /// The text of the last user message, its first 4 KiB.
    pub last_user_text: String,
    /// How many messages.
    pub messages: usize,
    /// Are there tools or functions to call?
    pub has_tools: bool,
    /// Does any message hold an image?
    pub has_images: bool,
    /// Must the answer fit a JSON schema?
    pub needs_json_schema: bool,
    /// The most output tokens the caller allows.
    pub max_output: Option<u64>,
    /// The `user` member.
    pub user: Option<String>,
    /// The `metadata` member; what is not a string is given as its JSON text.
    pub metadata: Vec<(String, String)>,
    /// The size of the body.
    pub body_bytes: usize,
    /// How many choices are asked for (`n`), at least 1.
    pub choices: u64,
    /// How often `model` is named; more than once, an upstream may read another than we do.
    pub models: usize,
    /// Do our own options ride in the body?
    pub own_options: bool,
    /// Which of [`OUTPUT_LIMITS`] are there, a bit for each.
    pub output_limits: u8,
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
            messages: 0,
            has_tools: false,
            has_images: false,
            needs_json_schema: false,
            max_output: None,
            user: None,
            metadata: Vec::new(),
            body_bytes: 0,
            choices: 1,
            models: 0,
            own_options: false,
            output_limits: 0,
        }
    }
}

/// Checks that `body` is JSON and reads its facts; of duplicate members the last counts. No body has no facts.
pub fn scan(body: &[u8]) -> Result<Facts, json::Fault> {
    if body.is_empty() {
        return Ok(Facts::default());
    }
    let mut walk = Walk::start(body)?;
    let mut facts = Facts { body_bytes: body.len(), ..Facts::default() };
    facts.walk(&mut walk).map_err(|kind| walk.fault(kind))?;
    walk.end()?;
    Ok(facts)
}

/// The names under which callers bound the output, the more specific first.
#[derive(Default)]
struct Limits {
    completion: Option<u64>,
    output: Option<u64>,
    plain: Option<u64>,
}

impl Facts {
    fn walk(&mut self, walk: &mut Walk<'_>) -> Result<(), FaultKind> {
        if !walk.enter(b'{')? {
            return walk.value().map(drop);
        }
        let mut limits = Limits::default();
        while let Some(name) = walk.next_key()? {
            let (name, value) = (name.decode(), walk.value()?);
            if let Some(position) = OUTPUT_LIMITS.iter().position(|limit| *limit == name) {
                self.output_limits |= 1 << position;
            }
            match name.as_ref() {
                "max_completion_tokens" => limits.completion = value.as_u64(),
                "max_output_tokens" => limits.output = value.as_u64(),
                "max_tokens" => limits.plain = value.as_u64(),
                name => self.member(name, value),
            }
        }
        self.max_output = limits.completion.or(limits.output).or(limits.plain);
        Ok(())
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
                self.models += 1;
            }
            "stream" => self.stream = value.as_bool() == Some(true),
            "stream_options" => self.include_usage = is_true(value.get("include_usage")),
            "messages" => self.messages(value),
            "tools" | "functions" => self.has_tools |= value.items().next().is_some(),
            "response_format" => self.needs_json_schema = is_schema(value),
            "user" => self.user = text(value),
            "metadata" => self.metadata = metadata(value),
            "n" => self.choices = value.as_u64().unwrap_or(1).max(1),
            _ => {}
        }
    }

    fn messages(&mut self, messages: Raw<'_>) {
        self.messages = 0;
        self.has_images = false;
        let mut last = None;
        for message in messages.items() {
            self.messages += 1;
            let content = message.get("content");
            self.has_images |= content.is_some_and(has_image);
            if message.get("role").and_then(Raw::string).is_some_and(|role| role.is("user")) {
                last = content;
            }
        }
        self.last_user_text = last.map(spoken).unwrap_or_default();
    }
}

fn text(value: Raw<'_>) -> Option<String> {
    value.string().map(|text| text.decode().into_owned())
}

fn is_true(value: Option<Raw<'_>>) -> bool {
    value.and_then(Raw::as_bool) == Some(true)
}

fn is_schema(format: Raw<'_>) -> bool {
    format.get("type").and_then(Raw::string).is_some_and(|kind| kind.is("json_schema"))
}

fn has_image(content: Raw<'_>) -> bool {
    content
        .items()
        .filter_map(|part| part.get("type")?.string())
        .any(|kind| kind.is("image_url") || kind.is("input_image") || kind.is("image"))
}

fn metadata(object: Raw<'_>) -> Vec<(String, String)> {
    object
        .fields()
        .map(|(name, value)| {
            (name.decode().into_owned(), text(value).unwrap_or_else(|| value.text().to_owned()))
        })
        .collect()
}

/// The text of a message: its string, or its text parts one after the other.
fn spoken(content: Raw<'_>) -> String {
    if let Some(text) = content.string() {
        return beginning(text, MAX_TEXT);
    }
    let mut all = String::new();
    for part in content.items().filter_map(|part| part.get("text")?.string()) {
        all.push_str(&beginning(part, MAX_TEXT.saturating_sub(all.len())));
    }
    all
}

/// The first `most` bytes, or a little less where a character would be cut.
fn beginning(text: Str<'_>, most: usize) -> String {
    // No escape needs more than six bytes for each byte that it says, so this much is always enough, and an
    // escape that is cut here lies beyond what is kept.
    let enough = text.raw().floor_char_boundary(most.saturating_mul(6).saturating_add(12));
    let decoded = Str::assume(text.raw().get(..enough).unwrap_or_default()).decode();
    decoded.get(..decoded.floor_char_boundary(most)).unwrap_or_default().to_owned()
}
