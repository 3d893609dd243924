//! Tokens from an OAuth 2 issuer: client credentials (RFC 6749, section 4.4) and token exchange (RFC 8693).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::Value;
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

use super::{Fault, Fetch, Issued, file};
use crate::config::{ClientAuth, OAuth, Secret, TokenExchange};
use crate::retry::hint::scrub;
use crate::send::{Outgoing, Transport, errand};

/// One request to an issuer may take this long.
const EACH: Duration = Duration::from_secs(10);
/// The answer of an issuer is read up to here.
const LONGEST_ANSWER: usize = 256 << 10;
/// What an issuer says of an error is shown up to here.
const LONGEST_REASON: usize = 200;
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// Where an issuer listens.
#[derive(Clone, Debug)]
pub struct Address {
    /// How it is reached.
    pub transport: Arc<dyn Transport>,
    /// Path and query.
    pub path: String,
    /// Its URL without the query, for people.
    pub shown: String,
}

/// What is given for a token.
#[derive(Debug)]
enum Grant {
    Client,
    Exchange { subject: Subject, kind: String },
}

/// The token that is given for another.
#[derive(Debug)]
enum Subject {
    Written(Secret),
    File(PathBuf),
}

/// An issuer of tokens and what it is asked.
#[derive(Debug)]
pub struct Issuer {
    address: Address,
    name: String,
    grant: Grant,
    client: Option<(String, Option<Secret>)>,
    auth: ClientAuth,
    /// Scope and audience, in this order.
    extent: Vec<(&'static str, String)>,
}

impl Issuer {
    /// Client credentials.
    pub fn client(address: Address, written: &OAuth) -> Self {
        Self {
            name: format!("the issuer {}", address.shown),
            address,
            grant: Grant::Client,
            client: Some((written.client_id.clone(), written.client_secret.clone())),
            auth: written.client_auth,
            extent: extent(written.scope.as_ref(), written.audience.as_ref()),
        }
    }

    /// Token exchange; `None` unless exactly one subject token is written.
    pub fn exchange(address: Address, written: &TokenExchange) -> Option<Self> {
        let subject = match (&written.subject_token, &written.subject_token_file) {
            (Some(token), None) => Subject::Written(token.clone()),
            (None, Some(path)) => Subject::File(path.into()),
            _ => return None,
        };
        let kind = written.subject_token_type.clone().unwrap_or_else(|| JWT.to_owned());
        Some(Self {
            name: format!("the issuer {}", address.shown),
            address,
            grant: Grant::Exchange { subject, kind },
            client: written.client_id.clone().map(|id| (id, written.client_secret.clone())),
            auth: written.client_auth,
            extent: extent(written.scope.as_ref(), written.audience.as_ref()),
        })
    }

    async fn ask(&self) -> Result<Issued, Fault> {
        let subject = self.subject().await?;
        let request = Outgoing {
            method: Method::POST,
            path: self.address.path.clone(),
            headers: self.headers(),
            body: Bytes::from(self.body(subject.as_ref().map(|token| token.as_str()))),
            repeat: true,
        };
        let answer = errand::run(self.address.transport.as_ref(), &request, EACH, LONGEST_ANSWER).await;
        let (status, body) = answer.map_err(|broken| Fault::Passing(broken.message))?;
        match status {
            200..=299 => Issued::read(&body),
            408 | 429 | 500.. => Err(Fault::Passing(format!("it answered {status}"))),
            _ => {
                Err(Fault::Lasting(self.refusal(status, &body, subject.as_ref().map(|token| token.as_str()))))
            }
        }
    }

    async fn subject(&self) -> Result<Option<Zeroizing<String>>, Fault> {
        match &self.grant {
            Grant::Client => Ok(None),
            Grant::Exchange { subject: Subject::Written(token), .. } => {
                Ok(Some(Zeroizing::new(token.expose().to_owned())))
            }
            Grant::Exchange { subject: Subject::File(path), .. } => {
                let text =
                    Zeroizing::new(file::read(path.clone()).await.map_err(|fault| of_subject(&fault))?);
                Ok(Some(Zeroizing::new(text.trim().to_owned())))
            }
        }
    }

    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let agent = concat!("fairlead/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
        if let (ClientAuth::Basic, Some((id, Some(secret)))) = (self.auth, &self.client) {
            let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let pair = Zeroizing::new(format!("{}:{}", encoded(id), encoded(secret.expose())));
            let basic = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
            if let Ok(mut value) = HeaderValue::from_str(&basic) {
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
        }
        headers
    }

    fn body(&self, subject: Option<&str>) -> String {
        let mut form = Serializer::new(String::new());
        match (&self.grant, subject) {
            (Grant::Exchange { kind, .. }, Some(subject)) => {
                form.append_pair("grant_type", EXCHANGE);
                form.append_pair("subject_token", subject).append_pair("subject_token_type", kind);
            }
            _ => {
                form.append_pair("grant_type", "client_credentials");
            }
        }
        form.extend_pairs(&self.extent);
        match (&self.client, self.auth) {
            (Some((_, Some(_))), ClientAuth::Basic) | (None, _) => {}
            (Some((id, secret)), _) => {
                form.append_pair("client_id", id);
                form.extend_pairs(secret.iter().map(|secret| ("client_secret", secret.expose())));
            }
        }
        form.finish()
    }

    /// What the issuer says (RFC 6749, section 5.2), without anything it was given.
    fn refusal(&self, status: u16, body: &[u8], subject: Option<&str>) -> String {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        let said = ["error", "error_description"].map(|name| answer.get(name).and_then(Value::as_str));
        let reason = said.into_iter().flatten().collect::<Vec<_>>().join(": ");
        if reason.is_empty() {
            return format!("it answered {status}");
        }
        let secret = self.client.as_ref().and_then(|(_, secret)| secret.as_ref()).map(Secret::expose);
        let given = secret.into_iter().chain(subject).filter(|given| !given.is_empty());
        let reason = given.fold(reason, |reason, given| reason.replace(given, "***"));
        let reason: String =
            scrub(&reason).chars().filter(|c| !c.is_control()).take(LONGEST_REASON).collect();
        format!("it answered {status}: {reason}")
    }
}

fn extent(scope: Option<&String>, audience: Option<&String>) -> Vec<(&'static str, String)> {
    let named = [("scope", scope), ("audience", audience)];
    named.into_iter().filter_map(|(name, value)| Some((name, value?.clone()))).collect()
}

fn of_subject(fault: &Fault) -> Fault {
    Fault::Lasting(format!("the file of the subject token: {fault}"))
}

impl Fetch for Issuer {
    fn fetch(&self) -> BoxFuture<'_, Result<Issued, Fault>> {
        self.ask().boxed()
    }

    fn name(&self) -> &str {
        &self.name
    }
}
