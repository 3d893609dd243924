//! The one JSON reader of the core: check a document once, then walk its text.
//!
//! [`document`] proves that some bytes are one JSON value (RFC 8259, UTF-8). A [`Raw`] is the text of a value that
//! was proved so; reading from it allocates nothing, parses only what is asked for and cannot fail. Nothing is
//! built: members are found by skipping, a number is text until someone wants its value, a string keeps its
//! escapes until [`Str::decode`].

mod skip;
mod string;
mod walk;

use std::fmt;

use skip::{past_separator, past_string, past_value, past_whitespace, slice};
pub use string::Str;
pub(crate) use walk::Walk;

/// The deepest nesting of arrays and objects that is accepted.
pub const MAX_DEPTH: usize = 128;

/// Why some bytes are not a JSON document, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Bytes from the start of the input.
    pub offset: usize,
    /// What is wrong there.
    pub kind: FaultKind,
}

/// What is wrong with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Nothing but whitespace.
    Empty,
    /// Bytes that are not UTF-8.
    Utf8,
    /// Not JSON, or cut short.
    Syntax,
    /// Nested deeper than [`MAX_DEPTH`].
    Depth,
    /// Something follows the value.
    Trailing,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.offset;
        match self.kind {
            FaultKind::Empty => f.write_str("the JSON document is empty"),
            FaultKind::Utf8 => write!(f, "the JSON document is not UTF-8 at byte {at}"),
            FaultKind::Syntax => write!(f, "the JSON document is broken at byte {at}"),
            FaultKind::Depth => {
                write!(f, "the JSON document nests deeper than {MAX_DEPTH} levels at byte {at}")
            }
            FaultKind::Trailing => write!(f, "the JSON document is followed by something else at byte {at}"),
        }
    }
}

impl std::error::Error for Fault {}

/// What a JSON value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// Checks that `bytes` are one JSON value, with a byte order mark and whitespace around it allowed.
///
/// Strict otherwise: no NaN, no comments, no trailing commas, no raw control characters. Two liberties: numbers
/// may be outside of every machine type, and escaped surrogates may be alone (`"\ud800"`), because upstreams send
/// them.
pub fn document(bytes: &[u8]) -> Result<Raw<'_>, Fault> {
    let mut walk = Walk::start(bytes)?;
    let value = walk.value().map_err(|kind| walk.fault(kind))?;
    walk.end()?;
    Ok(value)
}

/// The text of one value that [`document`] has checked, without whitespace around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// Takes `text` for a span of a checked document. If it is not, reading gives nonsense, but never panics.
    pub(crate) fn assume(text: &'a str) -> Self {
        Self(text)
    }

    /// The JSON text.
    pub fn text(self) -> &'a str {
        self.0
    }

    /// What the value is.
    pub fn kind(self) -> ValueKind {
        match self.0.as_bytes().first() {
            Some(b'{') => ValueKind::Object,
            Some(b'[') => ValueKind::Array,
            Some(b'"') => ValueKind::String,
            Some(b't' | b'f') => ValueKind::Bool,
            Some(b'-' | b'0'..=b'9') => ValueKind::Number,
            _ => ValueKind::Null,
        }
    }

    /// Is it `null`?
    pub fn is_null(self) -> bool {
        self.kind() == ValueKind::Null
    }

    /// The members of an object in order, duplicates included; nothing for other kinds.
    pub fn fields(self) -> Fields<'a> {
        let at = if self.kind() == ValueKind::Object { 1 } else { self.0.len() };
        Fields { text: self.0, at }
    }

    /// The items of an array; nothing for other kinds.
    pub fn items(self) -> Items<'a> {
        let at = if self.kind() == ValueKind::Array { 1 } else { self.0.len() };
        Items { text: self.0, at }
    }

    /// The member called `name`; of several the last, as every common parser has it.
    pub fn get(self, name: &str) -> Option<Raw<'a>> {
        self.fields().filter(|(key, _)| key.is(name)).map(|(_, value)| value).last()
    }

    /// The string, if it is one.
    pub fn string(self) -> Option<Str<'a>> {
        self.0.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map(Str::assume)
    }

    /// The number, if it is written as an integer (`12`, not `12.0`) that fits.
    pub fn as_u64(self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// The number, if it is written as an integer (`12`, not `12.0`) that fits.
    pub fn as_i64(self) -> Option<i64> {
        self.0.parse().ok()
    }

    /// The number nearest to the one written, unless that overflows.
    pub fn as_f64(self) -> Option<f64> {
        if self.kind() != ValueKind::Number {
            return None;
        }
        self.0.parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// The truth value.
    pub fn as_bool(self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }
}

/// The members of an object, see [`Raw::fields`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    text: &'a str,
    at: usize,
}

/// Where a member lies in the text of its object: its key with the quotes, and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) key: (usize, usize),
    pub(crate) key_escaped: bool,
    pub(crate) value: (usize, usize),
}

impl Fields<'_> {
    /// The next member as places in the text.
    pub(crate) fn next_member(&mut self) -> Option<Member> {
        let bytes = self.text.as_bytes();
        let key = past_separator(bytes, self.at);
        if bytes.get(key) != Some(&b'"') {
            self.at = bytes.len();
            return None;
        }
        let (key_end, key_escaped) = past_string(bytes, key);
        let colon = past_whitespace(bytes, key_end);
        let value = past_whitespace(bytes, colon + 1);
        let value_end = past_value(bytes, value);
        self.at = value_end;
        Some(Member { key: (key, key_end), key_escaped, value: (value, value_end) })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Str<'a>, Raw<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let Member { key, key_escaped, value } = self.next_member()?;
        let raw = slice(self.text, key.0 + 1, key.1.saturating_sub(1));
        Some((Str { raw, escaped: key_escaped }, Raw(slice(self.text, value.0, value.1))))
    }
}

/// The items of an array, see [`Raw::items`].
#[derive(Clone, Debug)]
pub struct Items<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.text.as_bytes();
        let start = past_separator(bytes, self.at);
        self.at = past_value(bytes, start);
        if self.at == start {
            self.at = bytes.len();
            return None;
        }
        Some(Raw(slice(self.text, start, self.at)))
    }
}
