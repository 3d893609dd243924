//! What is wrong with a configuration: every fault at once, each with its place.

use std::fmt;

use super::tree::{Node, Origin, Place, Value};
use crate::error::{Error, Kind};
use crate::provider::presets;
use crate::retry::hint::scrub;

/// One fault, or one thing worth a warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, such as `models.smart.deployments[0].provider`; empty where it is the whole.
    pub path: String,
    /// Where it stands.
    pub at: Option<Place>,
    /// What is wrong. Holds no value that could be a key.
    pub message: String,
    /// What may have been meant.
    pub suggestion: Option<String>,
}

impl Problem {
    /// A fault of `path`.
    pub fn new(path: &str, at: Option<&Place>, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), at: at.cloned(), message: message.into(), suggestion: None }
    }

    /// By their places; what has none comes last.
    pub(super) fn order(&self) -> (bool, Option<(&str, u32, u32)>) {
        (self.at.is_none(), self.at.as_ref().map(|at| (&*at.file, at.line, at.column)))
    }

    /// With its place in `tree`, where it has none.
    #[must_use]
    pub(super) fn at_home(self, tree: &Node) -> Self {
        let at = self.at.or_else(|| tree.place(&self.path).filter(|_| !self.path.is_empty()).cloned());
        Self { at, ..self }
    }

    /// With the one of `known` that is nearest to `name`, if any is near.
    #[must_use]
    pub fn or_nearest<'a>(mut self, name: &str, known: impl Iterator<Item = &'a str>) -> Self {
        self.suggestion = presets::nearest(name, known).map(str::to_owned);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = &self.at {
            write!(f, "{at}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "`{}`: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; did you mean `{suggestion}`?"),
            None => Ok(()),
        }
    }
}

/// One error that tells all of `problems`, each once; nothing that `tree` got from the environment is quoted.
pub fn error(problems: Vec<Problem>, tree: &Node) -> Error {
    let mut distinct: Vec<Problem> = Vec::with_capacity(problems.len());
    for problem in problems {
        if !distinct.contains(&problem) {
            distinct.push(problem);
        }
    }
    let hidden = hidden(tree);
    for problem in &mut distinct {
        problem.message = told(&problem.message, &hidden);
        problem.suggestion = problem.suggestion.take().map(|text| told(&text, &hidden));
    }
    let message = match distinct.as_slice() {
        [one] => one.to_string(),
        many => {
            let lines = many.iter().map(|problem| format!("\n  {problem}"));
            format!("{} faults in the configuration:{}", many.len(), lines.collect::<String>())
        }
    };
    Error::new(Kind::Config, message).with_problems(distinct)
}

/// The faults that `error` tells of a configuration; `path` is what it is about, unless it says so itself.
pub fn of(error: &Error, path: &str) -> Vec<Problem> {
    if !error.problems().is_empty() {
        return error.problems().to_vec();
    }
    let sentence = error.to_string();
    let below = sentence.strip_prefix('`').and_then(|sentence| sentence.split_once("`: "));
    let (path, message) = below.unwrap_or((path, &sentence));
    vec![Problem::new(path, None, message)]
}

/// `error`, which showed when the configuration in `tree` was put together, with the place of each fault.
pub fn placed(error: Error, tree: &Node) -> Error {
    if error.kind() != Kind::Config {
        return error;
    }
    let mut problems = of(&error, "");
    problems = problems.into_iter().map(|problem| problem.at_home(tree)).collect();
    problems.sort_by(|one, other| one.order().cmp(&other.order()));
    self::error(problems, tree)
}

/// Everything that came from the environment or a file of secrets.
fn hidden(tree: &Node) -> Vec<&str> {
    let mut hidden = Vec::new();
    tree.walk(&mut |node| {
        if let (Origin::Variable | Origin::Override, Value::Text(text)) = (node.origin, &node.value) {
            hidden.push(text.as_str());
        }
    });
    hidden.sort_unstable_by_key(|text| std::cmp::Reverse(text.len()));
    hidden
}

/// Short texts are only hidden where they are quoted whole: else they would tear words apart.
fn told(message: &str, hidden: &[&str]) -> String {
    let mut clean = message.to_owned();
    for text in hidden.iter().filter(|text| !text.is_empty() && message.contains(**text)) {
        clean = clean.replace(&format!("`{text}`"), "`***`");
        if text.len() >= 6 {
            clean = clean.replace(*text, "***");
        }
    }
    scrub(&clean)
}
