//! Where a configuration comes from: files now; a store over the network can stand in the same place.

use std::fmt;
use std::path::{Path, PathBuf};

use super::find::{self, PYPROJECT};
use super::import;
use super::merge;
use super::problem::Problem;
use super::read::{self, Format};
use super::tree::{Node, Place};

/// What a source held when it was read.
#[derive(Clone, Debug)]
pub struct Content {
    /// Everything that is written, overlays merged.
    pub tree: Node,
    /// What was read, for people.
    pub names: Vec<String>,
    /// What relative paths are relative to.
    pub folder: PathBuf,
    /// What of a foreign format has no equivalent.
    pub notes: Vec<Problem>,
}

/// Where a configuration comes from.
pub trait Source: Send + Sync + fmt::Debug {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// All that is wrong. Whoever watches keeps the last good one.
    fn read(&self) -> Result<Content, Vec<Problem>>;

    /// Files whose change is worth another look, whether they exist or not. What has none is asked by the clock.
    fn files(&self) -> Vec<PathBuf>;
}

/// Files, later ones laid over earlier ones.
#[derive(Clone, Debug)]
pub struct Files {
    paths: Vec<PathBuf>,
}

impl Files {
    /// These files, and the overlay of the stage beside each.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { paths: paths.into_iter().collect() }
    }
}

impl Source for Files {
    fn read(&self) -> Result<Content, Vec<Problem>> {
        let (mut tree, mut names, mut problems) = (Node::table(), Vec::new(), Vec::new());
        let mut notes = Vec::new();
        for path in &self.paths {
            for layer in find::with_overlay(path) {
                if layer != *path && !layer.is_file() {
                    continue;
                }
                names.push(layer.display().to_string());
                match file(&layer).and_then(|over| import::ours(over, &mut notes)) {
                    Ok(over) => merge::overlay(&mut tree, over),
                    Err(faults) => problems.extend(faults),
                }
            }
        }
        let folder = self.paths.first().and_then(|path| path.parent()).unwrap_or(Path::new("")).to_owned();
        if problems.is_empty() { Ok(Content { tree, names, folder, notes }) } else { Err(problems) }
    }

    fn files(&self) -> Vec<PathBuf> {
        self.paths.iter().flat_map(|path| find::with_overlay(path)).collect()
    }
}

/// The files that are found when nobody names one; each time anew.
#[derive(Clone, Debug)]
pub struct Found {
    folder: PathBuf,
}

impl Found {
    /// Looked for in `folder`.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn now(&self) -> Files {
        Files::new(find::discover(&self.folder))
    }
}

impl Source for Found {
    fn read(&self) -> Result<Content, Vec<Problem>> {
        self.now().read()
    }

    fn files(&self) -> Vec<PathBuf> {
        self.now().files()
    }
}

/// A tree made elsewhere, such as of a Python dict.
#[derive(Clone, Debug)]
pub struct Fixed(pub Node);

impl Source for Fixed {
    fn read(&self) -> Result<Content, Vec<Problem>> {
        let mut notes = Vec::new();
        let tree = import::ours(self.0.clone(), &mut notes)?;
        Ok(Content { tree, names: Vec::new(), folder: PathBuf::new(), notes })
    }

    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// What is written in one file, whoever's format it is.
///
/// # Errors
///
/// It cannot be read, or its grammar is wrong.
pub fn file(path: &Path) -> Result<Node, Vec<Problem>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|cause| {
        vec![Problem::new("", Some(&Place::whole(&name)), format!("cannot be read: {cause}"))]
    })?;
    let tree = read::text(&name, &text, Format::of(path))?;
    if !path.ends_with(PYPROJECT) {
        return Ok(tree);
    }
    let ours = tree.get("tool").and_then(|tool| tool.get("fairlead")).cloned();
    ours.ok_or_else(|| vec![Problem::new("tool.fairlead", Some(&Place::whole(&name)), "missing")])
}
