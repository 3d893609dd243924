//! Foreign configurations, for the command line.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::errors;
use crate::config::problem;
use crate::config::tree::Node;
use crate::config::{import, source, write};

/// The configuration of another router in the file at `path`, as ours: a dict of `format`, `toml` and `notes`, or
/// `None` where it is ours already.
#[pyfunction]
#[pyo3(name = "_import")]
#[expect(clippy::needless_pass_by_value, reason = "what Python's path-like objects are extracted to")]
pub(super) fn foreign(py: Python<'_>, path: PathBuf) -> PyResult<Option<Bound<'_, PyDict>>> {
    let wrong = |problems| errors::exception(py, &problem::error(problems, &Node::table()));
    let (tree, problems) = source::file(&path, &path).map_err(wrong)?;
    if !problems.is_empty() {
        return Err(wrong(problems));
    }
    let Some(imported) = import::recognise(&tree) else { return Ok(None) };
    if !imported.faults.is_empty() {
        return Err(wrong(imported.faults));
    }
    let told = PyDict::new(py);
    told.set_item("format", imported.format.to_string())?;
    told.set_item("toml", write::toml(&imported.tree))?;
    told.set_item("notes", errors::problems(py, &imported.notes)?)?;
    Ok(Some(told))
}
