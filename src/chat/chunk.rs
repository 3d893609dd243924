//! One event of a chat stream, and the choices of a whole reply, checked and read in a single pass.

use super::in_band;
use super::json::{Fault, FaultKind, Raw, Str, ValueKind, Walk};
use super::said::{self, Said};

/// The members of a chunk that matter, of duplicates the last.
#[derive(Default)]
pub(crate) struct Chunk<'a> {
    pub(crate) id: Option<Raw<'a>>,
    pub(crate) model: Option<Raw<'a>>,
    pub(crate) usage: Option<Raw<'a>>,
    pub(crate) service: Option<Raw<'a>>,
    pub(crate) x_groq: Option<Raw<'a>>,
    pub(crate) error: Option<Raw<'a>>,
    pub(crate) choices: Choices<'a>,
}

/// The `choices` of a chunk.
#[derive(Default)]
pub(crate) enum Choices<'a> {
    /// There is no such member.
    #[default]
    Absent,
    /// One choice, read on the way: the common case.
    One(Choice<'a>),
    /// Anything else, still to be looked at.
    Other(Raw<'a>),
}

/// The members of a choice that matter, of duplicates the last.
#[derive(Default)]
pub(crate) struct Choice<'a> {
    pub(crate) index: Option<Raw<'a>>,
    /// What the delta says; where there is none, what the message says.
    pub(crate) said: Said<'a>,
    /// What the message says; some hosts send both, in a stream all of the answer so far.
    pub(crate) message: Said<'a>,
    /// The text of a completions chunk, which has no delta.
    pub(crate) text: Option<Str<'a>>,
    /// The reason, where there is one.
    pub(crate) finish: Option<Str<'a>>,
    pub(crate) usage: Option<Raw<'a>>,
    pub(crate) error: Option<Raw<'a>>,
}

impl<'a> Chunk<'a> {
    /// Reads the data of an event; `None` if it is JSON but not an object.
    pub(crate) fn read(data: &'a [u8]) -> Result<Option<Self>, Fault> {
        let mut walk = Walk::start(data)?;
        let chunk = Self::walk(&mut walk).map_err(|kind| walk.fault(kind))?;
        walk.end()?;
        Ok(chunk)
    }

    fn walk(walk: &mut Walk<'a>) -> Result<Option<Self>, FaultKind> {
        if !walk.enter(b'{')? {
            walk.value()?;
            return Ok(None);
        }
        let mut chunk = Self::default();
        while let Some(name) = walk.next_key()? {
            match name.decode().as_ref() {
                "id" => chunk.id = Some(walk.value()?),
                "model" => chunk.model = Some(walk.value()?),
                "usage" => chunk.usage = Some(walk.value()?),
                "service_tier" => chunk.service = Some(walk.value()?),
                "x_groq" => chunk.x_groq = Some(walk.value()?),
                "choices" => chunk.choices = Choices::walk(walk)?,
                "error" => chunk.error = Some(walk.value()?).filter(|error| in_band::is_error(*error)),
                _ => drop(walk.value()?),
            }
        }
        Ok(Some(chunk))
    }
}

impl<'a> Choices<'a> {
    /// Reads what stands where the choices should.
    pub(crate) fn walk(walk: &mut Walk<'a>) -> Result<Self, FaultKind> {
        let before = walk.clone();
        if walk.enter(b'[')?
            && walk.next_item()?
            && let Some(choice) = Choice::walk(walk)?
            && !walk.next_item()?
        {
            return Ok(Self::One(choice));
        }
        *walk = before;
        walk.value().map(Self::Other)
    }
}

impl<'a> Choice<'a> {
    /// Reads a choice; `None` if it is not an object.
    pub(crate) fn read(choice: Raw<'a>) -> Option<Self> {
        Self::walk(&mut Walk::over(choice.text())).ok().flatten()
    }

    fn walk(walk: &mut Walk<'a>) -> Result<Option<Self>, FaultKind> {
        if !walk.enter(b'{')? {
            return Ok(None);
        }
        let mut choice = Self::default();
        let mut delta = None;
        while let Some(name) = walk.next_key()? {
            match name.decode().as_ref() {
                "index" => choice.index = Some(walk.value()?),
                "delta" => delta = said::walk(walk)?,
                "message" => choice.message = said::walk(walk)?.unwrap_or_default(),
                "finish_reason" => choice.finish = reason(walk.value()?),
                "text" => choice.text = walk.value()?.string(),
                "usage" => choice.usage = Some(walk.value()?),
                "error" => choice.error = Some(walk.value()?).filter(|error| in_band::is_error(*error)),
                _ => drop(walk.value()?),
            }
        }
        choice.said = delta.unwrap_or(choice.message);
        Ok(Some(choice))
    }
}

fn reason(value: Raw<'_>) -> Option<Str<'_>> {
    if value.kind() == ValueKind::Null {
        return None;
    }
    value.string().filter(|reason| !reason.is_empty())
}
