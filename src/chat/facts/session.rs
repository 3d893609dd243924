//! What tells that calls belong together.

use crate::chat::json::Str;

/// A conversation as the request names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Session {
    /// By what it is named.
    pub kind: SessionKind,
    /// Its name, never empty.
    pub value: String,
}

/// The member of a request that names its conversation; the first that is there counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SessionKind {
    /// `session_id`
    Session,
    /// `prompt_cache_key`
    CacheKey,
    /// `previous_response_id`
    Response,
    /// `thread_id`
    Thread,
}

const NAMES: [(&str, SessionKind); 4] = [
    ("session_id", SessionKind::Session),
    ("prompt_cache_key", SessionKind::CacheKey),
    ("previous_response_id", SessionKind::Response),
    ("thread_id", SessionKind::Thread),
];

/// What a request says of its conversation.
#[derive(Default)]
pub(super) struct Named<'a>([Option<Str<'a>>; 4]);

impl<'a> Named<'a> {
    /// Takes `value` if `name` names a conversation.
    pub(super) fn take(&mut self, name: &str, value: Option<Str<'a>>) {
        for ((known, _), slot) in NAMES.iter().zip(&mut self.0) {
            if *known == name {
                *slot = value.filter(|value| !value.is_empty());
            }
        }
    }

    pub(super) fn first(self) -> Option<Session> {
        let named = NAMES.iter().zip(self.0).find_map(|((_, kind), value)| Some((*kind, value?)));
        named.map(|(kind, value)| Session { kind, value: value.decode().into_owned() })
    }
}
