//! The names of the language: variables and functions, with their spellings.

use super::value::Map;
use crate::chat::facts::Wants;
use crate::provider::presets::nearest;

/// What a value is, as far as the source alone tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Condition,
    Number,
    Text,
    List,
    Map,
    /// Known only when a call is there.
    Open,
}

/// What a rule may read of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variable {
    UserInput,
    Text,
    System,
    Tokens,
    HasTools,
    HasImages,
    Stream,
    Needs,
    Messages,
    MaxOutput,
    Metadata,
    User,
    Tenant,
    Key,
    Session,
    Headers,
    Model,
    Capabilities,
    Priority,
    Path,
    Hour,
    Weekday,
}

/// What can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Contains,
    ContainsAnyCase,
    StartsWith,
    EndsWith,
    Size,
    Lower,
    Upper,
    Int,
    Float,
    Has,
    Get,
}

const VARIABLES: [(&str, Variable); 24] = [
    ("user_input", Variable::UserInput),
    ("last_user_text", Variable::UserInput),
    ("text", Variable::Text),
    ("system", Variable::System),
    ("tokens", Variable::Tokens),
    ("has_tools", Variable::HasTools),
    ("has_images", Variable::HasImages),
    ("stream", Variable::Stream),
    ("needs", Variable::Needs),
    ("messages", Variable::Messages),
    ("max_output", Variable::MaxOutput),
    ("metadata", Variable::Metadata),
    ("user_metadata", Variable::Metadata),
    ("user", Variable::User),
    ("tenant", Variable::Tenant),
    ("key", Variable::Key),
    ("session", Variable::Session),
    ("headers", Variable::Headers),
    ("model", Variable::Model),
    ("capabilities", Variable::Capabilities),
    ("priority", Variable::Priority),
    ("path", Variable::Path),
    ("hour", Variable::Hour),
    ("weekday", Variable::Weekday),
];

const FUNCTIONS: [(&str, Function); 17] = [
    ("contains", Function::Contains),
    ("icontains", Function::ContainsAnyCase),
    ("startsWith", Function::StartsWith),
    ("starts_with", Function::StartsWith),
    ("startswith", Function::StartsWith),
    ("endsWith", Function::EndsWith),
    ("ends_with", Function::EndsWith),
    ("endswith", Function::EndsWith),
    ("size", Function::Size),
    ("len", Function::Size),
    ("lower", Function::Lower),
    ("upper", Function::Upper),
    ("int", Function::Int),
    ("float", Function::Float),
    ("double", Function::Float),
    ("has", Function::Has),
    ("get", Function::Get),
];

impl Variable {
    pub(super) fn named(name: &str) -> Option<Self> {
        VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, variable)| *variable)
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::HasTools | Self::HasImages | Self::Stream => Kind::Condition,
            Self::Tokens | Self::Messages | Self::MaxOutput | Self::Priority | Self::Hour | Self::Weekday => {
                Kind::Number
            }
            Self::Needs | Self::Capabilities => Kind::List,
            Self::Metadata | Self::Headers => Kind::Map,
            _ => Kind::Text,
        }
    }

    /// The map it is, if it is one.
    pub(super) fn map(self) -> Option<Map> {
        match self {
            Self::Metadata => Some(Map::Metadata),
            Self::Headers => Some(Map::Headers),
            _ => None,
        }
    }

    pub(super) fn wants(self) -> Wants {
        match self {
            Self::Text => Wants::TEXT,
            Self::System => Wants::SYSTEM,
            Self::Hour | Self::Weekday => Wants::CLOCK,
            _ => Wants::NOTHING,
        }
    }
}

impl Function {
    pub(super) fn named(name: &str) -> Option<Self> {
        FUNCTIONS.iter().find(|(known, _)| *known == name).map(|(_, function)| *function)
    }

    /// The fewest and the most arguments, what a method is called on included.
    pub(super) fn arity(self) -> (usize, usize) {
        match self {
            Self::Contains | Self::ContainsAnyCase | Self::StartsWith | Self::EndsWith => (2, 2),
            Self::Get => (2, 3),
            Self::Size | Self::Lower | Self::Upper | Self::Int | Self::Float | Self::Has => (1, 1),
        }
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Contains | Self::ContainsAnyCase | Self::StartsWith | Self::EndsWith | Self::Has => {
                Kind::Condition
            }
            Self::Size | Self::Int | Self::Float => Kind::Number,
            Self::Lower | Self::Upper => Kind::Text,
            Self::Get => Kind::Open,
        }
    }
}

/// What to say about a name that nothing has.
pub(super) fn unknown_variable(name: &str) -> String {
    if Function::named(name).is_some() {
        return format!("`{name}` is a function: call it, `{name}(...)`");
    }
    match nearest(name, VARIABLES.iter().map(|(known, _)| *known)) {
        Some(known) => format!("unknown name `{name}`; did you mean `{known}`?"),
        None => {
            format!("unknown name `{name}`; what the caller passes is `metadata.{name}`, a text has quotes")
        }
    }
}

/// What to say about a call of a function that does not exist.
pub(super) fn unknown_function(name: &str) -> String {
    if name == "matches" {
        return "`matches` is not part of the language: use `contains`, `icontains`, `startsWith` and `endsWith`, \
                or a Python callable for a regular expression"
            .into();
    }
    match nearest(name, FUNCTIONS.iter().map(|(known, _)| *known)) {
        Some(known) => format!("unknown function `{name}`; did you mean `{known}`?"),
        None => format!("unknown function `{name}`"),
    }
}
