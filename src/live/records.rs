//! Records by identity, kept while somebody holds them. Callers choose some of the names, so the rest is bounded.

use std::collections::BTreeMap;
use std::sync::Arc;

/// As many stay although nobody holds them: what a reload takes away and brings back is known again.
const KEPT: usize = 256;

/// Records by identity.
#[derive(Debug)]
pub(super) struct Records<T> {
    known: BTreeMap<String, Arc<T>>,
    /// Looked through when there are as many.
    bound: usize,
}

impl<T> Default for Records<T> {
    fn default() -> Self {
        Self { known: BTreeMap::new(), bound: KEPT }
    }
}

impl<T> Records<T> {
    /// The record with this identity, made where there is none.
    pub(super) fn record(&mut self, identity: &str, make: impl FnOnce() -> T) -> Arc<T> {
        if let Some(known) = self.known.get(identity) {
            return Arc::clone(known);
        }
        if self.known.len() >= self.bound {
            self.known.retain(|_, record| Arc::strong_count(record) > 1);
            self.bound = (self.known.len() * 2).max(KEPT);
        }
        let record = Arc::new(make());
        self.known.insert(identity.to_owned(), Arc::clone(&record));
        record
    }

    /// Those that somebody holds, by identity.
    pub(super) fn held(&self) -> impl Iterator<Item = &T> {
        self.known.values().filter(|record| Arc::strong_count(record) > 1).map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_end_take_no_room_without_end_and_what_is_held_stays() {
        let mut records = Records::default();
        let held: Vec<Arc<usize>> =
            (0..300).map(|number| records.record(&format!("held {number}"), || number)).collect();
        for number in 0..100_000 {
            records.record(&format!("openai/{number}"), || number);
        }
        assert!(records.known.len() <= 1200, "{}", records.known.len());
        for (number, record) in held.iter().enumerate() {
            assert!(Arc::ptr_eq(record, &records.record(&format!("held {number}"), || 0)));
        }
        assert_eq!(records.held().count(), 300);
    }
}
