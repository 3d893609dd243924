//! Defects on demand: where debug assertions are on, a test can have a stage panic; in a release there is nothing here.
//!
//! A panic is a defect of ours, and must cost one call and no more. That can only be tested with one.

/// Where a defect can be provoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stage {
    /// While the plan is made.
    Route = 1,
    /// After the call was admitted.
    Admit,
    /// With an attempt under way.
    Send,
    /// While a body or a stream is read.
    Read,
    /// While a failure is judged.
    Judge,
    /// While an answer is settled.
    Settle,
    /// While an answer becomes what the host shows.
    Show,
}

impl Stage {
    /// All of them, by name.
    pub const ALL: [(&'static str, Self); 7] = [
        ("route", Self::Route),
        ("admit", Self::Admit),
        ("send", Self::Send),
        ("read", Self::Read),
        ("judge", Self::Judge),
        ("settle", Self::Settle),
        ("show", Self::Show),
    ];
}

#[cfg(debug_assertions)]
mod provoked {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::Stage;

    static NEXT: AtomicU8 = AtomicU8::new(0);

    /// The next call of this process that comes to `stage` panics there.
    pub fn provoke(stage: Stage) {
        NEXT.store(stage as u8, Ordering::SeqCst);
    }

    pub(crate) fn at(stage: Stage) {
        let is_next = || NEXT.compare_exchange(stage as u8, 0, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        assert!(!(NEXT.load(Ordering::Relaxed) == stage as u8 && is_next()), "provoked at {stage:?}");
    }
}

#[cfg(debug_assertions)]
pub(crate) use provoked::at;
#[cfg(debug_assertions)]
pub use provoked::provoke;

#[cfg(not(debug_assertions))]
#[inline(always)]
pub(crate) fn at(_: Stage) {}
