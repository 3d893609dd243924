//! The application's callables, and plug-ins that yield keys: where they are kept, and the door through which the
//! core asks for them.
//!
//! The core knows numbers and names only. The objects stay in two registries whose locks are taken attached and
//! never held while detached, so that no forked child inherits them locked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{desk, errors};
use crate::config::tree::{Member, Node, Value};
use crate::secret::{Fault, Issued, Outside, Wanted};

/// Python callables of a configuration, by position.
#[derive(Debug, Default)]
pub(super) struct Callables {
    /// Conditions of rules.
    pub(super) rules: Vec<Py<PyAny>>,
    /// Sources of keys; taken out and kept by [`Hosted`].
    pub(super) keys: Vec<Py<PyAny>>,
}

impl Callables {
    /// The form in which `value`, which stands at `path`, enters the tree.
    ///
    /// A rule is asked at once, in the caller's own thread: an `async` one is refused.
    pub(super) fn keep(&mut self, value: &Bound<'_, PyAny>, path: &str) -> PyResult<Value> {
        let is_rule = path.rsplit('.').next() == Some("when");
        if is_rule && is_async(value)? {
            let message = format!("`{path}`: a rule is asked at once: it cannot be an async function");
            return Err(errors::misuse(value.py(), &message));
        }
        let list = if is_rule { &mut self.rules } else { &mut self.keys };
        let known = list.iter().position(|known| known.is(value)).unwrap_or(list.len());
        if known == list.len() {
            list.push(value.clone().unbind());
        }
        let position = Node::new(Value::Integer(i128::try_from(known).unwrap_or_default()), None);
        Ok(Value::Map(vec![Member { key: "callable".to_owned(), at: None, node: position }]))
    }
}

/// Is it an `async def`, or an object whose call is one?
fn is_async(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    let asks = value.py().import("inspect")?.getattr("iscoroutinefunction")?;
    let call = value.get_type().getattr("__call__")?;
    Ok(asks.call1((value,))?.is_truthy()? || asks.call1((call,))?.is_truthy()?)
}

/// Callables that yield keys, by client.
static KEYS: Mutex<BTreeMap<u64, Vec<Py<PyAny>>>> = Mutex::new(BTreeMap::new());
static PLUGINS: Mutex<BTreeMap<String, Py<PyAny>>> = Mutex::new(BTreeMap::new());
/// The names of plug-ins, for threads that are not attached.
static NAMES: LazyLock<ArcSwap<Vec<String>>> = LazyLock::new(ArcSwap::default);
static NEXT: AtomicU64 = AtomicU64::new(1);
/// Clients with callables, and plug-ins: while there are any, somebody must answer at the desk.
static USERS: AtomicUsize = AtomicUsize::new(0);

/// Can nobody ask for a key any more?
pub(super) fn are_unused() -> bool {
    USERS.load(Ordering::Acquire) == 0
}

/// Somebody must answer before a call begins that may ask.
pub(super) fn serve(py: Python<'_>) -> PyResult<()> {
    if are_unused() { Ok(()) } else { desk::serve(py) }
}

/// Makes `fetch` the plug-in called `name`; `None` takes it away.
#[pyfunction]
#[pyo3(name = "_register_plugin")]
pub(super) fn register_plugin(name: String, fetch: Option<Py<PyAny>>) {
    let (before, names) = {
        let mut plugins = PLUGINS.lock();
        let is_new = fetch.is_some();
        let before = match fetch {
            Some(fetch) => plugins.insert(name, fetch),
            None => plugins.remove(&name),
        };
        match (before.is_some(), is_new) {
            (false, true) => drop(USERS.fetch_add(1, Ordering::AcqRel)),
            (true, false) => drop(USERS.fetch_sub(1, Ordering::AcqRel)),
            _ => {}
        }
        (before, plugins.keys().cloned().collect())
    };
    NAMES.store(Arc::new(names));
    // What its end runs may come back here: not under the lock.
    drop(before);
    desk::nudge();
}

/// The door of one client, as the core knows it.
#[derive(Debug)]
pub(super) struct Door {
    client: u64,
    keys: AtomicUsize,
}

impl Outside for Door {
    fn fetch(&self, wanted: &Wanted) -> BoxFuture<'static, Result<Issued, Fault>> {
        desk::ask(self.client, wanted.clone())
    }

    fn knows(&self, wanted: &Wanted) -> bool {
        match wanted {
            Wanted::Callable(position) => *position < self.keys.load(Ordering::Acquire),
            Wanted::Plugin { name, .. } => NAMES.load().iter().any(|known| known == name),
        }
    }
}

/// A client's callables that yield keys, while the client lives.
#[derive(Debug)]
pub(super) struct Hosted {
    door: Arc<Door>,
    released: AtomicBool,
}

impl Hosted {
    pub(super) fn new(keys: Vec<Py<PyAny>>) -> Self {
        let door = Door { client: NEXT.fetch_add(1, Ordering::Relaxed), keys: AtomicUsize::new(0) };
        let hosted = Self { door: Arc::new(door), released: AtomicBool::new(true) };
        hosted.host(keys);
        hosted
    }

    /// Keeps `keys`, which begin with those that are kept already: positions never change.
    pub(super) fn host(&self, keys: Vec<Py<PyAny>>) {
        if keys.is_empty() {
            return;
        }
        if self.released.swap(false, Ordering::AcqRel) {
            USERS.fetch_add(1, Ordering::AcqRel);
        }
        self.door.keys.store(keys.len(), Ordering::Release);
        let before = KEYS.lock().insert(self.door.client, keys);
        // What its end runs may come back here: not under the lock.
        drop(before);
    }

    /// What is kept.
    pub(super) fn keys(&self, py: Python<'_>) -> Vec<Py<PyAny>> {
        let keys = KEYS.lock();
        let own = keys.get(&self.door.client);
        own.map(|own| own.iter().map(|key| key.clone_ref(py)).collect()).unwrap_or_default()
    }

    pub(super) fn door(&self) -> Arc<dyn Outside> {
        Arc::clone(&self.door) as _
    }

    /// Lets go of the callables; what is being asked is still answered.
    pub(super) fn release(&self) {
        if !self.released.swap(true, Ordering::AcqRel) {
            let keys = KEYS.lock().remove(&self.door.client);
            USERS.fetch_sub(1, Ordering::AcqRel);
            drop(keys);
            desk::nudge();
        }
    }
}

impl Drop for Hosted {
    fn drop(&mut self) {
        self.release();
    }
}

/// What is called, and with what.
type Called<'py> = (Py<PyAny>, Option<Bound<'py, PyDict>>);

/// What is called for `wanted` by `client`, and with what; `None` where it is gone.
pub(super) fn find<'py>(py: Python<'py>, client: u64, wanted: &Wanted) -> PyResult<Option<Called<'py>>> {
    match wanted {
        Wanted::Callable(position) => {
            let keys = KEYS.lock();
            let found = keys.get(&client).and_then(|keys| keys.get(*position));
            Ok(found.map(|found| (found.clone_ref(py), None)))
        }
        Wanted::Plugin { name, options } => {
            let Some(found) = PLUGINS.lock().get(name).map(|found| found.clone_ref(py)) else {
                return Ok(None);
            };
            let given = PyDict::new(py);
            for (name, value) in options.iter() {
                given.set_item(name, value)?;
            }
            Ok(Some((found, Some(given))))
        }
    }
}
