//! Python objects to JSON bytes in one pass.
//!
//! The bytes are those of `json.dumps(x, ensure_ascii=False, separators=(",", ":"), allow_nan=False)`. Beyond what
//! that accepts: any mapping, any iterable, objects with `model_dump`, dates and moments as ISO 8601, and the "not
//! given" sentinels of the SDKs, whose members are left out.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyInt, PyList, PyMapping, PyMemoryView, PyString, PyTuple,
    PyType,
};

use super::errors;
use super::model::Model;
use crate::chat::json::MAX_DEPTH;

/// What cannot be sent, and where it is.
#[derive(Debug)]
pub(super) struct Misuse {
    path: Vec<Step>,
    problem: Problem,
}

#[derive(Debug)]
enum Step {
    Key(String),
    Index(usize),
}

#[derive(Debug)]
enum Problem {
    /// A sentence that follows the path.
    Says(String),
    /// What the caller's own code raised; it keeps its identity.
    Raised(PyErr),
}

impl Misuse {
    fn says(problem: impl Into<String>) -> Self {
        Self { path: Vec::new(), problem: Problem::Says(problem.into()) }
    }

    /// The same, seen from one level up.
    fn under(mut self, step: Step) -> Self {
        self.path.push(step);
        self
    }

    /// The same as member `name` of the request.
    pub(super) fn in_member(self, name: &str) -> Self {
        self.under(Step::Key(name.to_owned()))
    }

    fn place(&self) -> String {
        let mut place = String::new();
        for step in self.path.iter().rev() {
            match step {
                Step::Key(key) if place.is_empty() => place.push_str(key),
                Step::Key(key) => place.extend([".", key]),
                Step::Index(index) => place.extend(["[", &index.to_string(), "]"]),
            }
        }
        place
    }

    /// What Python raises: `ConfigError`, or what the caller's code raised.
    pub(super) fn into_error(self, py: Python<'_>) -> PyErr {
        let place = self.place();
        match self.problem {
            Problem::Raised(error) => error,
            Problem::Says(problem) if place.is_empty() => errors::misuse(py, &problem),
            Problem::Says(problem) => errors::misuse(py, &format!("`{place}`: {problem}")),
        }
    }
}

impl From<PyErr> for Misuse {
    fn from(error: PyErr) -> Self {
        Self { path: Vec::new(), problem: Problem::Raised(error) }
    }
}

impl From<pyo3::CastError<'_, '_>> for Misuse {
    fn from(error: pyo3::CastError<'_, '_>) -> Self {
        Self::from(PyErr::from(error))
    }
}

/// The JSON text of `value` as bytes.
#[pyfunction]
#[pyo3(name = "_encode", signature = (value, /))]
pub(super) fn encode<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
    Ok(PyBytes::new(value.py(), &json(value)?))
}

/// The JSON text of `value`.
pub(super) fn json(value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let mut writer = Writer::new();
    writer.value(value).map_err(|misuse| misuse.into_error(value.py()))?;
    Ok(writer.into_bytes())
}

/// Is `value` a "not given" sentinel? Told by the name of its class, so that no SDK need be imported.
pub(super) fn is_absent(value: &Bound<'_, PyAny>) -> bool {
    if value.is_none() || value.is_exact_instance_of::<PyString>() || value.is_exact_instance_of::<PyList>() {
        return false;
    }
    value.get_type().name().is_ok_and(|name| name == "NotGiven" || name == "Omit")
}

/// JSON in the making.
#[derive(Debug)]
pub(super) struct Writer {
    out: Vec<u8>,
    depth: usize,
}

impl Writer {
    /// Nothing yet.
    pub(super) fn new() -> Self {
        Self { out: Vec::with_capacity(512), depth: 0 }
    }

    /// What was written.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// `{`
    pub(super) fn open_object(&mut self) {
        self.out.push(b'{');
        self.depth += 1;
    }

    /// `}`
    pub(super) fn close_object(&mut self) {
        self.close(b'}');
    }

    /// One member of the object that is open; nothing where its value is absent.
    pub(super) fn member(&mut self, key: &str, value: &Bound<'_, PyAny>) -> Result<(), Misuse> {
        if is_absent(value) {
            return Ok(());
        }
        self.comma(b'{');
        self.text(key);
        self.out.push(b':');
        self.value(value).map_err(|misuse| misuse.in_member(key))
    }

    /// Any value.
    pub(super) fn value(&mut self, value: &Bound<'_, PyAny>) -> Result<(), Misuse> {
        if let Ok(text) = value.cast_exact::<PyString>() {
            self.string(text)
        } else if let Ok(dict) = value.cast_exact::<PyDict>() {
            self.dict(dict)
        } else if let Ok(list) = value.cast_exact::<PyList>() {
            self.array(list.iter().map(Ok))
        } else if value.is_none() {
            self.push("null");
            Ok(())
        } else if let Ok(truth) = value.cast_exact::<PyBool>() {
            self.push(if truth.is_true() { "true" } else { "false" });
            Ok(())
        } else if let Ok(integer) = value.cast::<PyInt>() {
            self.integer(integer)
        } else if let Ok(float) = value.cast::<PyFloat>() {
            self.float(float)
        } else {
            self.other(value)
        }
    }

    fn other(&mut self, value: &Bound<'_, PyAny>) -> Result<(), Misuse> {
        if let Ok(model) = value.cast::<Model>() {
            self.push(model.get().text());
            Ok(())
        } else if let Ok(text) = value.cast::<PyString>() {
            self.string(text)
        } else if let Ok(dict) = value.cast::<PyDict>() {
            self.dict(dict)
        } else if let Ok(list) = value.cast::<PyList>() {
            self.array(list.iter().map(Ok))
        } else if let Ok(tuple) = value.cast::<PyTuple>() {
            self.array(tuple.iter().map(Ok))
        } else {
            self.foreign(value)
        }
    }

    /// What `json.dumps` would refuse.
    fn foreign(&mut self, value: &Bound<'_, PyAny>) -> Result<(), Misuse> {
        if value.is_instance_of::<PyType>() {
            return Err(Misuse::says(format!("the class {} cannot be sent, only an object", name_of(value))));
        }
        if value.hasattr("model_dump")? {
            return self.dumped(value);
        }
        if let Ok(mapping) = value.cast::<PyMapping>() {
            return self.mapping(mapping);
        }
        if value.is_instance(date_class(value.py())?)? {
            return self.value(&value.call_method0("isoformat")?);
        }
        let is_buffer = value.is_instance_of::<PyBytes>()
            || value.is_instance_of::<PyByteArray>()
            || value.is_instance_of::<PyMemoryView>();
        if is_buffer || !value.hasattr("__iter__")? {
            return Err(Misuse::says(format!(
                "an object of type {} has no JSON form",
                value.get_type().name()?
            )));
        }
        self.array(value.try_iter()?)
    }

    fn dumped(&mut self, value: &Bound<'_, PyAny>) -> Result<(), Misuse> {
        let py = value.py();
        let how = PyDict::new(py);
        how.set_item("mode", "json")?;
        how.set_item("by_alias", true)?;
        how.set_item("exclude_unset", true)?;
        let dumped = value.call_method("model_dump", (), Some(&how))?;
        self.deeper()?;
        self.value(&dumped)?;
        self.depth -= 1;
        Ok(())
    }

    fn dict(&mut self, dict: &Bound<'_, PyDict>) -> Result<(), Misuse> {
        self.open(b'{')?;
        for (key, value) in dict.iter() {
            self.pair(&key, &value)?;
        }
        self.close(b'}');
        Ok(())
    }

    fn mapping(&mut self, mapping: &Bound<'_, PyMapping>) -> Result<(), Misuse> {
        self.open(b'{')?;
        for pair in mapping.items()?.iter() {
            let (key, value) = pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
            self.pair(&key, &value)?;
        }
        self.close(b'}');
        Ok(())
    }

    fn pair(&mut self, key: &Bound<'_, PyAny>, value: &Bound<'_, PyAny>) -> Result<(), Misuse> {
        if is_absent(value) {
            return Ok(());
        }
        self.comma(b'{');
        self.key(key)?;
        self.out.push(b':');
        self.value(value).map_err(|misuse| misuse.in_member(&key.to_string()))
    }

    fn key(&mut self, key: &Bound<'_, PyAny>) -> Result<(), Misuse> {
        if let Ok(text) = key.cast::<PyString>() {
            return self.string(text).map_err(|misuse| misuse.in_member("<key>"));
        }
        let scalar = key.is_none()
            || key.is_instance_of::<PyBool>()
            || key.is_instance_of::<PyInt>()
            || key.is_instance_of::<PyFloat>();
        if !scalar {
            let kind = key.get_type().name()?;
            return Err(Misuse::says(format!("keys must be str, int, float, bool or None, not {kind}")));
        }
        self.out.push(b'"');
        self.value(key)?;
        self.out.push(b'"');
        Ok(())
    }

    fn array<'py>(&mut self, items: impl Iterator<Item = PyResult<Bound<'py, PyAny>>>) -> Result<(), Misuse> {
        self.open(b'[')?;
        for (index, item) in items.enumerate() {
            self.comma(b'[');
            self.value(&item?).map_err(|misuse| misuse.under(Step::Index(index)))?;
        }
        self.close(b']');
        Ok(())
    }

    fn string(&mut self, text: &Bound<'_, PyString>) -> Result<(), Misuse> {
        let text = text.to_str().map_err(|_| {
            Misuse::says("the string holds a surrogate without a partner and cannot be sent as UTF-8")
        })?;
        self.text(text);
        Ok(())
    }

    fn integer(&mut self, integer: &Bound<'_, PyInt>) -> Result<(), Misuse> {
        static REPR: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
        if let Ok(small) = integer.extract::<i64>() {
            self.push(itoa::Buffer::new().format(small));
            return Ok(());
        }
        let py = integer.py();
        let repr =
            REPR.get_or_try_init(py, || py.get_type::<PyInt>().getattr("__repr__").map(Bound::unbind))?;
        let text =
            repr.bind(py).call1((integer,)).map_err(|error| Misuse::says(error.value(py).to_string()))?;
        self.push(text.cast::<PyString>()?.to_str()?);
        Ok(())
    }

    fn float(&mut self, float: &Bound<'_, PyFloat>) -> Result<(), Misuse> {
        let number = float.value();
        if !number.is_finite() {
            return Err(Misuse::says(format!("{} has no JSON form", PyFloat::new(float.py(), number))));
        }
        let text = PyFloat::new(float.py(), number).repr()?;
        self.push(text.to_str()?);
        Ok(())
    }

    fn text(&mut self, text: &str) {
        // Writing into a vector cannot fail, and a string always has a JSON form.
        let _ = serde_json::to_writer(&mut self.out, text);
    }

    fn push(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn comma(&mut self, opening: u8) {
        if self.out.last() != Some(&opening) {
            self.out.push(b',');
        }
    }

    fn deeper(&mut self) -> Result<(), Misuse> {
        if self.depth == MAX_DEPTH {
            return Err(Misuse::says(format!("nests deeper than {MAX_DEPTH} levels, or contains itself")));
        }
        self.depth += 1;
        Ok(())
    }

    fn open(&mut self, bracket: u8) -> Result<(), Misuse> {
        self.deeper()?;
        self.out.push(bracket);
        Ok(())
    }

    fn close(&mut self, bracket: u8) {
        self.depth -= 1;
        self.out.push(bracket);
    }
}

/// `datetime.date`, of which `datetime.datetime` is one too.
fn date_class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    CLASS.import(py, "datetime", "date")
}

fn name_of(class: &Bound<'_, PyAny>) -> String {
    class.getattr("__name__").map_or_else(|_| "?".to_owned(), |name| name.to_string())
}

/// Refuses a class where an object is meant.
pub(super) fn refuse_class(value: &Bound<'_, PyAny>) -> PyResult<()> {
    if !value.is_instance_of::<PyType>() {
        return Ok(());
    }
    let name = name_of(value);
    Err(PyTypeError::new_err(format!(
        "`response_format` is the class `{name}`: create() takes a dict; \
         use chat.completions.parse(response_format={name}) to have the reply validated"
    )))
}
