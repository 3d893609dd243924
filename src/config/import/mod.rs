//! Files of other routers, read as our own: what they say in our schema, and a list of what has no equivalent.
//!
//! A converted value keeps its place, so that a fault or a note names the line of the foreign file.

mod ark;
mod build;
mod claude_code_router;
mod litellm;

use std::fmt;

use super::problem::Problem;
use super::tree::{Node, Place};

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `router_config`, `models[].model_id` and `routing_rules`.
    Ark,
    /// LiteLLM's `model_list` with its settings, of a `config.yaml` or of a `Router`.
    LiteLlm,
    /// The `config.json` of claude-code-router before its version 3.
    ClaudeCodeRouter,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ark => "a rule file with `router_config`",
            Self::LiteLlm => "a LiteLLM configuration",
            Self::ClaudeCodeRouter => "a claude-code-router configuration",
        })
    }
}

/// A foreign configuration in our schema.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Whose it was.
    pub format: Format,
    /// What it says, in our schema.
    pub tree: Node,
    /// What has no equivalent, or another meaning; paths are those of the foreign file.
    pub notes: Vec<Problem>,
    /// What is wrong with it.
    pub faults: Vec<Problem>,
}

/// Reads `tree` if it is a foreign configuration.
pub fn recognise(tree: &Node) -> Option<Imported> {
    let format = format(tree)?;
    let mut story = Story::default();
    let converted = match format {
        Format::Ark => ark::convert(tree, &mut story),
        Format::LiteLlm => litellm::convert(tree, &mut story),
        Format::ClaudeCodeRouter => claude_code_router::convert(tree, &mut story),
    };
    Some(Imported { format, tree: converted, notes: gathered(story.notes), faults: story.faults })
}

/// One note for what is said of the same key of many entries.
fn gathered(notes: Vec<Problem>) -> Vec<Problem> {
    let mut all: Vec<(Problem, usize)> = Vec::new();
    for note in notes {
        let path = anywhere(&note.path);
        match all.iter_mut().find(|(known, _)| anywhere(&known.path) == path && known.message == note.message)
        {
            Some((known, count)) => {
                known.path.clone_from(&path);
                *count += 1;
            }
            None => all.push((note, 1)),
        }
    }
    let told = |(mut note, count): (Problem, usize)| {
        if count > 1 {
            note.message = format!("{} ({count} places)", note.message);
        }
        note
    };
    all.into_iter().map(told).collect()
}

/// `path` without the positions in its lists.
fn anywhere(path: &str) -> String {
    let mut parts = path.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |path, part| format!("{path}[]{}", part.split_once(']').map_or(part, |(_, rest)| rest)))
}

/// `tree` in our schema, whoever's it is; what has no equivalent is added to `notes`.
///
/// # Errors
///
/// What is wrong with a foreign configuration.
pub fn ours(tree: Node, notes: &mut Vec<Problem>) -> Result<Node, Vec<Problem>> {
    let Some(mut imported) = recognise(&tree) else { return Ok(tree) };
    if !imported.faults.is_empty() {
        return Err(imported.faults);
    }
    notes.append(&mut imported.notes);
    Ok(imported.tree)
}

/// All notes as one warning.
pub fn told(notes: &[Problem]) -> Option<Problem> {
    let first = notes.first()?;
    let lines = notes.iter().map(|note| format!("\n  {note}"));
    let message = format!("read from another format; it says what we do not:{}", lines.collect::<String>());
    Some(Problem::new("", first.at.as_ref().map(|at| Place::whole(&at.file)).as_ref(), message))
}

/// Top-level keys that no other format has.
fn format(tree: &Node) -> Option<Format> {
    let has = |key| tree.get(key).is_some();
    if has("routing_rules") || has("router_config") {
        Some(Format::Ark)
    } else if has("model_list") || has("litellm_settings") {
        Some(Format::LiteLlm)
    } else if has("Providers") || has("Router") {
        Some(Format::ClaudeCodeRouter)
    } else {
        None
    }
}

/// What is told beside the conversion itself.
#[derive(Debug, Default)]
struct Story {
    notes: Vec<Problem>,
    faults: Vec<Problem>,
}

impl Story {
    fn note(&mut self, path: &str, node: &Node, message: impl Into<String>) {
        self.notes.push(Problem::new(path, node.at.as_ref(), message));
    }

    /// For what no key of ours says.
    fn lost(&mut self, path: &str, node: &Node) {
        self.note(path, node, "has no equivalent; left out");
    }

    fn fault(&mut self, path: &str, at: Option<&Place>, message: impl Into<String>) {
        self.faults.push(Problem::new(path, at, message));
    }
}
