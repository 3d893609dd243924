//! Models of what many threads change at once: the files of the core themselves, with loom's locks in place of ours.
//!
//! The modules below stand in for those of the core that the kernels name; they hold as little as the kernels need.

#![allow(dead_code, reason = "the models use a part of each kernel")]

#[path = "../../../src/retry/allowance.rs"]
pub mod allowance;
#[path = "../../../src/live/breaker/mod.rs"]
pub mod breaker;
#[path = "../../../src/admit/line/mod.rs"]
pub mod line;

mod sync;

pub mod clock {
    //! Time is whatever a model says, else it stands still; chance is the middle.

    use std::sync::OnceLock;

    pub type Instant = std::time::Instant;

    static NOW: OnceLock<Instant> = OnceLock::new();

    pub fn now() -> Instant {
        *NOW.get_or_init(Instant::now)
    }

    pub async fn wake_at(_: Instant) {
        std::future::pending().await
    }

    #[derive(Debug)]
    pub struct Rng;

    impl Rng {
        pub fn seeded(_: u64) -> Self {
            Self
        }

        pub fn unit(&self) -> f64 {
            0.5
        }
    }
}

pub mod error {
    //! What the kernels know of failures.

    use std::fmt;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Kind {
        Server,
        RateLimit,
    }

    impl fmt::Display for Kind {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt::Debug::fmt(self, f)
        }
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Blow {
        None,
        Ratio,
        Hard,
    }
}
