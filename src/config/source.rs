//! Where a configuration comes from: files now; a store over the network can stand in the same place.

use std::fmt;
use std::path::{Path, PathBuf};

use super::exposure::Exposed;
use super::find::{self, PYPROJECT};
use super::import;
use super::merge;
use super::problem::Problem;
use super::read::{self, Format};
use super::tree::{Node, Place};
use crate::retry::hint::is_key;

/// What a source held when it was read.
#[derive(Clone, Debug)]
pub struct Content {
    /// Everything that is written, overlays merged.
    pub tree: Node,
    /// What was read, for people.
    pub names: Vec<String>,
    /// What the names of files are relative to.
    pub root: PathBuf,
    /// What of a foreign format has no equivalent.
    pub notes: Vec<Problem>,
    /// What is wrong, where the rest can be understood all the same.
    pub problems: Vec<Problem>,
    /// Files that others on this machine may read or change.
    pub exposed: Vec<Exposed>,
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

    /// Can it say something else tomorrow?
    fn is_watchable(&self) -> bool {
        true
    }
}

/// Files, later ones laid over earlier ones.
#[derive(Clone, Debug)]
pub struct Files {
    /// Where the process was when they were named: it may go elsewhere.
    root: PathBuf,
    paths: Vec<PathBuf>,
}

impl Files {
    /// These files, and the overlay of the stage beside each.
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self::within(std::env::current_dir().unwrap_or_default(), paths.into_iter().collect())
    }

    fn within(root: PathBuf, paths: Vec<PathBuf>) -> Self {
        Self { root, paths }
    }
}

impl Source for Files {
    fn read(&self) -> Result<Content, Vec<Problem>> {
        let (mut tree, mut names) = (Node::table(), Vec::new());
        let (mut unread, mut problems) = (Vec::new(), Vec::new());
        let (mut notes, mut exposed) = (Vec::new(), Vec::new());
        for path in &self.paths {
            for layer in find::with_overlay(path) {
                let found = self.root.join(&layer);
                if layer != *path && !found.is_file() {
                    continue;
                }
                let name = layer.display().to_string();
                exposed.extend(Exposed::file(&found, &name));
                names.push(name);
                let over = file(&found, &layer).and_then(|(over, faults)| {
                    problems.extend(faults);
                    import::ours(over, &mut notes)
                });
                match over {
                    Ok(over) => merge::overlay(&mut tree, over),
                    Err(faults) => unread.extend(faults),
                }
            }
        }
        if !unread.is_empty() {
            return Err([problems, unread].concat());
        }
        Ok(Content { tree, names, root: self.root.clone(), notes, problems, exposed })
    }

    fn files(&self) -> Vec<PathBuf> {
        let layers = self.paths.iter().flat_map(|path| find::with_overlay(path));
        layers.map(|layer| self.root.join(layer)).collect()
    }
}

/// The files that are found when nobody names one; each time anew.
#[derive(Clone, Debug)]
pub struct Found {
    root: PathBuf,
}

impl Found {
    /// Looked for in `root`.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn now(&self) -> Files {
        Files::within(self.root.clone(), find::discover(&self.root))
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
        let (names, problems, exposed) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Content { tree, names, root: PathBuf::new(), notes, problems, exposed })
    }

    fn files(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    fn is_watchable(&self) -> bool {
        false
    }
}

/// What is written in `found`, whoever's format it is, and what is wrong with it; people know it as `path`.
///
/// # Errors
///
/// It cannot be read, or its grammar is wrong.
pub fn file(found: &Path, path: &Path) -> Result<(Node, Vec<Problem>), Vec<Problem>> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(found).map_err(|cause| vec![unread(path, &name, &cause)])?;
    let (tree, problems) = read::text(&name, &text, Format::of(path))?;
    if !path.ends_with(PYPROJECT) {
        return Ok((tree, problems));
    }
    let ours = tree.find(find::OURS).cloned();
    let ours = ours.ok_or_else(|| vec![Problem::new(find::OURS, Some(&Place::whole(&name)), "missing")])?;
    Ok((ours, problems))
}

/// A key that was passed in the place of a path is not repeated.
fn unread(path: &Path, name: &str, cause: &std::io::Error) -> Problem {
    if Format::of(path).is_none() && is_key(name) {
        let message = "this looks like a key, and there is no such file: a key is passed as `api_key`";
        return Problem::new("config", None, message);
    }
    Problem::new("", Some(&Place::whole(name)), format!("cannot be read: {cause}"))
}
