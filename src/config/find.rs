//! Which files a configuration is in.

use std::path::{Path, PathBuf};

use super::read::{self, Format};
use super::variables::environment;

/// Names the files to read, several separated as in `PATH`.
pub const CONFIG: &str = "FAIRLEAD_CONFIG";
/// With `prod`, `fairlead.prod.toml` is laid over `fairlead.toml`.
pub const STAGE: &str = "FAIRLEAD_ENV";
/// A project's own file, which belongs to others too.
pub const PYPROJECT: &str = "pyproject.toml";
/// Our table in it.
pub(super) const OURS: &str = "tool.fairlead";

const NAMES: &[&str] = &["fairlead.toml", "fairlead.yaml", "fairlead.yml", "fairlead.jsonc", "fairlead.json"];

/// The files of a configuration that nobody named, relative to `folder`: those in `FAIRLEAD_CONFIG`, else the first of its names in
/// `folder`, else its `pyproject.toml` where that has a `[tool.fairlead]`, else the user's own; none is fine.
pub fn discover(folder: &Path) -> Vec<PathBuf> {
    if let Some(named) = environment(CONFIG) {
        return std::env::split_paths(&named).filter(|path| !path.as_os_str().is_empty()).collect();
    }
    let here = NAMES.iter().find(|name| folder.join(name).is_file()).map(PathBuf::from);
    let project = || speaks_of_us(&folder.join(PYPROJECT)).then(|| PathBuf::from(PYPROJECT));
    let found = here.or_else(project).or_else(own);
    found.into_iter().collect()
}

/// `path` and the overlay of the stage that `FAIRLEAD_ENV` names, whether it exists or not.
pub fn with_overlay(path: &Path) -> Vec<PathBuf> {
    let stem = path.file_stem().and_then(|stem| stem.to_str());
    let ending = path.extension().and_then(|ending| ending.to_str());
    let overlay = match (environment(STAGE), stem, ending) {
        (Some(stage), Some(stem), Some(ending)) if !path.ends_with(PYPROJECT) => {
            Some(path.with_file_name(format!("{stem}.{stage}.{ending}")))
        }
        _ => None,
    };
    std::iter::once(path.to_owned()).chain(overlay).collect()
}

/// Does a project have our table? One whose grammar is wrong may: who reads it tells what is wrong.
fn speaks_of_us(project: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(project) else { return false };
    // Most projects do not: they need not be parsed.
    text.contains("fairlead")
        && read::text(PYPROJECT, &text, Some(Format::Toml))
            .map_or(true, |(tree, _)| tree.find(OURS).is_some())
}

fn own() -> Option<PathBuf> {
    let base = if cfg!(windows) {
        environment("APPDATA").map(PathBuf::from)
    } else {
        let home = || environment("HOME").map(|home| PathBuf::from(home).join(".config"));
        environment("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home)
    };
    let folder = base?.join("fairlead");
    NAMES.iter().map(|name| folder.join(name)).find(|path| path.is_file())
}
