//! Routes by name: those that were compiled, and those that were made when they were first asked for.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::group::Route;
use crate::error::Error;

/// Routes that are made on demand and kept; when there are more, all of them are made anew.
const MADE: usize = 1024;

/// The routes of everybody, or of one tenant.
#[derive(Debug, Default)]
pub(super) struct Routes {
    compiled: HashMap<String, Arc<Route>>,
    made: ArcSwap<HashMap<String, Arc<Route>>>,
}

impl Routes {
    pub(super) fn new(compiled: HashMap<String, Arc<Route>>) -> Self {
        Self { compiled, made: ArcSwap::default() }
    }

    /// The compiled route of `name`.
    pub(super) fn compiled(&self, name: &str) -> Option<&Arc<Route>> {
        self.compiled.get(name)
    }

    /// All compiled routes with their names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Arc<Route>)> {
        self.compiled.iter()
    }

    /// All routes, those included that were made.
    pub(super) fn all(&self) -> impl Iterator<Item = Arc<Route>> {
        let made: Vec<_> = self.made.load().values().cloned().collect();
        self.compiled.values().cloned().chain(made)
    }

    /// The route of `name`, made by `make` where there is none yet.
    pub(super) fn find(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<Arc<Route>, Error>,
    ) -> Result<Arc<Route>, Error> {
        if let Some(route) = self.compiled.get(name) {
            return Ok(Arc::clone(route));
        }
        if let Some(route) = self.made.load().get(name) {
            return Ok(Arc::clone(route));
        }
        let route = make()?;
        self.made.rcu(|made| {
            let mut more = if made.len() < MADE { HashMap::clone(made) } else { HashMap::new() };
            more.insert(name.to_owned(), Arc::clone(&route));
            more
        });
        Ok(route)
    }
}
