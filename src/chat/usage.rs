//! What an answer says it used, whichever of the known spellings it says it in.

use super::json::{Raw, ValueKind};

/// The most tokens one answer can plausibly have used. More is taken for nonsense rather than for a bill.
const MAX_TOKENS: u64 = 100_000_000;

/// The most dollars one answer can plausibly have cost.
const MAX_COST: f64 = 1_000_000.0;

/// Tokens and money of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Usage {
    /// Tokens of the prompt, cached ones included.
    pub input: u64,
    /// Tokens of the answer as the upstream counts them: with or without the reasoning.
    pub output: u64,
    /// All tokens.
    pub total: u64,
    /// Prompt tokens read from the provider's cache. May exceed `input` where an upstream contradicts itself.
    pub cached: u64,
    /// Prompt tokens written to the provider's cache.
    pub cache_write: u64,
    /// Of these, the ones that are kept for an hour, where the provider tells them apart.
    pub cache_write_1h: u64,
    /// Tokens of reasoning.
    pub reasoning: u64,
    /// Prompt tokens that are sound.
    pub audio_in: u64,
    /// Answer tokens that are sound.
    pub audio_out: u64,
    /// Prompt tokens that are pictures.
    pub image_in: u64,
    /// Answer tokens that are pictures.
    pub image_out: u64,
    /// The service level the answer was given at.
    pub service: Service,
    /// US dollars, where the upstream names a price itself.
    pub cost_usd: Option<f64>,
    /// Counted from sizes, not told by the upstream.
    pub estimated: bool,
    /// The upstream told something implausible.
    pub invalid: bool,
}

/// The service level of an answer, where a provider sells several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// The usual one, or not told.
    #[default]
    Standard,
    /// Slower and cheaper.
    Flex,
    /// Faster and dearer.
    Priority,
    /// Answered within a day.
    Batch,
    /// One we know no rates for.
    Other,
}

impl Service {
    /// The level a reply's `service_tier` names.
    pub(crate) fn read(tier: Option<Raw<'_>>) -> Option<Self> {
        Some(match tier?.string()?.decode().as_ref() {
            "" | "auto" | "default" | "standard" | "on_demand" => Self::Standard,
            "flex" => Self::Flex,
            "priority" => Self::Priority,
            "batch" => Self::Batch,
            _ => Self::Other,
        })
    }
}

impl Usage {
    /// At the level the reply names beside its usage, where it names one.
    pub(crate) fn served(mut self, service: Option<Service>) -> Self {
        self.service = service.unwrap_or(self.service);
        self
    }

    /// What a stream that has no end told on its way, where so many tokens of output have come: its last count may be of
    /// its beginning.
    #[must_use]
    pub fn so_far(self, output: u64) -> Self {
        if self.billed_output() >= output {
            return self;
        }
        Self { output, total: self.input + output, estimated: true, cost_usd: None, ..self }
    }

    /// The tokens to bill as output: some upstreams (xAI, Gemini) count reasoning in the total only.
    pub fn billed_output(&self) -> u64 {
        self.output.max(self.total.saturating_sub(self.input))
    }
}

/// What a `usage` member says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reading {
    /// Nothing: `null` or no counts.
    Absent,
    /// Plausible counts.
    Valid(Usage),
    /// Something that cannot be: negative, fractional, huge, not a number.
    Invalid,
}

/// Reads the value of a `usage` member: counts are whole numbers from 0 to 10^8, `12.0` included.
pub fn read(usage: Raw<'_>) -> Reading {
    match usage.kind() {
        ValueKind::Null => Reading::Absent,
        ValueKind::Object => match counts(usage) {
            Ok(counts) => counts.reading(),
            Err(Implausible) => Reading::Invalid,
        },
        _ => Reading::Invalid,
    }
}

/// A whole number from 0 to `most`, written as an integer or with a zero fraction.
pub(crate) fn whole(number: Raw<'_>, most: u64) -> Option<u64> {
    let count = number.as_u64().or_else(|| {
        let float = number.as_f64()?;
        // Beyond 2^53 a float says nothing about units.
        let plain = float.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&float);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked just above")]
        plain.then_some(float as u64)
    });
    count.filter(|count| *count <= most)
}

struct Implausible;

#[derive(Clone, Copy)]
enum Side {
    Prompt,
    Answer,
}

#[derive(Default)]
struct Counts {
    input: Option<u64>,
    output: Option<u64>,
    total: Option<u64>,
    parts: Usage,
}

impl Counts {
    fn reading(self) -> Reading {
        if self.input.is_none() && self.output.is_none() && self.total.is_none() {
            return Reading::Absent;
        }
        let output = self.output.unwrap_or(0);
        let input = self.input.unwrap_or_else(|| self.total.unwrap_or(0).saturating_sub(output));
        Reading::Valid(Usage { input, output, total: self.total.unwrap_or(input + output), ..self.parts })
    }

    fn detail(&mut self, details: Raw<'_>, side: Side) -> Result<(), Implausible> {
        let parts = &mut self.parts;
        for (name, value) in details.fields() {
            let place = match (name.decode().as_ref(), side) {
                ("cached_tokens", _) => &mut parts.cached,
                ("cache_write_tokens", _) => &mut parts.cache_write,
                ("ephemeral_1h_input_tokens", _) => &mut parts.cache_write_1h,
                ("reasoning_tokens", _) => &mut parts.reasoning,
                ("audio_tokens", Side::Prompt) => &mut parts.audio_in,
                ("audio_tokens", Side::Answer) => &mut parts.audio_out,
                ("image_tokens", Side::Prompt) => &mut parts.image_in,
                ("image_tokens", Side::Answer) => &mut parts.image_out,
                _ => continue,
            };
            *place = count(value)?.unwrap_or(*place);
        }
        Ok(())
    }
}

fn counts(usage: Raw<'_>) -> Result<Counts, Implausible> {
    let mut counts = Counts::default();
    for (name, value) in usage.fields() {
        match name.decode().as_ref() {
            "prompt_tokens" | "input_tokens" => counts.input = count(value)?,
            "completion_tokens" | "output_tokens" => counts.output = count(value)?,
            "total_tokens" => counts.total = count(value)?,
            "cached_tokens" | "prompt_cache_hit_tokens" | "cache_read_input_tokens" => {
                counts.parts.cached = count(value)?.unwrap_or(counts.parts.cached);
            }
            "cache_creation_input_tokens" => {
                counts.parts.cache_write = count(value)?.unwrap_or(counts.parts.cache_write);
            }
            "prompt_tokens_details" | "input_tokens_details" | "cache_creation" => {
                counts.detail(value, Side::Prompt)?;
            }
            "completion_tokens_details" | "output_tokens_details" => counts.detail(value, Side::Answer)?,
            "cost" => counts.parts.cost_usd = cost(value),
            "service_tier" => counts.parts.service = Service::read(Some(value)).unwrap_or_default(),
            _ => {}
        }
    }
    Ok(counts)
}

fn count(value: Raw<'_>) -> Result<Option<u64>, Implausible> {
    if value.is_null() {
        return Ok(None);
    }
    whole(value, MAX_TOKENS).map(Some).ok_or(Implausible)
}

/// A number (`OpenRouter`) or an object with a total (`Perplexity`).
fn cost(value: Raw<'_>) -> Option<f64> {
    let dollars = match value.kind() {
        ValueKind::Object => value.get("total_cost")?.as_f64(),
        _ => value.as_f64(),
    };
    dollars.filter(|dollars| (0.0..=MAX_COST).contains(dollars))
}
