//! What kind of account a key belongs to, where its provider tells: its limits follow from that.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;

use super::Place;
use crate::clock;
use crate::engine::Engine;
use crate::route::{Candidate, Subscription};
use crate::send::alarm::Due;
use crate::send::{Outgoing, errand};

/// The longest answer that is read, in bytes.
const LONGEST: usize = 64 << 10;

impl Engine {
    /// Asks the account of a place what kind it is. Whatever goes wrong, the limits stay as they are.
    pub(super) async fn learn_subscription(
        &self,
        (group, deployment): &Place,
        subscription: &Subscription,
        due: Due,
    ) {
        let Some(candidate) = Candidate::usable(deployment, group, clock::now()) else { return };
        let Ok(pass) = candidate.credential.key(due).await else { return };
        let request = Outgoing {
            method: Method::GET,
            path: subscription.path.clone(),
            headers: candidate.credential.headers(&pass),
            body: Bytes::new(),
            repeat: true,
        };
        let left = due.at.saturating_duration_since(clock::now());
        let answer = errand::run(deployment.transport.as_ref(), &request, left, LONGEST).await;
        if let Ok((200..=299, body)) = answer
            && let Some(profile) = deployment.preset.profile_told(&body)
        {
            subscription.settle(profile, self.live());
        }
    }
}

/// The accounts of all places, each once.
pub(super) fn subscriptions(places: &[Place]) -> Vec<(&Place, &Subscription)> {
    let mut found: Vec<(&Place, &Subscription)> = Vec::new();
    for place in places {
        let is_known =
            |(other, _): &(&Place, &Subscription)| Arc::ptr_eq(&other.1.transport, &place.1.transport);
        if let Some(subscription) = &place.1.subscription
            && !found.iter().any(is_known)
        {
            found.push((place, subscription));
        }
    }
    found
}
