//! A call on the I/O threads: through the engine, to whoever waits for it.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use super::client::Endpoint;
use super::errors;
use super::model::{self, Text};
use super::port::{Abort, Inbox};
use super::primitives::Lease;
use super::reply::{Meta, RawReply};
use super::runtime::Alive;
use super::stream::{Channel, Reader, SLICE, StreamCore};
use crate::admit::Share;
use crate::call::Call;
use crate::defect;
use crate::engine::Engine;
use crate::error::Error;
use crate::reply::{Answer, Reply, ReplyStream};
use crate::warm::{Wanted, Warmed};

/// What a wait came to. Rust data only.
#[derive(Debug)]
pub(super) enum Done {
    /// A whole reply.
    Reply(Reply),
    /// A stream that has committed. Dropping the reader closes it.
    Stream(Reader),
    /// The call failed.
    Failed(Error),
    /// A stream has something to take.
    Ready,
    /// Room under a limit of the caller's own.
    Share(Share),
    /// Deployments were warmed up.
    Warmed(Vec<Warmed>),
}

impl Done {
    /// The value a future resolves with, or the exception.
    pub(super) fn into_python<'py>(
        self,
        py: Python<'py>,
        endpoint: Option<&Bound<'py, Endpoint>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        errors::guarded(py, || self.shown(py, endpoint))
    }

    fn shown<'py>(
        self,
        py: Python<'py>,
        endpoint: Option<&Bound<'py, Endpoint>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        defect::at(defect::Stage::Show);
        match (self, endpoint) {
            (Self::Ready, _) => Ok(py.None().into_bound(py)),
            (Self::Share(share), _) => Ok(Bound::new(py, Lease::new(share))?.into_any()),
            (Self::Warmed(warmed), _) => Ok(pythonize::pythonize(py, &warmed)?),
            (Self::Failed(error), None) => Err(errors::exception(py, &error)),
            (Self::Failed(error), Some(endpoint)) => {
                Err(errors::exception_of(py, &error, endpoint.get().method()))
            }
            (Self::Reply(reply), Some(endpoint)) => whole(reply, endpoint),
            (Self::Stream(reader), Some(endpoint)) => {
                let endpoint = endpoint.get();
                let core = StreamCore::new(reader, endpoint.chunk(py));
                endpoint.wrap_stream(Bound::new(py, core)?)
            }
            (_, None) => Err(PyRuntimeError::new_err("an answer nobody asked for")),
        }
    }
}

fn whole<'py>(reply: Reply, endpoint: &Bound<'py, Endpoint>) -> PyResult<Bound<'py, PyAny>> {
    let py = endpoint.py();
    let meta = Arc::new(Meta::new(reply.status, reply.headers, reply.receipt));
    let endpoint = endpoint.get();
    if let Some(wrap) = endpoint.raw(py) {
        return wrap.call1((RawReply::new(meta, reply.body, endpoint.reply(py).clone().unbind()),));
    }
    model::build(endpoint.reply(py), Text::checked(&reply.body), Some(meta))
}

/// Who is told.
#[derive(Debug)]
pub(super) enum Recipient {
    /// An event loop, by number.
    Loop(Arc<Inbox>, u64),
    /// A thread that blocks.
    Thread(SyncSender<Done>),
}

impl Recipient {
    /// Tells it.
    pub(super) fn tell(&self, done: Done) {
        match self {
            Self::Loop(inbox, id) => inbox.put(*id, done),
            // A thread that was interrupted has stopped listening.
            Self::Thread(sender) => drop(sender.send(done)),
        }
    }
}

/// Leads `call` through the engine; a stream is then read ahead of its reader until either ends it.
pub(super) async fn run(engine: Arc<Engine>, call: Call, recipient: Recipient, alive: Alive) {
    let _alive = alive;
    let answer = AssertUnwindSafe(engine.call(call)).catch_unwind().await;
    match answer {
        Ok(Ok(Answer::Reply(reply))) => recipient.tell(Done::Reply(reply)),
        Ok(Ok(Answer::Stream(stream))) => read_ahead(*stream, &recipient).await,
        Ok(Err(error)) => recipient.tell(Done::Failed(error)),
        Err(_) => recipient.tell(Done::Failed(errors::internal())),
    }
}

/// Warms deployments up.
pub(super) async fn warm_up(engine: Arc<Engine>, wanted: Wanted, recipient: Recipient, alive: Alive) {
    let _alive = alive;
    let warmed = AssertUnwindSafe(engine.warm_up(wanted)).catch_unwind().await;
    recipient.tell(match warmed {
        Ok(Ok(warmed)) => Done::Warmed(warmed),
        Ok(Err(error)) => Done::Failed(error),
        Err(_) => Done::Failed(errors::internal()),
    });
}

async fn read_ahead(stream: ReplyStream, recipient: &Recipient) {
    let meta = Meta::new(stream.status(), Arc::clone(stream.headers()), stream.receipt());
    let channel = Arc::new(Channel::default());
    recipient.tell(Done::Stream(Reader::new(Arc::clone(&channel), meta)));
    if AssertUnwindSafe(pump(stream, &channel)).catch_unwind().await.is_err() {
        channel.finish(Err(errors::internal()), None);
    }
}

async fn pump(mut stream: ReplyStream, channel: &Channel) {
    while channel.room().await {
        let next = tokio::select! {
            biased;
            () = channel.closed() => return,
            next = stream.next() => next,
        };
        match next {
            Some(Ok(events)) => channel.push(events),
            Some(Err(error)) => return channel.finish(Err(error), Some(stream.receipt())),
            None => {
                let receipt = stream.receipt();
                let mut tail = pin!(stream.finish());
                // A tail that is here already is read first: the reader's next call finds the connection idle.
                let is_read = tail.as_mut().now_or_never().is_some();
                channel.finish(Ok(()), Some(receipt));
                if !is_read {
                    tail.await;
                }
                return;
            }
        }
    }
}

/// Blocks until `receiver` hears, in slices with the interpreter let go, looking at signals between them.
pub(super) fn listen(py: Python<'_>, receiver: Receiver<Done>, abort: &Abort) -> PyResult<Done> {
    let receiver = Mutex::new(receiver);
    loop {
        match py.detach(|| receiver.lock().recv_timeout(SLICE)) {
            Ok(done) => return Ok(done),
            Err(RecvTimeoutError::Timeout) => py.check_signals().inspect_err(|_| abort.now())?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(PyRuntimeError::new_err("the I/O threads are gone"));
            }
        }
    }
}
