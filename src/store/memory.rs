//! The store of one process: one lock around all counts, so that all of a reservation is checked and taken
//! in one step.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;

use super::books::{Books, Line, Numbers};
use super::keyed::TABLES;
use super::limit::{Limit, Window};
use super::meter::Now;
use super::{Account, Charge, Reserved, Reserving, Standing, Store};
use crate::clock::{self, Instant};
use crate::sync::Mutex;

/// Bytes that counts of users, tenants and keys may take unless told otherwise.
const BYTES: usize = 128 << 20;

/// Limits and budgets of one process.
#[derive(Clone, Debug)]
pub struct Memory(Arc<Shared>);

type Tell = Box<dyn Fn() + Send + Sync>;

struct Shared {
    origin: Instant,
    books: Mutex<Books>,
    tell: ArcSwapOption<Tell>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// What was reserved. Dropped unsettled, all of it is given back.
#[derive(Debug)]
pub struct Hold {
    store: Memory,
    lines: Vec<Line>,
}

impl Hold {
    /// Splits off all charges from the one at `position` on.
    #[must_use]
    pub fn split_off(&mut self, position: usize) -> Self {
        Self { store: self.store.clone(), lines: self.lines.split_off(position.min(self.lines.len())) }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.store.0.correct(&self.lines, |_| 0);
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new(BYTES)
    }
}

impl Memory {
    /// A store whose counts of users, tenants and keys take at most `most_bytes`.
    pub fn new(most_bytes: usize) -> Self {
        let seed = clock::Rng::from_machine().u64();
        let books = Mutex::new(Books::new(most_bytes, seed));
        Self(Arc::new(Shared { origin: clock::now(), books, tell: ArcSwapOption::empty() }))
    }

    /// Bytes that counts of users, tenants and keys take.
    pub fn bytes(&self) -> usize {
        self.0.books.lock().bytes()
    }

    /// Counts that were looked at so far to find which can be forgotten: a few for each unknown subject.
    pub fn swept(&self) -> u64 {
        self.0.books.lock().swept()
    }
}

impl Shared {
    fn now(&self) -> Now {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let running = nanos(clock::now().saturating_duration_since(self.origin));
        Now { running, wall: nanos(clock::wall()), span: (0, 0) }
    }

    /// Every line came to what `used` says of its position.
    fn correct(&self, lines: &[Line], used: impl Fn(usize) -> u64) {
        if lines.is_empty() {
            return;
        }
        let now = self.now();
        let mut has_room = false;
        let mut books = self.books.lock();
        for (position, line) in lines.iter().enumerate() {
            let used = used(position);
            has_room |= used < line.amount || line.limit.window == Window::Concurrency;
            books.correct(line, used, now);
        }
        drop(books);
        if has_room {
            self.tell();
        }
    }

    fn tell(&self) {
        if let Some(tell) = self.tell.load().as_ref() {
            tell();
        }
    }
}

impl Store for Memory {
    fn account(&self, limit: Limit) -> Account {
        let now = self.0.now();
        let (account, numbers) = self.0.books.lock().open(Arc::new(limit), now);
        if numbers == Numbers::Changed {
            self.0.tell();
        }
        account
    }

    fn reserve(&self, charges: &[Charge<'_>]) -> Reserving {
        let now = self.0.now();
        let reserved = self.0.books.lock().reserve(charges, now);
        Reserving::Ready(match reserved {
            Ok(lines) => Reserved::Granted(Hold { store: self.clone(), lines }),
            Err(denial) => Reserved::Denied(denial),
        })
    }

    fn settle(&self, mut hold: Hold, used: &mut dyn FnMut(&Limit, u64) -> u64) {
        // Asked before anything is locked or taken from the hold: whatever the caller does there, nothing is lost.
        let used: Vec<u64> = hold.lines.iter().map(|line| used(&line.limit, line.amount)).collect();
        let lines = std::mem::take(&mut hold.lines);
        hold.store.0.correct(&lines, |position| used.get(position).copied().unwrap_or_default());
    }

    fn on_room(&self, tell: Option<Tell>) {
        self.0.tell.store(tell.map(Arc::new));
    }

    fn allow(&self, most_bytes: usize) {
        self.0.books.lock().allow(most_bytes);
    }

    fn used(&self, account: &Account, subject: u64) -> u64 {
        let now = self.0.now();
        self.0.books.lock().used(account.number, subject, now)
    }

    fn standings(&self) -> Vec<Standing> {
        let standing = |account| {
            let now = self.0.now();
            let (is_held, mut standing) = self.0.books.lock().standing(account, now)?;
            if !is_held {
                return Some(None);
            }
            // A lock for each table: nobody waits until all subjects have been looked at.
            for table in (0..TABLES).take_while(|_| standing.subjects > 0) {
                let used = self.0.books.lock().most_used(account, table, now);
                standing.used = standing.used.max(used);
            }
            Some(Some(standing))
        };
        (0..).map_while(standing).flatten().collect()
    }
}
