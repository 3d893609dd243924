//! Reading, checking and merging configurations.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on may panic")]

mod exposure;
mod faults;
mod importing;
mod merging;
mod reading;
mod reloading;
mod schema;
mod variables;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use fairlead::Error;
use fairlead::config::load::{self, Loaded};
use fairlead::config::problem::Problem;
use fairlead::config::source::Files;

/// A folder of its own that goes with the test.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let (process, count) = (std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("fairlead-config-{name}-{process}-{count}"));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn load(&self, files: &[(&str, &str)]) -> Result<Loaded, Error> {
        let paths: Vec<_> = files.iter().map(|(name, text)| self.write(name, text)).collect();
        load::load(&Files::new(paths), None)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// What loading `text` as a file called `name` finds wrong.
pub(crate) fn problems(name: &str, text: &str) -> Vec<Problem> {
    Folder::new(name).load(&[(name, text)]).unwrap_err().problems().to_vec()
}

/// Line and column of a problem.
pub(crate) fn spot(problem: &Problem) -> (u32, u32) {
    problem.at.as_ref().map_or((0, 0), |at| (at.line, at.column))
}
