//! The folders that hold the files, under the system's eye.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// Symbolic links that lead to symbolic links; more is a circle.
const LINKS: usize = 16;

/// Wakes a watch when something happens to one of its files, or to a link on the way to one.
pub(super) struct Folders {
    wake: mpsc::Sender<()>,
    watcher: Option<RecommendedWatcher>,
    followed: BTreeSet<PathBuf>,
    /// Names of files and links that matter, in any folder.
    names: Arc<ArcSwap<BTreeSet<OsString>>>,
}

impl Folders {
    pub(super) fn new(wake: mpsc::Sender<()>) -> Self {
        Self { wake, watcher: None, followed: BTreeSet::new(), names: Arc::default() }
    }

    /// Watches the folders of these files. Where that cannot be done, looking now and then must do.
    pub(super) fn follow(&mut self, files: &BTreeSet<PathBuf>) {
        let (mut folders, mut names) = (BTreeSet::new(), BTreeSet::new());
        for file in files {
            trace(file, &mut folders, &mut names);
        }
        self.names.store(Arc::new(names));
        if self.watcher.is_some() && folders == self.followed {
            return;
        }
        self.watcher = self.watcher();
        if let Some(watcher) = &mut self.watcher {
            for folder in &folders {
                let _ = watcher.watch(folder, RecursiveMode::NonRecursive);
            }
        }
        self.followed = folders;
    }

    /// A change came without a word: a folder may be another one than it was, under the same name.
    pub(super) fn begin_anew(&mut self) {
        self.watcher = None;
    }

    fn watcher(&self) -> Option<RecommendedWatcher> {
        let (wake, names) = (self.wake.clone(), Arc::clone(&self.names));
        let handler = move |event: notify::Result<Event>| {
            if event.map_or(true, |event| matters(&event, &names.load())) {
                // One waiting wake-up is enough.
                let _ = wake.try_send(());
            }
        };
        notify::recommended_watcher(handler).ok()
    }
}

/// Reading a file is no change of it; anything else that bears a name that matters may be.
fn matters(event: &Event, names: &BTreeSet<OsString>) -> bool {
    if matches!(event.kind, EventKind::Access(_)) {
        return false;
    }
    let known = |path: &PathBuf| path.file_name().is_some_and(|name| names.contains(name));
    event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(known)
}

/// The folders and names on the way to `file`, through every symbolic link.
fn trace(file: &Path, folders: &mut BTreeSet<PathBuf>, names: &mut BTreeSet<OsString>) {
    let mut pending = vec![file.to_owned()];
    for _ in 0..LINKS {
        let Some(path) = pending.pop() else { return };
        let mut reached = PathBuf::new();
        for part in path.components() {
            let folder = if reached.as_os_str().is_empty() { PathBuf::from(".") } else { reached.clone() };
            reached.push(part);
            let link = std::fs::read_link(&reached).ok();
            if reached == path || link.is_some() {
                names.extend(reached.file_name().map(OsString::from));
                folders.insert(folder.clone());
            }
            if let Some(target) = link {
                let rest = path.strip_prefix(&reached).unwrap_or(Path::new(""));
                let target = folder.join(target);
                pending.push(if rest.as_os_str().is_empty() { target } else { target.join(rest) });
                break;
            }
        }
    }
}
