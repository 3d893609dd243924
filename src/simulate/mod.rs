//! What would have become of these calls: a trace run through the real engine, over upstreams that behave by a script.
//!
//! Routing, limits, retries, breakers and streams are those of production, byte for byte; only the sockets and the
//! clock are not. Hours pass in seconds, because tokio's paused clock jumps to the next timer whenever nothing is left
//! to do. The same seed gives the same run.
//!
//! ```text
//! Trace     when a call comes, for which model, how large, for whom
//! Scenario  how fast every upstream is, and when it is ill, and how
//! Policy    the configuration as written, or what it would be without one
//!    └─► run ─► Outcome  every call and every request, and what they amount to
//! ```
//!
//! One draw of luck belongs to a call, an upstream and how often the call has asked before: two policies that ask the
//! same meet the same.

mod keys;
mod outcome;
mod play;
mod policy;
mod run;
mod scenario;
mod trace;
mod upstream;
mod world;

pub use outcome::{Outcome, Share, Span, Summary, Told, UpstreamTold};
pub use play::{Conduct, Line, Piece, Then, play};
pub use policy::Policy;
pub use run::run;
pub use scenario::{Fault, Phase, Scenario, Upstream};
pub use trace::{Arrival, Poisson, Trace};
