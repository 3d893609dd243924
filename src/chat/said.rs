//! What a message, or the part of one that a stream event brings, says, under whatever name.

use super::json::{FaultKind, Raw, Str, ValueKind, Walk};

/// What was found in one message or delta.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said<'a> {
    /// Is there any content, reasoning, call, refusal, audio or image?
    pub(crate) anything: bool,
    /// Bytes of text, reasoning and arguments.
    pub(crate) bytes: usize,
    /// The `content` member.
    pub(crate) content: Option<Raw<'a>>,
    /// The `tool_calls` member, where it is an array with items.
    pub(crate) tool_calls: Option<Raw<'a>>,
}

/// Reads the message or delta that starts here; `None` if it is not an object.
pub(crate) fn walk<'a>(walk: &mut Walk<'a>) -> Result<Option<Said<'a>>, FaultKind> {
    if !walk.enter(b'{')? {
        walk.value()?;
        return Ok(None);
    }
    let mut said = Said::default();
    while let Some(name) = walk.next_key()? {
        said.member(name, walk.value()?);
    }
    Ok(Some(said))
}

impl<'a> Said<'a> {
    fn member(&mut self, name: Str<'a>, value: Raw<'a>) {
        match name.decode().as_ref() {
            "content" => {
                self.content = Some(value);
                self.text(value);
            }
            "reasoning" | "reasoning_content" | "refusal" => self.text(value),
            "reasoning_details" | "images" => self.anything |= value.items().next().is_some(),
            "tool_calls" if value.items().next().is_some() => {
                self.tool_calls = Some(value);
                self.anything = true;
                self.bytes += value.items().map(call_bytes).sum::<usize>();
            }
            "function_call" if value.kind() == ValueKind::Object => {
                self.anything = true;
                self.bytes += function_bytes(value);
            }
            "audio" => self.anything |= value.kind() == ValueKind::Object,
            _ => {}
        }
    }

    fn text(&mut self, value: Raw<'_>) {
        match value.kind() {
            ValueKind::String => {
                let text = value.string();
                self.anything |= text.is_some_and(|text| !text.is_empty());
                self.bytes += text.map_or(0, Str::decoded_len);
            }
            ValueKind::Array => {
                for part in value.items() {
                    self.anything = true;
                    self.bytes += part_bytes(part);
                }
            }
            _ => {}
        }
    }
}

/// The texts among the parts of a `content` member that is a list (Mistral).
pub(crate) fn part_texts(content: Raw<'_>) -> impl Iterator<Item = Str<'_>> {
    content.items().filter_map(|part| part.get("text")?.string())
}

fn part_bytes(part: Raw<'_>) -> usize {
    let text = part.get("text").map_or(0, string_bytes);
    let thinking = part.get("thinking").map_or(0, |thinking| match thinking.kind() {
        ValueKind::Array => part_texts(thinking).map(Str::decoded_len).sum(),
        _ => string_bytes(thinking),
    });
    text + thinking
}

fn call_bytes(call: Raw<'_>) -> usize {
    let function = call.get("function").map_or(0, function_bytes);
    let custom = call.get("custom").map_or(0, |custom| {
        custom.get("name").map_or(0, string_bytes) + custom.get("input").map_or(0, string_bytes)
    });
    function + custom
}

fn function_bytes(function: Raw<'_>) -> usize {
    function.get("name").map_or(0, string_bytes) + function.get("arguments").map_or(0, string_bytes)
}

fn string_bytes(value: Raw<'_>) -> usize {
    value.string().map_or(0, Str::decoded_len)
}
