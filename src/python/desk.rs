//! Where the I/O threads ask for keys that only Python can give, and the one Python thread that answers.
//!
//! Questions are numbers and names; answers are text. The thread runs an event loop of its own
//! (`fairlead.keys`), is begun by the first call that may ask, and ends when no client may ask any more.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tokio::sync::oneshot::{self, Sender};

use super::callables;
use super::port::{Inbox, Port};
use super::secret::Secret;
use super::task::Done;
use crate::secret::{Fault, Issued, Wanted};

/// As the runtime, made by the first who needs it, never freed, forgotten after a fork: its lock may be held by a
/// thread that does not exist in the child.
static BOARD: AtomicPtr<Board> = AtomicPtr::new(std::ptr::null_mut());

/// What is asked, and who waits for an answer.
#[derive(Debug, Default)]
struct Board {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    events: VecDeque<Event>,
    waiting: HashMap<u64, Sender<Result<Issued, Fault>>>,
    /// The loop that sleeps until there is something to take.
    sleeper: Option<(Arc<Inbox>, u64)>,
    /// Does the thread run?
    serving: bool,
}

#[derive(Debug)]
enum Event {
    Asked {
        number: u64,
        client: u64,
        wanted: Wanted,
    },
    /// Nobody waits for it any more.
    GivenUp(u64),
}

impl State {
    fn wake(&mut self) {
        if let Some((inbox, id)) = self.sleeper.take() {
            inbox.put(id, Done::Ready);
        }
    }
}

fn board() -> &'static Board {
    let fresh = || Box::into_raw(Box::<Board>::default());
    let mut pointer = BOARD.load(Ordering::Acquire);
    if pointer.is_null() {
        let made = fresh();
        let none = std::ptr::null_mut();
        pointer = match BOARD.compare_exchange(none, made, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => made,
            Err(first) => {
                // SAFETY: `made` came from `Box::into_raw` above and was shown to nobody.
                drop(unsafe { Box::from_raw(made) });
                first
            }
        };
    }
    // SAFETY: the pointer is not null, came from `Box::into_raw` and is never freed once it was stored.
    unsafe { &*pointer }
}

/// To be called in a forked child.
pub(super) fn after_fork() {
    BOARD.store(std::ptr::null_mut(), Ordering::Release);
}

/// Asks for a key, on an I/O thread; dropping the future gives up.
pub(super) fn ask(client: u64, wanted: Wanted) -> BoxFuture<'static, Result<Issued, Fault>> {
    async move {
        let (sender, receiver) = oneshot::channel();
        let number = {
            let mut state = board().state.lock();
            if !state.serving {
                return Err(closed());
            }
            let number = state.next;
            state.next += 1;
            state.waiting.insert(number, sender);
            state.events.push_back(Event::Asked { number, client, wanted });
            state.wake();
            number
        };
        let _waiting = Waiting(number);
        receiver.await.unwrap_or_else(|_| Err(closed()))
    }
    .boxed()
}

fn closed() -> Fault {
    Fault::Lasting("the client was closed".to_owned())
}

/// Whoever asked, while he waits.
struct Waiting(u64);

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut state = board().state.lock();
        if state.waiting.remove(&self.0).is_some() {
            state.events.push_back(Event::GivenUp(self.0));
            state.wake();
        }
    }
}

/// Has the thread look whether it is still needed.
pub(super) fn nudge() {
    board().state.lock().wake();
}

/// Begins the thread unless it runs.
pub(super) fn serve(py: Python<'_>) -> PyResult<()> {
    if std::mem::replace(&mut board().state.lock().serving, true) {
        return Ok(());
    }
    let begun = py.import("fairlead.keys").and_then(|keys| keys.call_method0(intern!(py, "_begin")));
    begun.map(drop).inspect_err(|_| board().state.lock().serving = false)
}

/// A number, with what to call and what with; with nothing to call, nobody waits for it any more.
type Taken<'py> = (u64, Option<Py<PyAny>>, Option<Bound<'py, PyDict>>);

/// The thread's side.
#[pyclass(frozen, module = "fairlead._core")]
pub(super) struct Desk(&'static Board);

#[pymethods]
impl Desk {
    #[new]
    fn new() -> Self {
        Self(board())
    }

    /// All that has come. `None`: nobody will ask again, nothing is `busy`, and the thread is to end.
    fn take<'py>(&self, py: Python<'py>, busy: bool) -> PyResult<Option<Vec<Taken<'py>>>> {
        let events = {
            let mut state = self.0.state.lock();
            if state.events.is_empty() && !busy && callables::are_unused() {
                state.serving = false;
                return Ok(None);
            }
            std::mem::take(&mut state.events)
        };
        let mut taken = Vec::with_capacity(events.len());
        for event in events {
            match event {
                Event::GivenUp(number) => taken.push((number, None, None)),
                Event::Asked { number, client, wanted } => match callables::find(py, client, &wanted)? {
                    Some((fetch, options)) => taken.push((number, Some(fetch), options)),
                    None => self.answered(number, Err(closed())),
                },
            }
        }
        Ok(Some(taken))
    }

    /// The thread ends, for whatever reason: who still waits gets no key, and the next call begins another one.
    fn left(&self) {
        let waiting = {
            let mut state = self.0.state.lock();
            if !state.serving {
                return;
            }
            state.serving = false;
            state.events.clear();
            std::mem::take(&mut state.waiting)
        };
        for sender in waiting.into_values() {
            drop(sender.send(Err(Fault::Lasting("the thread that asks for keys ended".to_owned()))));
        }
    }

    /// A future of `event_loop` that is done when there is something to take.
    fn arrival<'py>(
        &self,
        port: &Bound<'py, Port>,
        event_loop: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (inbox, id) = port.get().ticket()?;
        let future = event_loop.call_method0(intern!(port.py(), "create_future"))?;
        port.get().wait(id, future.clone().unbind(), None, None);
        let mut state = self.0.state.lock();
        state.sleeper = Some((inbox, id));
        if !state.events.is_empty() || callables::are_unused() {
            state.wake();
        }
        Ok(future)
    }

    /// Ends a wait for arrivals before its time.
    #[expect(clippy::unused_self, reason = "the shape of a Python method")]
    fn nudge(&self) {
        nudge();
    }

    /// The key that was asked for under `number`, and the seconds it is good for.
    #[pyo3(signature = (number, key, seconds = None))]
    fn answer(&self, number: u64, key: &Bound<'_, PyAny>, seconds: Option<f64>) -> PyResult<()> {
        let issued = if let Ok(secret) = key.cast::<Secret>() {
            Issued::key(secret.get().expose(), seconds)
        } else {
            let text = key.extract::<String>().map(zeroize::Zeroizing::new);
            let text = text.map_err(|_| PyTypeError::new_err("a key is a str or a Secret"))?;
            Issued::key(&text, seconds)
        };
        self.answered(number, issued);
        Ok(())
    }

    /// There is no key for `number`.
    fn refuse(&self, number: u64, why: String) {
        self.answered(number, Err(Fault::Lasting(why)));
    }
}

impl Desk {
    fn answered(&self, number: u64, answer: Result<Issued, Fault>) {
        let waiting = self.0.state.lock().waiting.remove(&number);
        if let Some(sender) = waiting {
            drop(sender.send(answer));
        }
    }
}
