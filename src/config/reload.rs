//! The configuration that holds, and what takes its place: read whole, checked whole, then swapped.
//!
//! Whatever is wrong with a newer one, the last good one stays, and what is wrong is kept beside it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::Config;
use super::load::{self, Loaded};
use super::problem::{self, Problem};
use super::source::Source;
use super::tree::{Node, Place};
use crate::clock;
use crate::error::{Error, Kind};

/// Puts a configuration into effect.
pub type Apply = Box<dyn Fn(&Config) -> Result<(), Error> + Send + Sync>;

/// The configuration that holds.
#[derive(Clone, Debug)]
pub struct Current {
    /// What was read.
    pub loaded: Arc<Loaded>,
    /// Tells it from others, see [`Loaded::hash`].
    pub hash: String,
    /// From 1; one more with every change.
    pub version: u64,
    /// When it took effect, since the Unix epoch.
    pub since: Duration,
    /// Why a newer one did not take its place.
    pub problem: Option<Error>,
}

impl Current {
    /// The first one.
    pub fn new(loaded: Loaded) -> Self {
        let hash = loaded.hash();
        Self { loaded: Arc::new(loaded), hash, version: 1, since: clock::wall(), problem: None }
    }
}

/// What came of another look at the source.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It says what it said.
    Unchanged,
    /// It took effect.
    Changed {
        /// Its number.
        version: u64,
    },
    /// It did not, and this is why; the last good one holds.
    Failed(Error),
    /// As it failed before.
    StillFailing,
}

/// Reads again and puts into effect what has changed.
pub struct Reloader {
    current: Arc<ArcSwap<Current>>,
    apply: Apply,
    /// One look at a time. Nobody is told anything while it is held.
    looking: Mutex<()>,
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader").field("current", &self.current.load().version).finish_non_exhaustive()
    }
}

impl Reloader {
    /// Keeps `current` up to date by means of `apply`.
    pub fn new(current: Arc<ArcSwap<Current>>, apply: Apply) -> Self {
        Self { current, apply, looking: Mutex::default() }
    }

    /// The configuration that holds.
    pub fn current(&self) -> Arc<Current> {
        self.current.load_full()
    }

    /// Reads `source` and puts it into effect if it has changed. Slow: it reads files.
    pub fn look(&self, source: &dyn Source, arguments: &Node) -> Outcome {
        let _alone = self.looking.lock();
        let current = self.current();
        match self.change(source, arguments, &current) {
            Ok(None) if current.problem.is_none() => Outcome::Unchanged,
            Ok(None) => {
                self.current.store(Arc::new(Current { problem: None, ..(*current).clone() }));
                Outcome::Unchanged
            }
            Ok(Some(next)) => {
                let version = next.version;
                self.current.store(Arc::new(next));
                Outcome::Changed { version }
            }
            Err(problem) => self.failed(problem, &current),
        }
    }

    fn change(
        &self,
        source: &dyn Source,
        arguments: &Node,
        current: &Current,
    ) -> Result<Option<Current>, Error> {
        let loaded = load::load(source, Some(arguments))?;
        let hash = loaded.hash();
        if hash == current.hash {
            return Ok(None);
        }
        if loaded.is_blank && !current.loaded.is_blank {
            return Err(blank(&loaded));
        }
        (self.apply)(&loaded.config).map_err(|error| problem::placed(error, &loaded.tree))?;
        let (loaded, since) = (Arc::new(loaded), clock::wall());
        Ok(Some(Current { loaded, hash, version: current.version + 1, since, problem: None }))
    }

    fn failed(&self, problem: Error, current: &Current) -> Outcome {
        let known = current.problem.as_ref().is_some_and(|known| known.to_string() == problem.to_string());
        if known {
            return Outcome::StillFailing;
        }
        self.current.store(Arc::new(Current { problem: Some(problem.clone()), ..current.clone() }));
        Outcome::Failed(problem)
    }
}

/// A file that is being written is empty for a moment; one that is emptied on purpose says so with `{}` or a
/// comment no better. Nobody means to lose everything while calls run.
fn blank(loaded: &Loaded) -> Error {
    let message = "nothing is configured any more";
    let at = loaded.sources.first().map(|source| Place::whole(source));
    let problem = Problem::new("", at.as_ref(), message);
    Error::new(Kind::Config, problem.to_string()).with_problems(vec![problem])
}
