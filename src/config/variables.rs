//! What stands for something else: variables of the environment and files that hold a secret.
//!
//! `${NAME}`, `${NAME:-otherwise}`, `${file:path}`; `$$` is a dollar sign. A whole value may also be `env::NAME` or
//! `os.environ/NAME`. Conditions and descriptions are left as they are.

use std::path::{Path, PathBuf};

use super::problem::Problem;
use super::tree::{Node, Origin, Value, below};

/// Keys whose text is taken as it stands.
const VERBATIM: &[&str] = &["when", "description"];
/// A secret is short; a larger file was named by mistake.
const LONGEST: u64 = 64 << 10;

/// Which spellings are understood beside the usual ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spelling {
    /// None.
    #[default]
    Usual,
    /// A whole value `$NAME`, as in the files of claude-code-router.
    Dollar,
}

/// What becomes of a reference to what is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// It is a fault.
    #[default]
    Fault,
    /// A word stands in its place: nothing is going to be sent.
    Placeholder,
}

/// Stands for a secret that is not there.
pub(super) const PLACEHOLDER: &str = "missing";

/// What a tree refers to is looked up here.
#[derive(Debug)]
pub struct Variables<'a> {
    root: &'a Path,
    spelling: Spelling,
    missing: Missing,
    /// The files that were named, whether they could be read or not.
    pub files: Vec<PathBuf>,
    /// What could not be found.
    pub problems: Vec<Problem>,
}

impl<'a> Variables<'a> {
    /// `${file:...}` is relative to the file that says it, whose name is relative to `root`.
    pub fn new(root: &'a Path, spelling: Spelling) -> Self {
        Self { root, spelling, missing: Missing::Fault, files: Vec::new(), problems: Vec::new() }
    }

    /// The same, with another answer to what is missing.
    #[must_use]
    pub fn where_missing(self, missing: Missing) -> Self {
        Self { missing, ..self }
    }

    /// Replaces everything below `node`, which stands at `path`.
    pub fn replace(&mut self, node: &mut Node, path: &str) {
        match &mut node.value {
            Value::List(items) => {
                for (position, item) in items.iter_mut().enumerate() {
                    self.replace(item, &format!("{path}[{position}]"));
                }
            }
            Value::Map(members) => {
                for member in members.iter_mut().filter(|member| !VERBATIM.contains(&member.key.as_str())) {
                    self.replace(&mut member.node, &below(path, &member.key));
                }
            }
            Value::Text(text) if node.origin == Origin::Written => {
                let text = std::mem::take(text);
                let (text, origin) = self.text(text, node, path);
                *node = Node { value: Value::Text(text), at: node.at.take(), origin };
            }
            _ => {}
        }
    }

    fn text(&mut self, text: String, node: &Node, path: &str) -> (String, Origin) {
        if let Some(name) = self.whole(&text) {
            return (self.look_up(name, node, path), Origin::Variable);
        }
        if !text.contains('$') {
            return (text, Origin::Written);
        }
        let mut out = String::with_capacity(text.len());
        let (mut rest, mut origin) = (text.as_str(), Origin::Written);
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                out.push('$');
                rest = after;
            } else if let Some(inner) = after.strip_prefix('{') {
                let Some((inner, tail)) = inner.split_once('}') else {
                    self.fault(node, path, "`${` without its `}`");
                    break;
                };
                origin = Origin::Variable;
                out.push_str(&self.look_up(inner, node, path));
                rest = tail;
            } else {
                out.push('$');
                rest = after;
            }
        }
        out.push_str(rest);
        (out, origin)
    }

    /// The name in a value that is nothing but a variable.
    fn whole<'b>(&self, text: &'b str) -> Option<&'b str> {
        let dollar = text.strip_prefix('$').filter(|_| self.spelling == Spelling::Dollar);
        let name = text.strip_prefix("env::").or_else(|| text.strip_prefix("os.environ/")).or(dollar)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        (!name.is_empty() && name.chars().all(plain)).then_some(name)
    }

    fn look_up(&mut self, inner: &str, node: &Node, path: &str) -> String {
        if let Some(file) = inner.strip_prefix("file:") {
            return self.read(file, node, path);
        }
        let (name, otherwise) = match inner.split_once(":-") {
            Some((name, otherwise)) => (name, Some(otherwise)),
            None => (inner, None),
        };
        let found = environment(name).or_else(|| otherwise.map(str::to_owned));
        found.unwrap_or_else(|| {
            self.absent(node, path, &format!("the environment variable {name} is not set"))
        })
    }

    fn read(&mut self, name: &str, node: &Node, path: &str) -> String {
        let file = node.beside(self.root, name);
        let read = content(&file);
        self.files.push(file);
        match read {
            Ok(text) => {
                text.strip_suffix('\n').map_or(text.as_str(), |text| text.trim_end_matches('\r')).to_owned()
            }
            Err(cause) => self.absent(node, path, &format!("the file `{name}` cannot be read: {cause}")),
        }
    }

    fn absent(&mut self, node: &Node, path: &str, message: &str) -> String {
        match self.missing {
            Missing::Placeholder => PLACEHOLDER.to_owned(),
            Missing::Fault => {
                self.fault(node, path, message);
                String::new()
            }
        }
    }

    fn fault(&mut self, node: &Node, path: &str, message: &str) {
        self.problems.push(Problem::new(path, node.at.as_ref(), message));
    }
}

fn content(file: &Path) -> Result<String, String> {
    let size = std::fs::metadata(file).map_err(|cause| cause.to_string())?.len();
    if size > LONGEST {
        return Err(format!("it is larger than {LONGEST} bytes"));
    }
    std::fs::read_to_string(file).map_err(|cause| cause.to_string())
}

/// A variable of the environment that is set and not empty.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
