//! What an error body says, whatever envelope it comes in.
//!
//! Known envelopes: the OpenAI error object; `{"detail": ...}` (Mistral, Voyage, `FastAPI`); flat
//! `{"code", "error": "text"}` (xAI); flat `{"message"}` (Bedrock, Cohere, older vLLM); a JSON array around one of
//! these (Gemini streams); the real cause as JSON text in `error.metadata.raw` (OpenRouter); `base_resp` (`MiniMax`);
//! `response.error` (Responses events); an event stream; HTML and plain text. The reader is total.

use std::time::Duration;

use crate::chat::json::{self, Raw, ValueKind};
use crate::provider::moment;

/// No more of a body than this is read.
const READ_AT_MOST: usize = 64 * 1024;

/// Errors wrapped in errors are followed this deep.
const DEPTH: usize = 4;

/// A text body is quoted up to this many bytes.
const QUOTED: usize = 300;

/// What an error body says.
#[derive(Debug, Default)]
pub(super) struct Evidence {
    /// The provider's own sentence.
    pub(super) message: Option<String>,
    /// All sentences, lower-case: what the table searches.
    pub(super) said: String,
    /// Everything that names the error (codes, types, statuses, reasons), lower-case: what the table compares.
    pub(super) marks: Vec<String>,
    /// The provider's error code.
    pub(super) code: Option<String>,
    /// The provider's error type.
    pub(super) error_type: Option<String>,
    /// The parameter it blames.
    pub(super) param: Option<String>,
    /// The request id, where the body carries it.
    pub(super) request_id: Option<String>,
    /// The HTTP status that the body names.
    pub(super) status: Option<u16>,
    /// The wait that the body asks for in a field of its own.
    pub(super) delay: Option<Duration>,
    /// When the exhausted limit refills, as written.
    pub(super) reset: Option<String>,
}

impl Evidence {
    /// Reads `body`, of which no more than the first 64 KiB count.
    pub(super) fn read(body: &[u8]) -> Self {
        let body = body.get(..READ_AT_MOST).unwrap_or(body);
        let mut evidence = Self::default();
        match json::document(body) {
            Ok(root) => evidence.root(root, DEPTH),
            Err(_) => evidence.text(&String::from_utf8_lossy(body)),
        }
        evidence
    }

    fn root(&mut self, root: Raw<'_>, depth: usize) {
        let Some(depth) = depth.checked_sub(1) else { return };
        match root.kind() {
            ValueKind::Array => root.items().take(1).for_each(|item| self.root(item, depth)),
            ValueKind::String => self.say(&text_of(root)),
            ValueKind::Object => self.object(root, depth),
            _ => {}
        }
    }

    fn object(&mut self, root: Raw<'_>, depth: usize) {
        self.request_id = self.request_id.take().or_else(|| string(root, &["request_id", "requestId"]));
        self.delay =
            self.delay.or_else(|| root.get("estimated_time").and_then(Raw::as_f64).and_then(moment::wait));
        let inner = root.get("response").and_then(|response| response.get("error"));
        match present(root.get("error")).or(present(inner)) {
            Some(error) if error.kind() == ValueKind::Object => {
                self.error(error, depth);
                self.error_type = self.error_type.take().or_else(|| string(root, &["type"]));
            }
            Some(error) => {
                self.say(&first_text(error));
                self.named(root);
            }
            None => self.flat(root, depth),
        }
    }

    /// An object that is the error itself.
    fn error(&mut self, error: Raw<'_>, depth: usize) {
        self.named(error);
        if let Some(message) = message_of(error) {
            self.say(&message);
        } else if let Some(wrapped) = present(error.get("error")) {
            self.root(wrapped, depth);
        }
        for detail in error.get("details").into_iter().flat_map(Raw::items) {
            self.detail(detail);
        }
        if let Some(inner) = error.get("innererror") {
            self.marks.extend(string(inner, &["code"]).map(|code| code.to_lowercase()));
        }
        if let Some(metadata) = error.get("metadata") {
            self.metadata(metadata, depth);
        }
    }

    /// Codes, types and whatever else names the error.
    fn named(&mut self, object: Raw<'_>) {
        let code = string(object, &["code", "status_code"]);
        let kind = string(object, &["type", "error_type", "__type"]);
        let status = string(object, &["status", "raw_status_code"]);
        self.marks.extend([&code, &kind, &status].into_iter().flatten().map(|mark| mark.to_lowercase()));
        let named = [&code, &status].into_iter().flatten().find_map(|text| http_status(text));
        self.status = self.status.or(named);
        self.code = self.code.take().or(code);
        self.error_type = self.error_type.take().or(kind);
        self.param = self.param.take().or_else(|| string(object, &["param"]));
        self.request_id = self.request_id.take().or_else(|| string(object, &["request_id"]));
    }

    /// One entry of Google's `details`.
    fn detail(&mut self, detail: Raw<'_>) {
        self.marks.extend(string(detail, &["reason"]).map(|reason| reason.to_lowercase()));
        for violation in detail.get("violations").into_iter().flat_map(Raw::items) {
            self.marks.extend(string(violation, &["quotaId"]).map(|quota| quota.to_lowercase()));
        }
        let delay = string(detail, &["retryDelay"]).and_then(|text| moment::span(&text));
        self.delay = self.delay.or(delay);
    }

    /// OpenRouter's `metadata`.
    fn metadata(&mut self, metadata: Raw<'_>, depth: usize) {
        self.marks.extend(string(metadata, &["limit_source"]).map(|source| source.to_lowercase()));
        if let Some(headers) = metadata.get("headers") {
            self.reset = string(headers, &["X-RateLimit-Reset", "x-ratelimit-reset"]);
        }
        let Some(raw) = string(metadata, &["raw"]).filter(|raw| !raw.trim().is_empty()) else { return };
        match json::document(raw.as_bytes()) {
            Ok(cause) => self.root(cause, depth),
            Err(_) => self.say(&raw),
        }
    }

    /// An object without `error`: the fields stand at the top, or under another name.
    fn flat(&mut self, root: Raw<'_>, depth: usize) {
        if let Some(blocked) =
            root.get("promptFeedback").and_then(|feedback| string(feedback, &["blockReason"]))
        {
            self.marks.push("prompt_blocked".to_owned());
            self.say(&format!("The prompt was blocked: {blocked}"));
        }
        if let Some(base) = root.get("base_resp") {
            self.error(base, depth);
        }
        match present(root.get("detail")) {
            Some(detail) if detail.kind() == ValueKind::Object => self.error(detail, depth),
            Some(detail) => self.say(&first_text(detail)),
            None => {}
        }
        if let Some(errors) = present(root.get("errors")) {
            self.say(&first_text(errors));
        }
        self.error(root, depth);
    }

    /// A body that is not JSON.
    fn text(&mut self, text: &str) {
        let data = text.lines().filter_map(|line| line.strip_prefix("data:"));
        let event = data
            .filter_map(|data| json::document(data.as_bytes()).ok())
            .find(|root| root.get("error").is_some());
        match event {
            Some(root) => self.root(root, DEPTH),
            None => self.say(&prose(text)),
        }
    }

    /// Adds a sentence; the wrapped cause follows the wrapper's.
    fn say(&mut self, sentence: &str) {
        let sentence = sentence.trim();
        if sentence.is_empty() {
            return;
        }
        self.said.push_str(&sentence.to_lowercase());
        self.said.push('\n');
        self.message = Some(match self.message.take() {
            Some(before) if before == sentence => before,
            Some(before) => format!("{before}: {sentence}"),
            None => sentence.to_owned(),
        });
    }
}

fn present(value: Option<Raw<'_>>) -> Option<Raw<'_>> {
    value.filter(|value| !value.is_null())
}

/// The first of `names` that is a non-empty string or a number, as text.
fn string(object: Raw<'_>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| {
        let value = object.get(name)?;
        let scalar = matches!(value.kind(), ValueKind::String | ValueKind::Number);
        scalar.then(|| text_of(value)).filter(|text| !text.is_empty())
    })
}

fn text_of(value: Raw<'_>) -> String {
    value.string().map_or_else(|| value.text().to_owned(), |text| text.decode().into_owned())
}

fn message_of(object: Raw<'_>) -> Option<String> {
    string(object, &["message", "msg", "status_msg", "Message", "error_message", "errorMessage"])
        .or_else(|| present(object.get("message")).map(first_text))
}

/// The text inside a value of no fixed form: a string, the first of a list, the message of an object.
fn first_text(value: Raw<'_>) -> String {
    let value = if value.kind() == ValueKind::Array { value.items().next().unwrap_or(value) } else { value };
    match value.kind() {
        ValueKind::Object => {
            string(value, &["message", "msg"]).unwrap_or_else(|| shorten(value.text(), QUOTED).to_owned())
        }
        ValueKind::Array => shorten(value.text(), QUOTED).to_owned(),
        _ => text_of(value),
    }
}

fn http_status(text: &str) -> Option<u16> {
    text.parse().ok().filter(|status| (300..=599).contains(status))
}

/// The readable part of HTML or plain text.
fn prose(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title>").zip(lower.find("</title>"));
    match title.and_then(|(start, end)| text.get(start + "<title>".len()..end)) {
        Some(title) => shorten(title.trim(), QUOTED).to_owned(),
        None => shorten(text.trim(), QUOTED).to_owned(),
    }
}

/// At most `bytes` of `text`, whole characters only.
pub(super) fn shorten(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or(text)
}
