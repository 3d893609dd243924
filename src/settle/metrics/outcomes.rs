//! Counts by class and status code, without a lock: upstreams choose the codes, so they are bounded.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::class::Class;
use super::series::OTHER;

/// Pairs of class and code that a deployment has counts of their own for.
const PAIRS: usize = 32;

/// How attempts ended.
#[derive(Debug, Default)]
pub struct Outcomes {
    pairs: [Pair; PAIRS],
    /// Codes that found no room, by class.
    others: [AtomicU64; Class::ALL.len()],
}

#[derive(Debug, Default)]
struct Pair {
    /// Zero while nobody has it.
    key: AtomicU32,
    count: AtomicU64,
}

impl Outcomes {
    /// Counts an attempt.
    pub fn count(&self, class: Class, status: Option<u16>) {
        let key = key(class, status);
        for pair in &self.pairs {
            let held = pair.key.load(Ordering::Acquire);
            let is_ours = held == key
                || held == 0
                    && match pair.key.compare_exchange(0, key, Ordering::AcqRel, Ordering::Acquire) {
                        Ok(_) => true,
                        Err(first) => first == key,
                    };
            if is_ours {
                pair.count.fetch_add(1, Ordering::Relaxed);
                return;
            }
        }
        if let Some(others) = self.others.get(class as usize) {
            others.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Every class and code with its count.
    pub fn all(&self) -> Vec<(Class, String, u64)> {
        let pairs = self.pairs.iter().filter_map(|pair| {
            let (class, status) = pair_of(pair.key.load(Ordering::Acquire))?;
            let code = status.map_or_else(|| "none".to_owned(), |status| status.to_string());
            Some((class, code, pair.count.load(Ordering::Relaxed)))
        });
        let others = Class::ALL.into_iter().zip(&self.others);
        let others = others.map(|(class, count)| (class, OTHER.to_owned(), count.load(Ordering::Relaxed)));
        pairs.chain(others.filter(|(_, _, count)| *count > 0)).collect()
    }

    /// Attempts that ended, and of these those in each class.
    pub fn by_class(&self) -> (u64, [u64; Class::ALL.len()]) {
        let mut counts = [0; Class::ALL.len()];
        for (class, _, count) in self.all() {
            if let Some(sum) = counts.get_mut(class as usize) {
                *sum += count;
            }
        }
        (counts.iter().sum(), counts)
    }
}

fn key(class: Class, status: Option<u16>) -> u32 {
    (class as u32 + 1) << 16 | u32::from(status.unwrap_or_default())
}

fn pair_of(key: u32) -> Option<(Class, Option<u16>)> {
    let class = usize::try_from(key >> 16).ok()?.checked_sub(1)?;
    let status = u16::try_from(key & 0xffff).ok().filter(|status| *status > 0);
    Some((*Class::ALL.get(class)?, status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_and_code_has_its_count() {
        let outcomes = Outcomes::default();
        for _ in 0..3 {
            outcomes.count(Class::Ok, Some(200));
        }
        outcomes.count(Class::Transient, Some(503));
        outcomes.count(Class::Transient, None);
        let wanted = [(Class::Ok, "200", 3), (Class::Transient, "503", 1), (Class::Transient, "none", 1)];
        let all = outcomes.all();
        assert_eq!(
            all.iter().map(|(class, code, count)| (*class, &**code, *count)).collect::<Vec<_>>(),
            wanted
        );
        assert_eq!(outcomes.by_class().0, 5);
    }

    #[test]
    fn f129_codes_without_end_are_bounded_and_nothing_is_lost() {
        let outcomes = Outcomes::default();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (100..1000).for_each(|code| outcomes.count(Class::Client, Some(code))));
            }
        });
        let all = outcomes.all();
        assert_eq!(all.len(), PAIRS + 1);
        assert_eq!(all.iter().map(|(_, _, count)| count).sum::<u64>(), 4 * 900);
        assert_eq!(outcomes.by_class().1[Class::Client as usize], 4 * 900);
    }
}
