//! An issuer at `issuer.test` and an upstream at `up.test` that takes what the issuer gave.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fairlead::call::CallOptions;
use fairlead::reply::Answer;
use fairlead::{Engine, Error};
use parking_lot::Mutex;

use crate::support::chat_with;
use crate::support::scripted::{Meets, World, ok, status};

/// What the two do, changed by tests while they run.
#[derive(Debug)]
pub struct State {
    pub lives: u64,
    pub delay: Duration,
    pub issued: u64,
    /// What the issuer answers instead of a token.
    pub broken: Option<Meets>,
    /// Does every token differ from the one before?
    pub fresh: bool,
    pub refused: BTreeSet<String>,
}

#[derive(Clone)]
pub struct Scene {
    pub world: World,
    pub state: Arc<Mutex<State>>,
}

pub const OAUTH: &str = r#"
[[models.m.deployments]]
provider = "openai"
model = "up"
base_url = "http://up.test/v1"
[models.m.deployments.api_key]
oauth = { token_url = "http://issuer.test/oauth/token?tenant=1", client_id = "me", client_secret = "hush hush" }
"#;

impl Scene {
    pub fn new() -> Self {
        let state = Arc::new(Mutex::new(State {
            lives: 3600,
            delay: Duration::ZERO,
            issued: 0,
            broken: None,
            fresh: true,
            refused: BTreeSet::new(),
        }));
        let shared = Arc::clone(&state);
        let world = World::answering(move |seen| {
            let mut state = shared.lock();
            if seen.host != "issuer.test" {
                let key = seen.key.strip_prefix("Bearer ").unwrap_or_default();
                return if state.refused.contains(key) { status(401) } else { ok() };
            }
            state.issued += 1;
            let number = if state.fresh { state.issued } else { 0 };
            let body = format!(
                r#"{{"access_token":"token-{number}","token_type":"Bearer","expires_in":{}}}"#,
                state.lives
            );
            let answer = state.broken.clone().unwrap_or_else(|| status(200).with_body(&body));
            answer.after(state.delay)
        });
        Self { world, state }
    }

    pub fn engine(&self, config: &str) -> Arc<Engine> {
        self.world.engine(config)
    }

    /// Tokens asked for so far.
    pub fn asked(&self) -> usize {
        self.world.hosts().iter().filter(|host| *host == "issuer.test").count()
    }

    /// The keys the upstream saw, in order.
    pub fn keys(&self) -> Vec<String> {
        let seen = self.world.seen.lock();
        let keys = seen.iter().filter(|seen| seen.host != "issuer.test");
        keys.map(|seen| seen.key.trim_start_matches("Bearer ").to_owned()).collect()
    }

    pub fn refuse(&self, key: &str) {
        self.state.lock().refused.insert(key.to_owned());
    }

    pub fn break_issuer(&self, with: Option<Meets>) {
        self.state.lock().broken = with;
    }
}

pub async fn call(engine: &Arc<Engine>) -> Result<Answer, Error> {
    engine.call(chat_with(false, CallOptions::default())).await
}

pub async fn call_with(engine: &Arc<Engine>, max_retries: u32) -> Result<Answer, Error> {
    let options = CallOptions { max_retries: Some(max_retries), ..CallOptions::default() };
    engine.call(chat_with(false, options)).await
}

pub async fn pass_time(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}
