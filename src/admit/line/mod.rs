//! The line in which calls wait while limits leave no room: bounded, fair, and honest about how long it takes.
//!
//! A [`Queue`] holds one [`Line`] behind a lock. Whoever [joins](Queue::join) holds a [`Place`], and leaves by dropping it,
//! in whatever state. One waiter at a time is told that it is its turn; it tries, and is [served](Place::served),
//! [blocked](Place::blocked) by something shared, which holds up everyone behind it, or [set aside](Place::aside) by a
//! limit of its own, which holds up nobody.
//!
//! Who is next is decided in three steps. *Between priorities* the higher goes first, and every `aging` of waiting is
//! worth one priority. *Between tenants* of a priority, tokens are shared by weight: a request is due once its tenant's
//! share has paid for it, so that two tenants who always wait never differ by more than two of the largest requests
//! (self-clocked fair queueing, Golestani 1994; it is deficit round robin with rounds as short as they can be, and remembers
//! nothing of tenants who have left). *Within* a tenant it is first come, first served, by priority and age. What a
//! call waits behind others of its tenant gives it no advantage over other tenants: a flood has no seniority.
//!
//! A line in which everybody waits too long is [overloaded](Settings::overload_target): newcomers then have little
//! patience, and the newest of each tenant and priority goes first, since it is the most likely to be still wanted.

// From what is asked of a line down to what it is made of.
mod queue;
mod place;
mod joining;
mod moves;
mod presence;
mod ranks;
mod class;
mod overload;
mod pace;
mod waiter;
mod away;
mod settings;
mod statistics;

pub use away::{Crowd, TurnedAway};
pub use joining::Line;
pub use place::{Leave, Place};
pub use queue::{Queue, Waiting};
pub use settings::{PRIORITIES, Settings};
pub use statistics::Statistics;
pub use waiter::{Newcomer, Standing, Ticket};
