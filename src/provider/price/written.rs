//! Prices as the operator writes them: dollars for a million tokens, laid over what is known.

use super::{Fees, Nano, Prices, Rates, Schedule};
use crate::config;
use crate::provider::catalogue::decimal;

/// Digits after the point of a dollar that make a nano-dollar.
const NANO: u32 = 9;
/// The same for dollars per token, counted for a million of them.
const PER_TOKEN: u32 = 15;

pub(super) fn overlay(known: Option<&Prices>, own: &config::Price) -> Prices {
    let known = known.cloned().unwrap_or_default();
    let fees = Fees {
        request: own.per_request.and_then(nano).or(known.fees.request),
        image: own.per_image.and_then(nano).or(known.fees.image),
        second: own.per_second.and_then(nano).or(known.fees.second),
    };
    if !rated(own) {
        return Prices { fees, ..known };
    }
    let base = rates(own, known.standard.base);
    let tiers = if own.tiers.is_empty() { Vec::new() } else { tiers(own, &base) };
    // Other levels and hours have rates of their own, which these say nothing of.
    Prices { standard: Schedule { base, tiers }, fees, ..Prices::default() }
}

/// Does it name the rate of any token?
fn rated(own: &config::Price) -> bool {
    let named = [own.input, own.output, own.cache_read, own.cache_write, own.reasoning, own.per_token];
    named.iter().any(Option::is_some) || !own.tiers.is_empty()
}

fn rates(own: &config::Price, known: Rates) -> Rates {
    let Some(all) = own.per_token.and_then(|dollars| exact(dollars, PER_TOKEN)) else {
        return Rates {
            input: own.input.and_then(million).or(known.input),
            output: own.output.and_then(million).or(known.output),
            cached: own.cache_read.and_then(million).or(known.cached),
            write: own.cache_write.and_then(million).or(known.write),
            reasoning: own.reasoning.and_then(million).or(known.reasoning),
            ..known
        };
    };
    let all = Some(all);
    Rates {
        input: own.input.and_then(million).or(all),
        output: own.output.and_then(million).or(all),
        cached: own.cache_read.and_then(million).or(all),
        write: own.cache_write.and_then(million).or(all),
        write_1h: all,
        reasoning: own.reasoning.and_then(million).or(all),
        audio_in: all,
        audio_cached: all,
        audio_out: all,
        image_in: all,
        image_out: all,
    }
}

/// What a tier leaves out costs as below it.
fn tiers(own: &config::Price, base: &Rates) -> Vec<(u64, Rates)> {
    let mut tiers: Vec<_> = own
        .tiers
        .iter()
        .map(|tier| {
            let rates = Rates {
                input: tier.input.and_then(million).or(base.input),
                output: tier.output.and_then(million).or(base.output),
                cached: tier.cache_read.and_then(million).or(base.cached),
                write: tier.cache_write.and_then(million).or(base.write),
                ..*base
            };
            (tier.above, rates)
        })
        .collect();
    tiers.sort_by_key(|(above, _)| *above);
    tiers
}

fn million(dollars: f64) -> Option<u64> {
    exact(dollars, NANO)
}

fn nano(dollars: f64) -> Option<Nano> {
    exact(dollars, NANO).map(Nano)
}

/// The float as it was written: its shortest decimal form, read digit by digit.
fn exact(dollars: f64, digits: u32) -> Option<u64> {
    decimal(&dollars.to_string(), digits)
}
