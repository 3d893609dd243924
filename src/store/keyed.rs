//! Counts of one limit for many subjects, in bounded memory.
//!
//! A subject is forgotten only when nothing of it counts any more, so that to be forgotten grants nothing that a fresh
//! subject would not have. When there is no room for another, those nobody knows yet share one count.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::limit::Limit;
use super::meter::{Meter, Now};

/// Subjects that are hashes already.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Between two looks for subjects that can be forgotten, at least as many unknown ones came as this share of all.
const SWEPT_AFTER: usize = 4;

/// Counts of one limit by subject.
#[derive(Debug, Default)]
pub struct Keyed {
    meters: HashMap<u64, Meter, BuildHasherDefault<Hashed>>,
    heap: usize,
    /// Of those nobody had room for.
    overflow: Option<Meter>,
    /// Unknown subjects since the last look.
    unknown: usize,
}

impl Keyed {
    /// Bytes it takes.
    pub fn bytes(&self) -> usize {
        self.meters.capacity() * ENTRY + self.heap
    }

    /// Subjects that are counted.
    pub fn len(&self) -> usize {
        self.meters.len()
    }

    /// Is nobody counted?
    pub fn is_empty(&self) -> bool {
        self.meters.is_empty()
    }

    /// The meter of `subject`; `spare` bytes may be taken for new ones.
    pub fn with<T>(
        &mut self,
        subject: u64,
        (limit, now): (&Limit, Now),
        spare: usize,
        change: impl FnOnce(&mut Meter) -> T,
    ) -> T {
        if !self.meters.contains_key(&subject) && !self.make_room(limit, now, spare) {
            let overflow = self.overflow.get_or_insert_with(|| Meter::new(&limit.window));
            return change(overflow);
        }
        let meter = self.meters.entry(subject).or_insert_with(|| Meter::new(&limit.window));
        let before = meter.heap();
        let changed = change(meter);
        self.heap = (self.heap + meter.heap()).saturating_sub(before);
        changed
    }

    /// The most that any subject uses at `now`.
    pub fn most_used(&mut self, limit: &Limit, now: Now) -> u64 {
        let meters = self.meters.values_mut().chain(&mut self.overflow);
        meters.map(|meter| meter.used(limit, now)).max().unwrap_or_default()
    }

    /// Is there room for one more, if need be after forgetting those of whom nothing counts?
    fn make_room(&mut self, limit: &Limit, now: Now, spare: usize) -> bool {
        let has_room = |keyed: &Self| {
            // A full table doubles.
            keyed.meters.len() < keyed.meters.capacity() || keyed.meters.capacity().max(4) * ENTRY <= spare
        };
        if has_room(self) && self.heap <= self.bytes().saturating_add(spare) {
            return true;
        }
        self.unknown += 1;
        if self.unknown < self.meters.len() / SWEPT_AFTER {
            return false;
        }
        self.unknown = 0;
        let mut heap = 0;
        self.meters.retain(|_, meter| {
            let lives = meter.used(limit, now) > 0;
            heap += if lives { meter.heap() } else { 0 };
            lives
        });
        self.heap = heap;
        if self.overflow.as_mut().is_some_and(|overflow| overflow.used(limit, now) == 0) {
            self.overflow = None;
        }
        has_room(self)
    }
}

/// A subject with its meter and the table's own byte.
const ENTRY: usize = size_of::<(u64, Meter)>() + 1;
