//! Server-sent events, decoded as they arrive (the WHATWG grammar), whatever the network cuts.
//!
//! An event whose one `data` line lies within one read is a slice of that read; only what spans reads or lines is
//! copied. Memory is bounded by the largest line plus the largest event.

use std::fmt;

use bytes::{Bytes, BytesMut};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const DONE: &[u8] = b"[DONE]";

/// One event that had data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The `event` field; `None` where it is absent or empty.
    pub name: Option<Bytes>,
    /// The `data` lines, joined by line feeds.
    pub data: Bytes,
}

/// A stream over its bounds. The decoder stays in this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SseFault {
    /// The data of one event is larger than `limit` bytes.
    EventTooLarge {
        /// Bytes allowed.
        limit: usize,
    },
    /// One line is longer than `limit` bytes.
    LineTooLong {
        /// Bytes allowed.
        limit: usize,
    },
}

impl fmt::Display for SseFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EventTooLarge { limit } => write!(f, "a stream event is larger than {limit} bytes"),
            Self::LineTooLong { limit } => {
                write!(f, "a line of the event stream is longer than {limit} bytes")
            }
        }
    }
}

impl std::error::Error for SseFault {}

/// Appends an event of `data`, as [`Decoder`] gives it, to `frames` in the form that is sent.
pub fn frame(data: &[u8], frames: &mut Vec<u8>) {
    frames.reserve(b"data: \n\n".len() + data.len());
    for line in data.split(|byte| *byte == b'\n') {
        frames.extend_from_slice(b"data: ");
        frames.extend_from_slice(line);
        frames.push(b'\n');
    }
    frames.push(b'\n');
}

/// Turns network reads into events.
#[derive(Debug)]
pub struct Decoder {
    max_event: usize,
    max_line: usize,
    /// The line that has not ended yet.
    partial: BytesMut,
    /// The last read ended in a carriage return; a line feed now belongs to it.
    after_return: bool,
    /// No line was complete yet, so a byte order mark may still come.
    at_start: bool,
    name: Option<Bytes>,
    data: Data,
    comments: u64,
    fault: Option<SseFault>,
}

/// The data lines of the event so far.
#[derive(Debug)]
enum Data {
    None,
    One(Bytes),
    Many(BytesMut),
}

impl Data {
    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(line) => line.len() + 1,
            Self::Many(lines) => lines.len() + 1,
        }
    }

    fn add(&mut self, line: Bytes) {
        *self = match std::mem::replace(self, Self::None) {
            Self::None => Self::One(line),
            Self::One(first) => Self::Many(join(BytesMut::from(first.as_ref()), &line)),
            Self::Many(lines) => Self::Many(join(lines, &line)),
        };
    }

    fn take(&mut self) -> Option<Bytes> {
        match std::mem::replace(self, Self::None) {
            Self::None => None,
            Self::One(line) => Some(line),
            Self::Many(lines) => Some(lines.freeze()),
        }
    }
}

fn join(mut lines: BytesMut, line: &[u8]) -> BytesMut {
    lines.extend_from_slice(b"\n");
    lines.extend_from_slice(line);
    lines
}

impl Decoder {
    /// A decoder for one stream that allows events of `max_event` bytes of data and lines of `max_line` bytes.
    pub fn new(max_event: usize, max_line: usize) -> Self {
        Self {
            max_event,
            max_line,
            partial: BytesMut::new(),
            after_return: false,
            at_start: true,
            name: None,
            data: Data::None,
            comments: 0,
            fault: None,
        }
    }

    /// Comment lines seen. They show that the upstream lives, not that it has something to say.
    pub fn comments(&self) -> u64 {
        self.comments
    }

    /// Is all that came so far whole events?
    pub fn is_between_events(&self) -> bool {
        self.partial.is_empty() && matches!(self.data, Data::None)
    }

    /// Takes one network read and appends the events that it completes to `out`.
    ///
    /// On a fault the events before it are in `out`, and every later read gives the same fault.
    #[expect(clippy::needless_pass_by_value, reason = "the events are slices that share ownership of it")]
    pub fn push(&mut self, chunk: Bytes, out: &mut Vec<Event>) -> Result<(), SseFault> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let outcome = self.lines(&chunk, out);
        self.fault = outcome.err();
        outcome
    }

    /// The stream is over. What was not ended by an empty line is dropped, as the grammar says, except for a
    /// complete `[DONE]`, after which some upstreams just close.
    pub fn finish(&mut self, out: &mut Vec<Event>) {
        if self.fault.is_none() && !self.partial.is_empty() {
            let line = self.partial.split().freeze();
            self.fault = self.line(&line, 0, line.len(), out).err();
        }
        let data = self.data.take();
        let name = self.name.take();
        if let Some(data) = data.filter(|data| self.fault.is_none() && data.trim_ascii() == DONE) {
            out.push(Event { name, data });
        }
    }

    fn lines(&mut self, chunk: &Bytes, out: &mut Vec<Event>) -> Result<(), SseFault> {
        let mut at = 0;
        if self.after_return && !chunk.is_empty() {
            self.after_return = false;
            at = usize::from(chunk.first() == Some(&b'\n'));
        }
        loop {
            let rest = chunk.get(at..).unwrap_or_default();
            let Some(length) = memchr::memchr2(b'\n', b'\r', rest) else { return self.keep(rest) };
            self.check_line(length)?;
            if self.partial.is_empty() {
                self.line(chunk, at, at + length, out)?;
            } else {
                self.partial.extend_from_slice(rest.get(..length).unwrap_or_default());
                let line = self.partial.split().freeze();
                self.line(&line, 0, line.len(), out)?;
            }
            at += length + 1;
            if rest.get(length) == Some(&b'\r') {
                match rest.get(length + 1) {
                    Some(b'\n') => at += 1,
                    Some(_) => {}
                    None => self.after_return = true,
                }
            }
        }
    }

    fn keep(&mut self, rest: &[u8]) -> Result<(), SseFault> {
        self.check_line(rest.len())?;
        self.partial.extend_from_slice(rest);
        Ok(())
    }

    fn check_line(&self, more: usize) -> Result<(), SseFault> {
        if self.partial.len() + more > self.max_line {
            return Err(SseFault::LineTooLong { limit: self.max_line });
        }
        Ok(())
    }

    /// One complete line: `source[start..end]`.
    fn line(
        &mut self,
        source: &Bytes,
        mut start: usize,
        end: usize,
        out: &mut Vec<Event>,
    ) -> Result<(), SseFault> {
        let mut line = source.get(start..end).unwrap_or_default();
        if std::mem::take(&mut self.at_start)
            && let Some(rest) = line.strip_prefix(BYTE_ORDER_MARK)
        {
            line = rest;
            start += BYTE_ORDER_MARK.len();
        }
        if line.is_empty() {
            self.dispatch(out);
            return Ok(());
        }
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let space = usize::from(line.get(colon + 1) == Some(&b' '));
        let value = || source.slice((start + colon + 1 + space).min(end)..end);
        match line.get(..colon).unwrap_or_default() {
            b"" => self.comments += 1,
            b"data" => return self.data_line(value()),
            b"event" => self.name = Some(value()).filter(|name| !name.is_empty()),
            // `id` and `retry` serve reconnection, which an inference call cannot do.
            _ => {}
        }
        Ok(())
    }

    fn data_line(&mut self, line: Bytes) -> Result<(), SseFault> {
        if self.data.len() + line.len() > self.max_event {
            return Err(SseFault::EventTooLarge { limit: self.max_event });
        }
        self.data.add(line);
        Ok(())
    }

    fn dispatch(&mut self, out: &mut Vec<Event>) {
        let name = self.name.take();
        if let Some(data) = self.data.take() {
            out.push(Event { name, data });
        }
    }
}
