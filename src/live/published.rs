//! Numbers that one writer at a time changes and everybody reads without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Numbers that belong together. A reader may see some of them before and some after a change: they are
/// statistics, and each is whole.
#[derive(Debug)]
pub(super) struct Published<const N: usize> {
    writing: Mutex<()>,
    numbers: [AtomicU64; N],
}

impl<const N: usize> Default for Published<N> {
    fn default() -> Self {
        Self { writing: Mutex::new(()), numbers: [const { AtomicU64::new(0) }; N] }
    }
}

impl<const N: usize> Published<N> {
    pub(super) fn read(&self) -> [f64; N] {
        self.numbers.each_ref().map(|number| f64::from_bits(number.load(Ordering::Relaxed)))
    }

    pub(super) fn change(&self, change: impl FnOnce([f64; N]) -> [f64; N]) {
        let _writing = self.writing.lock();
        for (number, new) in self.numbers.iter().zip(change(self.read())) {
            number.store(new.to_bits(), Ordering::Relaxed);
        }
    }
}
