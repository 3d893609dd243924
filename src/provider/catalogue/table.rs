//! The lines of the two tables: found once, in order, and read one at a time.

use std::cmp::Ordering;
use std::sync::OnceLock;

use super::{Entry, Source, row};

static MODELS: &str = include_str!("models.tsv");
static SUCCESSORS: &str = include_str!("successors.tsv");

/// One line of the table.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) provider: &'static str,
    pub(super) model: &'static str,
    line: &'static str,
    entry: OnceLock<Option<Box<Entry>>>,
}

impl Row {
    fn of(line: &'static str) -> Option<Self> {
        let mut cells = line.split('\t');
        Some(Self { provider: cells.next()?, model: cells.next()?, line, entry: OnceLock::new() })
    }

    /// What it says.
    pub(super) fn entry(&'static self) -> Option<&'static Entry> {
        self.entry.get_or_init(|| row::read(self.line).map(Box::new)).as_deref()
    }

    /// What it says of prices and of the window, unread: enough to see whether two rows say the same.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let telling = |row: &Self| {
            row.line
                .split('\t')
                .enumerate()
                .filter(|(at, _)| matches!(at, 3 | 8))
                .map(|(_, cell)| cell)
                .collect::<Vec<_>>()
        };
        telling(self) == telling(other)
    }
}

/// A retired model.
#[derive(Clone, Copy, Debug)]
pub(super) struct Retired {
    pub(super) provider: &'static str,
    pub(super) model: &'static str,
    pub(super) heir: &'static str,
}

/// Every row, by provider and by the model's name in any case.
pub(super) fn rows() -> &'static [Row] {
    static ROWS: OnceLock<Vec<Row>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let mut rows: Vec<Row> = body(MODELS).filter_map(Row::of).collect();
        // Stable: of names that differ in case alone the table's first stays first.
        rows.sort_by(|one, other| order(one, other.provider, other.model));
        rows
    })
}

/// The rows of one provider.
pub(super) fn of(provider: &str) -> &'static [Row] {
    let rows = rows();
    let from = rows.partition_point(|row| row.provider < provider);
    let to = rows.partition_point(|row| row.provider <= provider);
    rows.get(from..to).unwrap_or_default()
}

/// The row of exactly this name, in any case.
pub(super) fn exactly(provider: &str, model: &str) -> Option<&'static Row> {
    let rows = of(provider);
    let from = rows.partition_point(|row| order(row, provider, model) == Ordering::Less);
    let same = rows.get(from..)?.iter().take_while(|row| row.model.eq_ignore_ascii_case(model));
    let mut same = same.peekable();
    let first = same.peek().copied();
    same.find(|row| row.model == model).or(first)
}

fn order(row: &Row, provider: &str, model: &str) -> Ordering {
    let lower = |byte: u8| byte.to_ascii_lowercase();
    row.provider.cmp(provider).then_with(|| row.model.bytes().map(lower).cmp(model.bytes().map(lower)))
}

/// The retired models of one provider.
pub(super) fn retired(provider: &str) -> impl Iterator<Item = Retired> {
    body(SUCCESSORS)
        .filter_map(|line| {
            let mut cells = line.split('\t');
            Some(Retired { provider: cells.next()?, model: cells.next()?, heir: cells.next()? })
        })
        .filter(move |retired| retired.provider == provider)
}

/// The lists the table was made from.
pub(super) fn sources() -> Vec<Source> {
    let heads = MODELS.lines().take_while(|line| line.starts_with('#'));
    heads
        .filter_map(|line| {
            let mut cells = line.split('\t').skip(1);
            Some(Source {
                name: cells.next()?,
                version: cells.next()?,
                licence: cells.next()?,
                taken: cells.next()?,
                rows: cells.next()?.parse().ok()?,
            })
        })
        .collect()
}

/// The lines below the names of the columns.
fn body(table: &'static str) -> impl Iterator<Item = &'static str> {
    table.lines().filter(|line| !line.starts_with('#')).skip(1)
}
