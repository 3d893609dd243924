//! What a request needs of whoever serves it.

/// Abilities a request cannot do without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs(u8);

/// In the order of their bits.
const NAMES: [&str; 5] = ["json_schema", "json_object", "tools", "vision", "reasoning"];

impl Needs {
    /// None.
    pub const NOTHING: Self = Self(0);
    /// An answer that fits a JSON schema.
    pub const JSON_SCHEMA: Self = Self(1);
    /// An answer that is some JSON object.
    pub const JSON_OBJECT: Self = Self(2);
    /// Calls of tools.
    pub const TOOLS: Self = Self(4);
    /// Images to look at.
    pub const VISION: Self = Self(8);
    /// Reasoning that was asked for.
    pub const REASONING: Self = Self(16);

    /// Are all of `others` needed?
    pub fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// These, and `others` if `needed`.
    #[must_use]
    pub fn with(self, others: Self, needed: bool) -> Self {
        if needed { Self(self.0 | others.0) } else { self }
    }

    /// Their names: `json_schema`, `json_object`, `tools`, `vision`, `reasoning`.
    pub fn iter(self) -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().enumerate().filter(move |(bit, _)| self.0 >> bit & 1 == 1).map(|(_, name)| name)
    }
}
