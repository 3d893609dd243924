//! Reading requests, replies and stream events.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod facts;
mod json;
mod patch;
mod reply;
mod stream;
mod usage;
