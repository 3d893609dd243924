//! Errors that arrive where an answer was due.

use super::json::{Raw, ValueKind};

/// The most text of an answer that is handed on to be classified as a whole.
const MAX_TEXT: usize = 64 * 1024;

/// Is the value of an `error` member an error? Some upstreams send `null`, `""` or `{}` with every answer.
pub(crate) fn is_error(value: Raw<'_>) -> bool {
    match value.kind() {
        ValueKind::Object => value.fields().next().is_some(),
        ValueKind::String => value.string().is_some_and(|text| !text.is_empty()),
        _ => false,
    }
}

/// Is an object without an answer in it an error without an `error` member? (`{"detail": ...}`, `{"message": ...}`,
/// `{"object": "error"}`, `MiniMax`'s `base_resp`.)
pub(crate) fn is_flat_error(root: Raw<'_>) -> bool {
    root.fields().any(|(name, value)| match name.decode().as_ref() {
        // A message with a role is part of an answer, if of another dialect's.
        "message" | "msg" | "detail" | "error_msg" => is_message(value) && value.get("role").is_none(),
        "object" | "type" => value.string().is_some_and(|kind| kind.is("error")),
        "base_resp" => value.get("status_code").and_then(Raw::as_i64).is_some_and(|status| status != 0),
        _ => false,
    })
}

fn is_message(value: Raw<'_>) -> bool {
    is_error(value) || value.items().next().is_some()
}

/// The JSON text to classify: all of the answer where it is small, else its error alone.
pub(crate) fn text(root: Raw<'_>, error: Option<Raw<'_>>) -> String {
    match error {
        Some(error) if root.text().len() > MAX_TEXT => alone(error),
        _ => root.text().to_owned(),
    }
}

/// An error found deeper in an answer, in the form in which classification looks for one.
pub(crate) fn alone(error: Raw<'_>) -> String {
    format!("{{\"error\":{}}}", error.text())
}

/// Stands for the error of an answer that says it failed but not why.
pub(crate) fn unexplained() -> String {
    r#"{"error":{"message":"the upstream ended its answer with finish_reason \"error\""}}"#.to_owned()
}
