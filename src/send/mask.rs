//! The keys of a request, taken out of whatever is told about its failure: some upstreams quote the key they refuse,
//! and not every key looks like one.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::Failure;

/// What is shorter is no secret, but a word such as `none` for a host that wants no key.
const SHORTEST: usize = 6;
/// What is shorter may be part of a word by chance, and goes only where it stands alone.
const LONG: usize = 8;

/// The keys of one request.
#[derive(Clone, Default)]
pub(super) struct Mask(Vec<HeaderValue>);

impl Mask {
    /// Of a request with these headers, whoever wrote them.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let keys = headers.iter().filter(|(name, value)| value.is_sensitive() || names_key(name));
        Self(keys.map(|(_, value)| value.clone()).collect())
    }

    /// The failure without them.
    #[must_use]
    pub(super) fn hide(&self, mut failure: Failure) -> Failure {
        for key in self.0.iter().filter_map(key) {
            let written = serde_json::Value::from(key).to_string();
            let written = written.trim_matches('"');
            let mut forms = vec![key.to_owned(), written.to_owned(), written.replace('/', "\\/")];
            forms.dedup();
            for form in &forms {
                clear(&mut failure, form);
            }
        }
        failure
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mask({} keys)", self.0.len())
    }
}

/// Does a header of this name hold a key?
fn names_key(name: &HeaderName) -> bool {
    let parts = ["authorization", "api-key", "apikey", "subscription-key", "token", "secret"];
    parts.iter().any(|part| name.as_str().contains(part))
}

/// The key in a header's value, without the scheme before it.
fn key(value: &HeaderValue) -> Option<&str> {
    let value = value.to_str().ok()?.trim();
    let key = value.rsplit(' ').next().unwrap_or(value);
    (key.len() >= SHORTEST).then_some(key)
}

fn clear(failure: &mut Failure, key: &str) {
    let Failure { code, error_type, param, request_id, .. } = failure;
    for text in [code, error_type, param, request_id].into_iter().flatten() {
        *text = without(text, key);
    }
    for (_, text) in &mut failure.headers {
        *text = without(text, key);
    }
    failure.message = without(&failure.message, key);
    if !failure.body.is_empty() {
        failure.body = Bytes::from(without(&String::from_utf8_lossy(&failure.body), key));
    }
}

/// `text` without `key`, nor the beginning of it where the text was cut.
fn without(text: &str, key: &str) -> String {
    let mut pieces = text.split(key);
    let mut clean = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let in_word = key.len() < LONG && (clean.ends_with(is_of_word) || piece.starts_with(is_of_word));
        clean.push_str(if in_word { key } else { "***" });
        clean.push_str(piece);
    }
    let mut beginnings = (LONG..key.len()).rev().filter_map(|length| key.get(..length));
    if let Some(rest) = beginnings.find_map(|beginning| clean.strip_suffix(beginning)) {
        clean = format!("{rest}***");
    }
    clean
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_')
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;
    use proptest::prelude::*;

    use super::*;
    use crate::error::Kind;

    fn told(name: HeaderName, value: &str, text: &str) -> Failure {
        let headers = HeaderMap::from_iter([(name, HeaderValue::from_str(value).expect("a header"))]);
        let failure = Failure {
            body: Bytes::from(text.to_owned()),
            code: Some(text.to_owned()),
            request_id: Some(text.to_owned()),
            headers: vec![("date".to_owned(), text.to_owned())],
            ..Failure::new(Kind::Authentication, text)
        };
        Mask::of(&headers).hide(failure)
    }

    #[test]
    fn a_key_goes_wherever_a_header_puts_it() {
        for (name, value) in [
            (AUTHORIZATION, "Bearer mytoken12"),
            (AUTHORIZATION, "mytoken12"),
            (HeaderName::from_static("x-goog-api-key"), "mytoken12"),
            (HeaderName::from_static("x-access-token"), "mytoken12"),
        ] {
            let failure = told(name, value, "no such key: mytoken12!");
            assert_eq!(failure.message, "no such key: ***!");
            assert_eq!(failure.body, "no such key: ***!");
            assert_eq!(failure.code.as_deref(), Some("no such key: ***!"));
            assert_eq!(failure.request_id.as_deref(), Some("no such key: ***!"));
            assert_eq!(failure.headers, [("date".to_owned(), "no such key: ***!".to_owned())]);
        }
    }

    #[test]
    fn a_key_goes_as_json_writes_it_and_where_the_text_was_cut() {
        for (key, text, clean) in [
            (r#"ab"cd\ef/gh"#, r#"{"m":"ab\"cd\\ef\/gh"}"#, r#"{"m":"***"}"#),
            (r#"ab"cd\ef/gh"#, r#"{"m":"ab\"cd\\ef/gh"}"#, r#"{"m":"***"}"#),
            ("1b9d6bcd-bbfd-4b2d", "refused: 1b9d6bcd-bbfd", "refused: ***"),
        ] {
            assert_eq!(told(AUTHORIZATION, &format!("Bearer {key}"), text).message, clean);
        }
    }

    #[test]
    fn words_that_are_hardly_keys_leave_the_text_as_it_is() {
        for (key, text) in [("none", "none of it"), ("ollama", "ollamas and ollama-3"), ("", "text")] {
            assert_eq!(told(AUTHORIZATION, &format!("Bearer {key}"), text).message, text);
        }
        assert_eq!(
            told(HeaderName::from_static("user-agent"), "mytoken12", "mytoken12").message,
            "mytoken12"
        );
    }

    proptest! {
        #[test]
        fn a_planted_key_never_survives(before in ".{0,20}", key in "[!-)+-~]{8,48}", after in ".{0,20}") {
            let text = format!("{before}{key}{after}");
            let failure = told(AUTHORIZATION, &format!("Bearer {key}"), &text);
            prop_assert!(!failure.message.contains(&key));
        }
    }
}
