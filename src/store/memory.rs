//! The store of one process: one lock around all meters, check all, then take all.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::keyed::Keyed;
use super::limit::{Limit, Window};
use super::meter::{Fit, Meter, Now};
use super::{Account, Charge, Denial, Reserved, Reserving, Standing, Store, When};
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

#[derive(Debug)]
struct Books {
    numbers: HashMap<Arc<str>, usize>,
    pages: Vec<Page>,
    most_bytes: usize,
    /// What the counts of subjects take.
    bytes: usize,
}

/// One limit with its counts.
#[derive(Debug)]
struct Page {
    limit: Arc<Limit>,
    /// For everybody.
    common: Meter,
    /// For each subject.
    keyed: Keyed,
    granted: u64,
    denied: u64,
}

/// One charge that was granted.
#[derive(Clone, Copy, Debug)]
struct Line {
    account: usize,
    subject: u64,
    amount: u64,
    stamp: u64,
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
        if !self.lines.is_empty() {
            let lines = std::mem::take(&mut self.lines);
            self.store.0.correct(&lines, &mut |_, _| 0);
        }
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
        let books = Books { numbers: HashMap::new(), pages: Vec::new(), most_bytes, bytes: 0 };
        let (origin, tell) = (clock::now(), ArcSwapOption::empty());
        Self(Arc::new(Shared { origin, books: Mutex::new(books), tell }))
    }

    /// Bytes that counts of users, tenants and keys take.
    pub fn bytes(&self) -> usize {
        self.0.books.lock().bytes
    }
}

impl Shared {
    fn now(&self) -> Now {
        let nanos = |time: std::time::Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let running = nanos(clock::now().saturating_duration_since(self.origin));
        Now { running, wall: nanos(clock::wall()) }
    }

    fn correct(&self, lines: &[Line], used: &mut dyn FnMut(&Limit, u64) -> u64) {
        let now = self.now();
        let mut has_room = false;
        {
            let mut books = self.books.lock();
            for line in lines {
                let Some(limit) = books.pages.get(line.account).map(|page| Arc::clone(&page.limit)) else {
                    continue;
                };
                let used = used(&limit, line.amount);
                has_room |= used < line.amount || limit.window == Window::Concurrency;
                let change = (line.amount, used);
                books.with(line.account, line.subject, now, |meter, limit| {
                    meter.correct(limit, line.stamp, change, now);
                });
            }
        }
        if has_room && let Some(tell) = self.tell.load().as_ref() {
            tell();
        }
    }
}

impl Books {
    fn open(&mut self, limit: Arc<Limit>) -> usize {
        if let Some(number) = self.numbers.get(&limit.identity).copied() {
            if let Some(page) = self.pages.get_mut(number) {
                page.renumber(limit);
            }
            return number;
        }
        let number = self.pages.len();
        self.numbers.insert(Arc::clone(&limit.identity), number);
        let common = Meter::new(&limit.window);
        self.pages.push(Page { limit, common, keyed: Keyed::default(), granted: 0, denied: 0 });
        number
    }

    fn with<T>(
        &mut self,
        account: usize,
        subject: u64,
        now: Now,
        change: impl FnOnce(&mut Meter, &Limit) -> T,
    ) -> Option<T> {
        let spare = self.most_bytes.saturating_sub(self.bytes);
        let page = self.pages.get_mut(account)?;
        if subject == 0 {
            return Some(change(&mut page.common, &page.limit));
        }
        let before = page.keyed.bytes();
        let limit = &page.limit;
        let changed = page.keyed.with(subject, (limit, now), spare, |meter| change(meter, limit));
        self.bytes = (self.bytes + page.keyed.bytes()).saturating_sub(before);
        Some(changed)
    }

    fn fit(&mut self, charge: &Charge<'_>, now: Now) -> Fit {
        let (account, subject, amount) = (charge.account.number, charge.subject, charge.amount);
        let fit = self.with(account, subject, now, |meter, limit| meter.fit(limit, amount, now));
        fit.unwrap_or(Fit::Fits)
    }

    /// The first charge that does not fit; those that only watch never refuse.
    fn denial(&mut self, charges: &[Charge<'_>], now: Now) -> Option<Denial> {
        let mut first = None;
        for (position, charge) in charges.iter().enumerate() {
            let fit = self.fit(charge, now);
            let Some(page) = self.pages.get_mut(charge.account.number) else { continue };
            if fit == Fit::Fits {
                continue;
            }
            page.denied += 1;
            if !page.limit.shadow {
                first = Some(Denial { charge: position, when: when(fit, now.of(&page.limit)) });
                break;
            }
        }
        first
    }

    fn take(&mut self, charge: &Charge<'_>, now: Now) -> Line {
        let Charge { account, subject, amount } = *charge;
        let account = account.number;
        let stamp = self.with(account, subject, now, |meter, limit| meter.take(limit, amount, now));
        if let Some(page) = self.pages.get_mut(account) {
            page.granted += 1;
        }
        Line { account, subject, amount, stamp: stamp.unwrap_or_default() }
    }
}

impl Page {
    /// New numbers hold at once; counts stay, unless they are of another kind.
    fn renumber(&mut self, limit: Arc<Limit>) {
        if std::mem::discriminant(&self.limit.window) != std::mem::discriminant(&limit.window) {
            self.common = Meter::new(&limit.window);
            self.keyed = Keyed::default();
        }
        self.limit = limit;
    }
}

fn when(fit: Fit, now: u64) -> When {
    match fit {
        Fit::Fits => When::After(std::time::Duration::ZERO),
        Fit::At(at) => When::After(std::time::Duration::from_nanos(at.saturating_sub(now))),
        Fit::GivenBack => When::GivenBack,
        Fit::Never => When::Never,
    }
}

impl Store for Memory {
    fn account(&self, limit: Limit) -> Account {
        let limit = Arc::new(limit);
        let number = self.0.books.lock().open(Arc::clone(&limit));
        Account { number, limit }
    }

    fn reserve(&self, charges: &[Charge<'_>]) -> Reserving {
        let now = self.0.now();
        let mut books = self.0.books.lock();
        if let Some(denial) = books.denial(charges, now) {
            return Reserving::Ready(Reserved::Denied(denial));
        }
        let lines = charges.iter().map(|charge| books.take(charge, now)).collect();
        drop(books);
        Reserving::Ready(Reserved::Granted(Hold { store: self.clone(), lines }))
    }

    fn settle(&self, mut hold: Hold, used: &mut dyn FnMut(&Limit, u64) -> u64) {
        let lines = std::mem::take(&mut hold.lines);
        self.0.correct(&lines, used);
    }

    fn on_room(&self, tell: Option<Tell>) {
        self.0.tell.store(tell.map(Arc::new));
    }

    fn allow(&self, most_bytes: usize) {
        self.0.books.lock().most_bytes = most_bytes;
    }

    fn used(&self, account: &Account, subject: u64) -> u64 {
        let now = self.0.now();
        let mut books = self.0.books.lock();
        books.with(account.number, subject, now, |meter, limit| meter.used(limit, now)).unwrap_or_default()
    }

    fn standings(&self) -> Vec<Standing> {
        let now = self.0.now();
        let mut books = self.0.books.lock();
        let standing = |page: &mut Page| Standing {
            limit: Arc::clone(&page.limit),
            used: page.common.used(&page.limit, now).max(page.keyed.most_used(&page.limit, now)),
            subjects: page.keyed.len(),
            granted: page.granted,
            denied: page.denied,
        };
        books.pages.iter_mut().map(standing).collect()
    }
}
