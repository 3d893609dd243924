//! How much text is how many tokens, when nobody has counted.

use super::facts::Facts;
use super::usage::Usage;

/// Bytes of text that make one token; the common rule of thumb for English and code.
const BYTES_PER_TOKEN: usize = 4;

/// The tokens that `bytes` of text come to, rounded up.
pub fn tokens(bytes: usize) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN) as u64
}

impl Facts {
    /// What the call is expected to use before anything is known: its prompt.
    pub fn expected_usage(&self) -> Usage {
        let input = tokens(self.body_bytes);
        Usage { input, total: input, estimated: true, ..Usage::default() }
    }
}
