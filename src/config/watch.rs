//! Watching the files of a configuration.
//!
//! The folders are watched, not the files: editors rename, deployments replace, and a mounted `ConfigMap` swaps a
//! symbolic link beside the file. What is told by the system only wakes us; what counts is the content, looked at
//! every few seconds besides, so that an event that never comes (network file systems, containers) costs time
//! and nothing else. A configuration that failed is read at every look: what it waits for (a secret that is mounted
//! later) may be a file that nobody told us of.

mod folders;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::reload::{Outcome, Reloader};
use super::source::Source;
use super::tree::Node;
use crate::clock;
use folders::Folders;

/// How often to look.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Files must stay the same for so long before they are read. Default: 0.1 s.
    pub quiet: Duration,
    /// The longest time between two looks, whatever the system tells. Default: 5 s.
    pub poll: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { quiet: Duration::from_millis(100), poll: Duration::from_secs(5) }
    }
}

/// A file that changes all the time is read all the same after so many quiet times.
const PATIENCE: usize = 20;

/// Looks at `source` whenever it may have changed and tells what came of it; ends when it is dropped.
pub async fn watch(
    reloader: Arc<Reloader>,
    source: Arc<dyn Source>,
    arguments: Node,
    pace: Pace,
    tell: impl Fn(Outcome) + Send,
) {
    let (wake, mut woken) = mpsc::channel(1);
    let mut folders = Folders::new(wake);
    let (mut seen, mut overslept) = (None, false);
    loop {
        let files = files(source.as_ref(), &reloader);
        folders.follow(&files);
        let content = still(&files, pace.quiet).await;
        let failed = reloader.current().problem.is_some();
        if failed || content.is_none() || content != seen {
            if overslept && seen.is_some() {
                folders.begin_anew();
            }
            seen = content;
            let (reloader, source) = (Arc::clone(&reloader), Arc::clone(&source));
            let arguments = arguments.clone();
            let look = tokio::task::spawn_blocking(move || reloader.look(source.as_ref(), &arguments));
            if let Ok(outcome) = look.await {
                tell(outcome);
            }
        }
        let due = clock::now() + pace.poll;
        tokio::select! {
            _ = woken.recv() => overslept = false,
            () = clock::sleep_until(due) => overslept = true,
        }
    }
}

/// The files of the source, and those that its last good content refers to.
fn files(source: &dyn Source, reloader: &Reloader) -> BTreeSet<PathBuf> {
    let referred = reloader.current().loaded.files.clone();
    source.files().into_iter().chain(referred).collect()
}

/// What the files hold, once they have stopped changing; `None` where there are none to look at.
async fn still(files: &BTreeSet<PathBuf>, quiet: Duration) -> Option<u64> {
    if files.is_empty() {
        return None;
    }
    let mut content = self::content(files).await;
    for _ in 0..PATIENCE {
        clock::sleep_until(clock::now() + quiet).await;
        let again = self::content(files).await;
        if again == content {
            break;
        }
        content = again;
    }
    Some(content)
}

/// Tells contents apart: FNV-1a over names and bytes.
async fn content(files: &BTreeSet<PathBuf>) -> u64 {
    let files = files.clone();
    let read = tokio::task::spawn_blocking(move || {
        files.iter().fold(0xcbf2_9ce4_8422_2325, |hash, file| {
            let hash = mixed(hash, file.as_os_str().as_encoded_bytes());
            match std::fs::read(file) {
                Ok(bytes) => mixed(mixed(hash, &bytes), &[1]),
                Err(_) => mixed(hash, &[0]),
            }
        })
    });
    read.await.unwrap_or_default()
}

fn mixed(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
