//! What keeps failures from multiplying: the circuit breaker and the shared retry allowance, each rule by itself and
//! against a model that counts naively.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_cmp,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test fails by panicking"
)]

mod allowance;
mod breaker;
mod breaker_model;
mod threads;
