//! Reply objects: frozen, over the reply's own bytes, read lazily.
//!
//! The engine has checked the JSON, so reading can no longer fail. What was read once is kept in the instance's
//! `__dict__` by [`super::field::Field`].

use std::cell::Cell;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use pyo3::exceptions::{PyAttributeError, PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyList, PyString, PyTuple, PyType};
use pyo3::{IntoPyObjectExt, intern};

use super::convert;
use super::reply::Meta;
use super::value;
use crate::chat::json::{self, Fields, Member, Raw, Str};

/// The bytes of one checked JSON value.
#[derive(Clone, Debug)]
pub(super) struct Text(Bytes);

impl Text {
    /// Checks a whole document.
    pub(super) fn check(bytes: &Bytes) -> Result<Self, json::Fault> {
        let (start, length) = {
            let text = json::document(bytes)?.text();
            (text.as_ptr() as usize - bytes.as_ptr() as usize, text.len())
        };
        Ok(Self(bytes.slice(start..start + length)))
    }

    /// The text of a document that the engine has checked; `null` for nothing, and for bytes that are no text after all.
    pub(super) fn checked(bytes: &Bytes) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim_ascii();
                if text.is_empty() {
                    return Self(Bytes::from_static(b"null"));
                }
                let start = text.as_ptr() as usize - bytes.as_ptr() as usize;
                Self(bytes.slice(start..start + text.len()))
            }
            Err(_) => Self(Bytes::from_static(b"null")),
        }
    }

    /// The value inside.
    pub(super) fn raw(&self) -> Raw<'_> {
        Raw::assume(self.as_str())
    }

    fn as_str(&self) -> &str {
        // SAFETY: both constructors check that the bytes are UTF-8, and `part` cuts at character boundaries of
        // ASCII brackets and quotes.
        unsafe { std::str::from_utf8_unchecked(&self.0) }
    }

    /// The part of this text that `raw`, a value read from it, covers.
    pub(super) fn part(&self, raw: Raw<'_>) -> Self {
        Self(self.0.slice_ref(raw.text().as_bytes()))
    }
}

/// What a new instance is made of; Python calls `__new__` without arguments we could pass it in.
struct Seed {
    text: Text,
    meta: Option<Arc<Meta>>,
}

thread_local! {
    static SEED: Cell<Option<Seed>> = const { Cell::new(None) };
}

/// An instance of `class`, which derives from [`Model`].
pub(super) fn build<'py>(
    class: &Bound<'py, PyType>,
    text: Text,
    meta: Option<Arc<Meta>>,
) -> PyResult<Bound<'py, PyAny>> {
    SEED.set(Some(Seed { text, meta }));
    let built = class.call0();
    SEED.set(None);
    built
}

/// An object of a reply. Attributes are the members of the JSON object; it cannot be changed, only copied.
#[pyclass(frozen, subclass, weakref, module = "fairlead._core")]
pub(super) struct Model {
    text: Text,
    index: OnceLock<Vec<Member>>,
    meta: Option<Arc<Meta>>,
}

impl Model {
    /// The JSON text.
    pub(super) fn text(&self) -> &str {
        self.text.as_str()
    }

    fn raw(&self) -> Raw<'_> {
        self.text.raw()
    }

    fn members(&self) -> &[Member] {
        self.index.get_or_init(|| {
            let mut fields: Fields<'_> = self.raw().fields();
            std::iter::from_fn(|| fields.next_member()).collect()
        })
    }

    /// The member called `name`; of several the last.
    pub(super) fn member(&self, name: &str) -> Option<Raw<'_>> {
        let text = self.text();
        let found = self.members().iter().rev().find(|member| {
            text.get(member.key.0 + 1..member.key.1.saturating_sub(1))
                .is_some_and(|key| Str::assume(key).is(name))
        })?;
        text.get(found.value.0..found.value.1).map(Raw::assume)
    }

    /// The object inside this one that `raw` covers.
    pub(super) fn child<'py>(&self, class: &Bound<'py, PyType>, raw: Raw<'_>) -> PyResult<Bound<'py, PyAny>> {
        build(class, self.text.part(raw), None)
    }

    fn keys(&self) -> impl Iterator<Item = Str<'_>> {
        self.raw().fields().map(|(key, _)| key)
    }

    fn dump<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        value::dict(py, self.raw())
    }
}

/// The object that pickling kept as bytes.
#[pyfunction]
#[pyo3(name = "_load_model", signature = (class_, text, request_id = None))]
pub(super) fn load_model<'py>(
    class_: &Bound<'py, PyType>,
    text: &Bound<'py, PyBytes>,
    request_id: Option<String>,
) -> PyResult<Bound<'py, PyAny>> {
    let meta = request_id.map(|request_id| Arc::new(Meta::remembered(request_id)));
    build(class_, parse(text.as_bytes().to_vec())?, meta)
}

fn parse(bytes: Vec<u8>) -> PyResult<Text> {
    Text::check(&Bytes::from(bytes)).map_err(|fault| PyValueError::new_err(fault.to_string()))
}

#[pymethods]
impl Model {
    #[new]
    #[pyo3(signature = (**fields))]
    fn new(py: Python<'_>, fields: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let Seed { text, meta } = match (SEED.take(), fields) {
            (Some(seed), _) => seed,
            (None, Some(fields)) => Seed { text: parse(convert::json(fields.as_any())?)?, meta: None },
            (None, None) => Seed { text: parse(convert::json(PyDict::new(py).as_any())?)?, meta: None },
        };
        Ok(Self { text, index: OnceLock::new(), meta })
    }

    /// The reply as a dict: what `json.loads` makes of its bytes.
    #[pyo3(signature = (*, mode = "python", include = None, exclude = None, exclude_none = false, exclude_unset = false, exclude_defaults = false, by_alias = None, round_trip = false, warnings = true))]
    #[expect(clippy::too_many_arguments, clippy::fn_params_excessive_bools, reason = "pydantic's signature")]
    fn model_dump<'py>(
        &self,
        py: Python<'py>,
        mode: &str,
        include: Option<&Bound<'py, PyAny>>,
        exclude: Option<&Bound<'py, PyAny>>,
        exclude_none: bool,
        exclude_unset: bool,
        exclude_defaults: bool,
        by_alias: Option<bool>,
        round_trip: bool,
        warnings: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let _ = (mode, exclude_unset, exclude_defaults, by_alias, round_trip, warnings);
        let dict = self.dump(py)?;
        select(&dict, include, exclude)?;
        if exclude_none {
            without_none(dict.as_any())?;
        }
        Ok(dict)
    }

    /// The names of the members that were received.
    #[getter]
    fn model_fields_set<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let names = self.keys().map(|key| value::string(py, key)).collect::<PyResult<Vec<_>>>()?;
        Ok(pyo3::types::PySet::new(py, names)?.into_any())
    }

    /// Members that the class does not declare.
    #[getter]
    fn model_extra<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let py = slf.py();
        let declared = slf.get_type().getattr(intern!(py, "__fields__"))?;
        let extra = PyDict::new(py);
        for (key, member) in slf.get().raw().fields() {
            let name = value::string(py, key)?;
            if !declared.contains(&name)? {
                extra.set_item(name, value::value(py, member)?)?;
            }
        }
        Ok(extra)
    }

    /// A copy with some members replaced or added.
    #[pyo3(signature = (*, update = None, deep = false))]
    fn model_copy<'py>(
        slf: &Bound<'py, Self>,
        update: Option<&Bound<'py, PyDict>>,
        deep: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let _ = deep;
        let (class, model) = (slf.get_type(), slf.get());
        let Some(update) = update else { return build(&class, model.text.clone(), model.meta.clone()) };
        let dict = model.dump(slf.py())?;
        dict.update(update.as_mapping())?;
        build(&class, parse(convert::json(dict.as_any())?)?, model.meta.clone())
    }

    /// The JSON text, as received.
    #[getter]
    fn _raw(&self) -> &str {
        self.text()
    }

    /// The provider's request id, on the outermost object of a reply.
    #[getter]
    fn _request_id(&self) -> Option<&str> {
        self.meta.as_ref().and_then(|meta| meta.request_id())
    }

    /// Why and how the call was served, on the outermost object of a reply.
    #[getter]
    fn fairlead<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.meta {
            Some(meta) => meta.receipt(py),
            None => Ok(py.None().into_bound(py)),
        }
    }

    /// The member called `name`, or `default`.
    #[pyo3(signature = (name, default = None))]
    fn get<'py>(
        slf: &Bound<'py, Self>,
        name: &Bound<'py, PyString>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match slf.get().member(name.to_str()?) {
            Some(_) => slf.getattr(name),
            None => default.into_bound_py_any(slf.py()),
        }
    }

    fn __getitem__<'py>(slf: &Bound<'py, Self>, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        match slf.get().member(name.to_str()?) {
            Some(_) => slf.getattr(name),
            None => Err(PyKeyError::new_err(name.clone().unbind())),
        }
    }

    fn __contains__(&self, name: &str) -> bool {
        self.member(name).is_some()
    }

    fn __getattr__<'py>(slf: &Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        if !name.starts_with("__")
            && let Some(raw) = slf.get().member(name)
        {
            return value::value(slf.py(), raw);
        }
        let class = slf.get_type().name()?;
        Err(PyAttributeError::new_err(format!("'{class}' object has no attribute '{name}'")))
    }

    fn __setattr__(slf: &Bound<'_, Self>, name: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let _ = value;
        Err(frozen(slf, name))
    }

    fn __delattr__(slf: &Bound<'_, Self>, name: &str) -> PyResult<()> {
        Err(frozen(slf, name))
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyIterator>> {
        let py = slf.py();
        let pairs = PyList::empty(py);
        for key in slf.get().keys() {
            let name = value::string(py, key)?;
            let value = Self::__getitem__(slf, name.cast()?)?;
            pairs.append(PyTuple::new(py, [name, value])?)?;
        }
        pairs.try_iter()
    }

    fn __eq__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<Self>() else { return Ok(false) };
        if !slf.get_type().is(other.get_type()) {
            return Ok(false);
        }
        let (this, that) = (slf.get(), other.get());
        if this.text() == that.text() {
            return Ok(true);
        }
        this.dump(slf.py())?.eq(that.dump(slf.py())?)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let mut parts = Vec::new();
        for pair in Self::__iter__(slf)? {
            let (name, value) = pair?.extract::<(String, Bound<'_, PyAny>)>()?;
            parts.push(format!("{name}={}", value.repr()?));
        }
        Ok(format!("{}({})", slf.get_type().name()?, parts.join(", ")))
    }

    fn __copy__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Self::model_copy(slf, None, false)
    }

    fn __deepcopy__<'py>(slf: &Bound<'py, Self>, memo: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let _ = memo;
        Self::model_copy(slf, None, true)
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let load = py.import(intern!(py, "fairlead._core"))?.getattr(intern!(py, "_load_model"))?;
        let model = slf.get();
        let text = PyBytes::new(py, model.text().as_bytes());
        let request_id = model.meta.as_ref().and_then(|meta| meta.request_id());
        (load, (slf.get_type(), text, request_id)).into_bound_py_any(py)
    }
}

fn frozen(model: &Bound<'_, Model>, name: &str) -> PyErr {
    let class = model.get_type().name().map_or_else(|_| "Model".to_owned(), |class| class.to_string());
    PyAttributeError::new_err(format!(
        "`{class}` cannot be changed; take a changed copy: model_copy(update={{'{name}': ...}})"
    ))
}

/// Keeps the members in `include`, if given, but none in `exclude`.
fn select(
    dict: &Bound<'_, PyDict>,
    include: Option<&Bound<'_, PyAny>>,
    exclude: Option<&Bound<'_, PyAny>>,
) -> PyResult<()> {
    for name in dict.keys() {
        let wanted = include.is_none_or(|names| names.contains(&name).unwrap_or(true));
        let unwanted = exclude.is_some_and(|names| names.contains(&name).unwrap_or(false));
        if !wanted || unwanted {
            dict.del_item(name)?;
        }
    }
    Ok(())
}

fn without_none(value: &Bound<'_, PyAny>) -> PyResult<()> {
    if let Ok(dict) = value.cast_exact::<PyDict>() {
        for (name, member) in dict.items().extract::<Vec<(Bound<'_, PyAny>, Bound<'_, PyAny>)>>()? {
            if member.is_none() {
                dict.del_item(name)?;
            } else {
                without_none(&member)?;
            }
        }
    } else if let Ok(list) = value.cast_exact::<PyList>() {
        for item in list.iter() {
            without_none(&item)?;
        }
    }
    Ok(())
}
