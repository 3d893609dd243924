//! Streams: a bounded queue between the I/O threads and the reader.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use pyo3::exceptions::{PyRuntimeError, PyStopAsyncIteration};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyType};
use tokio::sync::Notify;

use super::errors;
use super::model::{self, Text};
use super::port::{Inbox, Port};
use super::reply::{self, Meta};
use super::runtime;
use super::task::Done;
use crate::error::{Error, Kind};
use crate::send::sse;
use crate::settle::Receipt;

/// Bytes of events that the queue holds before reading pauses. The reader holds as many again, so 1 MiB in all is
/// read ahead, and reading goes on when half of that has been handed out.
const MOST_BYTES: usize = 512 << 10;
/// Events likewise.
const MOST_EVENTS: usize = 512;
/// Chunks handed out in a row before the loop gets a turn.
const TURN: u32 = 64;
/// How long a blocked thread waits before it looks at signals.
pub(super) const SLICE: Duration = Duration::from_millis(50);

/// The queue. The I/O side pauses at the bounds above and goes on when the reader takes all of it.
#[derive(Debug, Default)]
pub(super) struct Channel {
    state: Mutex<State>,
    /// Wakes the I/O side: there is room, or the reader is gone.
    room: Notify,
    /// Wakes a blocked thread.
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<Bytes>,
    bytes: usize,
    closed: bool,
    end: Option<Result<(), Error>>,
    receipt: Option<Arc<Receipt>>,
    waiter: Option<(Arc<Inbox>, u64)>,
}

impl State {
    fn is_full(&self) -> bool {
        self.bytes >= MOST_BYTES || self.ready.len() >= MOST_EVENTS
    }

    fn has_news(&self) -> bool {
        !self.ready.is_empty() || self.end.is_some() || self.closed
    }
}

impl Channel {
    /// Waits until there is room; false when the reader is gone.
    pub(super) async fn room(&self) -> bool {
        loop {
            {
                let state = self.state.lock();
                if state.closed {
                    return false;
                }
                if !state.is_full() {
                    return true;
                }
            }
            self.room.notified().await;
        }
    }

    /// Completes when the reader is gone.
    pub(super) async fn closed(&self) {
        while !self.state.lock().closed {
            self.room.notified().await;
        }
    }

    /// Events of one network read.
    pub(super) fn push(&self, events: Vec<Bytes>) {
        self.tell(|state| {
            state.bytes += events.iter().map(Bytes::len).sum::<usize>();
            state.ready.extend(events);
        });
    }

    /// Nothing more will come.
    pub(super) fn finish(&self, end: Result<(), Error>, receipt: Option<Arc<Receipt>>) {
        self.tell(|state| {
            if !state.closed {
                state.end = Some(end);
            }
            state.receipt = receipt;
        });
    }

    /// The reader is gone, for it the stream came to `end`: the I/O side stops and closes its connection.
    fn close(&self, end: Result<(), Error>) {
        self.tell(|state| {
            state.closed = true;
            state.end = Some(end);
            state.ready.clear();
            state.bytes = 0;
        });
        self.room.notify_one();
    }

    fn tell(&self, change: impl FnOnce(&mut State)) {
        let waiter = {
            let mut state = self.state.lock();
            change(&mut state);
            if state.has_news() { state.waiter.take() } else { None }
        };
        self.arrived.notify_all();
        if let Some((inbox, id)) = waiter {
            inbox.put(id, Done::Ready);
        }
    }

    /// The next event, from the reader's own `batch` or else from the queue, which becomes the next batch.
    fn take(&self, batch: &mut VecDeque<Bytes>) -> Taken {
        if let Some(event) = batch.pop_front() {
            return Taken::Event(event);
        }
        let mut state = self.state.lock();
        if state.is_full() {
            self.room.notify_one();
        }
        state.bytes = 0;
        std::mem::swap(&mut state.ready, batch);
        batch.pop_front().map_or_else(|| Taken::from(&mut state.end), Taken::Event)
    }

    /// Blocks for a slice of time, or less if something arrives; true when there is something to take.
    fn wait_slice(&self) -> bool {
        let mut state = self.state.lock();
        if !state.has_news() {
            self.arrived.wait_for(&mut state, SLICE);
        }
        state.has_news()
    }
}

enum Taken {
    Event(Bytes),
    Nothing,
    End,
    Failed(Error),
}

impl From<&mut Option<Result<(), Error>>> for Taken {
    /// A failure is told once; after it the stream is over.
    fn from(end: &mut Option<Result<(), Error>>) -> Self {
        match end.replace(Ok(())) {
            Some(Err(error)) => Self::Failed(error),
            Some(Ok(())) => Self::End,
            None => {
                *end = None;
                Self::Nothing
            }
        }
    }
}

/// The reader's end. Dropping it closes the stream.
#[derive(Debug)]
pub(super) struct Reader {
    channel: Arc<Channel>,
    meta: Meta,
    generation: u64,
}

impl Reader {
    /// The reader's end of `channel`.
    pub(super) fn new(channel: Arc<Channel>, meta: Meta) -> Self {
        Self { channel, meta, generation: runtime::generation() }
    }
}

impl Reader {
    /// Was it opened by this process, not before a fork? Then its locks are in a known state.
    fn is_ours(&self) -> bool {
        self.generation == runtime::generation()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.is_ours() {
            self.channel.close(Ok(()));
        }
    }
}

/// A stream as Python reads it.
#[pyclass(frozen, weakref, module = "fairlead._core")]
pub(super) struct StreamCore {
    reader: Reader,
    chunk: Py<PyType>,
    batch: Mutex<Batch>,
}

/// What the reader has taken from the queue but not handed out; one lock a network read, not one a chunk.
#[derive(Debug, Default)]
struct Batch {
    events: VecDeque<Bytes>,
    in_a_row: u32,
}

impl Batch {
    fn turn_is_over(&mut self) -> bool {
        self.in_a_row = (self.in_a_row + 1) % TURN;
        self.in_a_row == 0
    }
}

/// What Python is shown of an event, and maybe of those behind it.
type Show<'py> = fn(&StreamCore, Python<'py>, &Bytes) -> PyResult<Bound<'py, PyAny>>;

impl StreamCore {
    /// `chunk` is the class of the objects handed out.
    pub(super) fn new(reader: Reader, chunk: &Bound<'_, PyType>) -> Self {
        Self { reader, chunk: chunk.clone().unbind(), batch: Mutex::default() }
    }

    fn chunk<'py>(&self, py: Python<'py>, event: &Bytes) -> PyResult<Bound<'py, PyAny>> {
        model::build(self.chunk.bind(py), Text::checked(event), None)
    }

    /// `first` and all events that wait behind it, framed as they are sent.
    fn frames<'py>(&self, py: Python<'py>, first: &Bytes) -> PyResult<Bound<'py, PyAny>> {
        let mut frames = Vec::new();
        sse::frame(first, &mut frames);
        for event in self.batch.lock().events.drain(..) {
            sse::frame(&event, &mut frames);
        }
        Ok(PyBytes::new(py, &frames).into_any())
    }

    fn next_ready<'py>(&self, py: Python<'py>, show: Show<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let channel = self.channel()?;
        let taken = {
            let mut batch = self.batch.lock();
            if batch.turn_is_over() {
                return Ok(None);
            }
            channel.take(&mut batch.events)
        };
        match taken {
            Taken::Event(event) => show(self, py, &event).map(Some),
            Taken::Nothing => Ok(None),
            Taken::Failed(error) => Err(errors::exception(py, &error)),
            Taken::End => Err(PyStopAsyncIteration::new_err(())),
        }
    }

    fn next_blocking<'py>(&self, py: Python<'py>, show: Show<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        loop {
            let taken = self.channel()?.take(&mut self.batch.lock().events);
            match taken {
                Taken::Event(event) => return show(self, py, &event).map(Some),
                Taken::Failed(error) => return Err(errors::exception(py, &error)),
                Taken::End => return Ok(None),
                Taken::Nothing => {}
            }
            if !py.detach(|| self.reader.channel.wait_slice()) {
                py.check_signals()?;
            }
        }
    }

    fn channel(&self) -> PyResult<&Channel> {
        if self.reader.is_ours() {
            return Ok(&self.reader.channel);
        }
        Err(PyRuntimeError::new_err("this stream belongs to the process before the fork"))
    }

    fn end(&self, end: Result<(), Error>) {
        if self.reader.is_ours() {
            self.batch.lock().events.clear();
            self.reader.channel.close(end);
        }
    }
}

#[pymethods]
impl StreamCore {
    /// The next chunk if one is ready and the loop need not have a turn first, else `None`.
    ///
    /// Raises what broke the stream, once; raises `StopAsyncIteration` at its end.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.next_ready(py, Self::chunk)
    }

    /// As `take`, but all chunks at hand at once, as the bytes of server-sent events.
    fn take_frames<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.next_ready(py, Self::frames)
    }

    /// A future for the moment when something can be taken, and its number; `None` when that is now.
    fn wait<'py>(
        &self,
        event_loop: &Bound<'py, PyAny>,
        port: &Bound<'py, Port>,
    ) -> PyResult<Option<(Bound<'py, PyAny>, u64)>> {
        let py = event_loop.py();
        let (inbox, id) = port.get().ticket()?;
        let future = event_loop.call_method0(intern!(py, "create_future"))?;
        let has_more = !self.batch.lock().events.is_empty();
        let mut state = self.channel()?.state.lock();
        if has_more || state.has_news() {
            return Ok(None);
        }
        state.waiter = Some((inbox, id));
        drop(state);
        port.get().wait(id, future.clone().unbind(), None, None);
        Ok(Some((future, id)))
    }

    /// The next chunk, however long it takes; looks at signals meanwhile. `None` at the end.
    fn block<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.next_blocking(py, Self::chunk)
    }

    /// As `block`, but all chunks at hand at once, as the bytes of server-sent events.
    fn block_frames<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.next_blocking(py, Self::frames)
    }

    /// Stops reading; the connection to the upstream is closed unless the stream was complete.
    fn close(&self) {
        self.end(Ok(()));
    }

    /// As `close`, but whoever reads on is told that the stream is not complete.
    fn interrupt(&self) {
        let error = Error::new(Kind::StreamInterrupted, "the stream was closed: its reader was cancelled");
        if !self.is_over() {
            self.end(Err(error));
        }
    }

    /// Has everything been received, or the stream been closed?
    #[getter]
    fn is_over(&self) -> bool {
        self.channel().map_or(true, |channel| {
            let state = channel.state.lock();
            state.end.is_some() || state.closed
        })
    }

    #[getter]
    fn status(&self) -> u16 {
        self.reader.meta.status
    }

    #[getter]
    fn headers(&self) -> Vec<(String, String)> {
        reply::pairs(&self.reader.meta.headers)
    }

    #[getter]
    fn request_id(&self) -> Option<&str> {
        self.reader.meta.request_id()
    }

    /// The receipt; complete once the stream has ended.
    #[getter]
    fn fairlead<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let ended = self.channel()?.state.lock().receipt.clone();
        match ended {
            Some(told) => reply::receipt(py, &told),
            None => self.reader.meta.receipt(py),
        }
    }
}
