//! The door to what the core does not know: plug-ins for key management services, and the application's callables.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Fault, Fetch, Issued};
use crate::config::Veiled;

/// Whoever hosts the engine answers here for what is his. Answers come from another thread.
pub trait Outside: Send + Sync + fmt::Debug {
    /// Asks for a key. Dropping the future gives up.
    fn fetch(&self, wanted: &Wanted) -> BoxFuture<'static, Result<Issued, Fault>>;

    /// Is there such a plug-in or callable?
    fn knows(&self, wanted: &Wanted) -> bool;
}

/// Knows whatever is asked for and yields nothing: for a configuration that is only tried.
#[derive(Debug)]
pub struct Anybody;

impl Outside for Anybody {
    fn fetch(&self, _: &Wanted) -> BoxFuture<'static, Result<Issued, Fault>> {
        Box::pin(std::future::pending())
    }

    fn knows(&self, _: &Wanted) -> bool {
        true
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A callable of the configuration, by position.
    Callable(usize),
    /// A plug-in.
    Plugin {
        /// Its name.
        name: String,
        /// What it is given.
        options: Veiled<BTreeMap<String, String>>,
    },
}

/// A key that is fetched through the door.
#[derive(Debug)]
pub(super) struct Beyond {
    outside: Arc<dyn Outside>,
    wanted: Wanted,
    name: String,
}

impl Beyond {
    pub(super) fn new(outside: &Arc<dyn Outside>, wanted: Wanted) -> Self {
        let name = match &wanted {
            Wanted::Callable(_) => "the callable".to_owned(),
            Wanted::Plugin { name, .. } => format!("the plug-in `{name}`"),
        };
        Self { outside: Arc::clone(outside), wanted, name }
    }
}

impl Fetch for Beyond {
    fn fetch(&self) -> BoxFuture<'_, Result<Issued, Fault>> {
        self.outside.fetch(&self.wanted).boxed()
    }

    fn name(&self) -> &str {
        &self.name
    }
}
