//! What became of the calls.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

/// What became of all of them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Outcome {
    /// In the order of the trace.
    pub calls: Vec<Told>,
    /// In the order of the configuration.
    pub upstreams: Vec<UpstreamTold>,
}

/// What became of one call, as its caller saw it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Told {
    /// When it came, in seconds from the beginning.
    pub at: f64,
    /// Until the whole answer, or the error; seconds.
    pub took: f64,
    /// Until the first content, where it was streamed; seconds.
    pub first_token: Option<f64>,
    /// Upstream requests, as the call counts them.
    pub attempts: usize,
    /// Who answered.
    pub deployment: Option<String>,
    /// What it raised; `None` is an answer.
    pub error: Option<&'static str>,
    /// In US dollars, as far as it is known.
    pub cost: Option<f64>,
}

/// What came to one upstream.
#[derive(Clone, Debug, Default, Serialize)]
pub struct UpstreamTold {
    /// The deployment it is.
    pub name: String,
    /// When requests came, in seconds from the beginning.
    pub requests: Vec<f64>,
    /// How many of them came while it was in a phase of illness.
    pub while_ill: usize,
    /// Does it ever fall ill?
    pub falls_ill: bool,
}

/// What they amount to.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// All of them.
    pub calls: usize,
    /// Those that raised.
    pub failed: usize,
    /// The share that was answered, 0 to 1.
    pub success: f64,
    /// Half of the calls ended within this; seconds.
    pub p50: f64,
    /// All but one in a hundred ended within this; seconds.
    pub p99: f64,
    /// The same to the first content of streams; seconds.
    pub first_token_p99: f64,
    /// Requests that came to upstreams, for each call.
    pub requests_per_call: f64,
    /// Requests that came to upstreams while these were ill.
    pub while_ill: usize,
    /// In US dollars, as far as it is known.
    pub cost: f64,
    /// What was raised, and how often.
    pub errors: BTreeMap<String, usize>,
    /// Who was asked how often.
    pub upstreams: Vec<Share>,
    /// The same over time.
    pub spans: Vec<Span>,
}

/// How often one upstream was asked.
#[derive(Clone, Debug, Serialize)]
pub struct Share {
    /// The deployment it is.
    pub name: String,
    /// Requests.
    pub requests: usize,
    /// Those that came while it was in a phase of illness.
    pub while_ill: usize,
    /// Does it ever fall ill?
    pub falls_ill: bool,
}

/// The calls that came within one span of time, and the requests.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Span {
    /// Its beginning, in seconds from the first.
    pub from: f64,
    /// Calls.
    pub calls: usize,
    /// Those that raised.
    pub failed: usize,
    /// All but one in a hundred ended within this; seconds.
    pub p99: f64,
    /// Requests by upstream.
    pub requests: Vec<usize>,
}

impl Outcome {
    /// All of it in numbers, and over time in so many spans.
    pub fn summary(&self, spans: usize) -> Summary {
        let share = |upstream: &UpstreamTold| Share {
            name: upstream.name.clone(),
            requests: upstream.requests.len(),
            while_ill: upstream.while_ill,
            falls_ill: upstream.falls_ill,
        };
        Summary {
            calls: self.calls.len(),
            failed: self.failed(),
            success: self.success(),
            p50: self.took(0.5).as_secs_f64(),
            p99: self.took(0.99).as_secs_f64(),
            first_token_p99: self.first_token(0.99).as_secs_f64(),
            requests_per_call: self.attempts_per_call(),
            while_ill: self.while_ill(),
            cost: self.cost(),
            errors: self.errors().into_iter().map(|(error, count)| (error.to_owned(), count)).collect(),
            upstreams: self.upstreams.iter().map(share).collect(),
            spans: self.spans(spans),
        }
    }

    /// Spans of equal length over the arrivals; requests that came later count in the last.
    fn spans(&self, count: usize) -> Vec<Span> {
        let last = self.calls.last().map_or(0.0, |told| told.at);
        // A little longer, so that the last call is within the last span.
        let length = last.max(1e-3) * (1.0 + 1e-9) / count.max(1) as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bounded by the last span"
        )]
        let place = |at: f64| ((at / length) as usize).min(count.saturating_sub(1));
        let mut spans: Vec<Span> = (0..count)
            .map(|number| Span {
                from: number as f64 * length,
                requests: vec![0; self.upstreams.len()],
                ..Span::default()
            })
            .collect();
        let mut took: Vec<Vec<f64>> = vec![Vec::new(); count];
        for told in &self.calls {
            let place = place(told.at);
            if let (Some(span), Some(took)) = (spans.get_mut(place), took.get_mut(place)) {
                span.calls += 1;
                span.failed += usize::from(told.error.is_some());
                took.push(told.took);
            }
        }
        for (number, upstream) in self.upstreams.iter().enumerate() {
            for at in &upstream.requests {
                if let Some(requests) =
                    spans.get_mut(place(*at)).and_then(|span| span.requests.get_mut(number))
                {
                    *requests += 1;
                }
            }
        }
        for (span, took) in spans.iter_mut().zip(took) {
            span.p99 = percentile(took.into_iter(), 0.99).as_secs_f64();
        }
        spans
    }

    /// The share of calls that were answered, 0 to 1; 1 of none.
    pub fn success(&self) -> f64 {
        1.0 - self.failed() as f64 / self.calls.len().max(1) as f64
    }

    /// Calls that raised.
    pub fn failed(&self) -> usize {
        self.calls.iter().filter(|told| told.error.is_some()).count()
    }

    /// What was raised, and how often.
    pub fn errors(&self) -> BTreeMap<&str, usize> {
        self.calls.iter().filter_map(|told| told.error).fold(BTreeMap::new(), |mut counts, error| {
            *counts.entry(error).or_default() += 1;
            counts
        })
    }

    /// The time within which the `share` (0 to 1) of all calls ended, answered or not; zero of none.
    pub fn took(&self, share: f64) -> Duration {
        percentile(self.calls.iter().map(|told| told.took), share)
    }

    /// The same to the first content of streams that began.
    pub fn first_token(&self, share: f64) -> Duration {
        percentile(self.calls.iter().filter_map(|told| told.first_token), share)
    }

    /// Requests that came to upstreams, for each call.
    pub fn attempts_per_call(&self) -> f64 {
        let requests: usize = self.upstreams.iter().map(|upstream| upstream.requests.len()).sum();
        requests as f64 / self.calls.len().max(1) as f64
    }

    /// Requests that came to upstreams while these were ill.
    pub fn while_ill(&self) -> usize {
        self.upstreams.iter().map(|upstream| upstream.while_ill).sum()
    }

    /// What all answers cost, in US dollars, as far as it is known.
    pub fn cost(&self) -> f64 {
        // From zero, as the sum of none would be minus zero.
        self.calls.iter().filter_map(|told| told.cost).fold(0.0, |sum, cost| sum + cost)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a place among those that are there"
)]
fn percentile(seconds: impl Iterator<Item = f64>, share: f64) -> Duration {
    let mut all: Vec<f64> = seconds.collect();
    all.sort_by(f64::total_cmp);
    let place = ((all.len() as f64 * share).ceil() as usize).saturating_sub(1);
    let found = all.get(place.min(all.len().saturating_sub(1))).copied().unwrap_or_default();
    Duration::try_from_secs_f64(found).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_hold_every_call_and_every_request() {
        let calls: Vec<Told> =
            (0..100).map(|at| Told { at: f64::from(at), took: 2.0, ..Told::default() }).collect();
        let requests = (0..150).map(f64::from).collect();
        let upstream = UpstreamTold { name: "a".to_owned(), requests, ..UpstreamTold::default() };
        let summary = Outcome { calls, upstreams: vec![upstream] }.summary(10);
        assert_eq!(summary.spans.len(), 10);
        assert_eq!(summary.spans.iter().map(|span| span.calls).sum::<usize>(), 100);
        assert_eq!(summary.spans.iter().map(|span| span.requests[0]).sum::<usize>(), 150);
        assert!(summary.spans.iter().all(|span| (span.p99 - 2.0).abs() < 1e-9));
    }

    #[test]
    fn percentiles_are_those_of_the_calls() {
        let calls = (1..=100).map(|took| Told { took: f64::from(took), ..Told::default() }).collect();
        let outcome = Outcome { calls, upstreams: Vec::new() };
        assert_eq!([0.5, 0.99, 1.0].map(|share| outcome.took(share).as_secs()), [50, 99, 100]);
        assert_eq!(Outcome::default().took(0.99), Duration::ZERO);
        assert!(Outcome::default().cost().is_sign_positive());
    }
}
