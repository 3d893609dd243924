//! Declared members of reply objects: read once, then a plain entry of the instance's `__dict__`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyType};

use super::model::Model;
use super::value;
use crate::chat::json::{Raw, ValueKind};

/// A declared member of a reply class. A non-data descriptor: the first read stores its value in the instance,
/// where Python finds it by itself from then on. A member that was not received reads as `None`.
#[pyclass(frozen, module = "fairlead._core")]
pub(super) struct Field {
    name: Py<PyString>,
    key: String,
    class: Option<Py<PyType>>,
    vector: bool,
}

#[pymethods]
impl Field {
    /// `class` is what objects (also those in a list) become; `vector` decodes base64 text to floats.
    #[new]
    #[pyo3(signature = (name, class_ = None, *, vector = false))]
    fn new(name: &Bound<'_, PyString>, class_: Option<Py<PyType>>, vector: bool) -> PyResult<Self> {
        let key = name.to_str()?.to_owned();
        Ok(Self { name: name.clone().unbind(), key, class: class_, vector })
    }

    fn __get__<'py>(
        slf: &Bound<'py, Self>,
        instance: &Bound<'py, PyAny>,
        owner: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = owner;
        if instance.is_none() {
            return Ok(slf.clone().into_any());
        }
        let field = slf.get();
        let model = instance.cast::<Model>()?;
        let read = match model.get().member(&field.key) {
            Some(raw) => field.read(model, raw)?,
            None => slf.py().None().into_bound(slf.py()),
        };
        keep(instance, field.name.bind(slf.py()), &read)?;
        Ok(read)
    }

    fn __repr__(&self) -> String {
        format!("Field('{}')", self.key)
    }
}

impl Field {
    fn read<'py>(&self, model: &Bound<'py, Model>, raw: Raw<'_>) -> PyResult<Bound<'py, PyAny>> {
        let py = model.py();
        if self.vector
            && let Some(text) = raw.string()
            && let Some(vector) = decode(text.raw())
        {
            return Ok(PyList::new(py, vector)?.into_any());
        }
        let Some(class) = &self.class else { return value::value(py, raw) };
        match raw.kind() {
            ValueKind::Object => model.get().child(class.bind(py), raw),
            ValueKind::Array => list(model, class.bind(py), raw),
            _ => value::value(py, raw),
        }
    }
}

fn list<'py>(
    model: &Bound<'py, Model>,
    class: &Bound<'py, PyType>,
    raw: Raw<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    let list = PyList::empty(model.py());
    for item in raw.items() {
        list.append(match item.kind() {
            ValueKind::Object => model.get().child(class, item)?,
            _ => value::value(model.py(), item)?,
        })?;
    }
    Ok(list.into_any())
}

/// Little-endian 32-bit floats in base64; `None` where the text is something else.
fn decode(text: &str) -> Option<Vec<f64>> {
    let bytes = STANDARD.decode(text).ok()?;
    let (floats, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| floats.iter().map(|four| f64::from(f32::from_le_bytes(*four))).collect())
}

/// Stores `value` in the instance past `Model.__setattr__`, which refuses.
fn keep(instance: &Bound<'_, PyAny>, name: &Bound<'_, PyString>, value: &Bound<'_, PyAny>) -> PyResult<()> {
    // SAFETY: the three are live objects of the attached interpreter; the call borrows them and returns 0, or -1
    // with an exception set.
    let status = unsafe { ffi::PyObject_GenericSetAttr(instance.as_ptr(), name.as_ptr(), value.as_ptr()) };
    if status == 0 { Ok(()) } else { Err(PyErr::fetch(instance.py())) }
}
