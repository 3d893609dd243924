//! What a failure means and what comes next.
pub mod backoff;
pub mod classify;
pub mod course;
pub mod hint;
