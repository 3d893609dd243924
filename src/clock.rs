//! Time and chance: the only file that asks the machine for either.
//!
//! Everything else takes instants and random numbers as arguments or from here, so that the rules of time run
//! in virtual time (tokio's paused clock moves [`now`] and [`sleep_until`]) and a run can be repeated by its seed.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point on the monotonic clock. Jumps of the wall clock do not touch it.
pub type Instant = tokio::time::Instant;

/// The present on the monotonic clock.
#[expect(clippy::disallowed_methods, reason = "this is the one door to the machine's clock")]
pub fn now() -> Instant {
    Instant::now()
}

/// Time since the Unix epoch, for what is written in calendar time (`Retry-After` dates, receipts).
#[expect(clippy::disallowed_methods, reason = "this is the one door to the machine's clock")]
pub fn wall() -> Duration {
    match PRETENDED.get() {
        Some((since, wall)) => wall + now().saturating_duration_since(since),
        None => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
    }
}

thread_local! {
    static PRETENDED: Cell<Option<(Instant, Duration)>> = const { Cell::new(None) };
}

/// From here on it is `wall` on this thread, and calendar time moves with [`now`]: for tests and simulations.
pub fn pretend(wall: Duration) {
    PRETENDED.set(Some((now(), wall)));
}

/// Completes at `at`, at once if that has passed.
pub async fn sleep_until(at: Instant) {
    tokio::time::sleep_until(at).await;
}

/// Completes at `at` and not much later, for waits whose end is room that others are waiting for too. Linux may end a
/// wait of a thread late by a thousandth of its length (`select_estimate_accuracy` in its fs/select.c) and a thread that
/// slept long is slow to wake: so the last fiftieth is a wait of its own.
pub async fn wake_at(at: Instant) {
    let left = at.saturating_duration_since(now());
    sleep_until(at.checked_sub(left / 50).unwrap_or(at)).await;
    sleep_until(at).await;
}

/// Random numbers shared by many threads; one seed gives one sequence.
///
/// The generator is `SplitMix64` (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014):
/// one atomic add a draw, no lock, good enough for jitter and weights, not for secrets.
#[derive(Debug)]
pub struct Rng(AtomicU64);

impl Rng {
    /// A generator with a given seed.
    pub fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    /// A generator no other process shares: seeded from the machine, the process id and the clock.
    pub fn from_machine() -> Self {
        let process = u64::from(std::process::id()) << 32;
        let nanos = u64::try_from(wall().as_nanos() & u128::from(u64::MAX)).unwrap_or_default();
        Self(AtomicU64::new(fastrand::u64(..) ^ process ^ nanos))
    }

    /// A uniform 64-bit number.
    pub fn u64(&self) -> u64 {
        mix(self.0.fetch_add(GAMMA, Ordering::Relaxed).wrapping_add(GAMMA))
    }

    /// A uniform number in `[0, 1)`.
    pub fn unit(&self) -> f64 {
        unit(self.u64())
    }

    /// Numbers for one who needs many, without the cost of sharing each with other threads.
    pub fn draws(&self) -> Draws {
        Draws(self.u64())
    }
}

/// A generator of one thread's own, as [`Rng`] is for all.
#[derive(Debug)]
pub struct Draws(u64);

impl Draws {
    /// A uniform number in `[0, 1)`.
    pub fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(GAMMA);
        unit(mix(self.0))
    }
}

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn unit(bits: u64) -> f64 {
    // 53 bits: every value a double can hold evenly spaced in [0, 1).
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}
