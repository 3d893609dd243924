//! The waiting line: who goes first, who is sent away, and that nobody is lost.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::missing_panics_doc,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    reason = "a test fails by panicking"
)]

mod bounds;
mod calls;
mod fairness;
mod flood;
mod model;
mod overload;
mod reference;
mod server;

use fairlead::admit::line::{Line, Newcomer, Settings, Ticket};

/// A second, in nanoseconds.
pub const SECOND: u64 = 1_000_000_000;

/// A call that would wait for ever.
pub fn patient(tenant: u64, priority: u8, cost: u64) -> Newcomer {
    Newcomer { tenant, weight: 1.0, priority, cost, deadline: u64::MAX }
}

/// Room for everybody.
pub fn endless() -> Settings {
    Settings { most: usize::MAX, most_per_tenant: usize::MAX, ..Settings::default() }
}

/// Room for everybody, and never an overload.
pub fn calm() -> Settings {
    Settings { overload_target: std::time::Duration::MAX, ..endless() }
}

/// So many calls of one tenant, all alike.
pub fn crowd(line: &mut Line, many: usize, who: Newcomer, now: u64) -> Vec<Ticket> {
    (0..many).map(|_| line.join(who, now).unwrap()).collect()
}

/// Serves whoever's turn it is.
pub fn serve_next(line: &mut Line, cost: u64, now: u64) -> Option<Ticket> {
    let ticket = line.offered()?;
    line.serve(ticket, cost, now);
    Some(ticket)
}
