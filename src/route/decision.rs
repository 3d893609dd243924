//! The straight answer to "why there?": what routing decided, without anything that keeps a connection open.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::credential::KeyState;
use super::deployment::Candidate;
use super::group::Role;
use super::standing::Standing;

/// What routing decided and why; the same record is shown by `route()` and goes with every reply.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Decision {
    /// The name the caller used; empty where it left the model open.
    pub requested: String,
    /// The model the call goes to.
    pub model: Arc<str>,
    /// The rule that picked it.
    pub rule: Option<Arc<str>>,
    /// What picked it, in a few words.
    pub why: Why,
    /// Who is asked, in order.
    pub candidates: Vec<Choice>,
    /// Who is not, and why.
    pub rejected: Vec<Rejected>,
    /// Keys that are not used now, or only when no other is left.
    pub idle_keys: Vec<IdleKey>,
    /// What else there is to know.
    pub notes: Vec<String>,
}

/// What picked the model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Why {
    /// The caller named it.
    #[default]
    Named,
    /// The caller named an alias of it.
    Alias,
    /// A rule did.
    Rule,
    /// It is the default.
    Default,
    /// It is the tenant's default.
    TenantDefault,
    /// The call names no model, so the first deployment serves it.
    AnyDeployment,
    /// It is the canary of this model.
    Canary(Arc<str>),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named => f.write_str("named by the caller"),
            Self::Alias => f.write_str("an alias the caller used"),
            Self::Rule => f.write_str("picked by a rule"),
            Self::Default => f.write_str("the default model"),
            Self::TenantDefault => f.write_str("the tenant's default model"),
            Self::AnyDeployment => f.write_str("no model is needed"),
            Self::Canary(of) => write!(f, "canary of {of}"),
        }
    }
}

impl Serialize for Why {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A deployment that is asked.
#[derive(Clone, Debug, Serialize)]
pub struct Choice {
    /// Who.
    #[serde(flatten)]
    pub label: Arc<Label>,
    /// Why that model is asked.
    pub role: Role,
    /// Why it stands where it stands.
    #[serde(serialize_with = "shown")]
    pub reason: Standing,
    /// How many of its keys can be used now.
    pub keys: usize,
}

/// What a deployment is called where it is asked.
#[derive(Debug, Serialize)]
pub struct Label {
    /// Its id, or `provider/model`.
    pub deployment: Arc<str>,
    /// The model of the configuration it serves here.
    pub model: Arc<str>,
}

impl Deref for Choice {
    type Target = Label;

    fn deref(&self) -> &Label {
        &self.label
    }
}

/// A deployment that is not asked.
#[derive(Clone, Debug, Serialize)]
pub struct Rejected {
    /// Its id, or `provider/model`.
    pub deployment: Arc<str>,
    /// The model of the configuration it would have served.
    pub model: Arc<str>,
    /// Why not.
    #[serde(serialize_with = "shown")]
    pub reason: Rejection,
}

/// A key that is not used now, or only when no other is left.
#[derive(Clone, Debug, Serialize)]
pub struct IdleKey {
    /// The deployment it is for.
    pub deployment: Arc<str>,
    /// Its id; never the key.
    pub key: Arc<str>,
    /// Why.
    pub reason: KeyState,
}

impl IdleKey {
    pub(super) fn of(candidate: &Candidate, reason: KeyState) -> Self {
        let (deployment, key) =
            (Arc::clone(&candidate.deployment.name), Arc::clone(&candidate.credential.id));
        Self { deployment, key, reason }
    }
}

/// Why a deployment is not asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It is in none of the regions that are allowed.
    Region,
    /// It cannot do what the call needs.
    Lacks(Need),
    /// The catalogue says that it cannot, and there is another one.
    ListedWithout(Need),
    /// The prompt is far too long for its context window.
    Window {
        /// Estimated.
        tokens: u64,
        /// In tokens.
        window: u64,
    },
    /// The tenant may not use this model.
    Denied,
    /// No key of it can be used.
    NoKey,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region => f.write_str("not in an allowed region"),
            Self::Lacks(need) => write!(f, "cannot do {need}"),
            Self::ListedWithout(need) => write!(f, "cannot do {need}, says the catalogue"),
            Self::Window { tokens, window } => {
                write!(f, "about {tokens} tokens do not fit its window of {window}")
            }
            Self::Denied => f.write_str("denied to the tenant"),
            Self::NoKey => f.write_str("no usable key"),
        }
    }
}

/// What a call needs of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Tools or functions.
    Tools,
    /// Images in the prompt.
    Vision,
    /// An answer held to a JSON schema.
    JsonSchema,
    /// Reasoning that is asked for.
    Reasoning,
    /// A stream.
    Stream,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tools => "tools",
            Self::Vision => "images",
            Self::JsonSchema => "JSON schemas",
            Self::Reasoning => "reasoning",
            Self::Stream => "streams",
        })
    }
}

fn shown<T: fmt::Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
