//! The configuration, compiled once: calls in flight keep theirs whatever is loaded meanwhile.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::deployment::Deployment;
use super::written::Written;
use crate::config::{self, Config, Stages, Timeouts};
use crate::error::{Error, Kind};
use crate::live::Live;
use crate::provider::{name, presets};
use crate::send::Connect;
use crate::settle::Gauges;

/// Deployments made for names no configuration lists; beyond this many they are made anew for each call.
const INFERRED: usize = 1024;

/// An immutable compiled configuration.
#[derive(Debug)]
pub struct Snapshot {
    /// Limits of every phase.
    pub timeouts: Timeouts,
    /// Attempts and backoff.
    pub retry: config::Retry,
    /// What a response may at most be.
    pub bounds: config::Bounds,
    /// Which stages are on.
    pub stages: Stages,
    default_model: Option<String>,
    models: HashMap<String, Vec<Arc<Deployment>>>,
    inferred: Mutex<HashMap<String, Arc<Deployment>>>,
    written: Written,
}

impl Snapshot {
    /// Compiles `config`, which has been checked.
    ///
    /// # Errors
    ///
    /// [`Kind::Config`] for what only shows when it is put together: a missing key, a URL that is none.
    pub fn compile(
        config: Config,
        live: &Arc<Live>,
        gauges: &Arc<Gauges>,
        connect: Connect,
    ) -> Result<Self, Error> {
        let written = Written::new(&config, live, gauges, connect);
        written.check()?;
        let mut own = HashMap::new();
        for (name, model) in &config.models {
            let mut deployments = Vec::new();
            for (position, deployment) in model.group.deployments.iter().enumerate() {
                let path = format!("models.{name}.deployments[{position}]");
                deployments.push(Arc::new(written.configured(deployment, &path)?));
            }
            own.insert(name.clone(), deployments);
        }
        let models = config.models.keys().map(|name| (name.clone(), with_fallbacks(name, &config, &own)));
        Ok(Self {
            models: models.collect(),
            timeouts: config.timeouts,
            retry: config.retry,
            bounds: config.bounds,
            stages: config.stages,
            default_model: config.default_model,
            inferred: Mutex::default(),
            written,
        })
    }

    /// The name the call goes by: the caller's, or the default.
    pub(super) fn named(&self, model: &str) -> Result<String, Error> {
        if !model.is_empty() {
            return Ok(model.to_owned());
        }
        self.default_model.clone().or_else(|| self.written.default_model()).ok_or_else(|| {
            let message = "no model is named: pass `model=`, or set `default_model` or the provider's variable \
                           (such as OPENROUTER_MODEL)";
            Error::new(Kind::Config, message)
        })
    }

    /// The deployments behind `model`, in order.
    pub(super) fn deployments(&self, model: &str) -> Result<Vec<Arc<Deployment>>, Error> {
        if let Some(deployments) = self.models.get(model) {
            return Ok(deployments.clone());
        }
        if let Some(known) = self.inferred.lock().get(model) {
            return Ok(vec![Arc::clone(known)]);
        }
        let made = Arc::new(self.infer(model)?);
        let mut inferred = self.inferred.lock();
        if inferred.len() < INFERRED {
            inferred.insert(model.to_owned(), Arc::clone(&made));
        }
        Ok(vec![made])
    }

    /// A deployment for calls that name no model: the client's own upstream, else the first that is configured.
    pub(super) fn any_deployment(&self) -> Result<Arc<Deployment>, Error> {
        let default = self.default_model.as_ref().and_then(|name| self.models.get(name));
        let first = default.or_else(|| self.models.values().next()).and_then(|all| all.first());
        match first {
            Some(deployment) if !self.written.has_client() => Ok(Arc::clone(deployment)),
            _ => self.written.client("").map(Arc::new),
        }
    }

    fn infer(&self, model: &str) -> Result<Deployment, Error> {
        if self.written.has_client() {
            return self.written.client(model);
        }
        if let Some((provider, upstream)) = self.written.own_provider(model) {
            return self.written.inferred(provider, upstream);
        }
        match name::parse(model) {
            name::Name::Qualified { preset, model } => self.written.inferred(preset.id, &model),
            name::Name::Bare(bare) if self.models.is_empty() => self.written.client(&bare),
            name::Name::Bare(bare) => Err(self.unknown(&bare)),
        }
    }

    fn unknown(&self, model: &str) -> Error {
        let near = presets::nearest(model, self.models.keys().map(String::as_str));
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        Error::new(Kind::NotFound, format!("no model is called `{model}`{hint}"))
    }
}

/// The deployments of `name`, then those of its fallbacks, each once.
fn with_fallbacks(
    name: &str,
    config: &Config,
    own: &HashMap<String, Vec<Arc<Deployment>>>,
) -> Vec<Arc<Deployment>> {
    let mut order = vec![name.to_owned()];
    let mut position = 0;
    while let Some(model) = order.get(position).and_then(|name| config.models.get(name)) {
        for fallback in &model.group.fallbacks.any {
            if !order.contains(fallback) {
                order.push(fallback.clone());
            }
        }
        position += 1;
    }
    order.iter().filter_map(|name| own.get(name)).flatten().cloned().collect()
}
