//! A key that a command prints: `pass`, `op`, `vault`, `gcloud`.

use std::process::Stdio;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::AsyncReadExt;
use tokio::process::Command;

use super::{Fault, Fetch, Issued, LONGEST, key_of};
use crate::config::Veiled;

/// A command that prints a key, or a token endpoint's JSON, and ends. Run without a shell; what it writes to
/// stderr is thrown away unseen.
#[derive(Debug)]
pub struct Exec {
    program: String,
    arguments: Veiled<Vec<String>>,
    name: String,
}

impl Exec {
    /// `program` with its arguments, which are never shown.
    pub fn new(program: &str, arguments: &[String]) -> Self {
        let name = format!("the command `{program}`");
        Self { program: program.to_owned(), arguments: Veiled(arguments.to_vec()), name }
    }

    async fn printed(&self) -> Result<String, Fault> {
        let mut command = Command::new(&self.program);
        command.args(&*self.arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        // Whoever stops waiting for it stops it.
        let mut child = command.kill_on_drop(true).spawn().map_err(|cause| told(&cause))?;
        let stdout = child.stdout.take().ok_or_else(|| Fault::Lasting("it has no output".to_owned()))?;
        let mut text = String::new();
        let read = stdout.take(LONGEST as u64 + 1).read_to_string(&mut text).await;
        if text.len() > LONGEST {
            return Err(Fault::Lasting(format!("it prints more than {LONGEST} bytes")));
        }
        let status = child.wait().await.map_err(|cause| told(&cause))?;
        match (status.success(), status.code(), read) {
            (true, _, Ok(_)) => Ok(text),
            (true, _, Err(_)) => Err(Fault::Lasting("what it prints is not UTF-8".to_owned())),
            (false, Some(code), _) => Err(Fault::Lasting(format!("it ended with status {code}"))),
            (false, None, _) => Err(Fault::Lasting("it was killed".to_owned())),
        }
    }
}

fn told(cause: &std::io::Error) -> Fault {
    Fault::Lasting(format!("it cannot be run: {}", cause.kind()))
}

impl Fetch for Exec {
    fn fetch(&self) -> BoxFuture<'_, Result<Issued, Fault>> {
        async { key_of(self.printed().await?) }.boxed()
    }

    fn name(&self) -> &str {
        &self.name
    }
}
