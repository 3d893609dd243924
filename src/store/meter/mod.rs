//! The arithmetic of limits: one meter counts one limit for one subject.
//!
//! Times are nanoseconds: since the store's beginning, but for calendars since the Unix epoch.

mod bucket;
mod calendar;
mod entries;
mod sliding;

use std::time::Duration;

pub use bucket::{Bucket, Rate};
pub use calendar::Calendar;
pub use sliding::{Frame, Sliding};

use super::limit::{Limit, Oversize, Window};

/// Does an amount fit?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Now.
    Fits,
    /// At this moment, not earlier, if nothing else is taken.
    At(u64),
    /// When something is given back.
    GivenBack,
    /// Never.
    Never,
}

/// The present, on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Since the store's beginning.
    pub running: u64,
    /// Since the Unix epoch.
    pub wall: u64,
    /// For a budget, the span of its calendar that holds `wall`: its beginning and its end.
    pub span: (u64, u64),
}

impl Now {
    /// The clock that a limit goes by.
    pub fn of(self, limit: &Limit) -> u64 {
        match limit.window {
            Window::Calendar { .. } => self.wall,
            _ => self.running,
        }
    }
}

/// Counts of one limit for one subject.
#[derive(Clone, Debug)]
pub enum Meter {
    /// What is held.
    Slots(u64),
    /// Of a sliding window.
    Sliding(Sliding),
    /// Of a bucket.
    Bucket(Bucket),
    /// Of a budget.
    Calendar(Calendar),
}

impl Meter {
    /// Nothing is counted yet.
    pub fn new(window: &Window) -> Self {
        match window {
            Window::Concurrency => Self::Slots(0),
            Window::Sliding { .. } | Window::Log { .. } => Self::Sliding(Sliding::default()),
            Window::Bucket { .. } => Self::Bucket(Bucket::default()),
            Window::Calendar { .. } => Self::Calendar(Calendar::default()),
        }
    }

    /// Would `amount` fit at `now`?
    pub fn fit(&mut self, limit: &Limit, amount: u64, now: Now) -> Fit {
        let is_oversize = amount > whole(limit);
        if limit.most == 0 || is_oversize && limit.oversize == Oversize::Reject {
            return Fit::Never;
        }
        self.turn(now);
        match self {
            Self::Slots(held) => {
                let fits = held.saturating_add(amount) <= limit.most || is_oversize && *held == 0;
                if fits { Fit::Fits } else { Fit::GivenBack }
            }
            Self::Sliding(sliding) => sliding.fit(frame(limit), limit.most, amount, now.running),
            Self::Bucket(bucket) => bucket.fit(rate(limit), amount, now.running),
            Self::Calendar(calendar) => calendar.fit(limit.most, amount),
        }
    }

    /// Takes `amount`, growing by at most `spare` bytes; the answer is needed to correct it.
    pub fn take(&mut self, limit: &Limit, amount: u64, now: Now, spare: usize) -> u64 {
        self.turn(now);
        match self {
            Self::Slots(held) => {
                *held = held.saturating_add(amount);
                0
            }
            Self::Sliding(sliding) => sliding.take(frame(limit), amount, now.running, spare),
            Self::Bucket(bucket) => bucket.take(rate(limit), amount, now.running),
            Self::Calendar(calendar) => calendar.take(amount),
        }
    }

    /// What was taken at `stamp` as `reserved` was `used` in the end; grows by at most `spare` bytes.
    pub fn correct(
        &mut self,
        limit: &Limit,
        stamp: u64,
        (reserved, used): (u64, u64),
        now: Now,
        spare: usize,
    ) {
        self.turn(now);
        let change = (reserved, used);
        match self {
            Self::Slots(held) => *held = held.saturating_sub(reserved),
            Self::Sliding(sliding) => sliding.correct(frame(limit), stamp, change, now.running, spare),
            Self::Bucket(bucket) => bucket.correct(rate(limit), stamp, change, now.running),
            Self::Calendar(calendar) => calendar.correct(stamp, change),
        }
    }

    /// What is in use at `now`. Nothing in use, the meter may be forgotten.
    pub fn used(&mut self, limit: &Limit, now: Now) -> u64 {
        self.turn(now);
        match self {
            Self::Slots(held) => *held,
            Self::Sliding(sliding) => sliding.used(frame(limit), now.running),
            Self::Bucket(bucket) => bucket.used(rate(limit), now.running),
            Self::Calendar(calendar) => calendar.used(),
        }
    }

    /// The limit has other numbers: what is in use stays the same.
    pub fn renumber(&mut self, from: &Limit, to: &Limit, now: Now) {
        // All others count amounts; this one a time in which they are refilled.
        if let Self::Bucket(bucket) = self {
            bucket.renumber(rate(from), rate(to), now.running);
        }
    }

    /// What somebody begins with who may have used all that others have: as much is in use, for as long at least, and
    /// nothing that was taken before `now` comes back to him. It takes no bytes beside itself.
    #[must_use]
    pub fn shared(&self, now: Now) -> Self {
        match self {
            Self::Slots(held) => Self::Slots(*held),
            Self::Sliding(sliding) => Self::Sliding(sliding.shared()),
            Self::Bucket(bucket) => Self::Bucket(bucket.shared(now.running)),
            Self::Calendar(calendar) => Self::Calendar(*calendar),
        }
    }

    /// Bytes beside the meter itself.
    pub fn heap(&self) -> usize {
        match self {
            Self::Sliding(sliding) => sliding.heap(),
            Self::Slots(_) | Self::Bucket(_) | Self::Calendar(_) => 0,
        }
    }

    /// Are the counts of `one` kind of window no counts of `other`?
    pub fn differ(one: &Window, other: &Window) -> bool {
        std::mem::discriminant(&Self::new(one)) != std::mem::discriminant(&Self::new(other))
    }

    fn turn(&mut self, now: Now) {
        if let Self::Calendar(calendar) = self {
            calendar.turn(now.wall, now.span);
        }
    }
}

/// The most that can ever be had at once.
fn whole(limit: &Limit) -> u64 {
    match limit.window {
        Window::Bucket { burst, .. } => burst.max(1),
        _ => limit.most,
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn frame(limit: &Limit) -> Frame {
    let length = limit.window.length().map_or(u64::MAX, nanos);
    Frame::new(length, limit.most, matches!(limit.window, Window::Log { .. }))
}

fn rate(limit: &Limit) -> Rate {
    let burst = if let Window::Bucket { burst, .. } = limit.window { burst } else { limit.most };
    Rate::new(limit.most, limit.window.length().map_or(u64::MAX, nanos), burst)
}
