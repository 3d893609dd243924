//! The measures, one function each, named as in `measures.py`.

use std::future::Future;
use std::time::{Duration, Instant};

use reqwest::Response;
use tokio::task::JoinSet;

use crate::process::{cpu_time, forget_peak, peak_kib, resident_kib};
use crate::{Failure, Run};

/// A request of 0.7 KB, the one that the Python clients send.
const BODY: &str = include_str!("../../request.json");

/// Runs the measure called `name`; the answer is a JSON object.
pub(crate) async fn by_name(run: &Run, name: &str) -> Result<String, Failure> {
    let value = match name {
        "call" => cpu_per_call(run).await?,
        "chunk" => cpu_per_chunk(run).await?,
        "latency" => latency(run).await?,
        "first_token" => first_token(run).await?,
        "memory" => memory(run).await?,
        "burst" => burst(run).await?,
        other => return Err(format!("no measure `{other}`").into()),
    };
    Ok(format!("{{\"value\": {value}}}"))
}

/// CPU microseconds per call.
async fn cpu_per_call(run: &Run) -> Result<f64, Failure> {
    at_once(run, whole).await?;
    cpu_per_unit(run, whole).await
}

/// CPU microseconds per streamed event.
async fn cpu_per_chunk(run: &Run) -> Result<f64, Failure> {
    stream(run.clone()).await?;
    cpu_per_unit(run, stream).await
}

/// Median microseconds of a call, one after the other.
async fn latency(run: &Run) -> Result<f64, Failure> {
    whole(run.clone()).await?;
    let mut times = Vec::new();
    let end = Instant::now() + run.seconds;
    while Instant::now() < end {
        let start = Instant::now();
        whole(run.clone()).await?;
        times.push(start.elapsed());
    }
    Ok(median_us(times))
}

/// Median milliseconds from the call to the first event.
async fn first_token(run: &Run) -> Result<f64, Failure> {
    let mut times = Vec::new();
    let end = Instant::now() + run.seconds;
    while Instant::now() < end {
        let start = Instant::now();
        let mut response = post(run).await?;
        response.chunk().await?;
        times.push(start.elapsed());
        while response.chunk().await?.is_some() {}
    }
    Ok(median_us(times) / 1e3)
}

/// KiB of memory per call in flight.
async fn memory(run: &Run) -> Result<f64, Failure> {
    warm_elsewhere(run).await?;
    let before = resident_kib()?;
    forget_peak()?;
    at_once(run, whole).await?;
    Ok((peak_kib()?.saturating_sub(before)) as f64 / run.in_flight as f64)
}

/// Seconds until all calls, started at once, are answered.
async fn burst(run: &Run) -> Result<f64, Failure> {
    warm_elsewhere(run).await?;
    let start = Instant::now();
    at_once(run, whole).await?;
    Ok(start.elapsed().as_secs_f64())
}

/// One call that needs no waiting, on a client of its own, so that lazy set-up is not measured.
async fn warm_elsewhere(run: &Run) -> Result<(), Failure> {
    let origin = run.base_url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    let client = reqwest::Client::builder().no_proxy().build()?;
    whole(Run { client, base_url: format!("{origin}/plain/v1"), ..run.clone() }).await.map(drop)
}

async fn post(run: &Run) -> Result<Response, Failure> {
    let request = run.client.post(format!("{}/chat/completions", run.base_url));
    let request = request.header("content-type", "application/json").bearer_auth("x").body(BODY);
    Ok(request.send().await?.error_for_status()?)
}

/// One call, its reply read whole. Returns 1, the units done.
async fn whole(run: Run) -> Result<usize, Failure> {
    let body = post(&run).await?.bytes().await?;
    if body.is_empty() { Err("an empty reply".into()) } else { Ok(1) }
}

/// One streamed call. Returns the number of its content events.
async fn stream(run: Run) -> Result<usize, Failure> {
    let mut response = post(&run).await?;
    let mut ends = 0;
    while let Some(bytes) = response.chunk().await? {
        // A blank line ends an event; one that is cut between two reads is not missed, since the upstream's
        // events hold no other newline.
        ends += bytes.iter().filter(|byte| **byte == b'\n').count();
    }
    let closing_events = 2;
    (ends / 2).checked_sub(closing_events).ok_or_else(|| "a cut stream".into())
}

/// `in_flight` calls started together.
async fn at_once<F, D>(run: &Run, call: F) -> Result<(), Failure>
where
    F: Fn(Run) -> D,
    D: Future<Output = Result<usize, Failure>> + Send + 'static,
{
    let mut calls = JoinSet::new();
    for _ in 0..run.in_flight {
        calls.spawn(call(run.clone()));
    }
    while let Some(done) = calls.join_next().await {
        done??;
    }
    Ok(())
}

/// CPU microseconds per unit while `in_flight` lanes call over and over.
async fn cpu_per_unit<F, D>(run: &Run, call: F) -> Result<f64, Failure>
where
    F: Fn(Run) -> D + Copy + Send + 'static,
    D: Future<Output = Result<usize, Failure>> + Send + 'static,
{
    let before = cpu_time();
    let end = Instant::now() + run.seconds;
    let mut lanes = JoinSet::new();
    for _ in 0..run.in_flight {
        lanes.spawn(lane(run.clone(), call, end));
    }
    let mut done = 0;
    while let Some(lane) = lanes.join_next().await {
        done += lane??;
    }
    Ok((cpu_time() - before).as_secs_f64() * 1e6 / done as f64)
}

async fn lane<F, D>(run: Run, call: F, end: Instant) -> Result<usize, Failure>
where
    F: Fn(Run) -> D,
    D: Future<Output = Result<usize, Failure>>,
{
    let mut done = 0;
    while Instant::now() < end {
        done += call(run.clone()).await?;
    }
    Ok(done)
}

fn median_us(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
}
