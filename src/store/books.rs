//! The books of a store: a page for each limit, with its counts. Whoever has them has them alone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::keyed::{Keyed, Place};
use super::limit::{Limit, Window};
use super::meter::{Fit, Meter, Now};
use super::{Charge, Denial, Standing, When};

/// All limits with their counts.
#[derive(Debug)]
pub(super) struct Books {
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
    /// It would not have fitted, but the limit only watches.
    is_over: bool,
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
    pub(super) fn new(most_bytes: usize) -> Self {
        Self { numbers: HashMap::new(), pages: Vec::new(), most_bytes, bytes: 0 }
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
    pub(super) fn open(&mut self, limit: Arc<Limit>) -> (usize, Numbers) {
        if let Some(number) = self.numbers.get(&limit.identity).copied()
            && let Some(page) = self.pages.get_mut(number)
        {
            let before = page.keyed.bytes();
            let numbers = page.renumber(limit);
            self.bytes = (self.bytes + page.keyed.bytes()).saturating_sub(before);
            return (number, numbers);
        }
        let number = self.pages.len();
        self.numbers.insert(Arc::clone(&limit.identity), number);
        self.pages.push(Page::new(limit));
        (number, Numbers::Same)
    }

    /// Takes all of `charges` or none.
    pub(super) fn reserve(&mut self, charges: &[Charge<'_>], now: Now) -> Result<Vec<Line>, Denial> {
        let mut lines = Vec::with_capacity(charges.len());
        let mut denial: Option<Denial> = None;
        for (position, charge) in charges.iter().enumerate() {
            match self.take(charge, now, denial.is_some()) {
                Ok(line) => lines.extend(line),
                Err(when) => denial = Some(Denial { charge: position, when }.or_later(denial)),
            }
        }
        if let Some(denial) = denial {
            lines.iter().rev().for_each(|line| self.correct(line, 0, now));
            return Err(denial);
        }
        for line in lines.iter().filter(|line| !line.is_over) {
            if let Some(page) = self.pages.get_mut(line.account) {
                page.granted += 1;
            }
        }
        Ok(lines)
    }

    /// Takes one charge, or `only_looks` whether it would fit. What only watches never refuses.
    fn take(&mut self, charge: &Charge<'_>, now: Now, only_looks: bool) -> Result<Option<Line>, When> {
        let Charge { account, subject, amount } = *charge;
        let spare = self.most_bytes.saturating_sub(self.bytes);
        let Some(page) = self.pages.get_mut(account.number) else { return Ok(None) };
        let now = page.at(now);
        let before = page.keyed.bytes();
        let (limit, refuses) = (&page.limit, !page.limit.shadow);
        let taken = |meter: &mut Meter, spare| match meter.fit(limit, amount, now) {
            Fit::Fits if only_looks => (Fit::Fits, 0),
            fit if fit != Fit::Fits && refuses => (fit, 0),
            fit => (fit, meter.take(limit, amount, now, spare)),
        };
        let ((fit, stamp), place) = match subject {
            0 => (taken(&mut page.common, usize::MAX), Place::Own),
            _ => page.keyed.with(subject, (limit, now), spare, taken),
        };
        self.bytes = (self.bytes + page.keyed.bytes()).saturating_sub(before);
        page.denied += u64::from(fit != Fit::Fits);
        if fit != Fit::Fits && refuses {
            return Err(when(fit, now.of(limit)));
        }
        let (is_over, round) = (fit != Fit::Fits, page.round);
        let (limit, account) = (Arc::clone(&account.limit), account.number);
        let line = Line { limit, amount, account, subject, place, round, stamp, is_over };
        Ok((!only_looks).then_some(line))
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
        let limit = &page.limit;
        if subject == 0 {
            return page.common.used(limit, now);
        }
        let Some(place) = page.keyed.place(subject) else { return 0 };
        let used = page.keyed.with_known(subject, place, 0, |meter, _| meter.used(limit, now));
        used.unwrap_or_default()
    }

    /// How an account stands, but for what its subjects use.
    pub(super) fn standing(&mut self, account: usize, now: Now) -> Option<Standing> {
        let page = self.pages.get_mut(account)?;
        let now = page.at(now);
        Some(Standing {
            used: page.common.used(&page.limit, now),
            limit: Arc::clone(&page.limit),
            subjects: page.keyed.len(),
            granted: page.granted,
            denied: page.denied,
        })
    }

    /// The most that a subject of one table has in use.
    pub(super) fn most_used(&mut self, account: usize, table: usize, now: Now) -> u64 {
        let Some(page) = self.pages.get_mut(account) else { return 0 };
        let now = page.at(now);
        page.keyed.most_used(table, &page.limit, now)
    }
}

impl Page {
    fn new(limit: Arc<Limit>) -> Self {
        let (common, keyed) = (Meter::new(&limit.window), Keyed::default());
        Self { limit, common, keyed, span: (0, 0), round: 0, granted: 0, denied: 0 }
    }

    /// New numbers hold at once; counts stay, unless they are of another kind.
    fn renumber(&mut self, limit: Arc<Limit>) -> Numbers {
        if self.limit == limit {
            return Numbers::Same;
        }
        if Meter::differ(&self.limit.window, &limit.window) {
            (self.common, self.keyed) = (Meter::new(&limit.window), Keyed::default());
            self.round = self.round.wrapping_add(1);
        }
        (self.limit, self.span) = (limit, (0, 0));
        Numbers::Changed
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
