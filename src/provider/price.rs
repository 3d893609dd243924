//! What a call costs: exact arithmetic in whole numbers, no clock and no float until it is shown.
//!
//! A price is nano-dollars for a million tokens, a cost is nano-dollars. Tokens are split into classes that do not
//! overlap (fresh, cached, written to the cache, sound, pictures; text, reasoning, sound, pictures), each is
//! multiplied by the rate of its class, and the sum is rounded once, half up, to the nano-dollar. A class that was
//! used and has no rate makes the whole cost unknown: `None`, never 0.

use std::fmt;
use std::time::Duration;

use crate::chat::usage::{Service, Usage};
use crate::config;

mod written;

/// Nano-dollars: 10⁻⁹ US dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nano(pub u64);

impl Nano {
    /// US dollars, to the nearest float.
    pub fn as_usd(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The nearest nano-dollar; what is no amount is 0.
    pub fn from_usd(dollars: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
        Self((dollars * 1e9).round() as u64)
    }

    /// The sum, at most as much as fits.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Nano {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("${}.{:09}", self.0 / 1_000_000_000, self.0 % 1_000_000_000);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// Nano-dollars for a million tokens, by class; `None` is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// The prompt, as far as no other class holds it.
    pub input: Option<u64>,
    /// The answer, as far as no other class holds it.
    pub output: Option<u64>,
    /// Prompt tokens read from the provider's cache.
    pub cached: Option<u64>,
    /// Prompt tokens written to the provider's cache.
    pub write: Option<u64>,
    /// Those that are kept for an hour.
    pub write_1h: Option<u64>,
    /// Reasoning; where there is none, it is part of the answer.
    pub reasoning: Option<u64>,
    /// Sound in the prompt.
    pub audio_in: Option<u64>,
    /// Sound in the prompt, read from the cache. Providers do not count it apart yet.
    pub audio_cached: Option<u64>,
    /// Sound in the answer.
    pub audio_out: Option<u64>,
    /// Pictures in the prompt; where there is none, they are billed as text.
    pub image_in: Option<u64>,
    /// Pictures in the answer.
    pub image_out: Option<u64>,
}

/// The rates of a service level, by the length of the prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Of the shortest prompts.
    pub base: Rates,
    /// Prompts of more than so many tokens are billed at these rates as a whole, in rising order.
    pub tiers: Vec<(u64, Rates)>,
}

impl Schedule {
    /// The rates of a call with a prompt of so many tokens.
    pub fn at(&self, prompt: u64) -> &Rates {
        let reached = self.tiers.iter().rev().find(|(above, _)| prompt > *above);
        reached.map_or(&self.base, |(_, rates)| rates)
    }
}

/// What is billed beside the tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fees {
    /// Each request.
    pub request: Option<Nano>,
    /// Each image in the prompt.
    pub image: Option<Nano>,
    /// Each second of the call.
    pub second: Option<Nano>,
}

/// Hours of the week, in UTC: a bit for each hour of each day, Monday first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hours(pub [u32; 7]);

impl Hours {
    /// Does the moment, counted from the Unix epoch, lie in them?
    pub fn hold(&self, moment: Duration) -> bool {
        let hours = moment.as_secs() / 3600;
        // The epoch was a Thursday.
        let day = usize::try_from((hours / 24 + 3) % 7).unwrap_or_default();
        self.0.get(day).is_some_and(|hold| hold >> (hours % 24) & 1 == 1)
    }
}

/// The prices of one model at one provider.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// The usual service level.
    pub standard: Schedule,
    /// Answered within a day.
    pub batch: Option<Schedule>,
    /// Slower and cheaper.
    pub flex: Option<Schedule>,
    /// Faster and dearer.
    pub priority: Option<Schedule>,
    /// The usual level at quiet hours.
    pub off_peak: Option<(Hours, Schedule)>,
    /// Beside the tokens.
    pub fees: Fees,
}

/// What a call was beside its tokens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extent {
    /// Images in the prompt.
    pub images: u64,
    /// How long it took.
    pub took: Duration,
    /// When it began, counted from the Unix epoch.
    pub at: Duration,
}

/// Nano-dollars times a million.
const MICRO: u128 = 1_000_000;

impl Prices {
    /// What a call cost; `None` where a rate it takes is unknown.
    pub fn cost(&self, usage: &Usage, extent: &Extent) -> Option<Nano> {
        let tokens = if self.bills_tokens() {
            let parts = Parts::of(usage);
            parts.cost(self.schedule(usage.service, extent.at)?.at(parts.prompt))?
        } else {
            0
        };
        let sum = tokens.saturating_add(self.fees.sum(extent)?);
        rounded(sum)
    }

    /// What a call of so many tokens would cost by day, with nothing in the cache.
    pub fn expected(&self, input: u64, output: u64) -> Option<Nano> {
        let rates = self.standard.at(input);
        if let (Some(prompt), Some(answer), None) = (rates.input, rates.output, &self.off_peak)
            && self.fees == Fees::default()
        {
            // Nearly always it is two products, and a decision asks for those of every deployment.
            let (prompt, answer) =
                (u128::from(input) * u128::from(prompt), u128::from(output) * u128::from(answer));
            return rounded(prompt.saturating_add(answer));
        }
        let usage = Usage { input, output, total: input.saturating_add(output), ..Usage::default() };
        self.cost(&usage, &Extent::default())
    }

    /// The configured prices laid over the known ones: a field that is written wins, a list of tiers replaces.
    pub fn configured(known: Option<&Self>, own: &config::Price) -> Self {
        written::overlay(known, own)
    }

    fn schedule(&self, service: Service, at: Duration) -> Option<&Schedule> {
        match service {
            Service::Standard => Some(match &self.off_peak {
                Some((hours, quiet)) if hours.hold(at) => quiet,
                _ => &self.standard,
            }),
            Service::Flex => self.flex.as_ref(),
            Service::Priority => self.priority.as_ref(),
            Service::Batch => self.batch.as_ref(),
            Service::Other => None,
        }
    }

    /// Where only requests or seconds have a price, tokens cost nothing.
    fn bills_tokens(&self) -> bool {
        self.standard != Schedule::default() || self.fees == Fees::default()
    }
}

impl Fees {
    /// Nano-dollars times a million.
    fn sum(&self, extent: &Extent) -> Option<u128> {
        let each = |fee: Nano, count: u128| u128::from(fee.0).checked_mul(count);
        let requests = each(self.request.unwrap_or_default(), MICRO)?;
        let images = each(self.image.unwrap_or_default(), u128::from(extent.images) * MICRO)?;
        let seconds = each(self.second.unwrap_or_default(), extent.took.as_micros())?;
        requests.checked_add(images)?.checked_add(seconds)
    }
}

/// Nano-dollars from nano-dollars times a million: half up, once.
fn rounded(sum: u128) -> Option<Nano> {
    let sum = sum.saturating_add(MICRO / 2);
    match u64::try_from(sum) {
        // Spares the division of 128 bits.
        Ok(sum) => Some(Nano(sum / 1_000_000)),
        Err(_) => u64::try_from(sum / MICRO).ok().map(Nano),
    }
}

/// The tokens of a call in classes that do not overlap.
struct Parts {
    /// All of the prompt.
    prompt: u64,
    text_in: u64,
    cached: u64,
    write: u64,
    write_1h: u64,
    audio_in: u64,
    image_in: u64,
    text_out: u64,
    reasoning: u64,
    audio_out: u64,
    image_out: u64,
}

/// Takes up to `most` out of `rest`.
fn take(rest: &mut u64, most: u64) -> u64 {
    let taken = most.min(*rest);
    *rest -= taken;
    taken
}

impl Parts {
    fn of(usage: &Usage) -> Self {
        let aside = usage.cached.saturating_add(usage.cache_write);
        // What does not fit into the prompt was counted beside it.
        let beside = if aside > usage.input { aside } else { 0 };
        let prompt = usage.input.saturating_add(beside);
        let mut fresh = prompt - aside;
        let mut answer = usage.output.max(usage.total.saturating_sub(prompt));
        let write_1h = usage.cache_write_1h.min(usage.cache_write);
        Self {
            prompt,
            cached: usage.cached,
            write: usage.cache_write - write_1h,
            write_1h,
            audio_in: take(&mut fresh, usage.audio_in),
            image_in: take(&mut fresh, usage.image_in),
            text_in: fresh,
            reasoning: take(&mut answer, usage.reasoning),
            audio_out: take(&mut answer, usage.audio_out),
            image_out: take(&mut answer, usage.image_out),
            text_out: answer,
        }
    }

    /// Nano-dollars times a million.
    fn cost(&self, rates: &Rates) -> Option<u128> {
        let classes = [
            (self.text_in, rates.input),
            (self.cached, rates.cached),
            (self.write, rates.write),
            (self.write_1h, rates.write_1h),
            (self.audio_in, rates.audio_in),
            (self.image_in, rates.image_in.or(rates.input)),
            (self.text_out, rates.output),
            (self.reasoning, rates.reasoning.or(rates.output)),
            (self.audio_out, rates.audio_out),
            (self.image_out, rates.image_out),
        ];
        classes
            .into_iter()
            .filter(|(tokens, _)| *tokens > 0)
            .try_fold(0_u128, |sum, (tokens, rate)| sum.checked_add(u128::from(tokens) * u128::from(rate?)))
    }
}
