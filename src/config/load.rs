//! From a source to a configuration: overlays, overrides, variables, the schema, serde, the checks.
//!
//! Each step goes on past what is wrong, so that one error tells all of it.

use std::path::{Path, PathBuf};

use super::problem::{self, Problem};
use super::source::{Content, Source};
use super::tree::{Node, is_within};
use super::variables::{Missing, Spelling, Variables};
use super::{Config, check, exposure, import, merge, shape};
use crate::error::Error;
use crate::route::Snapshot;

pub use super::variables::environment;

/// A configuration and the story of how it was read.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What it was made of, variables replaced.
    pub tree: Node,
    /// What is allowed but hardly meant.
    pub warnings: Vec<Problem>,
    /// The files it was read from, for people.
    pub sources: Vec<String>,
    /// Files that it refers to (`${file:...}`).
    pub files: Vec<PathBuf>,
    /// Does the source itself say nothing? What lies on top of it does not count.
    pub is_blank: bool,
}

impl Loaded {
    /// Tells one configuration from another: the same content gives the same text, wherever it came from.
    pub fn hash(&self) -> String {
        let text = self.tree.json().to_string();
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        format!("{hash:016x}")
    }
}

/// Reads `source`; `arguments` lie on top of everything and are taken as they stand.
///
/// # Errors
///
/// [`crate::Kind::Config`] with every problem, each with its place.
pub fn load(source: &dyn Source, arguments: Option<&Node>) -> Result<Loaded, Error> {
    load_where(source, arguments, Missing::Fault)
}

/// As [`load`], with a word in place of every variable and every file that is not there: for a configuration with
/// which nothing is going to be sent.
///
/// # Errors
///
/// As [`load`].
pub fn load_without_secrets(source: &dyn Source) -> Result<Loaded, Error> {
    load_where(source, None, Missing::Placeholder)
}

fn load_where(source: &dyn Source, arguments: Option<&Node>, missing: Missing) -> Result<Loaded, Error> {
    let Content { mut tree, names, root, notes, problems: written, exposed } =
        source.read().map_err(|problems| problem::error(problems, &Node::table()))?;
    let is_blank = tree.members().is_empty();
    let exposed = exposure::told(&tree, &exposed);
    let mut problems = merge::overrides(&mut tree, std::env::vars_os().filter_map(readable));
    let mut variables = Variables::new(&root, Spelling::Usual).where_missing(missing);
    variables.replace(&mut tree, "");
    if let Some(arguments) = arguments {
        merge::overlay(&mut tree, arguments.clone());
    }
    let files = std::mem::take(&mut variables.files);
    problems.append(&mut variables.problems);
    let (config, mut found) = understand(&mut tree, &root, &problems, !written.is_empty());
    problems.append(&mut found);
    problems.extend(written);
    let mut warnings = exposed;
    if let Some(config) = &config {
        warnings.extend(check::warnings(config, &|path| tree.place(path).cloned()));
        warnings.extend(import::told(&notes));
        if config.strict {
            problems.append(&mut warnings);
        }
    }
    match config {
        Some(config) if problems.is_empty() => {
            Ok(Loaded { config, tree, warnings, sources: names, files, is_blank })
        }
        _ => {
            problems.sort_by(|one, other| one.order().cmp(&other.order()));
            Err(problem::error(problems, &tree))
        }
    }
}

fn readable((name, value): (std::ffi::OsString, std::ffi::OsString)) -> Option<(String, String)> {
    name.into_string().ok().zip(value.into_string().ok())
}

/// The configuration in `tree`, whose files are named relative to `root`, and all that is wrong with it, where some of it is `known` already or more than that
/// `is_wrong`. What does not fit is left out, so that the rest can be checked too.
fn understand(
    tree: &mut Node,
    root: &Path,
    known: &[Problem],
    is_wrong: bool,
) -> (Option<Config>, Vec<Problem>) {
    let mut problems = shape::fit(tree, root);
    problems.retain(|problem| known.iter().all(|known| known.path.is_empty() || known.path != problem.path));
    let mut rest = tree.clone();
    let mut removed: Vec<_> =
        known.iter().chain(&problems).filter_map(|fault| rest.remove(&fault.path)).collect();
    let config = loop {
        match serde_path_to_error::deserialize::<_, Config>(rest.json()) {
            Ok(config) => break Some(config),
            Err(fault) => {
                let path = fault.path().to_string();
                problems.push(Problem::new(&path, tree.place(&path), fault.into_inner().to_string()));
                match rest.remove(&path) {
                    Some(path) => removed.push(path),
                    None => break None,
                }
            }
        }
    };
    if let Some(config) = &config {
        let found = check::faults(config, &|path| tree.place(path).cloned());
        let found = found.into_iter().chain(check::repeated(tree));
        problems.extend(found.filter(|problem| !follows(problem, &removed, tree)));
        if is_wrong || !(known.is_empty() && problems.is_empty()) {
            // Nobody is going to put it together: what would only show then is told now.
            removed.extend(problems.iter().map(|problem| tree.spelled(&problem.path)));
            let found = Snapshot::faults(config).into_iter();
            let found = found.filter(|problem| !follows(problem, &removed, tree));
            problems.extend(found.map(|problem| problem.at_home(tree)).collect::<Vec<_>>());
        }
    }
    (config, problems)
}

/// Is the problem only there because something was left out: at its own place, or of what it names?
fn follows(problem: &Problem, removed: &[String], tree: &Node) -> bool {
    let path = tree.spelled(&problem.path);
    removed.iter().any(|removed| {
        is_within(removed, &path) || is_within(&path, removed) || names(&problem.message, removed)
    })
}

/// The tables whose members are referred to by their names, and what messages call such a member.
const NAMED: &[(&str, &str)] = &[("models", "model"), ("providers", "provider"), ("profiles", "profile")];

/// Does the message name what `path` is a part of?
fn names(message: &str, path: &str) -> bool {
    NAMED.iter().any(|(table, what)| {
        let member = path.strip_prefix(table).and_then(|path| path.strip_prefix('.'));
        let name = member.and_then(|member| match member.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next(),
            None => member.split(['.', '[']).next(),
        });
        name.is_some_and(|name| message.contains(what) && message.contains(&format!("`{name}`")))
    })
}
