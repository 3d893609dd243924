//! The locks of what many threads change at once.
//!
//! They are named here so that the models in `tests/loom` can put loom's in their place: there the same files are
//! compiled against another `sync`, and every interleaving is tried.

pub(crate) use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) use parking_lot::Mutex;
