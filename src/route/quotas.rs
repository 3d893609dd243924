//! The limits of a deployment: its own, those of its keys, and those of their whole accounts.
//!
//! A key's limit is shared by every deployment that says the same limit of the same key. Where deployments of one
//! provider say different numbers, they speak of different limits (providers have them by model): each number is
//! counted for itself. Counts are found again after a reload by the rank of a number among the others, not by the
//! number, so that a number may change while they last; one that overtakes another takes over its counts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use http::Method;

use crate::admit::Quota;
use crate::admit::opening::{self, Opening};
use crate::call::Operation;
use crate::config::{self, Config, LimitScope, Limits};
use crate::live::Live;
use crate::provider::endpoint::{self, Target};
use crate::provider::presets::{LimitProfile, Preset};
use crate::store::{Measure, Scope};

/// What each provider's deployments say of one limit of their keys, ascending.
#[derive(Debug, Default)]
pub(super) struct Numbers(BTreeMap<(String, &'static str, Duration), BTreeSet<u64>>);

impl Numbers {
    pub(super) fn of(config: &Config) -> Self {
        let mut numbers = Self::default();
        for deployment in config.models.values().flat_map(|model| &model.group.deployments) {
            let own = limits(deployment);
            for (measure, most, per) in opening::rates(&own) {
                let provider = config::provider_id(&config.providers, &deployment.provider);
                let key = (provider.to_owned(), measure.name(), per);
                numbers.0.entry(key).or_default().insert(most);
            }
        }
        numbers
    }

    fn rank(&self, provider: &str, (measure, most, per): (Measure, u64, Duration)) -> usize {
        let key = (provider.to_owned(), measure.name(), per);
        self.0.get(&key).map_or(0, |said| said.range(..most).count())
    }
}

/// An account of which the provider tells what kind it is, where the configuration does not.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Path and query where it tells.
    pub path: String,
    host: String,
}

impl Subscription {
    /// From now on it has the limits of `profile`. What was counted stays.
    pub fn settle(&self, profile: &'static LimitProfile, live: &Live) {
        live.remember_profile(&self.host, profile);
        drop(profiled(&self.host, profile, live));
    }
}

/// The profile of a deployment's account: as its provider was written, else as it told, else the usual one; and the
/// account, where it can tell.
///
/// # Errors
///
/// For a name that no profile has, as a sentence.
pub(super) fn profile(
    (preset, own): (&Preset, Option<&config::Provider>),
    place: Place<'_>,
    target: &Target,
    live: &Live,
) -> Result<(Option<&'static LimitProfile>, Option<Subscription>), String> {
    let named = own.and_then(|own| own.limit_profile.as_deref());
    let usual = preset.limit_profile(named)?.filter(|profile| place.model.ends_with(profile.models));
    let Some((path, profile)) = preset.account_path.zip(usual).filter(|_| named.is_none()) else {
        return Ok((usual, None));
    };
    let operation = Operation::Raw { method: Method::GET, path: path.to_owned() };
    let subscription =
        Subscription { path: endpoint::path(&operation, target, place.model), host: host(place) };
    Ok((Some(live.profile(&subscription.host).unwrap_or(profile)), Some(subscription)))
}

fn host(place: Place<'_>) -> String {
    format!("={}|{}", place.provider, place.base_url)
}

/// The limits of a profile, by key. They are the same for every model of its kind, so these share one count.
fn profiled(host: &str, profile: &LimitProfile, live: &Live) -> Vec<Quota> {
    let limits = Limits {
        requests_per_minute: Some(profile.requests_per_minute),
        requests_per_day: Some(profile.requests_per_day),
        ..Limits::default()
    };
    let keys = Opening { scope: Scope::Credential, store: live.store().as_ref() };
    keys.limits(&format!("{host} {}", profile.models), &limits)
}

/// Where a deployment stands: its provider, the address, and its identity.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) provider: &'a str,
    pub(super) base_url: &'a str,
    pub(super) model: &'a str,
}

/// The quotas of a deployment as it was written, at a provider of one's own where there is one, and with the limits
/// that its provider is known to have.
pub(super) fn quotas(
    written: &config::Deployment,
    (own, profile): (Option<&config::Provider>, Option<&LimitProfile>),
    place: Place<'_>,
    numbers: &Numbers,
    live: &Live,
) -> Arc<[Quota]> {
    let Place { provider, model, .. } = place;
    let store = live.store().as_ref();
    let (keys, here) =
        (Opening { scope: Scope::Credential, store }, Opening { scope: Scope::Deployment, store });
    let host = host(place);
    let itself = format!("{host}|{model}");
    let limits = limits(written);
    let mut quotas = Vec::new();
    for rate in opening::rates(&limits) {
        quotas.push(match written.limit_scope {
            LimitScope::Deployment => here.rate(&itself, rate, &limits),
            LimitScope::Credential => {
                let rank = numbers.rank(provider, rate);
                keys.rate(&format!("{host}#{rank}"), rate, &limits)
            }
        });
    }
    let slots = |most| match written.limit_scope {
        LimitScope::Deployment => here.slots(&itself, most, limits.dry_run.unwrap_or_default()),
        LimitScope::Credential => keys.slots(&itself, most, limits.dry_run.unwrap_or_default()),
    };
    quotas.extend(limits.concurrency.map(slots));
    quotas
        .extend(written.concurrency.map(|most| here.slots(&format!("{itself} all"), u64::from(most), false)));
    if let Some(own) = own {
        quotas.extend(keys.limits(&format!("{host} account"), &own.limits));
    }
    quotas.extend(profile.map(|profile| profiled(&host, profile, live)).into_iter().flatten());
    quotas.into()
}

/// The limits of a deployment, wherever they were written.
fn limits(written: &config::Deployment) -> Limits {
    let limits = &written.limits;
    Limits {
        requests_per_minute: written.requests_per_minute.or(limits.requests_per_minute),
        tokens_per_minute: written.tokens_per_minute.or(limits.tokens_per_minute),
        ..limits.clone()
    }
}

/// The requests a second that the limits of a deployment come to; `None` is not limited.
pub(super) fn per_second(quotas: &[Quota]) -> Option<f64> {
    let rates = quotas.iter().filter_map(|quota| {
        let limit = quota.account.limit();
        let per = limit.window.length().filter(|_| limit.measure == Measure::Requests)?;
        Some(limit.most as f64 / per.as_secs_f64())
    });
    rates.min_by(f64::total_cmp)
}
