//! May this start now? Two permits: one for the call, one for every attempt.
//!
//! ```text
//! flood   so many calls a second of one caller, before anything is read                flood
//! gate    the first candidate that its breaker, its provider's limits, the scope's     gate, refusal
//!         purse, and our limits and budgets let through; else a place in line          scopes, opening, purse, line
//! permit  what was reserved; it settles once and gives back when dropped               permit, needs
//! limiter one limit by itself, for code that is no call                                limiter
//! ```
//!
//! A [`CallPermit`] is charged once, however many attempts follow; an [`AttemptPermit`] belongs to one upstream
//! request. Nothing here sees JSON, and nothing is counted here: that is the [`crate::store`].

mod flood;
mod gate;
mod limiter;
pub mod line;
mod lines;
mod needs;
pub mod opening;
mod permit;
pub mod priority;
mod purse;
mod refusal;
mod scopes;

pub use flood::Flood;
pub use gate::{Entry, Gate};
pub use limiter::{InLine, Late, Limiter, Share, Taking};
pub use line::Leave;
pub use lines::Lines;
pub use needs::Needs;
pub use permit::{AttemptPermit, CallPermit};
pub use purse::Purse;
pub use scopes::{Caller, Claim, Quota, Scopes};
