//! Models and prices: the table, the names it answers to, what calls cost.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod names;
mod prices;
mod table;
