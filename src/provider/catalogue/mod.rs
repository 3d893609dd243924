//! Models and their prices, as a table in the binary: what is known without asking anyone.
//!
//! `models.tsv` is made by `tools/catalogue.py` from published lists, `successors.tsv` is written by hand from the
//! providers' own notices. Nothing is read before the first question; then the lines are found (not read), and a
//! line is read when it is asked for. What the table does not say is unknown, never no and never free.

mod name;
mod row;
mod table;

use super::price::Prices;

pub use name::nearest;
pub(crate) use row::decimal;

/// One model at one provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The provider's id: a preset.
    pub provider: &'static str,
    /// The name the provider knows it by.
    pub model: &'static str,
    /// `chat`, `responses`, `completion`, `embedding` or `image_generation`.
    pub mode: &'static str,
    /// The most tokens of a prompt; some sources count the answer in.
    pub context_window: Option<u32>,
    /// The most tokens of an answer.
    pub max_output: Option<u32>,
    /// What goes in, of `text`, `image`, `audio`, `video`; empty is unknown.
    pub inputs: Vec<&'static str>,
    /// What comes out.
    pub outputs: Vec<&'static str>,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Parameters it refuses, such as `temperature`.
    pub rejects: Vec<&'static str>,
    /// What it costs; `None` is unknown.
    pub prices: Option<Prices>,
    /// Since when these prices hold (`2026-03-13`), where that is known.
    pub since: Option<&'static str>,
    /// When it stops or stopped being served (`2026-11-30`), where that is announced.
    pub retires: Option<&'static str>,
    /// Whose word the prices are: `litellm`, `genai-prices` or `models.dev`.
    pub source: &'static str,
}

/// Whether a model can do something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Known {
    /// It can.
    Yes,
    /// It cannot.
    No,
    /// Nobody said.
    #[default]
    Unknown,
}

/// What a model can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Tools and functions.
    pub tools: Known,
    /// Several calls in one answer.
    pub parallel_tools: Known,
    /// Images in the prompt.
    pub vision: Known,
    /// Answers held to a JSON schema.
    pub json_schema: Known,
    /// Reasoning.
    pub reasoning: Known,
    /// Sound in the prompt.
    pub audio: Known,
    /// PDF files in the prompt.
    pub pdf: Known,
    /// Prompts kept in the provider's cache.
    pub prompt_cache: Known,
}

/// A list the table was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Whose list.
    pub name: &'static str,
    /// Which version of it.
    pub version: &'static str,
    /// Its licence.
    pub licence: &'static str,
    /// The day it was taken.
    pub taken: &'static str,
    /// How many rows it gave.
    pub rows: usize,
}

/// Where the table comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The lists, the first that knows a price has the word on it.
    pub sources: Vec<Source>,
    /// The rows of the table.
    pub rows: usize,
}

/// What is known of `model` at `provider` (a preset's id). The name is looked up as it is, then without prefixes,
/// variants and dates; a form that would fit several models that differ fits none.
pub fn find(provider: &str, model: &str) -> Option<&'static Entry> {
    name::find(provider, model).and_then(table::Row::entry)
}

/// Parameters that a model refuses. Lists seldom say so of each dated name: what they say of the one without holds.
pub fn rejects(entry: &'static Entry) -> &'static [&'static str] {
    let undated = || name::without_date(entry.provider, entry.model).and_then(table::Row::entry);
    let said = if entry.rejects.is_empty() { undated().unwrap_or(entry) } else { entry };
    &said.rejects
}

/// The heir of a retired model, where its provider named one that is still served.
pub fn successor(provider: &str, model: &str) -> Option<&'static str> {
    name::successor(provider, model)
}

/// Every entry, by provider and model. Reads the whole table: for listings and tests.
pub fn all() -> impl Iterator<Item = &'static Entry> {
    table::rows().iter().filter_map(table::Row::entry)
}

/// Where the table comes from.
pub fn about() -> About {
    About { sources: table::sources(), rows: table::rows().len() }
}
