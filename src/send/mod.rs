//! Moving bytes: what leaves for an upstream and what comes back.

pub mod sse;
