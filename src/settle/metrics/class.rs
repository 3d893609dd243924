//! What attempts and calls end in, in the words of labels.

use crate::error::Kind;

/// What an attempt ended in; every failure is in exactly one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    /// It answered.
    Ok,
    /// It broke, timed out, or the upstream had an error of its own.
    Transient,
    /// The upstream said that it is overloaded.
    Overloaded,
    /// It was one too many.
    Throttled,
    /// Money or quota is used up.
    Quota,
    /// The key was refused.
    Auth,
    /// The request was refused for what it is.
    Client,
    /// Nobody waited for it any more.
    Cancelled,
    /// It was ours to refuse.
    Local,
}

impl Class {
    /// All of them, by their number.
    pub const ALL: [Self; 9] = [
        Self::Ok,
        Self::Transient,
        Self::Overloaded,
        Self::Throttled,
        Self::Quota,
        Self::Auth,
        Self::Client,
        Self::Cancelled,
        Self::Local,
    ];

    /// The class of a failure.
    pub const fn of(kind: Kind) -> Self {
        match kind {
            Kind::BadRequest
            | Kind::Unprocessable
            | Kind::Status
            | Kind::ContextLength
            | Kind::ContentFiltered
            | Kind::NotFound
            | Kind::ModelNotFound
            | Kind::Config
            | Kind::Redirect
            | Kind::TooLarge
            | Kind::ConsumerTooSlow => Self::Client,
            Kind::Authentication | Kind::PermissionDenied => Self::Auth,
            Kind::Quota => Self::Quota,
            Kind::RateLimit => Self::Throttled,
            Kind::Overloaded => Self::Overloaded,
            Kind::Server
            | Kind::Conflict
            | Kind::Connect
            | Kind::Dns
            | Kind::Tls
            | Kind::ConnectionReset
            | Kind::ConnectTimeout
            | Kind::WriteTimeout
            | Kind::HeadersTimeout
            | Kind::FirstTokenTimeout
            | Kind::StreamIdleTimeout
            | Kind::AttemptTimeout
            | Kind::Deadline
            | Kind::Protocol
            | Kind::Truncated
            | Kind::Malformed
            | Kind::StreamInterrupted
            | Kind::StreamTruncated
            | Kind::MalformedStream => Self::Transient,
            Kind::PoolTimeout
            | Kind::LocalResource
            | Kind::Proxy
            | Kind::LimitExceeded
            | Kind::QueueTimeout
            | Kind::BudgetExceeded
            | Kind::NoHealthyDeployment
            | Kind::ClientClosed
            | Kind::Internal => Self::Local,
            Kind::Superseded => Self::Cancelled,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Transient => "transient",
            Self::Overloaded => "overloaded",
            Self::Throttled => "throttled",
            Self::Quota => "quota",
            Self::Auth => "auth",
            Self::Client => "client",
            Self::Cancelled => "cancelled",
            Self::Local => "local",
        }
    }
}

/// The phase of an attempt whose limit ended.
pub(super) const fn phase_of_attempt(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::ConnectTimeout => Some("connect"),
        Kind::PoolTimeout => Some("pool"),
        Kind::WriteTimeout => Some("write"),
        Kind::HeadersTimeout => Some("headers"),
        Kind::FirstTokenTimeout => Some("first_token"),
        Kind::StreamIdleTimeout => Some("idle"),
        Kind::AttemptTimeout => Some("attempt"),
        _ => None,
    }
}

/// The limit of a whole call that ended.
pub(super) const fn phase_of_call(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Deadline => Some("deadline"),
        Kind::QueueTimeout => Some("queue"),
        _ => None,
    }
}

/// The name of a kind in labels: `RateLimit` is `rate_limit`.
pub(super) fn snake(kind: Kind) -> String {
    let mut name = String::new();
    for letter in format!("{kind:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c1_a_class_is_found_by_its_number_and_named_once() {
        for (number, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, number);
            assert_eq!(Class::ALL.iter().filter(|other| other.name() == class.name()).count(), 1);
        }
    }

    #[test]
    fn kinds_are_named_as_labels_are() {
        assert_eq!(snake(Kind::RateLimit), "rate_limit");
        assert_eq!(snake(Kind::FirstTokenTimeout), "first_token_timeout");
        assert_eq!(snake(Kind::Tls), "tls");
    }
}
