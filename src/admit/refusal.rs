//! Why a candidate may not be asked now, and what is raised where none may.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::line::TurnedAway;
use crate::clock;
use crate::error::{Failure, Kind, LimitReached};
use crate::live::learned::Source;
use crate::provider::price::Nano;
use crate::route::Deployment;
use crate::store::{Account, Limit, Measure, Scope, When, Window};

/// When it is worth coming back where nobody knows.
const SOON: Duration = Duration::from_secs(1);

/// Who stands in the way.
#[derive(Clone, Debug)]
pub(super) enum Why {
    /// A limit of ours.
    Limit(Limit),
    /// A budget of ours.
    Budget(Limit),
    /// A budget under which nothing without a price is asked.
    Unpriced(Limit),
    /// What the calls of the scope may spend together.
    Purse(Nano),
    /// What the provider has told or taught of its limits.
    Learned(Source),
    /// The provider refuses calls for being too many: it said for how long, or its breaker is open by that.
    Throttled,
    /// The provider asked to be left alone for a while, for another reason.
    Cooling,
    /// The breaker is open.
    Breaker,
    /// The breaker was opened by hand.
    Isolated,
    /// There is no candidate.
    Nobody,
}

impl Why {
    /// The limit or budget behind `account`.
    pub(super) fn of(account: &Account) -> Self {
        let limit = account.limit().clone();
        if limit.measure == Measure::Cost { Self::Budget(limit) } else { Self::Limit(limit) }
    }
}

/// Why a candidate may not be asked now.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    /// Who stands in the way.
    pub why: Why,
    /// Until when.
    pub when: When,
    /// When it is worth trying all candidates again: the soonest of what stands in the way of each.
    pub again: Option<Duration>,
    /// Does anything that stands in the way end when a slot is given back, which nobody can foretell?
    pub slots: bool,
    /// Which deployment it is about.
    pub deployment: Arc<str>,
    /// Does it stand in the way of whoever calls, whichever candidate is asked?
    pub is_callers: bool,
    /// Where it stands in the way of some callers only, and not of all behind them in line: a number for those.
    pub own: Option<u64>,
}

impl Refusal {
    /// `deployment` may not be asked.
    pub(super) fn of(deployment: &Deployment, why: Why, when: When) -> Self {
        let is_callers = match &why {
            // What costs too much here may be cheaper elsewhere, and a fallback is another model.
            Why::Limit(limit) => !matches!(limit.scope, Scope::Model | Scope::Deployment | Scope::Credential),
            _ => false,
        };
        let again = if let When::After(wait) = when { Some(wait) } else { None };
        let slots = when == When::GivenBack;
        Self { why, when, again, slots, deployment: Arc::clone(&deployment.name), is_callers, own: None }
    }

    /// The same, so much later.
    #[must_use]
    pub(super) fn later(self, elapsed: Duration) -> Self {
        let left = |wait: Duration| wait.saturating_sub(elapsed);
        let when = if let When::After(wait) = self.when { When::After(left(wait)) } else { self.when };
        Self { when, again: self.again.map(left), ..self }
    }

    /// There is nobody to ask.
    pub(super) fn nobody() -> Self {
        let deployment = Arc::default();
        let (why, when) = (Why::Nobody, When::Never);
        Self { why, when, again: None, slots: false, deployment, is_callers: false, own: None }
    }

    /// Why a call that stood in line was turned away: the line's word, about the limit it waited for.
    pub(super) fn turned_away(turned: &TurnedAway, last: Option<&Self>) -> Failure {
        let kind = match turned {
            TurnedAway::Full { .. } | TurnedAway::Shed { .. } => Kind::LimitExceeded,
            TurnedAway::Predicted { .. } | TurnedAway::TimedOut { .. } => Kind::QueueTimeout,
        };
        let about = last.map(Self::failure);
        let message = match &about {
            Some(about) => format!("{turned}: {}", about.message),
            None => turned.to_string(),
        };
        // The line knows how it moves, the limit when it has room.
        let room = last.and_then(Self::wait).unwrap_or_default();
        let limit = about.and_then(|about| about.limit);
        Failure { limit, retry_after: Some(turned.retry_after().max(room)), ..Failure::new(kind, message) }
    }

    /// The one to wait for, and to tell: a limit that ends, else a budget, else what is wrong with the deployments.
    #[must_use]
    pub(super) fn or_sooner(self, other: Option<Self>) -> Self {
        let Some(other) = other else { return self };
        let again = self.again.into_iter().chain(other.again).min();
        let slots = self.slots || other.slots;
        let own = match (self.is_callers, other.is_callers) {
            // Whoever else stands in the way, that does.
            (true, _) => self.own,
            (_, true) => other.own,
            // Whoever waits for something shared as well waits with the others.
            _ => self.own.and(other.own),
        };
        let told = if other.rank() <= self.rank() { other } else { self };
        Self { again, slots, own, ..told }
    }

    fn rank(&self) -> (u8, Duration) {
        let wait = match self.when {
            When::After(wait) => wait,
            When::GivenBack => Duration::ZERO,
            When::Never => Duration::MAX,
        };
        let class = match (&self.why, self.when) {
            (
                Why::Limit(_) | Why::Learned(_) | Why::Throttled | Why::Cooling,
                When::After(_) | When::GivenBack,
            ) => 0,
            (Why::Budget(_) | Why::Unpriced(_) | Why::Purse(_), _) => 1,
            (Why::Limit(_) | Why::Learned(_) | Why::Throttled | Why::Cooling, When::Never) => 2,
            (Why::Breaker | Why::Isolated | Why::Nobody, _) => 3,
        };
        (class, wait)
    }

    /// Is it worth standing in line for `patience`?
    pub(super) fn is_worth_waiting(&self, patience: Duration) -> bool {
        match (&self.why, self.when) {
            // Somebody else can serve or nobody can: a wait at an open breaker helps no one.
            (Why::Breaker | Why::Isolated | Why::Nobody | Why::Unpriced(_) | Why::Purse(_), _)
            | (_, When::Never) => false,
            (_, When::After(wait)) => wait <= patience,
            (_, When::GivenBack) => !patience.is_zero(),
        }
    }

    /// Does it stand in everybody's way, and not only in that of some callers?
    pub(super) fn is_shared(&self) -> bool {
        match &self.why {
            Why::Limit(limit) | Why::Budget(limit) | Why::Unpriced(limit) => limit.scope.is_shared(),
            Why::Purse(_) => false,
            _ => true,
        }
    }

    /// How long it lasts. Nobody knows when a slot is given back; it is worth coming back soon.
    pub(super) fn wait(&self) -> Option<Duration> {
        match self.when {
            When::After(wait) => Some(wait),
            When::GivenBack => Some(SOON),
            When::Never => None,
        }
    }

    /// What is raised where the call does not wait.
    pub(super) fn failure(&self) -> Failure {
        let again = match self.when {
            When::After(wait) => format!("; room in {}", shown(wait)),
            When::GivenBack | When::Never => String::new(),
        };
        match &self.why {
            Why::Limit(limit) => {
                let is_too_large = self.when == When::Never;
                let message = if is_too_large {
                    format!("this call is larger than the limit of {}", Named(limit))
                } else {
                    format!("the limit of {} is reached{again}", Named(limit))
                };
                Failure {
                    limit: Some(Box::new(reached(limit))),
                    should_retry: is_too_large.then_some(false),
                    ..self.told(Kind::LimitExceeded, message)
                }
            }
            Why::Budget(limit) => {
                let until = self.wait().map(|wait| format!("; it begins anew in {}", shown(wait)));
                let message = if self.when == When::Never {
                    format!("this call may cost more than the whole budget of {}", Named(limit))
                } else {
                    format!("the budget of {} is used up{}", Named(limit), until.unwrap_or_default())
                };
                let limit = Some(Box::new(reached(limit)));
                Failure { limit, ..self.told(Kind::BudgetExceeded, message) }
            }
            Why::Unpriced(limit) => {
                let message = format!(
                    "the price of {} is not known, and a budget with `unpriced = \"deny\"` holds",
                    self.deployment
                );
                let limit = Some(Box::new(reached(limit)));
                Failure { limit, ..self.told(Kind::BudgetExceeded, message) }
            }
            Why::Purse(most) => {
                let limit = LimitReached {
                    measure: Measure::Cost.name(),
                    scope: "scope",
                    most: Some(most.as_usd()),
                    window: "scope".to_owned(),
                    resets_at: None,
                };
                let message = format!("what the calls of this scope may spend together, {most}, is used up");
                Failure { limit: Some(Box::new(limit)), ..self.told(Kind::BudgetExceeded, message) }
            }
            Why::Learned(source) => {
                let (measure, most, told) = match source {
                    Source::Told(kind, most) => {
                        (kind.measure(), Some(*most as f64), "by what its provider told")
                    }
                    Source::Refusals => ("requests", None, "by what its refusals taught"),
                };
                let words = measure.replace('_', " ");
                let message = format!("{} has no room for more {words} {told}{again}", self.deployment);
                self.providers(measure, most, message)
            }
            Why::Throttled => {
                let message = format!("{} refuses calls for being too many{again}", self.deployment);
                self.providers("requests", None, message)
            }
            Why::Cooling => {
                let message = format!("{} asked to be left alone{again}", self.deployment);
                self.told(Kind::NoHealthyDeployment, message)
            }
            Why::Breaker => {
                let message = format!("{} is left alone after failures{again}", self.deployment);
                self.told(Kind::NoHealthyDeployment, message)
            }
            Why::Nobody => self.told(Kind::NoHealthyDeployment, "no deployment could be asked".to_owned()),
            Why::Isolated => {
                let message = format!("{} was isolated by hand", self.deployment);
                self.told(Kind::NoHealthyDeployment, message)
            }
        }
    }

    /// A limit of the provider's.
    fn providers(&self, measure: &'static str, most: Option<f64>, message: String) -> Failure {
        let scope = Scope::Credential.name();
        let limit = LimitReached { measure, scope, most, window: String::new(), resets_at: None };
        Failure { limit: Some(Box::new(limit)), ..self.told(Kind::LimitExceeded, message) }
    }

    fn told(&self, kind: Kind, message: String) -> Failure {
        Failure { retry_after: self.wait(), ..Failure::new(kind, message) }
    }
}

fn reached(limit: &Limit) -> LimitReached {
    let most = match limit.measure {
        Measure::Cost => Nano(limit.most).as_usd(),
        _ => limit.most as f64,
    };
    LimitReached {
        measure: limit.measure.name(),
        scope: limit.scope.name(),
        most: Some(most),
        window: window(&limit.window),
        resets_at: limit.window.ends(clock::wall()),
    }
}

/// The time a limit is for, in words.
fn window(window: &Window) -> String {
    match window {
        Window::Concurrency => "at once".to_owned(),
        Window::Sliding { length: per } | Window::Log { length: per } | Window::Bucket { per, .. } => {
            shown(*per)
        }
        Window::Calendar { every, .. } => every.name().to_owned(),
    }
}

fn shown(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds.fract() == 0.0 { format!("{seconds} s") } else { format!("{seconds:.2} s") }
}

/// A limit in a sentence.
struct Named<'a>(&'a Limit);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Limit { scope, measure, most, window: over, .. } = self.0;
        let (scope, measure, over) = (scope.name(), measure.name(), window(over));
        match self.0.measure {
            Measure::Cost => write!(f, "{} a {over} ({scope})", Nano(*most)),
            Measure::Concurrency => write!(f, "{most} at once ({scope})"),
            _ => write!(f, "{most} {} in {over} ({scope})", measure.replace('_', " ")),
        }
    }
}
