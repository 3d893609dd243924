//! The reasoning of earlier turns, as it stands in the messages of a request.
//!
//! Hosts name it in two ways, and some refuse what others ask for: `DeepSeek` answers with 400 where
//! `reasoning_content` is missing, Groq where it is there. A conversation that moves from one to the other must
//! change its messages.

use super::json::{self, Fault};
use super::patch::{self, Edit};

/// Where it stands, in the message of an assistant: as text under two names, and in parts.
pub const NAMES: [&str; 3] = ["reasoning_content", "reasoning", "reasoning_details"];

/// How a host takes the reasoning of earlier turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thoughts {
    /// As the caller wrote it.
    AsWritten,
    /// As text under this name, one of [`NAMES`].
    Named(&'static str),
    /// Not at all.
    Refused,
}

impl Thoughts {
    /// `messages` as such a host takes them; `None` where that is as they are.
    ///
    /// # Errors
    /// Where `messages` is not JSON.
    pub fn told(self, messages: &[u8]) -> Result<Option<String>, Fault> {
        let edits = match self {
            Self::AsWritten => return Ok(None),
            Self::Named(own) => NAMES.map(|name| match name {
                "reasoning_details" => Edit::Remove(name),
                name => Edit::Rename(name, own),
            }),
            Self::Refused => NAMES.map(Edit::Remove),
        };
        patch::items(json::document(messages)?, &edits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TURNS: &str = r#"[ {"role":"user","content":"a \"reasoning\" b"},
        {"role":"assistant", "reasoning_content":"hm", "reasoning_details":[{"type":"x"}], "content":"1"},{"role":"assistant","content":null,"reasoning":"so","tool_calls":[{"id":"c"}]} ]"#;

    fn told(thoughts: Thoughts, messages: &str) -> Option<String> {
        thoughts.told(messages.as_bytes()).expect("they are JSON")
    }

    #[test]
    fn a_host_that_refuses_reasoning_gets_none_and_every_other_byte_as_it_was() {
        let expected = r#"[ {"role":"user","content":"a \"reasoning\" b"},
        {"role":"assistant", "content":"1"},{"role":"assistant","content":null,"tool_calls":[{"id":"c"}]} ]"#;
        assert_eq!(told(Thoughts::Refused, TURNS).as_deref(), Some(expected));
    }

    #[test]
    fn a_host_with_a_name_of_its_own_gets_reasoning_under_that() {
        let expected = r#"[ {"role":"user","content":"a \"reasoning\" b"},
        {"role":"assistant", "reasoning":"hm", "content":"1"},{"role":"assistant","content":null,"reasoning":"so","tool_calls":[{"id":"c"}]} ]"#;
        assert_eq!(told(Thoughts::Named("reasoning"), TURNS).as_deref(), Some(expected));
    }

    #[test]
    fn reasoning_under_both_names_is_sent_once() {
        let both = r#"[{"role":"assistant","reasoning":"hm","reasoning_content":"hm","content":"1"}]"#;
        let once = r#"[{"role":"assistant","reasoning_content":"hm","content":"1"}]"#;
        assert_eq!(told(Thoughts::Named("reasoning_content"), both).as_deref(), Some(once));
    }

    #[test]
    fn messages_without_reasoning_stay_as_they_are() {
        for messages in [r#"[{"role":"user","content":"hm"}]"#, "[]", "null", r#"["hm", 1, {}]"#, r#""hm""#] {
            assert_eq!(told(Thoughts::Refused, messages), None, "{messages}");
        }
        assert_eq!(told(Thoughts::AsWritten, TURNS), None);
    }
}
