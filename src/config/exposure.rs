//! Keys written out in a file that others on this machine may read or change.

use std::path::Path;

use super::problem::Problem;
use super::tree::{Node, Value, below};

/// Where a key is written, or refers to where it is kept.
const KEYS: [&str; 4] = ["api_key", "key", "client_secret", "subject_token"];
/// What nobody but the owner should be allowed: reading and writing, by group and others.
const OTHERS: u32 = 0o066;

/// A file that is open to others.
#[derive(Clone, Debug)]
pub struct Exposed {
    name: String,
    mode: u32,
}

impl Exposed {
    /// The file at `found`, which people know as `name`, if others may read or write it.
    #[cfg(unix)]
    pub fn file(found: &Path, name: &str) -> Option<Self> {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(found).ok()?.permissions().mode() & 0o777;
        (mode & OTHERS != 0).then(|| Self { name: name.to_owned(), mode })
    }

    /// Who may read a file is not written in a mode here.
    #[cfg(not(unix))]
    pub fn file(_: &Path, _: &str) -> Option<Self> {
        None
    }
}

/// A word for each file of `exposed` with a key in it, at the first one.
pub fn told(tree: &Node, exposed: &[Exposed]) -> Vec<Problem> {
    let mut keys = Vec::new();
    if !exposed.is_empty() {
        find(tree, "", false, &mut keys);
    }
    let first = |file: &Exposed| {
        let of = |node: &&(String, &Node)| node.1.at.as_ref().is_some_and(|at| *at.file == *file.name);
        let (path, node) = keys.iter().find(of)?;
        let message = format!(
            "a key is written in a file that others may read or change (mode {:04o}): make that 0600, or refer to \
             where the key is kept, as in `${{VARIABLE}}`",
            file.mode
        );
        Some(Problem::new(path, node.at.as_ref(), message))
    };
    exposed.iter().filter_map(first).collect()
}

/// Is it the table of a tenant's keys, where providers are the names?
fn holds_keys(path: &str) -> bool {
    path.strip_prefix("tenants.").is_some_and(|path| path.ends_with(".api_keys"))
}

fn find<'a>(node: &'a Node, path: &str, is_key: bool, keys: &mut Vec<(String, &'a Node)>) {
    match &node.value {
        Value::Text(text) if is_key && !text.is_empty() && !text.contains("${") => {
            keys.push((path.to_owned(), node));
        }
        Value::List(items) => {
            for (position, item) in items.iter().enumerate() {
                find(item, &format!("{path}[{position}]"), is_key, keys);
            }
        }
        Value::Map(members) => {
            for member in members {
                let is_key = KEYS.contains(&&*member.key) || holds_keys(path);
                find(&member.node, &below(path, &member.key), is_key, keys);
            }
        }
        _ => {}
    }
}
