//! The profiles there are: built in, changed, and the operator's own.

use std::collections::HashMap;
use std::time::Duration;

use super::{Config, Profile};

/// The built-in profiles with the operator's changes, and the operator's own.
pub fn profiles(config: &Config) -> HashMap<String, Profile> {
    let mut all: HashMap<String, Profile> =
        built_in().into_iter().map(|(name, profile)| (name.to_owned(), profile)).collect();
    for (name, written) in &config.profiles {
        let merged = over(written, all.get(name));
        all.insert(name.clone(), merged);
    }
    all
}

/// People wait for `chat`; nobody waits for `batch`; an `agent` thinks long and loses much when it fails.
pub(super) fn built_in() -> [(&'static str, Profile); 3] {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    [
        (
            "chat",
            Profile {
                total: seconds(120),
                first_token: seconds(30),
                idle: seconds(30),
                max_retries: Some(2),
                priority: Some(7),
                ..Profile::default()
            },
        ),
        (
            "batch",
            Profile {
                total: seconds(3600),
                attempt: seconds(900),
                first_token: seconds(600),
                max_retries: Some(5),
                priority: Some(2),
                concurrency: Some(256),
                ..Profile::default()
            },
        ),
        (
            "agent",
            Profile {
                total: seconds(1800),
                attempt: seconds(600),
                first_token: seconds(300),
                idle: seconds(120),
                max_retries: Some(3),
                priority: Some(5),
                ..Profile::default()
            },
        ),
    ]
}

fn over(written: &Profile, base: Option<&Profile>) -> Profile {
    let base = base.cloned().unwrap_or_default();
    Profile {
        total: written.total.or(base.total),
        attempt: written.attempt.or(base.attempt),
        first_token: written.first_token.or(base.first_token),
        idle: written.idle.or(base.idle),
        max_retries: written.max_retries.or(base.max_retries),
        priority: written.priority.or(base.priority),
        concurrency: written.concurrency.or(base.concurrency),
    }
}
