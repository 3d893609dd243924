//! Events that differ from an earlier one in their text alone: nearly all of a stream.
//!
//! Such an event needs no second reading. If everything around its text is the same, byte for byte, as in an event
//! that was read in full, and its text is a plain JSON string, then it is valid and says the same about everything
//! but the text.

use super::chunk::{Choices, Chunk};
use super::json::{self, Raw, Str, ValueKind};

/// The bytes around the text of an event.
#[derive(Debug, Default)]
pub(crate) struct Template {
    /// What comes before the text, then what comes after it.
    around: Vec<u8>,
    before: usize,
    /// The choice the text belongs to.
    choice: usize,
}

impl Template {
    /// Takes `data` for a template if its text, of choice number `choice`, is all that it says.
    pub(crate) fn learn(&mut self, data: &[u8], chunk: &Chunk<'_>, choice: usize) {
        let Some(text) = only_text(chunk) else { return };
        let start = text.raw().as_ptr().addr() - data.as_ptr().addr();
        let end = start + text.raw().len();
        if let (Some(before), Some(after)) = (data.get(..start), data.get(end..)) {
            self.around.clear();
            self.around.extend_from_slice(before);
            self.around.extend_from_slice(after);
            (self.before, self.choice) = (start, choice);
        }
    }

    /// The text of an event of this form, and its choice; `None` where it must be read in full.
    pub(crate) fn text<'a>(&self, data: &'a [u8]) -> Option<(usize, Str<'a>)> {
        let (before, after) = self.around.split_at_checked(self.before)?;
        let text = data.strip_prefix(before)?.strip_suffix(after)?;
        if self.around.is_empty() || text.is_empty() {
            return None;
        }
        Some((self.choice, Str::plain(text)?))
    }
}

fn only_text<'a>(chunk: &Chunk<'a>) -> Option<Str<'a>> {
    let Choices::One(choice) = &chunk.choices else { return None };
    let said = &choice.said;
    let is_silent = |value: Option<Raw<'_>>| value.is_none_or(|value| value.kind() == ValueKind::Null);
    let text = said.content?.string()?;
    let nothing_else = is_silent(chunk.usage)
        && is_silent(choice.usage)
        && chunk.x_groq.is_none()
        && chunk.error.is_none()
        && choice.error.is_none()
        && choice.text.is_none()
        && choice.finish.is_none()
        && said.tool_calls.is_none()
        && said.bytes == json::Str::decoded_len(text);
    (nothing_else && !text.is_empty() && !text.has_escapes()).then_some(text)
}
