//! The grammar: checking a document while walking it, without recursion.

use super::skip::{past_whitespace, plain, slice};
use super::{Fault, FaultKind, MAX_DEPTH, Raw, Str};

/// A place in a document of which everything before is proved to be JSON.
///
/// Each value is either entered ([`Walk::enter`], then one of `next_key` and `next_item` until they say that it is
/// over) or passed ([`Walk::value`]); either way each byte is looked at once.
#[derive(Clone)]
pub(crate) struct Walk<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// A stack of bits, one for each open container: is it an object?
    objects: u128,
    /// A container was entered and nothing of it was read yet.
    fresh: bool,
}

impl<'a> Walk<'a> {
    /// At the value of a document.
    pub(crate) fn start(bytes: &'a [u8]) -> Result<Self, Fault> {
        let text = std::str::from_utf8(bytes)
            .map_err(|fault| Fault { offset: fault.valid_up_to(), kind: FaultKind::Utf8 })?;
        let mut walk = Self::over(text);
        walk.at = text.len() - text.strip_prefix('\u{feff}').unwrap_or(text).len();
        walk.whitespace();
        if walk.at == text.len() {
            return Err(walk.fault(FaultKind::Empty));
        }
        Ok(walk)
    }

    /// At the start of `text`.
    pub(crate) fn over(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0, objects: 0, fresh: false }
    }

    /// Nothing but whitespace may be left.
    pub(crate) fn end(&mut self) -> Result<(), Fault> {
        self.whitespace();
        if self.at == self.text.len() { Ok(()) } else { Err(self.fault(FaultKind::Trailing)) }
    }

    /// What is wrong here.
    pub(crate) fn fault(&self, kind: FaultKind) -> Fault {
        Fault { offset: self.at, kind }
    }

    /// Enters the object (`b'{'`) or array (`b'['`) that starts here; false, and no move, if none does.
    #[inline]
    pub(crate) fn enter(&mut self, bracket: u8) -> Result<bool, FaultKind> {
        if self.peek() != Some(bracket) {
            return Ok(false);
        }
        self.open(bracket == b'{')?;
        self.fresh = true;
        Ok(true)
    }

    /// The key of the next member of the object that was entered; then its value is due.
    #[inline]
    pub(crate) fn next_key(&mut self) -> Result<Option<Str<'a>>, FaultKind> {
        if self.is_over(b'}')? { Ok(None) } else { self.key().map(Some) }
    }

    /// Is another item due in the array that was entered?
    #[inline]
    pub(crate) fn next_item(&mut self) -> Result<bool, FaultKind> {
        self.is_over(b']').map(|over| !over)
    }

    /// Checks the value that starts here and steps behind it.
    #[inline]
    pub(crate) fn value(&mut self) -> Result<Raw<'a>, FaultKind> {
        let (start, floor) = (self.at, self.depth);
        loop {
            self.first_scalar()?;
            if self.after_value(floor)? {
                return Ok(Raw::assume(slice(self.text, start, self.at)));
            }
        }
    }

    fn is_over(&mut self, bracket: u8) -> Result<bool, FaultKind> {
        self.whitespace();
        let fresh = std::mem::take(&mut self.fresh);
        match self.peek() {
            Some(byte) if byte == bracket => {
                self.close();
                Ok(true)
            }
            _ if fresh => Ok(false),
            Some(b',') => {
                self.step();
                Ok(false)
            }
            _ => Err(FaultKind::Syntax),
        }
    }

    /// One scalar or empty container, or the opening of containers up to and with their first scalar.
    fn first_scalar(&mut self) -> Result<(), FaultKind> {
        loop {
            match self.peek() {
                Some(b'"') => return self.string().map(|_| ()),
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

    /// Closes what ends here and steps to the next value; true when no container above `floor` is open.
    fn after_value(&mut self, floor: usize) -> Result<bool, FaultKind> {
        loop {
            if self.depth == floor {
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
        self.depth = self.depth.saturating_sub(1);
        self.objects >>= 1;
        self.at += 1;
    }

    #[inline]
    fn key(&mut self) -> Result<Str<'a>, FaultKind> {
        if self.peek() != Some(b'"') {
            return Err(FaultKind::Syntax);
        }
        let start = self.at + 1;
        let escaped = self.string()?;
        let raw = slice(self.text, start, self.at.saturating_sub(1));
        self.whitespace();
        if self.peek() != Some(b':') {
            return Err(FaultKind::Syntax);
        }
        self.step();
        Ok(Str { raw, escaped })
    }

    /// Steps behind the string that starts here; true if it holds escapes.
    #[inline]
    fn string(&mut self) -> Result<bool, FaultKind> {
        self.at += 1;
        let mut escaped = false;
        loop {
            self.at = plain(self.text.as_bytes(), self.at);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(FaultKind::Syntax),
            }
        }
    }

    fn escape(&mut self) -> Result<(), FaultKind> {
        let bytes = self.text.as_bytes();
        match bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let digits = bytes.get(self.at + 2..self.at + 6).unwrap_or_default();
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

    #[inline]
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
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(FaultKind::Syntax);
        }
        self.at += word.len();
        Ok(())
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn step(&mut self) {
        self.at += 1;
        self.whitespace();
    }

    #[inline]
    fn whitespace(&mut self) {
        self.at = past_whitespace(self.text.as_bytes(), self.at);
    }
}
