//! Limits and budgets: what every store must keep to, and what the store of one process keeps to besides, each rule
//! against a small model that counts naively.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::similar_names,
    clippy::unchecked_time_subtraction,
    reason = "a test fails by panicking"
)]

mod bucket;
mod budgets;
mod changes;
mod conformance;
mod extremes;
mod keyed;
mod models;
mod settling;
mod stand;
mod threads;
mod windows;
