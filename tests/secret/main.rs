//! Keys: where they come from, how they are renewed and rotated, in virtual time and without sockets.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    reason = "a test fails by panicking"
)]

#[path = "../support/mod.rs"]
mod support;

mod issuer;
mod outside;
mod renewal;
mod rotation;
mod sources;
mod world;
