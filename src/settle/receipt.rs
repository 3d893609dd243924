//! Why and how a call was served: what goes with every reply and to every hook.

use std::sync::Arc;

use serde::Serialize;

use crate::chat::usage::Usage;
use crate::error::{Attempt, Kind};
use crate::route::Decision;

/// The story of one call. Holds no prompt, no answer and no key.
#[derive(Clone, Debug, Default, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts of a call, not states")]
pub struct Receipt {
    /// The model the call was led to: the caller's, or what a rule or a default picked.
    pub model: Arc<str>,
    /// The rule that picked the model.
    pub rule: Option<Arc<str>>,
    /// Did a fallback answer that stands below the model the call was led to?
    pub degraded: bool,
    /// What routing decided and why; none where the call failed before.
    pub route: Option<Arc<Decision>>,
    /// The id, else `provider/model`, of the deployment that answered or failed last.
    pub deployment: Arc<str>,
    /// Its provider.
    pub provider: String,
    /// The name its provider knows the model by.
    pub upstream_model: String,
    /// Every upstream request, in order.
    pub attempts: Vec<AttemptLine>,
    /// Tokens, counted by the provider or estimated (then it says so).
    pub usage: Option<Usage>,
    /// What the answer cost, in US dollars: the provider's own word, else its tokens at known prices; `None` is
    /// unknown. Attempts that failed before it are not in it: nobody says what they used.
    pub cost_usd: Option<f64>,
    /// Is the cost that of estimated tokens?
    pub cost_estimated: bool,
    /// Was it answered from a cache?
    pub cached: bool,
    /// The provider's request id.
    pub request_id: Option<String>,
    /// Where the time went.
    pub timings: Timings,
    /// What was odd but did no harm, such as `missing_done`.
    pub warnings: Vec<&'static str>,
    /// What was done otherwise than asked, in words.
    pub notes: Vec<String>,
    /// Repeats on a fresh connection that count as nothing.
    pub transparent_retries: u32,
    /// `ok`, `cancelled`, or the class of the failure.
    pub outcome: String,
    /// Was it streamed?
    pub stream: bool,
}

/// One upstream request of a receipt.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptLine {
    /// `provider/model`.
    pub deployment: String,
    /// The class of its failure; `None` is success.
    pub error: Option<&'static str>,
    /// The HTTP status.
    pub status: Option<u16>,
    /// Seconds.
    pub duration: f64,
    /// The provider's request id.
    pub request_id: Option<String>,
    /// Did it count against `max_retries`?
    pub counted: bool,
}

impl From<&Attempt> for AttemptLine {
    fn from(attempt: &Attempt) -> Self {
        Self {
            deployment: attempt.deployment.clone(),
            error: attempt.kind.map(Kind::name),
            status: attempt.status,
            duration: attempt.duration.as_secs_f64(),
            request_id: attempt.request_id.clone(),
            counted: attempt.counted,
        }
    }
}

/// Seconds from the start of the call, but `connect` from the start of the attempt.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Timings {
    /// Until the answering attempt began: earlier attempts and backoff.
    pub queue: Option<f64>,
    /// Of that, standing in line for room under our limits.
    pub waited: Option<f64>,
    /// Waiting for its connection, new or free.
    pub connect: Option<f64>,
    /// Until the response head.
    pub first_byte: Option<f64>,
    /// Until the first content of a stream.
    pub first_token: Option<f64>,
    /// Until the end.
    pub total: Option<f64>,
}
