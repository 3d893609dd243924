//! The vocabulary of a chat call, provider-neutral: what a request asks, what a reply and a stream event say.
//!
//! Everything here is a pure function of bytes or a small state machine over them; nothing performs I/O, and no
//! input makes it panic.

mod chunk;
pub mod estimate;
pub mod event;
pub mod facts;
mod in_band;
pub mod json;
pub mod patch;
pub mod reply;
mod said;
mod template;
pub mod thoughts;
pub mod usage;
pub mod warning;
