//! placeholder
use super::*;
use crate::clock;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug)]
pub struct Account {
    limit: Arc<Mutex<Arc<Limit>>>,
    inner: Limit,
}
impl Account {
    pub fn limit(&self) -> &Limit {
        &self.inner
    }
}
#[derive(Debug, Default)]
struct Meter {
    entries: VecDeque<(u128, u64)>,
    total: u64,
}
#[derive(Debug, Default)]
struct Books {
    meters: HashMap<(Arc<str>, u64), Meter>,
}
#[derive(Default)]
struct Shared {
    books: Mutex<Books>,
    tell: Mutex<Option<Box<dyn Fn() + Send + Sync>>>,
}
impl Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}
#[derive(Debug, Default, Clone)]
pub struct Memory(Arc<Shared>);
#[derive(Debug)]
pub struct Hold {
    lines: Vec<(Account, u64, u64, u128)>,
    store: Memory,
}
impl Hold {
    pub fn split_off(&mut self, at: usize) -> Hold {
        Hold { lines: self.lines.split_off(at), store: self.store.clone() }
    }
}
fn span(w: &Window) -> Option<Duration> {
    match w {
        Window::Concurrency => None,
        Window::Sliding { length } | Window::Log { length } | Window::Bucket { per: length, .. } => {
            Some(*length)
        }
        Window::Calendar { every, .. } => Some(match every {
            Every::Hour => Duration::from_secs(3600),
            Every::Day => Duration::from_secs(86400),
            Every::Week => Duration::from_secs(7 * 86400),
            Every::Month => Duration::from_secs(30 * 86400),
        }),
    }
}
impl Meter {
    fn expire(&mut self, w: &Window, now: u128) {
        let Some(length) = span(w) else { return };
        while let Some((at, amount)) = self.entries.front().copied() {
            let gone = match w {
                Window::Calendar { .. } => at / length.as_nanos() != now / length.as_nanos(),
                _ => at + length.as_nanos() <= now,
            };
            if !gone {
                break;
            }
            self.entries.pop_front();
            self.total = self.total.saturating_sub(amount);
        }
    }
    fn when(&mut self, l: &Limit, amount: u64, now: u128) -> Option<When> {
        self.expire(&l.window, now);
        if self.total.saturating_add(amount) <= l.most || l.shadow {
            return None;
        }
        if amount > l.most && l.oversize == Oversize::Reject && self.total == 0 {
            return Some(When::Never);
        }
        if amount > l.most && self.total == 0 {
            return None;
        }
        let Some(length) = span(&l.window) else { return Some(When::GivenBack) };
        if let Window::Calendar { .. } = l.window {
            return Some(When::After(Duration::from_nanos(
                (length.as_nanos() - now % length.as_nanos()) as u64,
            )));
        }
        let mut left = self.total;
        for (at, weight) in &self.entries {
            left -= weight;
            if left.saturating_add(amount) <= l.most || left == 0 {
                return Some(When::After(Duration::from_nanos((at + length.as_nanos() - now) as u64)));
            }
        }
        Some(When::Never)
    }
}
impl Memory {
    fn now(w: &Window) -> u128 {
        thread_local! { static O: clock::Instant = clock::now(); }
        match w {
            Window::Calendar { .. } => clock::wall().as_nanos(),
            _ => O.with(|o| clock::now().saturating_duration_since(*o).as_nanos()) + (1 << 70),
        }
    }
}
impl Store for Memory {
    fn account(&self, limit: Limit) -> Account {
        Account { limit: Arc::new(Mutex::new(Arc::new(limit.clone()))), inner: limit }
    }
    fn reserve(&self, charges: &[Charge<'_>]) -> Reserving {
        let mut books = self.0.books.lock();
        for (position, c) in charges.iter().enumerate() {
            let l = c.account.limit();
            let m = books.meters.entry((Arc::clone(&l.identity), c.subject)).or_default();
            if let Some(when) = m.when(l, c.amount, Self::now(&l.window)) {
                return Reserving::Ready(Reserved::Denied(Denial { charge: position, when }));
            }
        }
        let mut lines = Vec::new();
        for c in charges {
            let l = c.account.limit();
            let now = Self::now(&l.window);
            let m = books.meters.entry((Arc::clone(&l.identity), c.subject)).or_default();
            m.total += c.amount;
            m.entries.push_back((now, c.amount));
            lines.push((c.account.clone(), c.subject, c.amount, now));
        }
        Reserving::Ready(Reserved::Granted(Hold { lines, store: self.clone() }))
    }
    fn settle(&self, mut hold: Hold, used: &mut dyn FnMut(&Limit, u64) -> u64) {
        {
            let mut books = self.0.books.lock();
            for (account, subject, amount, at) in hold.lines.drain(..) {
                let l = account.limit();
                let actual = if l.measure == Measure::Concurrency { 0 } else { used(l, amount) };
                let Some(m) = books.meters.get_mut(&(Arc::clone(&l.identity), subject)) else { continue };
                if let Some(e) = m.entries.iter_mut().find(|e| e.0 == at && e.1 == amount) {
                    e.1 = actual;
                    m.total = m.total - amount + actual;
                }
                if l.measure == Measure::Concurrency {
                    m.entries.clear();
                }
            }
        }
        if let Some(tell) = self.0.tell.lock().as_ref() {
            tell()
        }
    }
    fn on_room(&self, tell: Option<Box<dyn Fn() + Send + Sync>>) {
        *self.0.tell.lock() = tell;
    }
    fn used(&self, account: &Account, subject: u64) -> u64 {
        let l = account.limit();
        let mut books = self.0.books.lock();
        let m = books.meters.entry((Arc::clone(&l.identity), subject)).or_default();
        m.expire(&l.window, Self::now(&l.window));
        m.total
    }
}
impl Drop for Hold {
    fn drop(&mut self) {
        if !self.lines.is_empty() {
            let store = self.store.clone();
            let hold = Hold { lines: std::mem::take(&mut self.lines), store: store.clone() };
            store.settle(hold, &mut |_, _| 0);
        }
    }
}
