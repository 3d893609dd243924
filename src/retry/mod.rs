//! What a failure means and what may be done next.

pub mod allowance;
pub mod backoff;
pub mod classify;
pub mod course;
mod elsewhere;
mod evidence;
pub mod hedge;
pub mod hint;
pub mod policy;
mod scrub;
pub mod table;
