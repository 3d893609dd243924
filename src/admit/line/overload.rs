//! Is the line so slow that waiting in it is pointless? `CoDel`'s question: was nobody served promptly for a while?

use super::class::Order;
use super::settings::{Settings, nanos};

/// The state of overload.
#[derive(Debug, Default)]
pub(super) struct Overload {
    on: bool,
    /// When the line was last empty, or somebody was served promptly.
    calm: u64,
    times: u64,
}

impl Overload {
    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    pub(super) fn times(&self) -> u64 {
        self.times
    }

    pub(super) fn order(&self) -> Order {
        if self.on { Order::NewestFirst } else { Order::OldestFirst }
    }

    /// The line is empty: that ends it.
    pub(super) fn emptied(&mut self, now: u64) {
        self.on = false;
        self.calm = now;
    }

    /// The next in line, or one that is being served, has waited for `sojourn`. Tells whether that begins an overload.
    pub(super) fn begins(&mut self, sojourn: u64, now: u64, settings: &Settings) -> bool {
        let prompt = sojourn <= nanos(settings.overload_target);
        let lasting = now.saturating_sub(self.calm) >= nanos(settings.overload_interval);
        let begins = !self.on && !prompt && lasting;
        self.on |= begins;
        self.times += u64::from(begins);
        begins
    }

    /// One that waited for `sojourn` was served.
    pub(super) fn served(&mut self, sojourn: u64, now: u64, settings: &Settings) {
        if sojourn <= nanos(settings.overload_target) {
            self.calm = now;
        }
    }
}
