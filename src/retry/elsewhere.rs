//! Which other candidate mends which failure.

use crate::error::{Kind, Other};
use crate::route::{Candidate, Role};

/// How well a candidate suits after a failure; lower is asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mend {
    /// Of the same model.
    Peer,
    /// Meant for this very cause.
    Meant,
    /// What follows after any failure.
    Fallback,
}

impl Candidate {
    /// May this candidate do better where `failed` failed with `kind`?
    pub fn mends(&self, kind: Kind, failed: &Self) -> Option<Mend> {
        match kind.rule().other {
            Other::Never => None,
            Other::Yes => match self.role {
                role if role == failed.role => Some(Mend::Peer),
                // Whatever made the call leave its own model for one cause would still hold there.
                Role::Own if failed.role.is_for_one_cause() => Some(Mend::Fallback),
                Role::Own => Some(Mend::Peer),
                Role::Quota => (kind == Kind::Quota).then_some(Mend::Meant),
                Role::Fallback => Some(Mend::Fallback),
                Role::ContextWindow | Role::ContentFilter => None,
            },
            Other::LargerWindow if self.role == Role::ContextWindow => Some(Mend::Meant),
            Other::LargerWindow if self.role.is_for_one_cause() => None,
            Other::LargerWindow => self.has_larger_window_than(failed).then_some(Mend::Peer),
            Other::IfPolicyAllows => (self.role == Role::ContentFilter).then_some(Mend::Meant),
        }
    }

    fn has_larger_window_than(&self, other: &Self) -> bool {
        let windows = [self, other].map(|candidate| candidate.deployment.context_window());
        matches!(windows, [Some(own), Some(theirs)] if own > theirs)
    }
}
