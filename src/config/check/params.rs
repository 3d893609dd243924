//! Which request parameters may have a default.

use super::Check;
use crate::chat::facts::OWN_OPTIONS;
use crate::config::Params;

/// What makes up a call: only the caller can say it, and what answers him depends on it.
const CALLERS: &[&str] = &["model", "messages", "input", "stream", "stream_options", OWN_OPTIONS];

impl Check<'_> {
    /// Defaults of what only a call itself may say.
    pub(super) fn params(&mut self, params: &Params, path: &str) {
        for name in params.keys().filter(|name| CALLERS.contains(&name.as_str())) {
            let message = format!("`{name}` belongs to the call and has no default");
            self.fault(&format!("{path}.params.{name}"), message);
        }
    }
}
