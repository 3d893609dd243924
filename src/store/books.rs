//! The books of a store: a page for each limit, with its counts. Whoever has them has them alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::keyed::{Keyed, Place};
use super::limit::{Limit, Window};
use super::meter::{Fit, Meter, Now};
use super::{Account, Charge, Denial, Standing, When};

/// All limits with their counts.
#[derive(Debug)]
pub(super) struct Books {
    numbers: HashMap<Arc<str>, usize>,
    pages: Vec<Page>,
    seed: u64,
    most_bytes: usize,
    /// What the counts of subjects take.
    bytes: usize,
}

/// One limit with its counts.
#[derive(Debug)]
struct Page {
    limit: Arc<Limit>,
    /// Every account of it holds one: after a reload without the limit, nobody does.
    held: Arc<()>,
    /// For everybody.
    common: Meter,
    /// For each subject.
    keyed: Keyed,
    seed: u64,
    /// For a budget, the span of the calendar that was last looked up.
    span: (u64, u64),
    /// How often the counts began anew because they became counts of another kind.
    round: u32,
    granted: u64,
    denied: u64,
}

/// One charge that was taken.
#[derive(Debug)]
pub(super) struct Line {
    /// The limit as it was when its account was opened.
    pub(super) limit: Arc<Limit>,
    /// How much was reserved.
    pub(super) amount: u64,
    account: usize,
    subject: u64,
    place: Place,
    round: u32,
    stamp: u64,
}

/// Has a limit other numbers than before?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// It is new, or the same.
    Same,
    /// It has.
    Changed,
}

impl Books {
    /// Subjects take at most `most_bytes`; `seed` is nobody else's.
    pub(super) fn new(most_bytes: usize, seed: u64) -> Self {
        Self { numbers: HashMap::new(), pages: Vec::new(), seed, most_bytes, bytes: 0 }
    }

    /// What the counts of subjects take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// From now on they may take so many bytes.
    pub(super) fn allow(&mut self, most_bytes: usize) {
        self.most_bytes = most_bytes;
    }

    /// Counts that were looked at so far to find which can be forgotten.
    pub(super) fn swept(&self) -> u64 {
        self.pages.iter().map(|page| page.keyed.swept()).sum()
    }

    /// The page of a limit, a new one or with new numbers.
    pub(super) fn open(&mut self, limit: Arc<Limit>, now: Now) -> (Account, Numbers) {
        if let Some(number) = self.numbers.get(&limit.identity).copied()
            && let Some(page) = self.pages.get_mut(number)
        {
            let before = page.keyed.bytes();
            let account = Account { number, limit: Arc::clone(&limit), _held: Arc::clone(&page.held) };
            let numbers = page.renumber(limit, now);
            self.bytes = (self.bytes + page.keyed.bytes()).saturating_sub(before);
            return (account, numbers);
        }
        let number = self.pages.len();
        self.numbers.insert(Arc::clone(&limit.identity), number);
        let page = Page::new(Arc::clone(&limit), self.seed);
        let account = Account { number, limit, _held: Arc::clone(&page.held) };
        self.pages.push(page);
        (account, Numbers::Same)
    }

    /// Takes all of `charges` or none: nothing is changed before all of them are known to fit.
    pub(super) fn reserve(&mut self, charges: &[Charge<'_>], now: Now) -> Result<Vec<Line>, Denial> {
        if let Some(denial) = self.denial(charges, now) {
            let refusing = charges.get(denial.charge).map(|charge| charge.account.number);
            if let Some(page) = refusing.and_then(|number| self.pages.get_mut(number)) {
                page.denied += 1;
            }
            return Err(denial);
        }
        Ok(charges.iter().filter_map(|charge| self.take(charge, now)).collect())
    }

    /// Of the charges that do not fit, the one that will not for the longest. What only watches never refuses.
    fn denial(&mut self, charges: &[Charge<'_>], now: Now) -> Option<Denial> {
        let mut denial: Option<Denial> = None;
        for (position, charge) in charges.iter().enumerate() {
            let is_same = |other: &&Charge<'_>| {
                other.account.number == charge.account.number && other.subject == charge.subject
            };
            let before = charges.iter().take(position).filter(is_same).map(|other| other.amount);
            let amount = before.fold(charge.amount, u64::saturating_add);
            let Some(page) = self.pages.get_mut(charge.account.number) else { continue };
            let now = page.at(now);
            let fit = page.look(charge.subject, |meter, limit| meter.fit(limit, amount, now));
            if fit != Fit::Fits && !page.limit.shadow {
                let when = when(fit, now.of(&page.limit));
                denial = Some(Denial { charge: position, when }.or_later(denial));
            }
        }
        denial
    }

    fn take(&mut self, charge: &Charge<'_>, now: Now) -> Option<Line> {
        let Charge { account, subject, amount } = *charge;
        let spare = self.most_bytes.saturating_sub(self.bytes);
        let page = self.pages.get_mut(account.number)?;
        let now = page.at(now);
        let before = page.keyed.bytes();
        let limit = &page.limit;
        let taken = |meter: &mut Meter, spare| {
            let is_over = limit.shadow && meter.fit(limit, amount, now) != Fit::Fits;
            (meter.take(limit, amount, now, spare), is_over)
        };
        let ((stamp, is_over), place) = match subject {
            0 => (taken(&mut page.common, usize::MAX), Place::Own),
            _ => page.keyed.with(subject, (limit, now), spare, taken),
        };
        self.bytes = (self.bytes + page.keyed.bytes()).saturating_sub(before);
        let count = if is_over { &mut page.denied } else { &mut page.granted };
        *count += 1;
        let (limit, account) = (Arc::clone(&account.limit), account.number);
        Some(Line { limit, amount, account, subject, place, round: page.round, stamp })
    }

    /// What was reserved came to `used`. Nothing comes of it if the counts began anew meanwhile.
    pub(super) fn correct(&mut self, line: &Line, used: u64, now: Now) {
        let spare = self.most_bytes.saturating_sub(self.bytes);
        let Some(page) = self.pages.get_mut(line.account).filter(|page| page.round == line.round) else {
            return;
        };
        let now = page.at(now);
        let before = page.keyed.bytes();
        let limit = &page.limit;
        let correct =
            |meter: &mut Meter, spare| meter.correct(limit, line.stamp, (line.amount, used), now, spare);
        if line.subject == 0 {
            correct(&mut page.common, usize::MAX);
        } else if page.keyed.with_known(line.subject, line.place, spare, correct).is_none()
            && used > line.amount
        {
            // Forgotten, for nothing of it counted any more; this does.
            page.keyed.with(line.subject, (limit, now), spare, correct);
        }
        self.bytes = (self.bytes + page.keyed.bytes()).saturating_sub(before);
    }

    /// What `subject` has in use.
    pub(super) fn used(&mut self, account: usize, subject: u64, now: Now) -> u64 {
        let Some(page) = self.pages.get_mut(account) else { return 0 };
        let now = page.at(now);
        page.look(subject, |meter, limit| meter.used(limit, now))
    }

    /// Whether anybody may still count against an account, and how it stands but for what its subjects use; `None` beyond
    /// the last one.
    pub(super) fn standing(&mut self, account: usize, now: Now) -> Option<(bool, Standing)> {
        let page = self.pages.get_mut(account)?;
        let now = page.at(now);
        let is_held = Arc::strong_count(&page.held) > 1;
        let standing = Standing {
            used: page.common.used(&page.limit, now),
            limit: Arc::clone(&page.limit),
            subjects: page.keyed.len(),
            granted: page.granted,
            denied: page.denied,
        };
        Some((is_held, standing))
    }

    /// The most that a subject of one table has in use.
    pub(super) fn most_used(&mut self, account: usize, table: usize, now: Now) -> u64 {
        let Some(page) = self.pages.get_mut(account) else { return 0 };
        let now = page.at(now);
        page.keyed.most_used(table, &page.limit, now)
    }
}

impl Page {
    fn new(limit: Arc<Limit>, seed: u64) -> Self {
        let (common, keyed) = (Meter::new(&limit.window), Keyed::new(seed));
        let held = Arc::default();
        Self { limit, held, common, keyed, seed, span: (0, 0), round: 0, granted: 0, denied: 0 }
    }

    /// New numbers hold at once; counts stay, unless they are of another kind.
    fn renumber(&mut self, limit: Arc<Limit>, now: Now) -> Numbers {
        if self.limit == limit {
            return Numbers::Same;
        }
        if Meter::differ(&self.limit.window, &limit.window) {
            let Self { seed, round, granted, denied, .. } = *self;
            let (round, held) = (round.wrapping_add(1), Arc::clone(&self.held));
            *self = Self { held, round, granted, denied, ..Self::new(limit, seed) };
        } else {
            self.common.renumber(&self.limit, &limit, now);
            self.keyed.renumber(&self.limit, &limit, now);
            (self.limit, self.span) = (limit, (0, 0));
        }
        Numbers::Changed
    }

    fn look<T>(&mut self, subject: u64, look: impl FnOnce(&mut Meter, &Limit) -> T) -> T {
        let Self { limit, common, keyed, .. } = self;
        if subject == 0 {
            look(common, limit)
        } else {
            keyed.look(subject, limit, |meter| look(meter, limit))
        }
    }

    /// The present, with the span of the calendar that it lies in.
    fn at(&mut self, now: Now) -> Now {
        if let Window::Calendar { every, zone } = &self.limit.window
            && !(self.span.0..self.span.1).contains(&now.wall)
        {
            self.span = zone.span(*every, now.wall);
        }
        Now { span: self.span, ..now }
    }
}

impl Denial {
    /// Of two, the one that it is worth waiting for.
    fn or_later(self, other: Option<Self>) -> Self {
        let rank = |denial: &Self| match denial.when {
            When::GivenBack => (0, Duration::ZERO),
            When::After(wait) => (1, wait),
            When::Never => (2, Duration::ZERO),
        };
        other.filter(|other| rank(other) >= rank(&self)).unwrap_or(self)
    }
}

fn when(fit: Fit, now: u64) -> When {
    match fit {
        Fit::Fits => When::After(Duration::ZERO),
        Fit::At(at) => When::After(Duration::from_nanos(at.saturating_sub(now))),
        Fit::GivenBack => When::GivenBack,
        Fit::Never => When::Never,
    }
}
