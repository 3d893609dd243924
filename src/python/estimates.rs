//! Token estimates for those who keep a conversation within a window.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::convert;
use super::errors;
use crate::chat::estimate::{Family, TOKENS_AROUND};
use crate::chat::facts::{self, Wants};
use crate::error::{Error, Kind};

/// The tokens that each of `messages` comes to for a model of the family of `model`, as nobody has counted yet. All
/// of them together come to three more.
#[pyfunction]
#[pyo3(name = "_estimate", signature = (model, messages, /))]
pub(super) fn messages(model: &str, messages: Vec<Bound<'_, PyAny>>) -> PyResult<Vec<f64>> {
    let alone = |message: Bound<'_, PyAny>| {
        let list = PyList::new(message.py(), [&message])?;
        tokens(model, "messages", list.as_any())
    };
    messages.into_iter().map(alone).collect()
}

/// The tokens that `tools` come to.
#[pyfunction]
#[pyo3(name = "_estimate_tools", signature = (model, tools, /))]
pub(super) fn tools(model: &str, tools: &Bound<'_, PyAny>) -> PyResult<f64> {
    tokens(model, "tools", tools)
}

fn tokens(model: &str, member: &str, value: &Bound<'_, PyAny>) -> PyResult<f64> {
    let py = value.py();
    let body = PyDict::new(py);
    body.set_item(member, value)?;
    let facts = facts::scan(&convert::json(&body)?, Wants::NOTHING)
        .map_err(|fault| errors::exception(py, &Error::new(Kind::BadRequest, fault.to_string())))?;
    let family = Family::of(model);
    Ok(facts.prompt.text_tokens(family) - TOKENS_AROUND + facts.prompt.media_tokens(family))
}
