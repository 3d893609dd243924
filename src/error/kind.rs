//! The table of kinds: what each failure allows.

use std::fmt;

/// What failed. One kind is one Python exception class; [`Kind::rule`] is its row in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// 400: the request itself is wrong.
    BadRequest,
    /// 422: well-formed, but its content was refused.
    Unprocessable,
    /// Any other 4xx.
    Status,
    /// The prompt does not fit the model's window.
    ContextLength,
    /// The provider's content policy refused the prompt or the answer.
    ContentFiltered,
    /// 404, or an unknown model in any status.
    NotFound,
    /// The name of the model leads nowhere; nothing was sent.
    ModelNotFound,
    /// 401, or a 400 that means a bad key.
    Authentication,
    /// 403.
    PermissionDenied,
    /// Money or a long quota is used up: 402, `insufficient_quota`, spend limits, daily caps.
    Quota,
    /// 429 with a wait.
    RateLimit,
    /// 529, or 503 with a body that says overloaded.
    Overloaded,
    /// 5xx and 408.
    Server,
    /// 409.
    Conflict,
    /// No connection: refused, unreachable.
    Connect,
    /// This machine had no file descriptor left for a connection.
    LocalResource,
    /// The proxy wants credentials that it was not given.
    Proxy,
    /// The host name did not resolve.
    Dns,
    /// The TLS handshake failed.
    Tls,
    /// The connection was reset before the answer began.
    ConnectionReset,
    /// No connection within `timeouts.connect`.
    ConnectTimeout,
    /// The upstream stopped reading our request for `timeouts.write`.
    WriteTimeout,
    /// The response head did not complete within `timeouts.headers` of its first byte.
    HeadersTimeout,
    /// No content within `timeouts.first_token`.
    FirstTokenTimeout,
    /// A stream or body was silent for `timeouts.idle`, or without content for `timeouts.content_idle`.
    StreamIdleTimeout,
    /// The attempt took longer than its limit.
    AttemptTimeout,
    /// No free connection within `timeouts.pool`.
    PoolTimeout,
    /// The call's deadline passed.
    Deadline,
    /// The upstream broke HTTP framing.
    Protocol,
    /// The body ended early.
    Truncated,
    /// HTTP 200 that is not an answer.
    Malformed,
    /// A body, event, line or header block over its bound.
    TooLarge,
    /// A 3xx on an inference call; redirects are never followed.
    Redirect,
    /// The connection broke after content had been handed out.
    StreamInterrupted,
    /// The stream ended without saying that it was finished.
    StreamTruncated,
    /// The reader fell behind further than the buffer allows.
    ConsumerTooSlow,
    /// A stream event that is not one, after content had been handed out.
    MalformedStream,
    /// A limit of ours has no room, now or for so much.
    LimitExceeded,
    /// No room under our limits came in time.
    QueueTimeout,
    /// A budget of ours is used up.
    BudgetExceeded,
    /// Another attempt of the same call answered first; never raised, only told.
    Superseded,
    /// Every candidate was refused, open or spent.
    NoHealthyDeployment,
    /// The configuration or the call's own arguments are wrong; nothing was sent.
    Config,
    /// The client was closed.
    ClientClosed,
    /// A defect in fairlead.
    Internal,
}

/// May the same deployment and credential be tried again, before commit?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Same {
    /// No.
    Never,
    /// At once or after backoff with the base for broken connections and servers.
    Backoff,
    /// After the upstream's own wait, or backoff with the larger base for throttling.
    Wait,
}

/// May another deployment or credential be tried, before commit?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// No.
    Never,
    /// Yes, at once.
    Yes,
    /// Only one with a larger context window.
    LargerWindow,
    /// Only where policy allows (content filters).
    IfPolicyAllows,
}

/// What a breaker sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blow {
    /// Nothing.
    None,
    /// A failure in the ratio only.
    Ratio,
    /// A hard failure.
    Hard,
}

/// A row of the table: what a failure of this kind allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The same deployment and credential again.
    pub same: Same,
    /// Another deployment or credential.
    pub other: Other,
    /// For the breaker.
    pub breaker: Blow,
    /// May whoever called us try again, after our own attempts are spent?
    pub outer: bool,
    /// Was the request refused before any work was done, so that it does not count as an attempt?
    pub refused_before_work: bool,
    /// Is the credential, rather than the deployment, what failed?
    pub disables_credential: bool,
}

const fn rule(same: Same, other: Other, breaker: Blow, outer: bool) -> Rule {
    Rule { same, other, breaker, outer, refused_before_work: false, disables_credential: false }
}

const fn refused(other: Other, breaker: Blow, outer: bool, same: Same, disables_credential: bool) -> Rule {
    Rule { same, other, breaker, outer, refused_before_work: true, disables_credential }
}

impl Kind {
    /// The row of the error table for this kind.
    pub const fn rule(self) -> Rule {
        match self {
            Self::BadRequest | Self::Unprocessable | Self::Status | Self::Redirect | Self::TooLarge => {
                rule(Same::Never, Other::Never, Blow::None, false)
            }
            Self::ContextLength => rule(Same::Never, Other::LargerWindow, Blow::None, false),
            Self::ContentFiltered => rule(Same::Never, Other::IfPolicyAllows, Blow::None, false),
            Self::NotFound => refused(Other::Yes, Blow::None, false, Same::Never, false),
            Self::Authentication | Self::PermissionDenied | Self::Quota => {
                refused(Other::Yes, Blow::None, false, Same::Never, true)
            }
            Self::RateLimit => rule(Same::Wait, Other::Yes, Blow::Ratio, true),
            Self::Overloaded => rule(Same::Wait, Other::Yes, Blow::Hard, true),
            Self::Conflict => rule(Same::Backoff, Other::Yes, Blow::None, true),
            Self::Connect | Self::Dns => refused(Other::Yes, Blow::Hard, true, Same::Backoff, false),
            Self::Tls => refused(Other::Yes, Blow::Hard, true, Same::Never, false),
            // Ours to mend, and the same whoever is asked; descriptors come back, credentials do not.
            Self::LocalResource => refused(Other::Never, Blow::None, true, Same::Never, false),
            Self::Proxy => refused(Other::Never, Blow::None, false, Same::Never, false),
            Self::Server
            | Self::ConnectionReset
            | Self::ConnectTimeout
            | Self::WriteTimeout
            | Self::HeadersTimeout
            | Self::FirstTokenTimeout
            | Self::StreamIdleTimeout
            | Self::AttemptTimeout
            | Self::Protocol
            | Self::Truncated
            | Self::Malformed => rule(Same::Backoff, Other::Yes, Blow::Hard, true),
            Self::PoolTimeout => rule(Same::Backoff, Other::Yes, Blow::None, true),
            // After commit nothing is retried by us; the caller decides with what was received.
            Self::StreamInterrupted | Self::StreamTruncated | Self::MalformedStream => {
                rule(Same::Backoff, Other::Yes, Blow::Hard, true)
            }
            Self::ConsumerTooSlow => rule(Same::Never, Other::Never, Blow::None, false),
            Self::NoHealthyDeployment => rule(Same::Never, Other::Never, Blow::None, true),
            // Ours, before anything was sent: no upstream is to blame, and whoever waited here need not wait again.
            Self::LimitExceeded | Self::QueueTimeout => {
                refused(Other::Yes, Blow::None, true, Same::Never, false)
            }
            Self::BudgetExceeded => refused(Other::Yes, Blow::None, false, Same::Never, false),
            Self::Superseded
            | Self::Deadline
            | Self::ModelNotFound
            | Self::Config
            | Self::ClientClosed
            | Self::Internal => rule(Same::Never, Other::Never, Blow::None, false),
        }
    }
}

impl Kind {
    /// The Python class that is raised for it. `Superseded` has none.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadRequest => "BadRequestError",
            Self::Unprocessable => "UnprocessableEntityError",
            Self::Status => "APIStatusError",
            Self::ContextLength => "ContextLengthExceeded",
            Self::ContentFiltered => "ContentFiltered",
            Self::NotFound => "NotFoundError",
            Self::ModelNotFound => "ModelNotFound",
            Self::Authentication => "AuthenticationError",
            Self::PermissionDenied => "PermissionDeniedError",
            Self::Quota => "QuotaExceeded",
            Self::RateLimit => "RateLimitError",
            Self::Overloaded => "OverloadedError",
            Self::Server => "InternalServerError",
            Self::Conflict => "ConflictError",
            Self::Connect => "ConnectError",
            Self::LocalResource => "LocalResourceError",
            Self::Proxy => "ProxyError",
            Self::Dns => "DnsError",
            Self::Tls => "TLSError",
            Self::ConnectionReset => "ConnectionReset",
            Self::ConnectTimeout => "ConnectTimeout",
            Self::WriteTimeout => "WriteTimeout",
            Self::HeadersTimeout => "HeadersTimeout",
            Self::FirstTokenTimeout => "FirstTokenTimeout",
            Self::StreamIdleTimeout => "StreamIdleTimeout",
            Self::AttemptTimeout => "AttemptTimeout",
            Self::PoolTimeout => "PoolTimeout",
            Self::Deadline => "DeadlineExceeded",
            Self::Protocol => "ProtocolError",
            Self::Truncated => "ResponseTruncated",
            Self::Malformed => "MalformedResponse",
            Self::TooLarge => "ResponseTooLarge",
            Self::Redirect => "UnexpectedRedirect",
            Self::StreamInterrupted => "StreamInterrupted",
            Self::StreamTruncated => "StreamTruncated",
            Self::ConsumerTooSlow => "ConsumerTooSlow",
            Self::MalformedStream => "MalformedStream",
            Self::LimitExceeded => "LimitExceeded",
            Self::QueueTimeout => "QueueTimeout",
            Self::BudgetExceeded => "BudgetExceeded",
            Self::Superseded => "Superseded",
            Self::NoHealthyDeployment => "NoHealthyDeployment",
            Self::Config => "ConfigError",
            Self::ClientClosed => "ClientClosed",
            Self::Internal => "InternalError",
        }
    }

    /// Did the upstream never see the request?
    pub const fn was_never_sent(self) -> bool {
        matches!(
            self,
            Self::Connect
                | Self::Dns
                | Self::Tls
                | Self::ConnectTimeout
                | Self::PoolTimeout
                | Self::LocalResource
                | Self::Proxy
                | Self::WriteTimeout
                | Self::Config
        )
    }

    /// May the provider have worked, and billed, before it failed this way?
    pub const fn may_have_worked(self) -> bool {
        matches!(
            self,
            Self::HeadersTimeout
                | Self::FirstTokenTimeout
                | Self::StreamIdleTimeout
                | Self::AttemptTimeout
                | Self::Deadline
                | Self::Protocol
                | Self::Truncated
                | Self::TooLarge
                | Self::StreamInterrupted
                | Self::StreamTruncated
                | Self::ConsumerTooSlow
                | Self::MalformedStream
                | Self::Superseded
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
