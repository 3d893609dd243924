//! What came back beside the JSON: status, headers, receipt.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyType};

use super::model::{self, Text};
use crate::route::Decision;
use crate::settle::Receipt;

/// Status, headers and receipt of a reply.
#[derive(Debug)]
pub(super) struct Meta {
    pub(super) status: u16,
    pub(super) headers: Arc<HeaderMap>,
    pub(super) receipt: Option<Arc<Receipt>>,
    request_id: Option<String>,
}

impl Meta {
    /// Of a reply that was just received.
    pub(super) fn new(status: u16, headers: Arc<HeaderMap>, receipt: Arc<Receipt>) -> Self {
        let request_id = receipt.request_id.clone();
        Self { status, headers, receipt: Some(receipt), request_id }
    }

    /// Of a reply that was pickled: only its request id is known.
    pub(super) fn remembered(request_id: String) -> Self {
        Self { status: 200, headers: Arc::default(), receipt: None, request_id: Some(request_id) }
    }

    /// The provider's request id.
    pub(super) fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The receipt as a Python object.
    pub(super) fn receipt<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.receipt {
            Some(told) => receipt(py, told),
            None => Ok(py.None().into_bound(py)),
        }
    }
}

/// A receipt as a Python object.
pub(super) fn receipt<'py>(py: Python<'py>, receipt: &Receipt) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let class = CLASS.import(py, "fairlead.types", "Receipt")?;
    let text = serde_json::to_vec(receipt).unwrap_or_else(|_| b"{}".to_vec());
    model::build(class, Text::checked(&Bytes::from(text)), None)
}

/// What routing decided, as a Python object of `class`.
pub(super) fn decision<'py>(class: &Bound<'py, PyType>, decision: &Decision) -> PyResult<Bound<'py, PyAny>> {
    let text = serde_json::to_vec(decision).unwrap_or_else(|_| b"{}".to_vec());
    model::build(class, Text::checked(&Bytes::from(text)), None)
}

/// Header names and values in order; bytes that are not ASCII as Latin-1.
pub(super) fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes()))).collect()
}

/// A reply before anything is made of its body: what `with_raw_response` hands out.
#[pyclass(frozen, module = "fairlead._core")]
pub(super) struct RawReply {
    meta: Arc<Meta>,
    body: Bytes,
    class: Py<PyType>,
}

impl RawReply {
    /// `class` is what [`Self::parse`] makes.
    pub(super) fn new(meta: Arc<Meta>, body: Bytes, class: Py<PyType>) -> Self {
        Self { meta, body, class }
    }
}

#[pymethods]
impl RawReply {
    #[getter]
    fn status(&self) -> u16 {
        self.meta.status
    }

    #[getter]
    fn headers(&self) -> Vec<(String, String)> {
        pairs(&self.meta.headers)
    }

    #[getter]
    fn content<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.body)
    }

    #[getter]
    fn request_id(&self) -> Option<&str> {
        self.meta.request_id()
    }

    #[getter]
    fn fairlead<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.meta.receipt(py)
    }

    fn parse<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        model::build(self.class.bind(py), Text::checked(&self.body), Some(Arc::clone(&self.meta)))
    }
}
