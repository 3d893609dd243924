//! What a source answered: a key, and how long it is good for.

use std::time::Duration;

use http::HeaderValue;
use serde_json::Value;

use super::Fault;
use super::schedule;
use crate::config::Secret;

/// A key as it came from its source.
#[derive(Debug)]
pub struct Issued {
    /// The key.
    pub value: Secret,
    /// How long it is good for, where the source said so.
    pub lives: Option<Duration>,
}

impl Issued {
    /// A key that can stand in a header; `seconds` is what the source says of its life, whatever that is.
    ///
    /// # Errors
    ///
    /// What is wrong with it, without the key.
    pub fn key(key: &str, seconds: Option<f64>) -> Result<Self, Fault> {
        let wrong = if key.is_empty() {
            "what it gave is empty"
        } else if key.trim() != key {
            "what it gave begins or ends with white space"
        } else if HeaderValue::from_str(key).is_err() {
            "what it gave holds characters that cannot stand in a header"
        } else {
            return Ok(Self { value: Secret::new(key), lives: seconds.and_then(schedule::life) });
        };
        Err(Fault::Lasting(wrong.to_owned()))
    }

    /// Reads the answer of a token endpoint (RFC 6749, section 5.1). `expires_in` may be missing, a number or a
    /// number in a string.
    ///
    /// # Errors
    ///
    /// What is wrong with it, without the token.
    pub fn read(body: &[u8]) -> Result<Self, Fault> {
        let wrong = |what: &str| Fault::Lasting(what.to_owned());
        let mut answer: Value =
            serde_json::from_slice(body).map_err(|_| wrong("what it answered is not JSON"))?;
        if let Some(kind) = answer.get("token_type").and_then(Value::as_str)
            && !["bearer", "n_a"].iter().any(|known| kind.eq_ignore_ascii_case(known))
        {
            return Err(wrong("it issues tokens that are not of the type Bearer"));
        }
        let seconds = answer.get("expires_in").and_then(number);
        match answer.get_mut("access_token").map(Value::take) {
            Some(Value::String(token)) => Self::key(&zeroize::Zeroizing::new(token), seconds),
            _ => Err(wrong("its answer holds no access_token")),
        }
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lives(expires_in: &str) -> Option<u64> {
        let body = format!(r#"{{"access_token":"t","token_type":"Bearer","expires_in":{expires_in}}}"#);
        Issued::read(body.as_bytes()).unwrap().lives.map(|lives| lives.as_secs())
    }

    #[test]
    fn a_life_may_be_a_number_a_string_or_missing_and_an_absurd_one_is_capped() {
        assert_eq!(lives("3600"), Some(3600));
        assert_eq!(lives("3599.9"), Some(3599));
        assert_eq!(lives("\" 120 \""), Some(120));
        for capped in ["1e300", "999999999999", "\"99999999999999999999\""] {
            assert_eq!(lives(capped), Some(86_400), "{capped}");
        }
        for unknown in ["null", "0", "-5", "\"soon\"", "[]", "\"NaN\""] {
            assert_eq!(lives(unknown), None, "{unknown}");
        }
        assert_eq!(Issued::read(br#"{"access_token":"t"}"#).unwrap().lives, None);
    }

    #[test]
    fn an_answer_that_is_none_is_told_without_the_token() {
        let bodies = [
            "",
            "hush",
            "[]",
            r#"{"access_token":7}"#,
            r#"{"access_token":"hush\n"}"#,
            r#"{"access_token":""}"#,
            r#"{"access_token":"hush","token_type":"mac"}"#,
            r#"{"access_token":"hu\u0000sh"}"#,
        ];
        for body in bodies {
            let fault = Issued::read(body.as_bytes()).unwrap_err().to_string();
            assert!(!fault.contains("hu"), "{body}: {fault}");
        }
        assert!(Issued::read(br#"{"access_token":"t","token_type":"bEARER"}"#).is_ok());
        assert!(Issued::read(br#"{"access_token":"t","token_type":"N_A"}"#).is_ok());
    }
}
