//! THE LOOP: the order of the stages, written once.
//!
//! A [`Call`] is what the caller asked for, in its own bytes; [`Engine::call`] leads it through route, admit, send
//! and judge until it is answered or nothing is left to try. Everything the loop decides with is in other
//! modules; what it does, and in which order, is only here.

mod flight;
mod hedging;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;

use crate::admit::{AttemptPermit, Gate, Purse};
use crate::caller;
use crate::chat::facts::{self, Facts, Wants};
use crate::chat::reply::Shape;
use crate::config::Secret;
use crate::engine::Engine;
use crate::error::{Attempt, Error, Kind};
use crate::reply::Answer;
use crate::retry::course::Course;
use crate::route;
use crate::secret::Renewal;
use crate::send::attempt::Landed;
use crate::settle::Story;
use flight::{Arrival, Asked};

/// What is asked of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A chat completion, whole or streamed.
    Chat,
    /// Embeddings.
    Embeddings,
    /// The provider's list of models.
    Models,
    /// Any other path below the base URL.
    Raw {
        /// The method.
        method: Method,
        /// Below the base URL, with a leading slash.
        path: String,
    },
}

impl Operation {
    /// What a proper reply looks like.
    pub(crate) fn shape(&self) -> Shape {
        match self {
            Self::Chat => Shape::Chat,
            Self::Embeddings => Shape::Embeddings,
            Self::Models => Shape::Models,
            Self::Raw { .. } => Shape::Any,
        }
    }

    /// Below the base URL, as OpenAI's endpoints are called.
    pub(crate) fn path(&self) -> &str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Embeddings => "/embeddings",
            Self::Models => "/models",
            Self::Raw { path, .. } => path,
        }
    }

    /// Does the body name a model that decides where the call goes?
    pub(crate) fn names_model(&self) -> bool {
        matches!(self, Self::Chat | Self::Embeddings)
    }
}

/// What the caller asked for. The body keeps its bytes; every attempt is patched from it anew.
#[derive(Clone, Debug)]
pub struct Call {
    /// What is asked.
    pub operation: Operation,
    /// The request's JSON; empty where there is none.
    pub body: Bytes,
    /// Per-call options.
    pub options: CallOptions,
}

/// Per-call options; what is absent is the configuration's.
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    /// Limits of an attempt, in the SDK's terms.
    pub timeout: TimeoutOptions,
    /// Attempts after the first that may have consumed capacity.
    pub max_retries: Option<u32>,
    /// The end of everything, from now.
    pub deadline: Option<Duration>,
    /// Headers to send; `None` removes one.
    pub headers: Vec<(String, Option<String>)>,
    /// Added to the URL.
    pub query: Vec<(String, String)>,
    /// Who calls, for limits and rules; never sent.
    pub user: Option<String>,
    /// As `user`.
    pub tenant: Option<String>,
    /// As `user`.
    pub key: Option<String>,
    /// 0 to 9; never sent.
    pub priority: Option<u8>,
    /// For rules; never sent.
    pub metadata: Vec<(String, String)>,
    /// The conversation it belongs to, for affinity and canaries; never sent.
    pub session: Option<String>,
    /// Only deployments in one of these regions (globs).
    pub regions: Vec<String>,
    /// A named preset of timeouts, retries, priority and concurrency.
    pub profile: Option<String>,
    /// Instead of the model's own fallbacks.
    pub fallbacks: Option<Vec<String>>,
    /// An address for this call alone.
    pub base_url: Option<String>,
    /// A key for this call alone.
    pub api_key: Option<Secret>,
    /// What the rules that are Python callables said, by their position; an error is why one could not say.
    pub verdicts: Vec<Result<bool, String>>,
    /// Money that the call shares with others.
    pub purse: Option<Arc<Purse>>,
}

/// Limits of an attempt as the OpenAI SDK (httpx) names them. `read` is a stream's first token and idle limit,
/// else the limit of the attempt.
#[derive(Clone, Copy, Debug, Default)]
pub struct TimeoutOptions {
    /// Opening a connection.
    pub connect: Option<Limit>,
    /// Between bytes of a stream; all of a whole reply.
    pub read: Option<Limit>,
    /// The upstream does not read.
    pub write: Option<Limit>,
    /// Waiting for a free connection.
    pub pool: Option<Limit>,
}

/// A limit the caller chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// None at all.
    Never,
    /// This long.
    After(Duration),
}

impl Limit {
    /// The limit as a duration; a century stands for none.
    pub(crate) fn duration(self) -> Duration {
        match self {
            Self::Never => Duration::from_hours(24 * 365 * 100),
            Self::After(limit) => limit,
        }
    }
}

/// A call that was answered, before its story is told.
#[derive(Debug)]
pub(crate) struct Landing {
    pub(crate) landed: Landed,
    pub(crate) history: Vec<Attempt>,
    pub(crate) attempt_permit: AttemptPermit,
}

impl Engine {
    /// Leads one call to an answer.
    ///
    /// # Errors
    ///
    /// One [`Error`] with the history of all attempts.
    pub async fn call(self: &Arc<Self>, call: Call) -> Result<Answer, Error> {
        let mut story = Story::begin(self, &call);
        match self.lead(&call, &mut story).await {
            Ok(landing) => Ok(Answer::new(landing, story)),
            Err(error) => {
                story.failed(&error);
                Err(error)
            }
        }
    }

    async fn lead(&self, call: &Call, story: &mut Story) -> Result<Landing, Error> {
        let snapshot = self.snapshot()?;
        snapshot.flood.as_ref().map_or(Ok(()), |flood| flood.count(&call.options))?;
        let facts = call.facts(snapshot.wants())?;
        let plan = route::plan(&snapshot, call, &facts, self.rng())?;
        story.planned(&plan, &facts);
        let deadline = snapshot.deadline(call, &plan, story.began());
        if deadline.at <= story.began() {
            return Err(Error::new(Kind::Deadline, "the deadline had passed before the call began"));
        }
        let metrics = self.recorded();
        let asked = Asked { snapshot: &snapshot, call, facts: &facts, plan: &plan, deadline, metrics };
        let mut course = Course::new(&plan, snapshot.retry(call, &plan), self.rng(), deadline.at);
        let mut gate = Gate::new(self, &snapshot, (call, &facts, &plan), deadline.at);
        let mut next = 0;
        loop {
            let entry = match gate.enter(&course, next).await {
                Ok(entry) => entry,
                Err(refusal) => {
                    next = course.turned_away(next, refusal).followed().await?;
                    continue;
                }
            };
            let (position, permit) = story.entered(self.live().store(), entry);
            let flight = match asked.flight(position, permit, &course).await? {
                Ok(flight) => flight,
                Err(failure) => {
                    next = course.without_key(position, failure).followed().await?;
                    continue;
                }
            };
            let mut arrival = self.send(flight, &asked, &mut gate, &mut course, story).await;
            arrival.told(self, &asked, story, &mut course);
            let Arrival { position, candidate, pass, permit, limits, outcome, .. } = arrival;
            let failure = match outcome {
                Ok(landed) => {
                    let history = course.succeeded(position, limits.started, &landed);
                    return Ok(Landing { landed, history, attempt_permit: permit });
                }
                Err(failure) => failure,
            };
            permit.settle_failed(failure.kind);
            let renewal =
                candidate.credential.renewed(&pass, &failure, course.again(position), deadline).await;
            let verdict = match renewal {
                Renewal::Changed => course.renewed(position, limits.started, &failure),
                Renewal::Same => course.judge(position, limits.started, failure),
            };
            next = verdict.followed().await?;
        }
    }
}

impl Call {
    /// What the stages may know about the request.
    pub(crate) fn facts(&self, wants: Wants) -> Result<Facts, Error> {
        caller::check(&self.options)?;
        if !self.operation.names_model() {
            return Ok(Facts::default());
        }
        let facts = facts::scan(&self.body, wants)
            .map_err(|fault| Error::new(Kind::BadRequest, format!("the request is not JSON: {fault}")))?;
        if facts.odd_model {
            return Err(Error::new(Kind::BadRequest, "`model`: expected a name"));
        }
        Ok(facts)
    }
}
