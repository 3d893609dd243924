//! What stores are held against: models that keep everything and count anew each time.

use std::time::Duration;

/// Everything that was ever taken, by its time in nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Log {
    taken: Vec<(u128, u64)>,
}

impl Log {
    /// What was taken in `(until - length, until]`.
    pub(crate) fn within(&self, until: u128, length: Duration) -> u64 {
        let counts = |at: u128| at <= until && at + length.as_nanos() > until;
        self.taken.iter().filter(|(at, _)| counts(*at)).map(|(_, amount)| amount).sum()
    }

    /// Would `amount` fit at `now`, if nothing else is taken until then?
    pub(crate) fn fits(&self, now: u128, length: Duration, most: u64, amount: u64) -> bool {
        let within = self.within(now, length);
        if amount > most { within == 0 } else { within + amount <= most }
    }

    /// The first moment from `now` on at which `amount` fits: now, or when something leaves the window.
    pub(crate) fn first(&self, now: u128, length: Duration, most: u64, amount: u64) -> u128 {
        let leaves = self.taken.iter().map(|(at, _)| at + length.as_nanos()).filter(|at| *at > now);
        let mut moments: Vec<u128> = leaves.chain([now]).collect();
        moments.sort_unstable();
        moments.into_iter().find(|at| self.fits(*at, length, most, amount)).unwrap()
    }

    /// Takes `amount`; its position.
    pub(crate) fn take(&mut self, now: u128, amount: u64) -> usize {
        self.taken.push((now, amount));
        self.taken.len() - 1
    }

    /// What was taken as `reserved` came to `used`.
    pub(crate) fn settle(&mut self, position: usize, (reserved, used): (u64, u64), now: u128) {
        if used > reserved {
            self.take(now, used - reserved);
        } else {
            self.taken[position].1 = used;
        }
    }

    /// The moments at which something was taken.
    pub(crate) fn moments(&self) -> impl Iterator<Item = u128> {
        self.taken.iter().map(|(at, _)| *at)
    }
}

/// A bucket in whole numbers: what is missing, times the nanoseconds of a window.
#[derive(Debug)]
pub(crate) struct Tokens {
    pub(crate) most: u64,
    pub(crate) per: Duration,
    pub(crate) burst: u64,
    missing: i128,
    at: u128,
    /// Of what was reserved: was the bucket full since?
    holds: Vec<bool>,
}

impl Tokens {
    pub(crate) fn new(most: u64, per: Duration, burst: u64) -> Self {
        Self { most, per, burst, missing: 0, at: 0, holds: Vec::new() }
    }

    fn whole(&self, amount: u64) -> i128 {
        i128::from(amount) * self.per.as_nanos() as i128
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, now: u128) {
        let refilled = (now - self.at) as i128 * i128::from(self.most);
        self.missing = (self.missing - refilled).max(0);
        self.at = now;
        if self.missing == 0 {
            self.holds.fill(true);
        }
    }

    /// How many nanoseconds from the present until `amount` fits.
    pub(crate) fn wait(&self, amount: u64) -> u128 {
        let room = (self.whole(self.burst) - self.whole(amount)).max(0);
        let excess = (self.missing - room).max(0);
        (excess as u128).div_ceil(u128::from(self.most))
    }

    pub(crate) fn take(&mut self, amount: u64) -> usize {
        self.missing += self.whole(amount);
        self.holds.push(false);
        self.holds.len() - 1
    }

    pub(crate) fn settle(&mut self, position: usize, (reserved, used): (u64, u64)) {
        if used > reserved {
            self.missing += self.whole(used - reserved);
        } else if !self.holds[position] {
            self.missing = (self.missing - self.whole(reserved - used)).max(0);
        }
    }

    /// What is missing, rounded up.
    pub(crate) fn used(&self) -> u64 {
        (self.missing as u128).div_ceil(self.per.as_nanos()) as u64
    }
}

/// A calendar that counts days one by one. Times are seconds since the Unix epoch.
pub(crate) mod dates {
    use fairlead::store::Every;

    fn length(year: u64, month: u64) -> u64 {
        let is_leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
        match month {
            2 if is_leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    /// Days from the first of January 1970 until a date.
    pub(crate) fn days_before(year: u64, month: u64, day: u64) -> u64 {
        let years = (1970..year).flat_map(|year| (1..=12).map(move |month| length(year, month)));
        let months = (1..month).map(|month| length(year, month));
        years.chain(months).sum::<u64>() + day - 1
    }

    /// The first second after the span that holds `wall`, where the clock is `offset` seconds ahead of UTC.
    pub(crate) fn end(every: Every, offset: i64, wall: u64) -> u64 {
        let local = wall.checked_add_signed(offset).unwrap();
        let local_end = match every {
            Every::Hour => (local / 3600 + 1) * 3600,
            Every::Day => (local / 86_400 + 1) * 86_400,
            Every::Week => {
                // The first Monday was the fifth of January 1970.
                let mut monday = 4 * 86_400;
                while monday <= local {
                    monday += 7 * 86_400;
                }
                monday
            }
            Every::Month => {
                let (mut year, mut month, mut first) = (1970, 1, 0);
                while first <= local {
                    first += length(year, month) * 86_400;
                    (year, month) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
                }
                first
            }
        };
        local_end.checked_add_signed(-offset).unwrap()
    }
}
