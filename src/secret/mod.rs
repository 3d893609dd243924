//! Where keys come from that are not simply written down: files, commands, issuers of tokens, plug-ins, callables.
//!
//! A [`Fetch`] gets a key once. A [`Keeper`] keeps what it got: it asks again before the key ends, never twice at
//! once, and hands out the old one as long as that is valid and no new one is to be had. Keys that are written out
//! or stand in the environment need none of this: they are headers before the first call.

mod exec;
mod file;
mod issued;
mod issuer;
mod keeper;
mod outside;
pub mod schedule;

use std::fmt;
use std::time::Duration;

use futures_util::future::BoxFuture;

pub use exec::Exec;
pub use file::File;
pub use issued::Issued;
pub use issuer::{Address, Issuer};
pub use keeper::{Keeper, Keepers, Renewal, Terms, Token};
pub use outside::{Anybody, Outside, Wanted};

/// A file or a command that holds more than this holds no key.
const LONGEST: usize = 64 << 10;

/// Gets a key from where it is kept.
pub trait Fetch: Send + Sync + fmt::Debug {
    /// Asks for the key. Dropping the future gives up.
    fn fetch(&self) -> BoxFuture<'_, Result<Issued, Fault>>;

    /// What is asked, as it stands in errors: `the file /run/key`.
    fn name(&self) -> &str;
}

/// Why there is no key. Never holds one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Asking again at once may help.
    Passing(String),
    /// It will not.
    Lasting(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Passing(why) | Self::Lasting(why)) = self;
        f.write_str(why)
    }
}

impl Fault {
    fn late(limit: Duration) -> Self {
        Self::Passing(format!("no answer within {:.3} s", limit.as_secs_f64()))
    }
}

/// `text` as a key: without the line's end that editors and commands leave behind it.
fn key_of(text: String) -> Result<Issued, Fault> {
    let text = zeroize::Zeroizing::new(text);
    if text.trim_start().starts_with('{') {
        return Issued::read(text.as_bytes());
    }
    Issued::key(text.trim_end_matches(['\r', '\n']), None)
}
