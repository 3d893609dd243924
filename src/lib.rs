//! fairlead leads every call to a language model in the right direction and takes the friction out of it.
//!
//! One call, in eight lines ([`call`] is the loop):
//!
//! ```text
//! call ─► route   which deployments may serve it, in which order        route
//!      ─► admit   may this attempt start                                admit
//!      ─► send    one request, one response, a limit on every phase     send, provider, chat
//!      ─► judge   what a failure means and what comes next              retry
//!           ├─ ok: reply or stream ─► settle   tokens, cost, receipt    settle
//!           ├─ again: the next deployment, or the same after backoff
//!           └─ fail: one typed error with the whole history             error
//! ```
//!
//! # Cancel safety
//!
//! Dropping the future of a call, or the stream it returned, closes its HTTP/1.1 connection (on HTTP/2: resets its
//! stream), gives its permits back and settles what was used as an estimate. The provider may still bill for what
//! it had begun.
//!
//! # Stability
//!
//! The Python package is the public interface. The Rust items are public for the tests and for the gateway; they
//! may change in any release.

// The flow is the layout: modules in the order in which a call meets them.
pub mod call;
pub mod engine;
pub mod reply;
pub mod caller;
pub mod warm;

pub mod clock;
pub mod error;
pub mod defect;
mod sync;

pub mod config;
pub mod secret;
pub mod chat;
pub mod live;
pub mod route;
pub mod admit;
pub mod provider;
pub mod send;
pub mod retry;
pub mod settle;
pub mod store;

pub mod simulate;

#[cfg(feature = "python")]
#[allow(unsafe_code, reason = "the Python border is the only place that may, each with its argument")]
mod python;

pub use engine::Engine;
pub use error::{Error, Kind};
