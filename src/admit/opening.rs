//! From limits and budgets as they are written to accounts of the store.

use std::time::Duration;

use super::scopes::Quota;
use crate::config::{Algorithm, Budget, Limits, Oversize, Unpriced};
use crate::error::{Error, Kind};
use crate::provider::price::Nano;
use crate::store::{self, Every, Limit, Measure, Scope, Store, Window, Zone};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Opens accounts of one scope.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// Whom they count for.
    pub scope: Scope,
    /// Where they are counted.
    pub store: &'a dyn Store,
}

impl Opening<'_> {
    /// The accounts of `name` for all that is limited; of one among several it begins with `=`, so that no name is
    /// taken for everyone's.
    ///
    /// # Errors
    ///
    /// [`Kind::Config`] for a time zone nobody knows.
    pub fn all(
        &self,
        name: &str,
        limits: Option<&Limits>,
        budget: Option<&Budget>,
    ) -> Result<Vec<Quota>, Error> {
        let mut quotas = limits.map(|limits| self.limits(name, limits)).unwrap_or_default();
        if let Some(budget) = budget {
            quotas.extend(self.budget(name, budget)?);
        }
        Ok(quotas)
    }

    /// The accounts of `name` for its limits.
    pub fn limits(&self, name: &str, limits: &Limits) -> Vec<Quota> {
        let rates = rates(limits).into_iter().map(|rate| self.rate(name, rate, limits));
        let slots = limits.concurrency.map(|most| self.slots(name, most, limits.dry_run.unwrap_or_default()));
        rates.chain(slots).collect()
    }

    /// The account of `name` for how many may run at once.
    pub fn slots(&self, name: &str, most: u64, shadow: bool) -> Quota {
        let measure = Measure::Concurrency;
        let identity = format!("{}{name} {}", self.scope.name(), measure.name()).into();
        let (window, oversize) = (Window::Concurrency, store::Oversize::Debt);
        self.open(Limit { scope: self.scope, measure, identity, most, window, oversize, shadow })
    }

    /// The account of `name` for one limit over a time.
    pub fn rate(&self, name: &str, (measure, most, per): (Measure, u64, Duration), limits: &Limits) -> Quota {
        let window = match limits.algorithm.unwrap_or_default() {
            Algorithm::Sliding => Window::Sliding { length: per },
            Algorithm::Log => Window::Log { length: per },
            Algorithm::TokenBucket => {
                Window::Bucket { per, burst: limits.burst.unwrap_or((most / 10).max(1)) }
            }
        };
        let oversize = match limits.oversize.unwrap_or_default() {
            Oversize::Wait => store::Oversize::Debt,
            Oversize::Reject => store::Oversize::Reject,
        };
        let identity = format!("{}{name} {}/{per:?}", self.scope.name(), measure.name()).into();
        let shadow = limits.dry_run.unwrap_or_default();
        self.open(Limit { scope: self.scope, measure, identity, most, window, oversize, shadow })
    }

    fn budget(&self, name: &str, budget: &Budget) -> Result<Vec<Quota>, Error> {
        let zone = match budget.timezone.as_deref() {
            None => Zone::utc(),
            Some(written) => Zone::parse(written).ok_or_else(|| {
                Error::new(Kind::Config, format!("`timezone`: no time zone is called `{written}` here"))
            })?,
        };
        let spans = [
            (Every::Hour, budget.hourly),
            (Every::Day, budget.daily),
            (Every::Week, budget.weekly),
            (Every::Month, budget.monthly),
        ];
        let quotas = spans.into_iter().filter_map(|(every, dollars)| {
            let most = Nano::from_usd(dollars?).0;
            let identity = format!("{}{name} cost/{}", self.scope.name(), every.name()).into();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a u64")]
            let soft = budget.soft.map(|share| (most as f64 * share) as u64);
            let limit = Limit {
                scope: self.scope,
                measure: Measure::Cost,
                identity,
                most,
                window: Window::Calendar { every, zone: zone.clone() },
                oversize: store::Oversize::Reject,
                shadow: false,
            };
            let needs_price = budget.unpriced == Some(Unpriced::Deny);
            Some(Quota { soft, needs_price, ..self.open(limit) })
        });
        Ok(quotas.collect())
    }

    fn open(&self, limit: Limit) -> Quota {
        Quota { account: self.store.account(limit), soft: None, needs_price: false }
    }
}

/// Every limit over a time: what it counts, how much, how long.
pub fn rates(limits: &Limits) -> Vec<(Measure, u64, Duration)> {
    let named = [
        (Measure::Requests, limits.requests_per_second, SECOND),
        (Measure::Requests, limits.requests_per_minute, MINUTE),
        (Measure::Requests, limits.requests_per_day, DAY),
        (Measure::Tokens, limits.tokens_per_minute, MINUTE),
        (Measure::Tokens, limits.tokens_per_day, DAY),
        (Measure::InputTokens, limits.input_tokens_per_minute, MINUTE),
        (Measure::OutputTokens, limits.output_tokens_per_minute, MINUTE),
    ];
    let further = limits.windows.iter().flatten().flat_map(|window| {
        [
            (Measure::Requests, window.requests, window.per),
            (Measure::Tokens, window.tokens, window.per),
            (Measure::InputTokens, window.input_tokens, window.per),
            (Measure::OutputTokens, window.output_tokens, window.per),
        ]
    });
    let all = named.into_iter().chain(further);
    all.filter_map(|(measure, most, per)| Some((measure, most?, per))).collect()
}
