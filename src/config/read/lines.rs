//! From a byte of a text to its line and column.

use std::sync::Arc;

use crate::config::tree::Place;

/// A text whose lines are known.
pub(super) struct Lines<'a> {
    /// The text, without a byte order mark.
    pub(super) text: &'a str,
    file: Arc<str>,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    /// The lines of `text`, which stands in `file`.
    pub(super) fn new(file: &str, text: &'a str) -> Self {
        let text = text.trim_start_matches('\u{feff}');
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Self { text, file: Arc::from(file), starts }
    }

    /// The place of the byte at `offset`; of the end where there is none.
    pub(super) fn place(&self, offset: usize) -> Place {
        let offset = self.text.floor_char_boundary(offset.min(self.text.len()));
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let before = self.text.get(start..offset).unwrap_or_default();
        self.at(line, before.chars().count() + 1)
    }

    /// The place at a line and a column, both from 1.
    pub(super) fn at(&self, line: usize, column: usize) -> Place {
        let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
        Place { file: Arc::clone(&self.file), line: number(line), column: number(column) }
    }
}
