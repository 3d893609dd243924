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
use std::hash::{BuildHasher, Hasher};

use super::limit::Limit;
use super::meter::{Meter, Now};

/// Tables that the subjects of a limit are spread over.
pub const TABLES: usize = 128;

/// Between two looks for subjects that can be forgotten, room was asked for as often as for this part of a table.
const SWEPT_AFTER: usize = 4;

/// With less to spare, counts may not grow as they would: what others do not need any more is looked for.
const SCARCE: usize = 4096;

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
#[derive(Debug)]
pub struct Keyed {
    /// None until somebody is counted.
    tables: Vec<Table>,
    overflow: Option<Meter>,
    seed: u64,
    bytes: usize,
    swept: u64,
}

impl Keyed {
    /// Nobody is counted. Who does not know `seed` cannot choose subjects that get into each other's way.
    pub fn new(seed: u64) -> Self {
        Self { tables: Vec::new(), overflow: None, seed, bytes: 0, swept: 0 }
    }

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

    /// Looks at the meter of `subject`, or at what it would begin with; counts nobody.
    pub fn look<T>(&mut self, subject: u64, limit: &Limit, look: impl FnOnce(&mut Meter) -> T) -> T {
        let table = self.tables.get_mut(table_of(mixed(subject, self.seed)));
        let own = table.and_then(|table| table.meters.get_mut(&subject));
        match own.or(self.overflow.as_mut()) {
            Some(meter) => look(meter),
            None => look(&mut Meter::new(&limit.window)),
        }
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
        let before = self.bytes;
        let place = self.find_place(subject, (limit, now), spare);
        let left = spare.saturating_add(before).saturating_sub(self.bytes);
        let Self { tables, overflow, bytes, seed, .. } = self;
        if place == Place::Own
            && let Some(table) = tables.get_mut(table_of(mixed(subject, *seed)))
            && let Some(meter) = table.meters.get_mut(&subject)
        {
            let (changed, growth) = grown(meter, |meter| change(meter, left));
            *bytes = bytes.saturating_add_signed(table.grew(growth));
            return (changed, Place::Own);
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
        let table = self.tables.get_mut(table_of(mixed(subject, self.seed)))?;
        let (changed, growth) = grown(table.meters.get_mut(&subject)?, |meter| change(meter, spare));
        self.bytes = self.bytes.saturating_add_signed(table.grew(growth));
        Some(changed)
    }

    /// The limit has other numbers.
    pub fn renumber(&mut self, from: &Limit, to: &Limit, now: Now) {
        let own = self.tables.iter_mut().flat_map(|table| table.meters.values_mut());
        own.chain(&mut self.overflow).for_each(|meter| meter.renumber(from, to, now));
    }

    /// The most that a subject of one of the [`TABLES`] uses at `now`.
    pub fn most_used(&mut self, table: usize, limit: &Limit, now: Now) -> u64 {
        let Some(table) = self.tables.get_mut(table) else { return 0 };
        let own = table.meters.values_mut();
        own.chain(&mut self.overflow).map(|meter| meter.used(limit, now)).max().unwrap_or_default()
    }

    /// Where `subject` is counted; a new one by itself if there is room.
    fn find_place(&mut self, subject: u64, (limit, now): (&Limit, Now), spare: usize) -> Place {
        if self.tables.is_empty() {
            self.tables.resize_with(TABLES, || Table::new(self.seed));
        }
        let Some(table) = self.tables.get_mut(table_of(mixed(subject, self.seed))) else {
            return Place::Overflow;
        };
        if spare >= SCARCE && table.meters.contains_key(&subject) {
            return Place::Own;
        }
        let before = table.bytes();
        self.swept += table.look_for_room(subject, (limit, now), spare);
        let left = spare.saturating_add(before).saturating_sub(table.bytes());
        let is_known = table.meters.contains_key(&subject);
        let is_own = is_known
            || table.has_room(left)
                && newcomer(&mut self.overflow, limit, now)
                    .map(|meter| table.meters.insert(subject, meter))
                    .is_some();
        self.bytes = (self.bytes + table.bytes()).saturating_sub(before);
        if is_own { Place::Own } else { Place::Overflow }
    }
}

/// What an unknown subject begins with. None while some of the slots that are shared may be his: those are given back
/// where they were taken.
fn newcomer(overflow: &mut Option<Meter>, limit: &Limit, now: Now) -> Option<Meter> {
    let is_shared = overflow.as_mut().is_some_and(|overflow| overflow.used(limit, now) > 0);
    match overflow.as_ref().filter(|_| is_shared) {
        None => Some(Meter::new(&limit.window)),
        Some(Meter::Slots(_)) => None,
        Some(overflow) => Some(overflow.shared(now)),
    }
}

/// Changes `meter`; by how many bytes it grew.
fn grown<T>(meter: &mut Meter, change: impl FnOnce(&mut Meter) -> T) -> (T, isize) {
    let before = meter.heap();
    let changed = change(meter);
    (changed, meter.heap().cast_signed().saturating_sub(before.cast_signed()))
}

/// A part of the subjects.
#[derive(Debug)]
struct Table {
    meters: HashMap<u64, Meter, Seeded>,
    /// What the meters take beside themselves.
    heap: usize,
    /// How often room was asked for since the last look.
    asked: usize,
}

impl Table {
    fn new(seed: u64) -> Self {
        Self { meters: HashMap::with_hasher(Seeded(seed)), heap: 0, asked: 0 }
    }

    fn bytes(&self) -> usize {
        places(self.meters.capacity()) * ENTRY + self.heap
    }

    /// One of its meters grew by so many bytes.
    fn grew(&mut self, growth: isize) -> isize {
        self.heap = self.heap.saturating_add_signed(growth);
        growth
    }

    fn is_full(&self) -> bool {
        self.meters.len() >= self.meters.capacity()
    }

    /// Is there room for another, if `spare` bytes may be taken? A full table doubles.
    fn has_room(&self, spare: usize) -> bool {
        !self.is_full() || places(self.meters.capacity()).max(FEWEST) * ENTRY <= spare
    }

    /// Forgets whom it can but for `subject`, if it is time for that; how many were looked at.
    fn look_for_room(&mut self, subject: u64, (limit, now): (&Limit, Now), spare: usize) -> u64 {
        self.asked += 1;
        let all = self.meters.len();
        let is_scarce = self.is_full() || spare < SCARCE;
        if !is_scarce || self.asked <= all / SWEPT_AFTER {
            return 0;
        }
        self.forget(subject, (limit, now));
        all as u64
    }

    /// Forgets those of whom nothing counts, but for `subject`: it has been told that it fits. The others move to a table that has room for them and a quarter more.
    fn forget(&mut self, subject: u64, (limit, now): (&Limit, Now)) {
        self.asked = 0;
        let (all, capacity) = (self.meters.len(), self.meters.capacity());
        self.meters.retain(|known, meter| meter.used(limit, now) > 0 || *known == subject);
        self.heap = self.meters.values().map(Meter::heap).sum();
        let live = self.meters.len();
        if live < all {
            let room = (live + live / 4 + 1).min(capacity);
            let mut fitting = HashMap::with_capacity_and_hasher(room, *self.meters.hasher());
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
fn table_of(mixed: u64) -> usize {
    // Other bits than those that find the place within the table.
    let even = f64::from((mixed >> 25) as u32) / (f64::from(u32::MAX) + 1.0);
    let rising = (3.0 * even + 1.0).sqrt() - 1.0;
    (rising * TABLES as f64) as usize
}

/// Subjects are hashes; mixed once more with a seed, they spread evenly whatever they are.
#[derive(Clone, Copy, Debug)]
struct Seeded(u64);

impl BuildHasher for Seeded {
    type Hasher = Mixed;

    fn build_hasher(&self) -> Mixed {
        Mixed(self.0)
    }
}

/// At first the seed, then what it made of the subject.
#[derive(Clone, Copy, Debug)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, subject: u64) {
        self.0 = mixed(subject, self.0);
    }
}

/// The two halves of a product, folded (as `wyhash` does).
#[expect(clippy::cast_possible_truncation, reason = "the lower half is meant")]
fn mixed(subject: u64, seed: u64) -> u64 {
    let product = u128::from(subject ^ seed) * 0x9e37_79b9_7f4a_7c15;
    let folded = (product >> 64) as u64 ^ product as u64;
    let product = u128::from(folded ^ seed.rotate_left(32)) * 0xbf58_476d_1ce4_e5b9;
    (product >> 64) as u64 ^ product as u64
}
