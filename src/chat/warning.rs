//! What an answer did wrong without being worthless for it.

/// One oddity of an answer that was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Warning {
    /// A finish, but no `[DONE]` after it.
    MissingDone,
    /// Something followed `[DONE]`; the connection must not be used again.
    DataAfterDone,
    /// A choice was finished more than once; the first reason counts.
    FinishTwice,
    /// The model's name changed within a stream; the requested deployment is what is priced.
    ModelChanged,
    /// An error arrived after the answer was complete.
    ErrorAfterFinish,
    /// An event that is not one arrived after the answer was complete.
    MalformedAfterFinish,
    /// The usage is not made of plausible numbers, so an estimate stands for it.
    UsageInvalid,
}

const ALL: [(Warning, &str); 7] = [
    (Warning::MissingDone, "missing_done"),
    (Warning::DataAfterDone, "data_after_done"),
    (Warning::FinishTwice, "finish_twice"),
    (Warning::ModelChanged, "model_changed"),
    (Warning::ErrorAfterFinish, "error_after_finish"),
    (Warning::MalformedAfterFinish, "malformed_after_finish"),
    (Warning::UsageInvalid, "usage_invalid"),
];

/// A set of warnings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Warnings(u8);

impl Warnings {
    /// Adds one.
    pub fn add(&mut self, warning: Warning) {
        self.0 |= 1 << warning as u8;
    }

    /// Is it in the set?
    pub fn has(self, warning: Warning) -> bool {
        self.0 & (1 << warning as u8) != 0
    }

    /// Is the set empty?
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Their names as receipts and metrics show them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        ALL.into_iter().filter(move |(warning, _)| self.has(*warning)).map(|(_, name)| name)
    }
}
