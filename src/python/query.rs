//! Query parameters, written as the OpenAI SDK writes them.

use pyo3::prelude::*;
use pyo3::types::{PyList, PyMapping, PyTuple};

use super::convert;
use super::errors;
use super::options;
use crate::chat::json::MAX_DEPTH;

/// Adds what `value` says, in place of what `into` has under the same names.
///
/// In a mapping, the members of a mapping are `name[member]`, those of a list or tuple `name[]`, truth values lower
/// case, and `None` leaves a parameter out. A list of pairs is in this form already.
pub(super) fn add(value: &Bound<'_, PyAny>, into: &mut Vec<(String, String)>) -> PyResult<()> {
    if value.is_none() {
        return Ok(());
    }
    if let Ok(written) = value.cast::<PyList>() {
        let pairs = "`extra_query`: expected a mapping, or a list of pairs of texts";
        let written: Vec<(String, String)> =
            written.extract().map_err(|_| errors::misuse(value.py(), pairs))?;
        into.retain(|(known, _)| written.iter().all(|(name, _)| name != known));
        into.extend(written);
        return Ok(());
    }
    for pair in options::mapping(value, "extra_query")?.items()?.iter() {
        let (name, value) = pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
        if convert::is_absent(&value) {
            continue;
        }
        let name = name.str()?.to_string();
        into.retain(|(known, _)| !is_part(known, &name));
        write(&name, &value, 0, into)?;
    }
    Ok(())
}

/// Was `known` written for the parameter `name`?
fn is_part(known: &str, name: &str) -> bool {
    known.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
}

fn write(
    name: &str,
    value: &Bound<'_, PyAny>,
    depth: usize,
    into: &mut Vec<(String, String)>,
) -> PyResult<()> {
    if depth == MAX_DEPTH {
        let problem = format!("`extra_query`: nests deeper than {MAX_DEPTH} levels, or contains itself");
        return Err(errors::misuse(value.py(), &problem));
    }
    if value.is_none() || convert::is_absent(value) {
        return Ok(());
    }
    if let Ok(members) = value.cast::<PyMapping>() {
        for pair in members.items()?.iter() {
            let (member, value) = pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
            write(&format!("{name}[{}]", member.str()?), &value, depth + 1, into)?;
        }
    } else if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        for item in value.try_iter()? {
            write(&format!("{name}[]"), &item?, depth + 1, into)?;
        }
    } else if let Ok(truth) = value.extract::<bool>() {
        into.push((name.to_owned(), truth.to_string()));
    } else {
        into.push((name.to_owned(), value.str()?.to_string()));
    }
    Ok(())
}
