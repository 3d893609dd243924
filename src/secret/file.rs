//! A key in a file that somebody else renews: a mounted secret, a projected service account token.

use std::io::Read;
use std::path::{Path, PathBuf};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::{Fault, Fetch, Issued, LONGEST, key_of};

/// A file that holds a key and nothing else.
#[derive(Debug)]
pub struct File {
    path: PathBuf,
    name: String,
}

impl File {
    /// The file at `path`.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), name: format!("the file {}", path.display()) }
    }
}

impl Fetch for File {
    fn fetch(&self) -> BoxFuture<'_, Result<Issued, Fault>> {
        async { key_of(read(self.path.clone()).await?) }.boxed()
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// What the file holds. Files of mounted volumes may hang, so they are read beside the I/O threads.
pub(super) async fn read(path: PathBuf) -> Result<String, Fault> {
    let read = tokio::task::spawn_blocking(move || bounded(&path)).await;
    read.unwrap_or_else(|_| Err(Fault::Passing("reading it did not finish".to_owned())))
}

fn bounded(path: &Path) -> Result<String, Fault> {
    let fault = |cause: std::io::Error| Fault::Lasting(format!("it cannot be read: {}", cause.kind()));
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(fault)?;
    file.take(LONGEST as u64 + 1).read_to_string(&mut text).map_err(fault)?;
    if text.len() > LONGEST {
        return Err(Fault::Lasting(format!("it is larger than {LONGEST} bytes")));
    }
    Ok(text)
}
