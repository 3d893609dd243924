//! Counts of one limit for many subjects, in bounded memory.
//!
//! A subject is forgotten only when nothing of it counts any more, so that to be forgotten grants nothing that a fresh
//! subject would not have. When there is no room for another, those nobody knows yet share one count; who gets a count
//! of his own while that one is in use begins with what it says, for all of it may be his.
//!
//! The subjects are spread over many small tables: what has to be done to a whole table, to let it grow or to find whom
//! it can forget, is done to a hundredth of them at a time, and after so many unknown ones that it costs each a few
//! steps.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::limit::Limit;
use super::meter::{Meter, Now};

/// Tables that the subjects of a limit are spread over.
pub const TABLES: usize = 128;

/// Between two looks for subjects that can be forgotten, at least this part of a table came unknown.
const SWEPT_AFTER: usize = 4;

/// A subject with its meter and the table's own byte.
const ENTRY: usize = size_of::<(u64, Meter)>() + 1;

/// Places of the smallest table.
const FEWEST: usize = 4;

/// Where a subject is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// By itself.
    Own,
    /// With all others for whom there was no room.
    Overflow,
}

/// Counts of one limit by subject.
#[derive(Debug, Default)]
pub struct Keyed {
    /// None until somebody is counted.
    tables: Vec<Table>,
    overflow: Option<Meter>,
    bytes: usize,
    swept: u64,
}

impl Keyed {
    /// Bytes it takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Subjects that are counted by themselves.
    pub fn len(&self) -> usize {
        self.tables.iter().map(|table| table.meters.len()).sum()
    }

    /// Is nobody counted by himself?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Meters that were looked at so far to find whom to forget.
    pub fn swept(&self) -> u64 {
        self.swept
    }

    /// Changes the meter of `subject`, which may be a new one. `spare` bytes may be taken; `change` is told how many of
    /// them are left.
    pub fn with<T>(
        &mut self,
        subject: u64,
        (limit, now): (&Limit, Now),
        spare: usize,
        change: impl FnOnce(&mut Meter, usize) -> T,
    ) -> (T, Place) {
        if self.tables.is_empty() {
            self.tables.resize_with(TABLES, Table::default);
        }
        let Self { tables, overflow, bytes, swept } = self;
        if let Some(table) = tables.get_mut(table_of(subject)) {
            if let Some(meter) = table.meters.get_mut(&subject) {
                let (changed, growth) = grown(meter, |meter| change(meter, spare));
                *bytes = bytes.saturating_add_signed(table.grew(growth));
                return (changed, Place::Own);
            }
            let before = table.bytes();
            if let Some(meter) = newcomer(overflow, limit, now) {
                *swept += table.admit(subject, meter, (limit, now), spare);
            }
            let left = spare.saturating_add(before).saturating_sub(table.bytes());
            *bytes = (*bytes + table.bytes()).saturating_sub(before);
            if let Some(meter) = table.meters.get_mut(&subject) {
                let (changed, growth) = grown(meter, |meter| change(meter, left));
                *bytes = bytes.saturating_add_signed(table.grew(growth));
                return (changed, Place::Own);
            }
        }
        let overflow = overflow.get_or_insert_with(|| Meter::new(&limit.window));
        (change(overflow, usize::MAX), Place::Overflow)
    }

    /// Changes the meter that `subject` is counted by at `place`, if it is there.
    pub fn with_known<T>(
        &mut self,
        subject: u64,
        place: Place,
        spare: usize,
        change: impl FnOnce(&mut Meter, usize) -> T,
    ) -> Option<T> {
        if place == Place::Overflow {
            return self.overflow.as_mut().map(|overflow| change(overflow, usize::MAX));
        }
        let table = self.tables.get_mut(table_of(subject))?;
        let (changed, growth) = grown(table.meters.get_mut(&subject)?, |meter| change(meter, spare));
        self.bytes = self.bytes.saturating_add_signed(table.grew(growth));
        Some(changed)
    }

    /// Where `subject` is counted, if anything of it can be.
    pub fn place(&self, subject: u64) -> Option<Place> {
        let table = self.tables.get(table_of(subject))?;
        let is_own = table.meters.contains_key(&subject);
        is_own.then_some(Place::Own).or(self.overflow.as_ref().map(|_| Place::Overflow))
    }

    /// The most that a subject of one of the [`TABLES`] uses at `now`.
    pub fn most_used(&mut self, table: usize, limit: &Limit, now: Now) -> u64 {
        let own = self.tables.get_mut(table).into_iter().flat_map(|table| table.meters.values_mut());
        own.chain(&mut self.overflow).map(|meter| meter.used(limit, now)).max().unwrap_or_default()
    }
}

/// What an unknown subject begins with. None while some of the slots that are shared may be his: those are given back
/// where they were taken.
fn newcomer(overflow: &mut Option<Meter>, limit: &Limit, now: Now) -> Option<Meter> {
    let is_shared = overflow.as_mut().is_some_and(|overflow| overflow.used(limit, now) > 0);
    match overflow.as_ref().filter(|_| is_shared) {
        None => Some(Meter::new(&limit.window)),
        Some(Meter::Slots(_)) => None,
        Some(overflow) => Some(overflow.clone()),
    }
}

/// Changes `meter`; by how many bytes it grew.
fn grown<T>(meter: &mut Meter, change: impl FnOnce(&mut Meter) -> T) -> (T, isize) {
    let before = meter.heap();
    let changed = change(meter);
    (changed, meter.heap().cast_signed().saturating_sub(before.cast_signed()))
}

#[derive(Debug, Default)]
struct Table {
    meters: HashMap<u64, Meter, BuildHasherDefault<Hashed>>,
    /// What the meters take beside themselves.
    heap: usize,
    /// Unknown subjects since the last look.
    unknown: usize,
}

impl Table {
    fn bytes(&self) -> usize {
        places(self.meters.capacity()) * ENTRY + self.heap
    }

    /// One of its meters grew by so many bytes.
    fn grew(&mut self, growth: isize) -> isize {
        self.heap = self.heap.saturating_add_signed(growth);
        growth
    }

    /// Counts `subject` by `meter`, if there is room; how many others were looked at for that.
    fn admit(&mut self, subject: u64, meter: Meter, (limit, now): (&Limit, Now), spare: usize) -> u64 {
        self.unknown += 1;
        let mut looked_at = 0;
        let is_full = self.meters.len() >= self.meters.capacity();
        if is_full && self.unknown > self.meters.len() / SWEPT_AFTER {
            looked_at = self.meters.len() as u64;
            self.forget(limit, now);
        }
        let is_full = self.meters.len() >= self.meters.capacity();
        // A full table doubles.
        let table = if is_full { places(self.meters.capacity()).max(FEWEST) * ENTRY } else { 0 };
        let growth = table + meter.heap();
        if growth == 0 || growth <= spare {
            self.heap += meter.heap();
            self.meters.insert(subject, meter);
        }
        looked_at
    }

    /// Forgets those of whom nothing counts. The others move to a table that has room for them and a quarter more.
    fn forget(&mut self, limit: &Limit, now: Now) {
        self.unknown = 0;
        let (all, capacity) = (self.meters.len(), self.meters.capacity());
        self.meters.retain(|_, meter| meter.used(limit, now) > 0);
        self.heap = self.meters.values().map(Meter::heap).sum();
        let live = self.meters.len();
        if live < all {
            let room = (live + live / 4 + 1).min(capacity);
            let mut fitting = HashMap::with_capacity_and_hasher(room, BuildHasherDefault::default());
            fitting.extend(self.meters.drain());
            self.meters = fitting;
        }
    }
}

/// Places of a table of the standard library that has room for so many: a power of two, an eighth of which stays empty.
fn places(capacity: usize) -> usize {
    match capacity {
        0 => 0,
        1..FEWEST => FEWEST,
        FEWEST..8 => 8,
        more => (more * 8 / 7).next_power_of_two(),
    }
}

/// Which of the [`TABLES`] a subject is in. The last one holds twice as many as the first, so that they are not all
/// full, and do not all double, at the same time.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and the number of tables"
)]
fn table_of(subject: u64) -> usize {
    // Other bits than those that find the place within the table.
    let even = f64::from((mixed(subject) >> 25) as u32) / (f64::from(u32::MAX) + 1.0);
    let rising = (3.0 * even + 1.0).sqrt() - 1.0;
    (rising * TABLES as f64) as usize
}

/// Subjects are hashes; mixed once more they spread evenly whatever they are.
#[derive(Clone, Copy, Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        mixed(self.0)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, subject: u64) {
        self.0 = subject;
    }
}

/// The two halves of a product, folded (as `wyhash` does).
#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
fn mixed(subject: u64) -> u64 {
    let product = u128::from(subject ^ 0x9e37_79b9_7f4a_7c15) * 0xbf58_476d_1ce4_e5b9;
    (product >> 64) as u64 ^ product as u64
}
