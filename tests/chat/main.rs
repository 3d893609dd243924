//! Reading requests, replies and stream events.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::format_collect,
    clippy::match_bool,
    clippy::assigning_clones
)]

mod facts;
mod json;
mod patch;
mod reply;
mod stream;
mod usage;
