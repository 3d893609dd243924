//! JSON strings: escaped text, read only on demand.

use std::borrow::Cow;

use super::skip::{plain, slice};

/// The text between the quotes of a JSON string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Str<'a> {
    pub(super) raw: &'a str,
    pub(super) escaped: bool,
}

impl<'a> Str<'a> {
    /// The text between quotes that were taken from a checked document.
    pub(crate) fn assume(raw: &'a str) -> Self {
        Self { raw, escaped: memchr::memchr(b'\\', raw.as_bytes()).is_some() }
    }

    /// `bytes` as the text of a string, if it can stand there just as it is.
    pub(crate) fn plain(bytes: &'a [u8]) -> Option<Self> {
        if plain(bytes, 0) < bytes.len() {
            return None;
        }
        Some(Self { raw: std::str::from_utf8(bytes).ok()?, escaped: false })
    }

    /// The text with its escapes.
    pub fn raw(self) -> &'a str {
        self.raw
    }

    /// Does it hold any escape?
    pub fn has_escapes(self) -> bool {
        self.escaped
    }

    /// Is it `""`?
    pub fn is_empty(self) -> bool {
        self.raw.is_empty()
    }

    /// Does it say `text`, however it is escaped?
    #[inline]
    pub fn is(self, text: &str) -> bool {
        self.raw == text || (self.escaped && self.decode() == text)
    }

    /// The bytes of what it says, without building it; a surrogate counts two.
    pub fn decoded_len(self) -> usize {
        if !self.escaped {
            return self.raw.len();
        }
        let bytes = self.raw.as_bytes();
        let (mut length, mut at) = (bytes.len(), 0);
        while let Some(found) = memchr::memchr(b'\\', bytes.get(at..).unwrap_or_default()) {
            let escape = slice(self.raw, at + found + 1, bytes.len());
            let (spelled, says) = match escape.strip_prefix('u').and_then(hex) {
                Some((0..0x80, _)) => (6, 1),
                Some((0x80..0x800 | 0xd800..0xe000, _)) => (6, 2),
                Some(_) => (6, 3),
                None => (2, 1),
            };
            length = length.saturating_sub(spelled - says);
            at += found + spelled;
        }
        length
    }

    /// What it says; escaped surrogates without a partner become U+FFFD.
    #[inline]
    pub fn decode(self) -> Cow<'a, str> {
        if self.escaped { Cow::Owned(self.unescaped()) } else { Cow::Borrowed(self.raw) }
    }

    #[cold]
    fn unescaped(self) -> String {
        let mut text = String::with_capacity(self.raw.len());
        let mut rest = self.raw;
        while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
            text.push_str(slice(rest, 0, at));
            let (character, after) = unescape(slice(rest, at + 1, rest.len()));
            text.push(character);
            rest = after;
        }
        text.push_str(rest);
        text
    }
}

/// The character of one escape, and what follows it; `escape` starts after the backslash.
fn unescape(escape: &str) -> (char, &str) {
    let mut characters = escape.chars();
    let character = match characters.next() {
        Some('b') => '\u{8}',
        Some('f') => '\u{c}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('u') => return unicode_escape(characters.as_str()),
        Some(other) => other,
        None => char::REPLACEMENT_CHARACTER,
    };
    (character, characters.as_str())
}

fn unicode_escape(text: &str) -> (char, &str) {
    let Some((first, rest)) = hex(text) else { return (char::REPLACEMENT_CHARACTER, text) };
    if let Some(character) = char::from_u32(first) {
        return (character, rest);
    }
    let second = rest.strip_prefix("\\u").and_then(hex);
    match second {
        Some((low @ 0xdc00..=0xdfff, after)) if first < 0xdc00 => {
            let code = 0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00);
            (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), after)
        }
        _ => (char::REPLACEMENT_CHARACTER, rest),
    }
}

fn hex(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}
