//! A key of a deployment: what becomes of it in a request, when it may be used, and what it has been doing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Serialize, Serializer};

use crate::clock::{self, Instant};
use crate::config::Secret;
use crate::error::{Failure, Kind};
use crate::live;
use crate::provider::presets::Auth;
use crate::secret::{Keeper, Renewal, Token};
use crate::send::alarm::Due;

/// A key of a deployment, as the headers it becomes.
pub struct Credential {
    /// Its name in statistics, errors and `route()`; never the key.
    pub id: Arc<str>,
    /// All headers of a request but those of the call itself, and but the key where that is fetched.
    pub headers: HeaderMap,
    /// When it may be used.
    pub window: Window,
    /// What it has been doing, shared with every deployment that uses the key.
    pub live: Arc<live::Credential>,
    /// What it has met at this deployment.
    pub relation: Arc<live::Relation>,
    pub(super) owner: Owner,
    pub(super) held: Held,
}

/// Whose key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// The configuration's, for everybody.
    House,
    /// A tenant's, or one call's own: its limits are not those of the others.
    Guest,
}

/// How the key is had.
#[derive(Clone)]
pub(super) enum Held {
    /// It stands in the headers, or there is none.
    Written,
    /// It is fetched, and goes into this header.
    Kept(Arc<Keeper>, Auth),
}

/// Between which moments of calendar time a key may be used, each since the Unix epoch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    /// Not before.
    pub not_before: Option<Duration>,
    /// Not from then on.
    pub not_after: Option<Duration>,
}

/// May a key be used?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Yes.
    Usable,
    /// It was refused and is left alone for a while; asked last.
    Disabled,
    /// It was throttled, and the upstream said for how long: until then a probe at most is sent with it.
    Throttled,
    /// Its source fails and is left alone for a while; asked last.
    NoToken,
    /// Not yet.
    NotYetValid,
    /// No longer.
    Expired,
}

impl KeyState {
    /// Is it as good as any?
    pub fn is_usable(self) -> bool {
        self == Self::Usable
    }

    /// Is it outside its window, so that it is not used at all?
    pub fn is_outside_window(self) -> bool {
        matches!(self, Self::NotYetValid | Self::Expired)
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Usable => "usable",
            Self::Disabled => "out of use after it was refused",
            Self::Throttled => "left alone for as long as the upstream asked",
            Self::NoToken => "waiting for its source, which fails",
            Self::NotYetValid => "not yet valid",
            Self::Expired => "expired",
        })
    }
}

impl Serialize for KeyState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Window {
    /// Where `wall` lies.
    pub fn at(&self, wall: Duration) -> KeyState {
        if self.not_after.is_some_and(|end| wall >= end) {
            KeyState::Expired
        } else if self.not_before.is_some_and(|start| wall < start) {
            KeyState::NotYetValid
        } else {
            KeyState::Usable
        }
    }

    fn is_open(&self) -> bool {
        self.not_before.is_none() && self.not_after.is_none()
    }
}

/// The right to make one attempt with a key.
#[derive(Clone, Debug)]
pub enum Pass {
    /// The key stands in the headers.
    Written,
    /// This one.
    Token(Arc<Token>),
}

/// May a call ask once more with a renewed key?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Yes.
    Yes,
    /// It has done so.
    Done,
    /// It may send nothing more.
    NoRequestLeft,
}

impl Credential {
    /// The same key at another address, where nothing is known of it and nothing learned holds here.
    pub(super) fn elsewhere(&self, live: Arc<live::Credential>) -> Self {
        Self {
            id: Arc::clone(&self.id),
            headers: self.headers.clone(),
            window: self.window,
            live,
            relation: Arc::default(),
            owner: Owner::Guest,
            held: self.held.clone(),
        }
    }

    /// Is it a tenant's or a call's own?
    pub fn is_guests(&self) -> bool {
        self.owner == Owner::Guest
    }

    /// May it be used at `now`?
    pub fn state(&self, now: Instant) -> KeyState {
        // Most keys are good for ever: the calendar is not asked for them.
        if !self.window.is_open() {
            let state = self.window.at(clock::wall());
            if state != KeyState::Usable {
                return state;
            }
        }
        if self.live.is_disabled(now) {
            return KeyState::Disabled;
        }
        if self.relation.rest.lasts(now) {
            return KeyState::Throttled;
        }
        match &self.held {
            Held::Kept(keeper, _) if keeper.is_without(now) => KeyState::NoToken,
            _ => KeyState::Usable,
        }
    }

    /// The key for one attempt, fetched where it must be.
    ///
    /// # Errors
    ///
    /// [`Kind::Authentication`] where its source gives none; [`Kind::Deadline`] where the call ends first.
    pub async fn pass(&self, deadline: Due) -> Result<Pass, Failure> {
        let pass = self.key(deadline).await?;
        self.live.asked();
        Ok(pass)
    }

    /// As [`Self::pass`], for an attempt that statistics know nothing of.
    ///
    /// # Errors
    ///
    /// As [`Self::pass`].
    pub async fn key(&self, deadline: Due) -> Result<Pass, Failure> {
        Ok(match &self.held {
            Held::Written => Pass::Written,
            Held::Kept(keeper, _) => Pass::Token(keeper.token(deadline).await?),
        })
    }

    /// The headers of an attempt, without those of the call itself.
    pub fn headers(&self, pass: &Pass) -> HeaderMap {
        let mut headers = self.headers.clone();
        if let (Held::Kept(_, auth), Pass::Token(token)) = (&self.held, pass) {
            write_key(&mut headers, *auth, token.value());
        }
        headers
    }

    /// An attempt answered.
    pub fn accepted(&self) {
        self.live.accepted();
        if let Held::Kept(keeper, _) = &self.held {
            keeper.accepted();
        }
    }

    /// An attempt failed. A key that can be renewed is judged when that has been tried ([`Self::renewed`]).
    pub fn failed(&self, kind: Kind) {
        self.live.failed();
        let is_renewable = kind == Kind::Authentication && matches!(self.held, Held::Kept(..));
        if kind.rule().disables_credential && !is_renewable {
            self.live.disable();
        }
    }

    /// After `failure` with `pass`: is there another key to ask the same deployment with? The source is asked once
    /// for all calls that met the refusal.
    pub async fn renewed(&self, pass: &Pass, failure: &Failure, again: Again, deadline: Due) -> Renewal {
        let (Held::Kept(keeper, _), Pass::Token(token)) = (&self.held, pass) else { return Renewal::Same };
        if failure.kind != Kind::Authentication {
            return Renewal::Same;
        }
        match again {
            Again::NoRequestLeft => keeper.doubt(token),
            Again::Yes if keeper.renew(token, deadline).await == Renewal::Changed => return Renewal::Changed,
            Again::Yes | Again::Done => self.live.disable(),
        }
        Renewal::Same
    }
}

/// Writes `key` into the header of `auth`, unless the operator has written that himself.
pub(super) fn write_key(headers: &mut HeaderMap, auth: Auth, key: &Secret) {
    let (name, value) = match auth {
        Auth::Bearer => {
            let bearer = zeroize::Zeroizing::new(format!("Bearer {}", key.expose()));
            (AUTHORIZATION, HeaderValue::from_str(&bearer))
        }
        Auth::Header(name) => (HeaderName::from_static(name), HeaderValue::from_str(key.expose())),
    };
    if let Ok(mut value) = value
        && !headers.contains_key(&name)
    {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("id", &self.id).field("live", &self.live).finish_non_exhaustive()
    }
}
