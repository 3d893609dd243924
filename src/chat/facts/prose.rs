//! The text of messages: what was said, by whom, and no more of it than is kept.

use crate::chat::json::{Raw, Str};
use crate::chat::thoughts;

/// The most bytes of the last user message that are kept.
const MAX_TEXT: usize = 4096;

/// The most bytes of all text, and of the system's.
const MAX_PROSE: usize = 64 * 1024;

/// Parts of a message that are pictures, and that are sounds or files.
const IMAGES: [&str; 3] = ["image_url", "input_image", "image"];
const ATTACHMENTS: [&str; 6] = ["input_audio", "audio_url", "video_url", "file", "input_file", "document"];

/// How many bytes of the messages a provider's prompt cache surely tells apart: it caches from 1,024 tokens on.
const PREFIX: usize = 4096;

/// What the messages of a request come to.
#[derive(Default)]
pub(super) struct Prose<'a> {
    pub(super) count: usize,
    /// Those with content; a list of texts has none.
    pub(super) spoken: usize,
    /// Pictures, sound and files.
    pub(super) media: Media,
    /// Does any of them carry reasoning?
    pub(super) reasoned: bool,
    last_user: Option<Raw<'a>>,
}

/// Texts one after the other, a line each.
pub(super) struct Lines<'a>(Option<&'a mut String>);

impl<'a> Lines<'a> {
    /// Gathers into `lines` if they are wanted.
    pub(super) fn wanted(wanted: bool, lines: &'a mut String) -> Self {
        Self(wanted.then_some(lines))
    }

    pub(super) fn add(&mut self, content: Raw<'_>) {
        let Some(lines) = &mut self.0 else { return };
        let before = lines.len();
        if before > 0 && before < MAX_PROSE {
            lines.push('\n');
        }
        let start = lines.len();
        speak(content, MAX_PROSE, lines);
        if lines.len() == start {
            lines.truncate(before);
        }
    }
}

impl<'a> Prose<'a> {
    /// Reads the value of `messages`, or of an `input` that holds some.
    pub(super) fn read(messages: Raw<'a>, text: &mut Lines<'_>, system: &mut Lines<'_>) -> Self {
        let mut prose = Self::default();
        for message in messages.items() {
            prose.count += 1;
            let (role, content) = prose.role_and_content(message);
            let Some(content) = content else { continue };
            prose.spoken += 1;
            prose.media.add(content);
            text.add(content);
            match role {
                Some(role) if role.is("user") => prose.last_user = Some(content),
                Some(role) if role.is("system") || role.is("developer") => system.add(content),
                _ => {}
            }
        }
        prose
    }

    fn role_and_content(&mut self, message: Raw<'a>) -> (Option<Str<'a>>, Option<Raw<'a>>) {
        let (mut role, mut content) = (None, None);
        for (name, value) in message.fields() {
            if name.is("role") {
                role = value.string();
            } else if name.is("content") {
                content = Some(value);
            } else {
                self.reasoned |= thoughts::NAMES.iter().any(|thought| name.is(thought));
            }
        }
        (role, content)
    }

    /// The beginning of the last user message.
    pub(super) fn last_user_text(&self) -> String {
        let mut text = String::new();
        if let Some(content) = self.last_user {
            speak(content, MAX_TEXT, &mut text);
        }
        text
    }
}

/// The beginning of an `input` that is no message: a text, or a list of texts to embed, a line each.
pub(super) fn plain_input(input: Raw<'_>) -> String {
    let mut all = String::new();
    if input.string().is_some() {
        speak(input, MAX_TEXT, &mut all);
    }
    for text in input.items().filter_map(Raw::string) {
        if !all.is_empty() && all.len() < MAX_TEXT {
            all.push('\n');
        }
        push(text, MAX_TEXT, &mut all);
    }
    all
}

/// What of the messages is no text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Media {
    pub(super) images: u64,
    /// Sounds and files, and their bytes.
    pub(super) attachments: u64,
    pub(super) attached: usize,
    /// Bytes of all of them.
    pub(super) bytes: usize,
}

impl Media {
    fn add(&mut self, content: Raw<'_>) {
        for part in content.items() {
            let Some(kind) = part.get("type").and_then(Raw::string) else { continue };
            let bytes = part.text().len();
            if IMAGES.iter().any(|image| kind.is(image)) {
                self.images += 1;
            } else if ATTACHMENTS.iter().any(|attachment| kind.is(attachment)) {
                self.attachments += 1;
                self.attached += bytes;
            } else {
                continue;
            }
            self.bytes += bytes;
        }
    }
}

/// Adds the text of a message to `all`, until that has `most` bytes: its string, or its text parts one after the
/// other.
fn speak(content: Raw<'_>, most: usize, all: &mut String) {
    if let Some(text) = content.string() {
        return push(text, most, all);
    }
    for part in content.items().filter_map(|part| part.get("text")?.string()) {
        push(part, most, all);
    }
}

/// Adds `text` to `all` until that has `most` bytes, or a little less where a character would be cut.
fn push(text: Str<'_>, most: usize, all: &mut String) {
    let most = most.saturating_sub(all.len());
    // No escape needs more than six bytes for each byte that it says, so this much is always enough, and an
    // escape that is cut here lies beyond what is kept.
    let enough = text.raw().floor_char_boundary(most.saturating_mul(6).saturating_add(12));
    let decoded = Str::assume(text.raw().get(..enough).unwrap_or_default()).decode();
    all.push_str(decoded.get(..decoded.floor_char_boundary(most)).unwrap_or_default());
}

/// A hash of the first 4 KiB of the messages as they are written, the same in every process and release.
pub(super) fn prefix(messages: Raw<'_>) -> Option<u64> {
    let bytes = messages.text().as_bytes().get(..PREFIX)?;
    // Multiply and fold (as wyhash does), on four lanes so that no step waits for the one before.
    let mut lanes =
        [0x9e37_79b9_7f4a_7c15_u64, 0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb, 0xd6e8_feb8_6659_fd93];
    for block in bytes.chunks_exact(32) {
        for (lane, word) in lanes.iter_mut().zip(block.chunks_exact(8)) {
            let word = word.first_chunk().map_or(0, |word| u64::from_le_bytes(*word));
            *lane = fold(*lane ^ word, 0xa076_1d64_78bd_642f);
        }
    }
    Some(lanes.into_iter().fold(PREFIX as u64, |hash, lane| fold(hash ^ lane, 0xe703_7ed1_a0b4_28db)))
}

#[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}
