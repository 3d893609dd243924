//! The run itself: a thread, a paused clock, and every call of the trace at its time.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::task::JoinHandle;

use super::keys;
use super::outcome::{Outcome, Told, UpstreamTold};
use super::policy::Policy;
use super::scenario::Scenario;
use super::trace::{Arrival, Trace};
use super::world::{Place, World};
use crate::clock::{self, Instant, Rng};
use crate::config::Config;
use crate::engine::Engine;
use crate::error::{Error, Kind};
use crate::reply::Answer;
use crate::settle::Receipt;

/// Runs `trace` through an engine with `config` under `policy`, over upstreams as `scenario` has them.
///
/// Keys are replaced: none is read, fetched or sent. It takes a thread of its own, and about a second for 20,000 calls.
///
/// Once a clock was paused in a process, every look at the clock of the I/O threads takes tokio's lock of it: harmless,
/// but no habit for a process that serves.
///
/// # Errors
///
/// [`Kind::Config`] for a configuration that no engine can be made of, and for a phase that meets nobody.
pub fn run(
    config: &Config,
    policy: Policy,
    scenario: &Scenario,
    trace: &Arc<Trace>,
    seed: u64,
) -> Result<Outcome, Error> {
    let mut config = policy.over(config.clone());
    keys::replace(&mut config);
    let broken = |what: &str| Error::new(Kind::Internal, format!("the simulation did not run: {what}"));
    // A thread of its own: the clock of whoever asks goes on, and its calendar too.
    let ran = thread::scope(|scope| {
        let run = move || {
            let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
            let runtime = runtime.map_err(|cause| broken(&cause.to_string()))?;
            runtime.block_on(lead(config, policy, scenario, trace, seed))
        };
        scope.spawn(run).join()
    });
    ran.unwrap_or_else(|_| Err(broken("it panicked")))
}

async fn lead(
    config: Config,
    policy: Policy,
    scenario: &Scenario,
    trace: &Arc<Trace>,
    seed: u64,
) -> Result<Outcome, Error> {
    clock::pretend(scenario.starts_at());
    let world = World::new(trace, seed);
    let engine = Engine::assembled(config, world.connect(), Rng::seeded(seed))?;
    let named = trace.arrivals.iter().filter_map(|arrival| arrival.model.as_deref());
    let deployments = engine.snapshot()?.reached_by(named);
    world.people(&deployments, scenario);
    if policy == Policy::Written {
        nobody(scenario, &deployments)?;
    }
    let mut running: Vec<JoinHandle<Told>> = Vec::with_capacity(trace.arrivals.len());
    for (number, arrival) in trace.arrivals.iter().enumerate() {
        clock::sleep_until(world.begun() + arrival.after()).await;
        running.push(tokio::spawn(told(Arc::clone(&engine), arrival.clone(), number)));
    }
    let mut calls = Vec::with_capacity(running.len());
    for call in running {
        let told = call.await;
        calls.push(told.map_err(|cause| Error::new(Kind::Internal, format!("a call broke: {cause}")))?);
    }
    Ok(Outcome { calls, upstreams: world.places().iter().map(UpstreamTold::from).collect() })
}

/// A phase that meets nobody is a slip of the pen.
fn nobody(scenario: &Scenario, deployments: &[Arc<crate::route::Deployment>]) -> Result<(), Error> {
    let meets = |phase: &super::Phase| {
        deployments.iter().any(|deployment| phase.meets(&deployment.name, deployment.region.as_deref()))
    };
    match scenario.phases.iter().position(|phase| !meets(phase)) {
        None => Ok(()),
        Some(place) => {
            let mut names: Vec<&str> = deployments.iter().map(|deployment| &*deployment.name).collect();
            names.sort_unstable();
            names.dedup();
            let message =
                format!("the scenario: `phases[{place}]` meets nobody; there are {}", names.join(", "));
            Err(Error::new(Kind::Config, message))
        }
    }
}

/// Makes one call and reads its answer to the end.
async fn told(engine: Arc<Engine>, arrival: Arrival, number: usize) -> Told {
    let began = clock::now();
    let told = Told { at: arrival.at, ..Told::default() };
    match Box::pin(engine.call(arrival.call(number))).await {
        Ok(Answer::Reply(reply)) => told.answered(&reply.receipt, began),
        Ok(Answer::Stream(mut stream)) => {
            while let Some(read) = stream.next().await {
                if let Err(error) = read {
                    let first_token = stream.receipt().timings.first_token;
                    return Told { first_token, ..told.failed(&error, began) };
                }
            }
            let took = since(began);
            let receipt = stream.receipt();
            Told { took, ..told.answered(&receipt, began) }
        }
        Err(error) => told.failed(&error, began),
    }
}

fn since(began: Instant) -> f64 {
    clock::now().saturating_duration_since(began).as_secs_f64()
}

impl Told {
    fn answered(self, receipt: &Receipt, began: Instant) -> Self {
        Self {
            took: since(began),
            first_token: receipt.timings.first_token,
            attempts: receipt.attempts.len(),
            deployment: Some(receipt.deployment.to_string()),
            cost: receipt.cost_usd,
            ..self
        }
    }

    fn failed(self, error: &Error, began: Instant) -> Self {
        let error_class = Some(error.kind().name());
        Self { took: since(began), attempts: error.attempts().len(), error: error_class, ..self }
    }
}

impl From<&Place> for UpstreamTold {
    fn from(place: &Place) -> Self {
        let seen = place.seen.lock();
        let seconds = |at: Duration| at.as_secs_f64();
        Self {
            name: place.name.clone(),
            requests: seen.iter().map(|request| seconds(request.at)).collect(),
            while_ill: seen.iter().filter(|request| request.ill).count(),
            falls_ill: place.falls_ill(),
        }
    }
}
