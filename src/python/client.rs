//! The engine as a client holds it: calls start here.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyType};
use tokio::task::AbortHandle;

use super::callables;
use super::config;
use super::convert;
use super::errors;
use super::hooks::Feed;
use super::listed;
use super::options::{self, Request};
use super::port::Port;
use super::query;
use super::reply;
use super::runtime::{self, Alive};
use super::shared::Shared;
use super::stream::StreamCore;
use super::task::{self, Recipient};
use super::verdicts;
use crate::call::{Call, CallOptions, Operation};
use crate::warm::Wanted;

/// One kind of request, and what its answers become.
#[pyclass(frozen, module = "fairlead._core")]
pub(super) struct Endpoint {
    operation: Operation,
    reply: Py<PyType>,
    chunk: Option<Py<PyType>>,
    stream: Option<Py<PyAny>>,
    raw: Option<Py<PyAny>>,
}

impl Endpoint {
    /// The HTTP method of its requests.
    pub(super) fn method(&self) -> &str {
        match &self.operation {
            Operation::Chat | Operation::Embeddings => "POST",
            Operation::Models => "GET",
            Operation::Raw { method, .. } => method.as_str(),
        }
    }

    /// The class of whole replies.
    pub(super) fn reply<'py>(&self, py: Python<'py>) -> &Bound<'py, PyType> {
        self.reply.bind(py)
    }

    /// The class of stream chunks.
    pub(super) fn chunk<'py>(&self, py: Python<'py>) -> &Bound<'py, PyType> {
        self.chunk.as_ref().unwrap_or(&self.reply).bind(py)
    }

    /// What wraps a reply that was asked for raw.
    pub(super) fn raw<'py>(&self, py: Python<'py>) -> Option<&Bound<'py, PyAny>> {
        self.raw.as_ref().map(|raw| raw.bind(py))
    }

    /// The Python stream around `core`.
    pub(super) fn wrap_stream<'py>(&self, core: Bound<'py, StreamCore>) -> PyResult<Bound<'py, PyAny>> {
        match &self.stream {
            Some(wrap) => wrap.bind(core.py()).call1((core,)),
            None => Ok(core.into_any()),
        }
    }
}

#[pymethods]
impl Endpoint {
    /// `operation` is `chat`, `embeddings`, `models`, or an HTTP method with `path` below the base URL.
    #[new]
    #[pyo3(signature = (operation, reply, *, path = None, chunk = None, stream = None, raw = None))]
    fn new(
        operation: &str,
        reply: Py<PyType>,
        path: Option<String>,
        chunk: Option<Py<PyType>>,
        stream: Option<Py<PyAny>>,
        raw: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let operation = match (operation, path) {
            ("chat", None) => Operation::Chat,
            ("embeddings", None) => Operation::Embeddings,
            ("models", None) => Operation::Models,
            (method, Some(path)) => Operation::Raw {
                method: Method::from_bytes(method.as_bytes())
                    .map_err(|_| PyValueError::new_err(format!("`{method}` is no HTTP method")))?,
                path,
            },
            (other, None) => return Err(PyValueError::new_err(format!("`{other}` is no operation"))),
        };
        Ok(Self { operation, reply, chunk, stream, raw })
    }
}

/// An engine with the defaults of one client.
#[pyclass(frozen, module = "fairlead._core")]
pub(super) struct Engine {
    shared: Arc<Shared>,
    defaults: CallOptions,
}

impl Engine {
    fn request(
        &self,
        operation: &Operation,
        params: &Bound<'_, PyDict>,
        scope: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Request> {
        let py = params.py();
        let mut request = errors::guarded(py, || options::request(params, &self.defaults, scope))?;
        let has_body = match operation {
            Operation::Chat | Operation::Embeddings => true,
            Operation::Models | Operation::Raw { .. } => false,
        };
        if has_body {
            request.options.verdicts =
                verdicts::verdicts(&self.shared.given.load().callables.rules, params, &request.options)?;
        } else {
            request.body = Bytes::new();
        }
        Ok(request)
    }

    fn spawn(
        &self,
        py: Python<'_>,
        operation: &Operation,
        request: Request,
        recipient: Recipient,
    ) -> PyResult<AbortHandle> {
        let core = self.shared.core().map_err(|error| errors::exception(py, &error))?;
        callables::serve(py)?;
        let call = Call { operation: operation.clone(), body: request.body, options: request.options };
        let task = runtime::get()?.spawn(task::run(core, call, recipient, Alive::new()));
        Ok(task.abort_handle())
    }

    fn launch<'py>(
        &self,
        port: &Bound<'py, Port>,
        event_loop: &Bound<'py, PyAny>,
        endpoint: &Bound<'py, Endpoint>,
        request: Request,
    ) -> PyResult<(Bound<'py, PyAny>, u64)> {
        let py = event_loop.py();
        let (inbox, id) = port.get().ticket()?;
        let future = event_loop.call_method0(intern!(py, "create_future"))?;
        let abort = self.spawn(py, &endpoint.get().operation, request, Recipient::Loop(inbox, id))?;
        port.get().wait(id, future.clone().unbind(), Some(abort.into()), Some(endpoint.clone().unbind()));
        Ok((future, id))
    }

    fn wait<'py>(&self, endpoint: &Bound<'py, Endpoint>, request: Request) -> PyResult<Bound<'py, PyAny>> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let recipient = Recipient::Thread(sender);
        let abort = self.spawn(endpoint.py(), &endpoint.get().operation, request, recipient)?;
        task::listen(endpoint.py(), receiver, &abort.into())?.into_python(endpoint.py(), Some(endpoint))
    }

    fn spawn_warm_up(&self, py: Python<'_>, wanted: Wanted, recipient: Recipient) -> PyResult<AbortHandle> {
        let core = self.shared.core().map_err(|error| errors::exception(py, &error))?;
        callables::serve(py)?;
        let task = runtime::get()?.spawn(task::warm_up(core, wanted, recipient, Alive::new()));
        Ok(task.abort_handle())
    }
}

/// The arguments of a warm-up.
fn wanted(
    ping: Option<bool>,
    models: Option<Vec<String>>,
    timeout: Option<f64>,
    concurrency: Option<usize>,
) -> PyResult<Wanted> {
    let timeout = timeout.map(|seconds| {
        let given = Duration::try_from_secs_f64(seconds).ok().filter(|given| !given.is_zero());
        given.ok_or_else(|| PyValueError::new_err("`timeout`: expected seconds above 0"))
    });
    if concurrency == Some(0) {
        return Err(PyValueError::new_err("`concurrency`: expected 1 or more"));
    }
    Ok(Wanted { ping, models, timeout: timeout.transpose()?, concurrency })
}

#[pymethods]
impl Engine {
    /// `source` is a path, several, a dict or `None`; `arguments` those of the client's constructor; `options` its
    /// per-call defaults; receipts go to `feed`; with `poll` the files are watched, and looked at so often besides.
    #[new]
    #[pyo3(signature = (source, arguments, options, feed = None, io_threads = None, poll = None))]
    fn new(
        source: &Bound<'_, PyAny>,
        arguments: &Bound<'_, PyDict>,
        options: &Bound<'_, PyDict>,
        feed: Option<&Bound<'_, Feed>>,
        io_threads: Option<usize>,
        poll: Option<f64>,
    ) -> PyResult<Self> {
        let py = source.py();
        let given = config::given(source, arguments)?;
        let poll = poll.map(|seconds| config::poll(py, seconds, &given)).transpose()?;
        if let Some(threads) = io_threads {
            runtime::set_threads(threads);
        }
        let queue = feed.map(|feed| feed.get().queue());
        let shared = Shared::new(given, queue, poll).map_err(|error| errors::exception(py, &error))?;
        if poll.is_some() {
            let mut running = shared.running.lock();
            running.1.watching = shared.watch(&Arc::clone(&running.1.reloader));
        }
        let engine = Self { shared: Arc::new(shared), defaults: CallOptions::default() };
        engine.derive(options)
    }

    /// The same engine with other defaults: `timeout`, `max_retries`, `headers`, `query`; `set_headers` and
    /// `set_query` replace instead of adding.
    fn derive(&self, options: &Bound<'_, PyDict>) -> PyResult<Self> {
        let mut defaults = self.defaults.clone();
        for (name, value) in options.iter() {
            match name.extract::<String>()?.as_str() {
                "timeout" => defaults.timeout = options::timeout(&value)?,
                "max_retries" => defaults.max_retries = Some(options::max_retries(&value)?),
                "headers" => options::headers(&value, &mut defaults.headers)?,
                "query" => query::add(&value, &mut defaults.query)?,
                "set_headers" => {
                    defaults.headers.clear();
                    options::headers(&value, &mut defaults.headers)?;
                }
                "set_query" => {
                    defaults.query.clear();
                    query::add(&value, &mut defaults.query)?;
                }
                other => return Err(PyTypeError::new_err(format!("unknown option `{other}`"))),
            }
        }
        Ok(Self { shared: Arc::clone(&self.shared), defaults })
    }

    /// Starts a call; returns the future of its answer and the number to cancel it by.
    #[pyo3(signature = (port, event_loop, endpoint, params, scope = None))]
    fn start<'py>(
        &self,
        port: &Bound<'py, Port>,
        event_loop: &Bound<'py, PyAny>,
        endpoint: &Bound<'py, Endpoint>,
        params: &Bound<'py, PyDict>,
        scope: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyAny>, u64)> {
        let request = self.request(&endpoint.get().operation, params, scope)?;
        self.launch(port, event_loop, endpoint, request)
    }

    /// Makes a call and waits for its answer, looking at signals now and then.
    #[pyo3(signature = (endpoint, params, scope = None))]
    fn block<'py>(
        &self,
        endpoint: &Bound<'py, Endpoint>,
        params: &Bound<'py, PyDict>,
        scope: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let request = self.request(&endpoint.get().operation, params, scope)?;
        self.wait(endpoint, request)
    }

    /// As `start`, with the whole `body` as one value; `params` holds options only.
    #[pyo3(signature = (port, event_loop, endpoint, body, params, scope = None))]
    fn start_raw<'py>(
        &self,
        port: &Bound<'py, Port>,
        event_loop: &Bound<'py, PyAny>,
        endpoint: &Bound<'py, Endpoint>,
        body: Option<&Bound<'py, PyAny>>,
        params: &Bound<'py, PyDict>,
        scope: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyAny>, u64)> {
        let request = self.raw_request(&endpoint.get().operation, body, params, scope)?;
        self.launch(port, event_loop, endpoint, request)
    }

    /// As `block`, with the whole `body` as one value; `params` holds options only.
    #[pyo3(signature = (endpoint, body, params, scope = None))]
    fn block_raw<'py>(
        &self,
        endpoint: &Bound<'py, Endpoint>,
        body: Option<&Bound<'py, PyAny>>,
        params: &Bound<'py, PyDict>,
        scope: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let request = self.raw_request(&endpoint.get().operation, body, params, scope)?;
        self.wait(endpoint, request)
    }

    /// Starts warming deployments up; returns the future of what came of it and the number to cancel it by.
    #[pyo3(signature = (port, event_loop, *, ping = None, models = None, timeout = None, concurrency = None))]
    fn start_warm_up<'py>(
        &self,
        port: &Bound<'py, Port>,
        event_loop: &Bound<'py, PyAny>,
        ping: Option<bool>,
        models: Option<Vec<String>>,
        timeout: Option<f64>,
        concurrency: Option<usize>,
    ) -> PyResult<(Bound<'py, PyAny>, u64)> {
        let py = event_loop.py();
        let wanted = wanted(ping, models, timeout, concurrency)?;
        let (inbox, id) = port.get().ticket()?;
        let future = event_loop.call_method0(intern!(py, "create_future"))?;
        let abort = self.spawn_warm_up(py, wanted, Recipient::Loop(inbox, id))?;
        port.get().wait(id, future.clone().unbind(), Some(abort.into()), None);
        Ok((future, id))
    }

    /// Warms deployments up and waits for what came of it.
    #[pyo3(signature = (*, ping = None, models = None, timeout = None, concurrency = None))]
    fn block_warm_up<'py>(
        &self,
        py: Python<'py>,
        ping: Option<bool>,
        models: Option<Vec<String>>,
        timeout: Option<f64>,
        concurrency: Option<usize>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let wanted = wanted(ping, models, timeout, concurrency)?;
        let abort = self.spawn_warm_up(py, wanted, Recipient::Thread(sender))?;
        task::listen(py, receiver, &abort.into())?.into_python(py, None)
    }

    /// What routing decides for a call with these `params`, without sending anything.
    fn route<'py>(
        &self,
        py: Python<'py>,
        endpoint: &Bound<'py, Endpoint>,
        params: &Bound<'py, PyDict>,
        scope: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (core, call) = self.asked(endpoint, params, scope)?;
        let decision = core.route(&call).map_err(|error| errors::exception(py, &error))?;
        reply::decision(endpoint.get().reply(py), &decision)
    }

    /// How much room such a call has: the upstream's name of the model, its context window and longest answer.
    fn space<'py>(
        &self,
        py: Python<'py>,
        endpoint: &Bound<'py, Endpoint>,
        params: &Bound<'py, PyDict>,
        scope: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (core, call) = self.asked(endpoint, params, scope)?;
        let space = core.space(&call).map_err(|error| errors::exception(py, &error))?;
        Ok(pythonize::pythonize(py, &space)?)
    }

    /// What has happened so far.
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let core = self.shared.core().map_err(|error| errors::exception(py, &error))?;
        let stats = pythonize::pythonize(py, &core.stats())?;
        stats.cast::<PyDict>()?.update(pythonize::pythonize(py, &core.statistics())?.cast()?)?;
        let [errors, dropped] = self.shared.hooks();
        stats.set_item("hook_errors", errors)?;
        stats.set_item("hook_dropped", dropped)?;
        stats.set_item("credentials", pythonize::pythonize(py, &core.keys())?)?;
        stats.set_item("rule_faults", pythonize::pythonize(py, &core.rule_faults())?)?;
        Ok(stats)
    }

    /// Sends nothing to a deployment until it is reset.
    fn isolate(&self, py: Python<'_>, deployment: &str) -> PyResult<()> {
        let core = self.shared.core().map_err(|error| errors::exception(py, &error))?;
        core.isolate(deployment).map_err(|error| errors::exception(py, &error))
    }

    /// A deployment is as if it had never failed.
    fn reset(&self, py: Python<'_>, deployment: &str) -> PyResult<()> {
        let core = self.shared.core().map_err(|error| errors::exception(py, &error))?;
        core.reset(deployment).map_err(|error| errors::exception(py, &error))
    }

    /// All metrics in Prometheus' text format.
    fn metrics_text(&self, py: Python<'_>) -> PyResult<String> {
        let core = self.shared.core().map_err(|error| errors::exception(py, &error))?;
        Ok(py.detach(|| core.metrics_text()))
    }

    /// What exists now. All but the idle connections are zero when nothing is going on.
    fn gauges<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let core = self.shared.core().map_err(|error| errors::exception(py, &error))?;
        let gauges = core.gauges();
        let dict = PyDict::new(py);
        dict.set_item("calls", gauges.calls.get())?;
        dict.set_item("attempts", gauges.attempts.get())?;
        dict.set_item("streams", gauges.streams.get())?;
        dict.set_item("connections_open", gauges.connections_open.get())?;
        dict.set_item("connections_idle", gauges.connections_idle.get())?;
        Ok(dict)
    }

    /// What its configuration warns about, as `fairlead.errors.Problem` is made.
    fn warnings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        errors::problems(py, &self.shared.current.load().loaded.warnings)
    }

    /// The configuration that holds: `version`, `hash`, `sources`, `since`, `warnings`, `problem`, `watched`.
    fn configuration<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let current = self.shared.current.load_full();
        let told = PyDict::new(py);
        told.set_item("version", current.version)?;
        told.set_item("hash", &current.hash)?;
        told.set_item("sources", &current.loaded.sources)?;
        told.set_item("since", current.since.as_secs_f64())?;
        told.set_item("warnings", current.loaded.warnings.len())?;
        told.set_item("problem", current.problem.as_ref().map(ToString::to_string))?;
        told.set_item("watched", self.shared.running.lock().1.watching.is_some())?;
        Ok(told)
    }

    /// Reads the configuration again, or `source` from now on, and puts it into effect. Has anything changed?
    #[pyo3(signature = (source = None))]
    fn reload(&self, py: Python<'_>, source: Option<&Bound<'_, PyAny>>) -> PyResult<bool> {
        self.shared.reload(py, source)
    }

    /// The configured models as the JSON of a list; `None` where there are none.
    fn models(&self) -> Option<String> {
        listed::page(&self.shared.current.load().loaded.config).map(|page| page.to_string())
    }

    /// The Python callables that are conditions of rules, by position.
    fn callables<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, &self.shared.given.load().callables.rules)
    }

    /// Refuses new calls and closes idle connections; the configuration is no longer watched.
    fn close(&self) {
        self.shared.close();
        self.shared.hosted.release();
    }

    /// Was it closed?
    #[getter]
    fn is_closed(&self) -> bool {
        self.shared.running.lock().1.core.is_closed()
    }

    #[expect(clippy::unused_self, reason = "the shape of a Python method")]
    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("a client holds keys and connections and cannot be pickled"))
    }
}

impl Engine {
    /// A call that is only asked about.
    fn asked(
        &self,
        endpoint: &Bound<'_, Endpoint>,
        params: &Bound<'_, PyDict>,
        scope: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(Arc<crate::Engine>, Call)> {
        let operation = endpoint.get().operation.clone();
        let Request { body, options } = self.request(&operation, params, scope)?;
        let core = self.shared.core().map_err(|error| errors::exception(params.py(), &error))?;
        Ok((core, Call { operation, body, options }))
    }

    fn raw_request(
        &self,
        operation: &Operation,
        body: Option<&Bound<'_, PyAny>>,
        params: &Bound<'_, PyDict>,
        scope: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Request> {
        let mut request = self.request(operation, params, scope)?;
        if let Some(body) = body {
            request.body = Bytes::from(convert::json(body)?);
        }
        Ok(request)
    }
}
