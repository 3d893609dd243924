//! Values by labels that callers and upstreams choose, bounded in number and in length.
//!
//! Reading is one atomic load and one look into a table, with no lock and nothing allocated. New labels copy the
//! table; there are never many.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::live::hash;

/// What is beyond the bound is counted together under this label.
pub const OTHER: &str = "other";
/// Bytes of a label's value; what is longer is cut.
pub const LONGEST: usize = 128;

/// Values by `N` labels.
#[derive(Debug)]
pub struct Series<T, const N: usize> {
    /// So many combinations have a value of their own.
    most: usize,
    known: ArcSwap<Known<T, N>>,
}

/// A value with its labels.
#[derive(Debug)]
pub struct Entry<T, const N: usize> {
    /// As they are written.
    pub labels: [Box<str>; N],
    /// What belongs to them.
    pub value: T,
}

impl<T: Default, const N: usize> Series<T, N> {
    /// No values yet, and never more than `most`, beside the one for all others.
    pub fn bounded(most: usize) -> Self {
        Self { most, known: ArcSwap::default() }
    }

    /// The value of these labels; that of [`OTHER`] when there are too many.
    pub fn of(&self, labels: [&str; N]) -> Arc<Entry<T, N>> {
        let labels = labels.map(label);
        let known = self.known.load();
        if let Some(found) = find(&known, &labels) {
            return Arc::clone(found);
        }
        if known.len() >= self.most
            && let Some(others) = find(&known, &others())
        {
            return Arc::clone(others);
        }
        drop(known);
        self.insert(&labels)
    }

    fn insert(&self, labels: &[Cow<'_, str>; N]) -> Arc<Entry<T, N>> {
        let others = others();
        let (own, other) = (Arc::new(Entry::fresh(labels)), Arc::new(Entry::fresh(&others)));
        let mut result = Arc::clone(&own);
        self.known.rcu(|known| {
            let (labels, entry) = match known.get(&key(labels)) {
                // Somebody else was faster.
                Some(found) if found.has(labels) => (labels, found),
                None if known.len() < self.most => (labels, &own),
                // Two names with one hash are as good as one too many.
                _ => (&others, find(known, &others).unwrap_or(&other)),
            };
            result = Arc::clone(entry);
            let mut more = HashMap::clone(known);
            more.insert(key(labels), Arc::clone(entry));
            more
        });
        result
    }

    /// All values, in the order of their labels.
    pub fn all(&self) -> Vec<Arc<Entry<T, N>>> {
        let mut all: Vec<_> = self.known.load().values().cloned().collect();
        all.sort_by(|one, other| one.labels.cmp(&other.labels));
        all
    }
}

type Known<T, const N: usize> = HashMap<u64, Arc<Entry<T, N>>>;

fn find<'a, T, const N: usize>(
    known: &'a Known<T, N>,
    labels: &[Cow<'_, str>; N],
) -> Option<&'a Arc<Entry<T, N>>> {
    known.get(&key(labels)).filter(|entry| entry.has(labels))
}

fn others<const N: usize>() -> [Cow<'static, str>; N] {
    [const { Cow::Borrowed(OTHER) }; N]
}

impl<T: Default, const N: usize> Entry<T, N> {
    fn fresh(labels: &[Cow<'_, str>; N]) -> Self {
        Self { labels: labels.each_ref().map(|label| label.as_ref().into()), value: T::default() }
    }
}

impl<T, const N: usize> Entry<T, N> {
    fn has(&self, labels: &[Cow<'_, str>; N]) -> bool {
        self.labels.iter().zip(labels).all(|(own, label)| **own == **label)
    }

    /// The labels with their names.
    pub fn named<'a>(&'a self, names: [&'a str; N]) -> [(&'a str, &'a str); N] {
        let mut labels = self.labels.iter();
        names.map(|name| (name, labels.next().map(AsRef::as_ref).unwrap_or_default()))
    }
}

fn key<const N: usize>(labels: &[Cow<'_, str>; N]) -> u64 {
    hash::hash(labels.iter().map(AsRef::as_ref))
}

/// A label's value: at most [`LONGEST`] bytes, and without control characters.
fn label(text: &str) -> Cow<'_, str> {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = text.get(..end).unwrap_or_default();
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if is_plain || !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|one| if one.is_control() { '_' } else { one }).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn add(series: &Series<AtomicU64, 1>, name: &str) {
        series.of([name]).value.fetch_add(1, Ordering::Relaxed);
    }

    fn read(series: &Series<AtomicU64, 1>) -> Vec<(String, u64)> {
        let all = series.all();
        all.iter().map(|entry| (entry.labels[0].to_string(), entry.value.load(Ordering::Relaxed))).collect()
    }

    #[test]
    fn f129_a_million_names_are_as_many_as_the_bound_and_the_others() {
        let series = Series::bounded(100);
        for number in 0..1_000_000 {
            add(&series, &format!("tenant-{number}"));
        }
        let read = read(&series);
        assert_eq!(read.len(), 101);
        assert_eq!(read.iter().map(|(_, count)| count).sum::<u64>(), 1_000_000);
        assert_eq!(read[0], (OTHER.to_owned(), 1_000_000 - 100));
    }

    #[test]
    fn f129_long_names_are_cut_and_control_characters_replaced() {
        let series = Series::bounded(10);
        add(&series, &"é".repeat(5_000));
        add(&series, "a\r\nb");
        add(&series, "a\r\nb");
        let read = read(&series);
        assert_eq!(read[0], ("a__b".to_owned(), 2));
        assert_eq!(read[1], ("é".repeat(64), 1));
    }

    #[test]
    fn nothing_is_lost_while_threads_find_new_names() {
        let series = Series::bounded(32);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for number in 0..2_000 {
                        add(&series, &format!("{}", number % 50));
                    }
                });
            }
        });
        let read = read(&series);
        assert_eq!(read.len(), 33);
        assert_eq!(read.iter().map(|(_, count)| count).sum::<u64>(), 16_000);
    }
}
