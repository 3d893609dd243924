//! What the target of a rule, a fallback, an alias or a tenant may name.

use std::collections::BTreeSet;

use crate::config::Config;
use crate::provider::{name, presets};
use crate::route::glob;

const TAG: &str = "tag:";
/// The name under which a caller leaves the model open.
const OPEN: &str = "auto";

/// Everything that can be referred to.
pub(super) struct References<'a> {
    config: &'a Config,
    ids: BTreeSet<&'a str>,
    tags: BTreeSet<&'a str>,
}

impl<'a> References<'a> {
    pub(super) fn of(config: &'a Config) -> Self {
        let groups = || config.models.values().map(|model| &model.group);
        let ids =
            groups().flat_map(|group| &group.deployments).filter_map(|deployment| deployment.id.as_deref());
        let tags = groups().flat_map(|group| &group.capabilities).map(String::as_str);
        Self { config, ids: ids.collect(), tags: tags.collect() }
    }

    /// Names worth suggesting.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        let ids: Vec<_> = self.ids.iter().copied().collect();
        self.config.models.keys().map(String::as_str).chain(ids)
    }

    /// Why `target` leads nowhere, if it does not.
    pub(super) fn missing(&self, target: &str) -> Option<String> {
        if self.config.models.contains_key(target) || self.ids.contains(target) {
            return None;
        }
        if let Some(tag) = target.strip_prefix(TAG) {
            return (!self.tags.contains(tag)).then(|| format!("no model has the capability `{tag}`"));
        }
        if target == OPEN {
            return Some("`auto` leaves the model open and cannot be where a call goes".to_owned());
        }
        if self.takes_anything() || self.is_qualified(target) {
            return None;
        }
        Some(format!("no model is called `{target}`"))
    }

    /// Could any name that leads somewhere fit `pattern`?
    pub(super) fn reaches(&self, pattern: &str) -> bool {
        let Some((head, _)) = pattern.split_once('*') else { return self.missing(pattern).is_none() };
        let tags = self.tags.iter().map(|tag| format!("{TAG}{tag}"));
        let mut names = self.names().map(str::to_owned).chain(tags);
        let begins = |provider: &str| {
            let starts = ["/", ":"].map(|mark| provider.to_owned() + mark);
            starts.iter().any(|start| start.starts_with(head) || head.starts_with(start))
        };
        self.takes_anything()
            || names.any(|name| glob::fits(pattern, &name))
            || self.config.providers.keys().any(|provider| begins(provider))
            || presets::all().iter().flat_map(presets::Preset::names).any(begins)
    }

    /// Does the client's own upstream, or no model at all, leave every name open?
    fn takes_anything(&self) -> bool {
        let client = &self.config.client;
        client.base_url.is_some() || !client.api_key.0.is_empty() || self.config.models.is_empty()
    }

    /// `provider/model` or `provider:model` of a provider that is known.
    fn is_qualified(&self, target: &str) -> bool {
        let target = target.split_once('@').map_or(target, |(target, _)| target);
        let provider =
            target.split_once('/').or_else(|| target.split_once(':')).map(|(provider, _)| provider);
        let own = provider.is_some_and(|provider| self.config.providers.contains_key(provider));
        own || matches!(name::parse(target), name::Name::Qualified { .. })
            || provider.is_some_and(|provider| presets::find(provider).is_some())
    }

    /// Does following the alias `name` come back to where it has been?
    pub(super) fn circles(&self, name: &str) -> bool {
        let mut seen = BTreeSet::from([name]);
        let mut at = name;
        while let Some(next) = self.config.models.get(at).and_then(|model| model.alias.as_deref()) {
            if !seen.insert(next) {
                return true;
            }
            at = next;
        }
        false
    }
}
