//! The one JSON reader of the core: check a document once, then walk its text.
//!
//! [`document`] proves that some bytes are one JSON value (RFC 8259, UTF-8). A [`Raw`] is the text of a value that
//! was proved so; reading from it allocates nothing, parses only what is asked for and cannot fail. Nothing is
//! built: members are found by skipping, a number is text until someone wants its value, a string keeps its
//! escapes until [`Str::decode`].

use std::borrow::Cow;
use std::fmt;

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
    let text = std::str::from_utf8(bytes)
        .map_err(|fault| Fault { offset: fault.valid_up_to(), kind: FaultKind::Utf8 })?;
    let start = text.len() - text.strip_prefix('\u{feff}').unwrap_or(text).len();
    let mut checker = Checker { bytes, at: start, depth: 0, objects: 0 };
    checker.whitespace();
    let start = checker.at;
    if start == bytes.len() {
        return Err(Fault { offset: start, kind: FaultKind::Empty });
    }
    checker.document().map_err(|kind| Fault { offset: checker.at, kind })?;
    let end = checker.at;
    checker.whitespace();
    if checker.at != bytes.len() {
        return Err(Fault { offset: checker.at, kind: FaultKind::Trailing });
    }
    Ok(Raw(slice(text, start, end)))
}

/// The grammar, without recursion: `objects` is a stack of bits, one for each open container.
struct Checker<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    objects: u128,
}

impl Checker<'_> {
    fn document(&mut self) -> Result<(), FaultKind> {
        loop {
            self.value()?;
            if self.after_value()? {
                return Ok(());
            }
        }
    }

    /// One scalar or empty container, or the opening of containers up to and with their first scalar.
    fn value(&mut self) -> Result<(), FaultKind> {
        loop {
            match self.peek() {
                Some(b'"') => return self.string(),
                Some(b'{') => {
                    self.open(true)?;
                    if self.peek() == Some(b'}') {
                        return Ok(());
                    }
                    self.key()?;
                }
                Some(b'[') => {
                    self.open(false)?;
                    if self.peek() == Some(b']') {
                        return Ok(());
                    }
                }
                Some(b'-' | b'0'..=b'9') => return self.number(),
                Some(b't') => return self.literal(b"true"),
                Some(b'f') => return self.literal(b"false"),
                Some(b'n') => return self.literal(b"null"),
                _ => return Err(FaultKind::Syntax),
            }
        }
    }

    /// Closes what ends here and steps to the next value; true when the document is complete.
    fn after_value(&mut self) -> Result<bool, FaultKind> {
        loop {
            if self.depth == 0 {
                return Ok(true);
            }
            self.whitespace();
            let in_object = self.objects & 1 == 1;
            match self.peek() {
                Some(b',') => {
                    self.step();
                    if in_object {
                        self.key()?;
                    }
                    return Ok(false);
                }
                Some(b'}') if in_object => self.close(),
                Some(b']') if !in_object => self.close(),
                _ => return Err(FaultKind::Syntax),
            }
        }
    }

    fn open(&mut self, object: bool) -> Result<(), FaultKind> {
        if self.depth == MAX_DEPTH {
            return Err(FaultKind::Depth);
        }
        self.depth += 1;
        self.objects = (self.objects << 1) | u128::from(object);
        self.step();
        Ok(())
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.objects >>= 1;
        self.at += 1;
    }

    #[inline]
    fn key(&mut self) -> Result<(), FaultKind> {
        if self.peek() != Some(b'"') {
            return Err(FaultKind::Syntax);
        }
        self.string()?;
        self.whitespace();
        if self.peek() != Some(b':') {
            return Err(FaultKind::Syntax);
        }
        self.step();
        Ok(())
    }

    fn string(&mut self) -> Result<(), FaultKind> {
        self.at += 1;
        loop {
            self.at = plain(self.bytes, self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => self.escape()?,
                _ => return Err(FaultKind::Syntax),
            }
        }
    }

    fn escape(&mut self) -> Result<(), FaultKind> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let digits = self.bytes.get(self.at + 2..self.at + 6).unwrap_or_default();
                if digits.len() != 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(FaultKind::Syntax);
                }
                self.at += 6;
            }
            _ => return Err(FaultKind::Syntax),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), FaultKind> {
        self.optional(b"-");
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.optional(b".") {
            self.digits()?;
        }
        if self.optional(b"eE") {
            self.optional(b"+-");
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), FaultKind> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(FaultKind::Syntax) } else { Ok(()) }
    }

    #[inline]
    fn optional(&mut self, any_of: &[u8]) -> bool {
        let found = self.peek().is_some_and(|byte| any_of.contains(&byte));
        self.at += usize::from(found);
        found
    }

    #[inline]
    fn literal(&mut self, word: &[u8]) -> Result<(), FaultKind> {
        let matches = self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        self.at += if matches { word.len() } else { 0 };
        if matches { Ok(()) } else { Err(FaultKind::Syntax) }
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn step(&mut self) {
        self.at += 1;
        self.whitespace();
    }

    #[inline]
    fn whitespace(&mut self) {
        self.at = past_whitespace(self.bytes, self.at);
    }
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
        self.0.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map(Str)
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
        let key_end = past_string(bytes, key);
        let colon = past_whitespace(bytes, key_end);
        let value = past_whitespace(bytes, colon + 1);
        let value_end = past_value(bytes, value);
        self.at = value_end;
        Some(Member { key: (key, key_end), value: (value, value_end) })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (Str<'a>, Raw<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let Member { key, value } = self.next_member()?;
        Some((
            Str(slice(self.text, key.0 + 1, key.1.saturating_sub(1))),
            Raw(slice(self.text, value.0, value.1)),
        ))
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

/// The text between the quotes of a JSON string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Str<'a>(&'a str);

impl<'a> Str<'a> {
    /// The text between quotes that were taken from a checked document.
    pub(crate) fn assume(raw: &'a str) -> Self {
        Self(raw)
    }

    /// The text with its escapes.
    pub fn raw(self) -> &'a str {
        self.0
    }

    /// Does it hold any escape?
    pub fn has_escapes(self) -> bool {
        memchr::memchr(b'\\', self.0.as_bytes()).is_some()
    }

    /// Is it `""`?
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Does it say `text`, however it is escaped?
    #[inline]
    pub fn is(self, text: &str) -> bool {
        // An escape is always longer than what it stands for.
        self.0 == text || (self.0.len() > text.len() && self.has_escapes() && self.decode() == text)
    }

    /// The bytes of what it says, without building it; a surrogate counts two.
    pub fn decoded_len(self) -> usize {
        let bytes = self.0.as_bytes();
        let (mut length, mut at) = (bytes.len(), 0);
        while let Some(found) = memchr::memchr(b'\\', bytes.get(at..).unwrap_or_default()) {
            let escape = slice(self.0, at + found + 1, bytes.len());
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
    pub fn decode(self) -> Cow<'a, str> {
        if !self.has_escapes() {
            return Cow::Borrowed(self.0);
        }
        let mut text = String::with_capacity(self.0.len());
        let mut rest = self.0;
        while let Some((before, escape)) = rest.split_once('\\') {
            text.push_str(before);
            let (character, after) = unescape(escape);
            text.push(character);
            rest = after;
        }
        text.push_str(rest);
        Cow::Owned(text)
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

#[inline]
fn slice(text: &str, start: usize, end: usize) -> &str {
    text.get(start..end).unwrap_or_default()
}

#[inline]
fn past_whitespace(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

#[inline]
fn past_separator(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t' | b',')) {
        at += 1;
    }
    at
}

/// The end of the string whose opening quote is at `at`.
#[inline]
fn past_string(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    loop {
        at = plain(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return at + 1,
            Some(b'\\') => at += 2,
            Some(_) => at += 1,
            None => return bytes.len(),
        }
    }
}

/// The end of the value that starts at `at`; `at` itself where none does.
#[inline]
fn past_value(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        Some(b'"') => past_string(bytes, at),
        Some(b'{' | b'[') => past_container(bytes, at),
        _ => past_scalar(bytes, at),
    }
}

fn past_scalar(bytes: &[u8], mut at: usize) -> usize {
    while !matches!(bytes.get(at), None | Some(b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

fn past_container(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = past_string(bytes, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

const ONES: u64 = u64::MAX / 0xff;
const HIGHS: u64 = ONES * 0x80;

/// From `at`, the first byte that cannot stand for itself in a string: a quote, a backslash or a control
/// character; the length if there is none.
#[inline]
fn plain(bytes: &[u8], mut at: usize) -> usize {
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let special = special(u64::from_le_bytes(*eight));
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while !matches!(bytes.get(at), None | Some(b'"' | b'\\' | ..0x20)) {
        at += 1;
    }
    at
}

/// Marks the high bit of the bytes in question. Borrows may mark bytes above the lowest one, never below it.
#[inline]
const fn special(word: u64) -> u64 {
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = quote.wrapping_sub(ONES) & !quote;
    let backslash = backslash.wrapping_sub(ONES) & !backslash;
    (control | quote | backslash) & HIGHS
}
