//! The one error: what failed, whose fault it was, what may be done next.
//!
//! A [`Failure`] is what one attempt ended in; an [`Error`] is what the call ended in: the failure the caller
//! should see, with the whole history of attempts. The table of kinds below is the only place that says what a
//! failure allows; nothing else in the crate matches on status codes to decide.

mod kind;
mod limit;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::config::problem::Problem;
pub use kind::{Blow, Kind, Other, Rule, Same};
pub use limit::LimitReached;

/// How one attempt ended badly. Plain data: no key, no prompt, no request header.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What failed.
    pub kind: Kind,
    /// Of a stream that broke, what broke it: what a provider says in it is meant as in a response.
    pub cause: Option<Kind>,
    /// One sentence with its numbers, for people.
    pub message: String,
    /// The HTTP status, where there was a response.
    pub status: Option<u16>,
    /// The response headers worth showing (an allow-list), lower-case names.
    pub headers: Vec<(String, String)>,
    /// The error body as received (bounded), for `.response.text`; empty without one.
    pub body: Bytes,
    /// The provider's own error code.
    pub code: Option<String>,
    /// The provider's own error type.
    pub error_type: Option<String>,
    /// The parameter the provider blames.
    pub param: Option<String>,
    /// The provider's request id.
    pub request_id: Option<String>,
    /// The wait the upstream asked for, wherever it said so.
    pub retry_after: Option<Duration>,
    /// `x-should-retry` from the upstream; it wins over the table.
    pub should_retry: Option<bool>,
    /// Was the failure found in the body of an HTTP 200?
    pub in_band: bool,
    /// Text received before a stream broke.
    pub partial: String,
    /// The limit of ours that refused.
    pub limit: Option<Box<LimitReached>>,
}

impl Failure {
    /// A failure of `kind` with nothing but a message.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            cause: None,
            message: message.into(),
            status: None,
            headers: Vec::new(),
            body: Bytes::new(),
            code: None,
            error_type: None,
            param: None,
            request_id: None,
            retry_after: None,
            should_retry: None,
            in_band: false,
            partial: String::new(),
            limit: None,
        }
    }

    /// What it says of the deployment.
    pub fn root(&self) -> Kind {
        self.cause.unwrap_or(self.kind)
    }
}

/// One line of a call's history.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The deployment tried, `provider/model`.
    pub deployment: String,
    /// What it ended in; `None` is success.
    pub kind: Option<Kind>,
    /// The HTTP status, where there was a response.
    pub status: Option<u16>,
    /// From the start of the attempt to its end.
    pub duration: Duration,
    /// The wait before it began.
    pub backoff: Duration,
    /// The provider's request id.
    pub request_id: Option<String>,
    /// Did it count against `max_retries`?
    pub counted: bool,
}

/// Why a call failed. Printed as a sentence; [`Error::kind`] and the predicates are for programs.
#[derive(Clone, Debug)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    failure: Failure,
    attempts: Vec<Attempt>,
    model: String,
    deployment: String,
    provider: String,
    url: String,
    retry_denied: Option<&'static str>,
    cause: Option<Error>,
    problems: Vec<Problem>,
}

/// What a call was about when it failed, for [`Error::about`].
#[derive(Clone, Debug, Default)]
pub struct Subject {
    /// The model the caller named.
    pub model: String,
    /// The deployment of the failure that is raised.
    pub deployment: String,
    /// Its provider.
    pub provider: String,
    /// Its URL without the query.
    pub url: String,
}

impl Error {
    /// An error of `kind` before anything was sent.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self::from_failure(Failure::new(kind, message))
    }

    /// A call that failed with `failure` as its only story so far.
    pub fn from_failure(failure: Failure) -> Self {
        Self(Box::new(Inner {
            failure,
            attempts: Vec::new(),
            model: String::new(),
            deployment: String::new(),
            provider: String::new(),
            url: String::new(),
            retry_denied: None,
            cause: None,
            problems: Vec::new(),
        }))
    }

    /// The same error with the history of the call.
    #[must_use]
    pub fn with_attempts(mut self, attempts: Vec<Attempt>) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// The same error with what the call was about.
    #[must_use]
    pub fn about(mut self, subject: Subject) -> Self {
        self.0.model = subject.model;
        self.0.deployment = subject.deployment;
        self.0.provider = subject.provider;
        self.0.url = subject.url;
        self
    }

    /// The same error, saying why no further attempt was made (`deadline`, `attempts`, `commit`, `budget`, `limits`).
    #[must_use]
    pub fn denied(mut self, why: &'static str) -> Self {
        self.0.retry_denied = Some(why);
        self
    }

    /// The same error, with the call's last failure where that is another one.
    #[must_use]
    pub fn caused_by(mut self, last: Self) -> Self {
        self.0.cause = Some(last);
        self
    }

    /// The same error, with everything that is wrong with a configuration.
    #[must_use]
    pub fn with_problems(mut self, problems: Vec<Problem>) -> Self {
        self.0.problems = problems;
        self
    }

    /// Everything that is wrong with a configuration; empty for any other error.
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// The call's last failure, where another one is raised.
    pub fn cause(&self) -> Option<&Self> {
        self.0.cause.as_ref()
    }

    /// What failed.
    pub fn kind(&self) -> Kind {
        self.0.failure.kind
    }

    /// The failure of the attempt that is raised.
    pub fn failure(&self) -> &Failure {
        &self.0.failure
    }

    /// Every attempt of the call, in order.
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.attempts
    }

    /// The model the caller named.
    pub fn model(&self) -> &str {
        &self.0.model
    }

    /// The deployment of the failure that is raised.
    pub fn deployment(&self) -> &str {
        &self.0.deployment
    }

    /// Its provider.
    pub fn provider(&self) -> &str {
        &self.0.provider
    }

    /// Its URL without the query.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// Why no further attempt was made.
    pub fn retry_denied(&self) -> Option<&'static str> {
        self.0.retry_denied
    }

    /// The wait the upstream asked for.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.failure.retry_after
    }

    /// May whoever called us try again?
    pub fn is_retryable(&self) -> bool {
        self.0.failure.should_retry.unwrap_or(self.kind().rule().outer)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { message, status, .. } = &self.0.failure;
        match status {
            Some(status) if *status != 200 => write!(f, "Error code: {status} - {message}")?,
            _ => f.write_str(message)?,
        }
        if self.0.attempts.len() > 1 {
            let total: Duration = self.0.attempts.iter().map(|attempt| attempt.duration).sum();
            write!(f, " ({} attempts in {:.1} s:", self.0.attempts.len(), total.as_secs_f64())?;
            for (position, attempt) in self.0.attempts.iter().enumerate() {
                let comma = if position == 0 { "" } else { "," };
                write!(f, "{comma} {} {}", attempt.deployment, Outcome(attempt))?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

/// How one attempt prints inside the sentence.
struct Outcome<'a>(&'a Attempt);

impl fmt::Display for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.kind, self.0.status) {
            (Some(kind), Some(status)) => write!(f, "{status} {kind}"),
            (Some(kind), None) => write!(f, "{kind}"),
            (None, _) => f.write_str("ok"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause().map(|cause| cause as _)
    }
}
