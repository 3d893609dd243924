//! What calls cost: every class of tokens, every form of price, boundaries and rounding.

use std::time::Duration;

use fairlead::chat::usage::{Service, Usage};
use fairlead::config;
use fairlead::provider::catalogue;
use fairlead::provider::price::{Extent, Fees, Nano, Prices, Rates, Schedule};
use proptest::prelude::*;

fn prices(provider: &str, model: &str) -> &'static Prices {
    let entry = catalogue::find(provider, model).unwrap_or_else(|| panic!("{provider}/{model}"));
    entry.prices.as_ref().unwrap_or_else(|| panic!("{provider}/{model} has no price"))
}

fn usage(input: u64, output: u64) -> Usage {
    Usage { input, output, total: input + output, ..Usage::default() }
}

fn nano(prices: &Prices, usage: &Usage) -> Option<u64> {
    prices.cost(usage, &Extent::default()).map(|cost| cost.0)
}

/// Whole dollars for a million tokens as they are kept.
const DOLLAR: u64 = 1_000_000_000;

fn plain(input: u64, output: u64) -> Prices {
    let base = Rates { input: Some(input * DOLLAR), output: Some(output * DOLLAR), ..Rates::default() };
    Prices { standard: Schedule { base, tiers: Vec::new() }, ..Prices::default() }
}

fn written(text: &str) -> config::Price {
    toml::from_str(text).unwrap()
}

#[test]
fn the_four_known_rows_cost_what_they_are_listed_at() {
    for (provider, model, input, output) in [
        ("anthropic", "claude-3-haiku-20240307", 250_000_000, 1_250_000_000),
        ("openai", "gpt-4o-mini", 150_000_000, 600_000_000),
        ("gemini", "gemini-1.5-flash", 75_000_000, 300_000_000),
        ("anthropic", "claude-3-5-sonnet-20241022", 3_000_000_000, 15_000_000_000),
    ] {
        let prices = prices(provider, model);
        // A hundred thousand of each is below every tier: a tenth of the price for a million.
        assert_eq!(nano(prices, &usage(100_000, 0)), Some(input / 10), "{model}");
        assert_eq!(nano(prices, &usage(0, 100_000)), Some(output / 10), "{model}");
        assert_eq!(
            prices.expected(1000, 500).map(|cost| cost.0),
            Some((input * 2 + output) / 2000),
            "{model}"
        );
    }
}

#[test]
fn cached_tokens_are_part_of_the_prompt_and_billed_at_their_own_rate() {
    let sonnet = prices("anthropic", "claude-sonnet-4-5");
    let call = Usage { cached: 8_000, ..usage(10_000, 1_000) };
    // 2,000 x $3 + 8,000 x $0.30 + 1,000 x $15 for a million
    assert_eq!(nano(sonnet, &call), Some(6_000_000 + 2_400_000 + 15_000_000));
}

#[test]
fn cache_writes_have_their_own_rate_and_another_for_an_hour() {
    let sonnet = prices("anthropic", "claude-sonnet-4-5");
    let call = Usage { cache_write: 4_000, ..usage(10_000, 0) };
    assert_eq!(nano(sonnet, &call), Some(6_000 * 3_000 + 4_000 * 3_750));
    let hour = Usage { cache_write_1h: 1_000, ..call };
    assert_eq!(nano(sonnet, &hour), Some(6_000 * 3_000 + 3_000 * 3_750 + 1_000 * 6_000));
}

#[test]
fn cached_tokens_beside_the_prompt_are_billed_with_it() {
    // As Anthropic's own format counts: 10 fresh tokens beside 8,000 from the cache.
    let sonnet = prices("anthropic", "claude-sonnet-4-5");
    let call = Usage { cached: 8_000, input: 10, output: 5, total: 8_015, ..Usage::default() };
    assert_eq!(nano(sonnet, &call), Some(10 * 3_000 + 8_000 * 300 + 5 * 15_000));
}

#[test]
fn reasoning_is_billed_as_output_unless_it_has_a_rate() {
    let mut own = plain(1, 2);
    let call = Usage { reasoning: 400, ..usage(0, 1_000) };
    assert_eq!(nano(&own, &call), Some(2_000_000));
    own.standard.base.reasoning = Some(5 * DOLLAR);
    assert_eq!(nano(&own, &call), Some(600 * 2_000 + 400 * 5_000));
    let outside = Usage { input: 66, output: 6, total: 100, ..Usage::default() };
    assert_eq!(nano(&plain(1, 2), &outside), Some(66 * 1_000 + 34 * 2_000), "reasoning in the total only");
}

#[test]
fn sound_and_pictures_have_their_own_rates() {
    let mut own = plain(1, 2);
    let call = Usage { audio_in: 100, image_in: 50, audio_out: 10, image_out: 20, ..usage(1_000, 100) };
    assert_eq!(nano(&own, &call), None, "sound of an unknown price");
    own.standard.base.audio_in = Some(10 * DOLLAR);
    own.standard.base.audio_out = Some(20 * DOLLAR);
    own.standard.base.image_out = Some(30 * DOLLAR);
    let rest = 850 * 1_000 + 100 * 10_000 + 70 * 2_000 + 10 * 20_000 + 20 * 30_000;
    assert_eq!(nano(&own, &call), Some(rest + 50 * 1_000), "pictures of the prompt are text");
    own.standard.base.image_in = Some(4 * DOLLAR);
    assert_eq!(nano(&own, &call), Some(rest + 50 * 4_000));
}

#[test]
fn an_unknown_price_is_unknown_and_not_free() {
    let mut own = plain(1, 2);
    assert_eq!(nano(&own, &Usage { cached: 1, ..usage(10, 0) }), None, "cached");
    assert_eq!(nano(&own, &Usage { cache_write: 1, ..usage(10, 0) }), None, "written");
    own.standard.base.output = None;
    assert_eq!(nano(&own, &usage(10, 1)), None, "output");
    assert_eq!(nano(&own, &usage(10, 0)), Some(10_000), "what is not used needs no price");
    assert_eq!(nano(&Prices::default(), &usage(1, 0)), None);
    assert_eq!(nano(&plain(0, 0), &usage(10, 10)), Some(0), "free is said");
}

#[test]
fn the_whole_call_is_billed_at_the_tier_of_its_prompt() {
    let pro = prices("gemini", "gemini-2.5-pro");
    assert_eq!(nano(pro, &usage(199_999, 10)), Some(199_999 * 1_250 + 10 * 10_000), "below");
    assert_eq!(nano(pro, &usage(200_000, 10)), Some(200_000 * 1_250 + 10 * 10_000), "exactly at");
    assert_eq!(nano(pro, &usage(200_001, 10)), Some(200_001 * 2_500 + 10 * 15_000), "above");
    let cached = Usage { cached: 200_000, ..usage(200_001, 0) };
    assert_eq!(nano(pro, &cached), Some(2_500 + 200_000 * 250), "cached tokens count into the length");
}

#[test]
fn every_tier_is_reached_at_its_own_length() {
    let own = Schedule {
        base: Rates { input: Some(1), ..Rates::default() },
        tiers: vec![
            (10, Rates { input: Some(2), ..Rates::default() }),
            (20, Rates { input: Some(3), ..Rates::default() }),
        ],
    };
    let rate = |prompt| own.at(prompt).input.unwrap();
    assert_eq!([0, 10, 11, 20, 21, u64::MAX].map(rate), [1, 1, 2, 2, 3, 3]);
}

#[test]
fn a_service_level_has_its_own_rates_or_none() {
    let pro = prices("gemini", "gemini-2.5-pro");
    let at = |service, input| nano(pro, &Usage { service, ..usage(input, 100) });
    assert_eq!(at(Service::Priority, 1_000), Some(1_000 * 2_250 + 100 * 18_000));
    assert_eq!(at(Service::Flex, 1_000), Some(1_000 * 625 + 100 * 5_000));
    assert_eq!(at(Service::Batch, 1_000), Some(1_000 * 625 + 100 * 5_000));
    assert_eq!(at(Service::Flex, 200_001), None, "a tier this level says nothing of");
    assert_eq!(at(Service::Other, 1_000), None);
    assert_eq!(nano(&plain(1, 1), &Usage { service: Service::Flex, ..usage(1, 0) }), None);
}

#[test]
fn quiet_hours_cost_less() {
    let pro = prices("deepseek", "deepseek-v4-pro");
    // 2026-11-20 was a Friday.
    let at = |day: u64, hour: u64| {
        let extent =
            Extent { at: Duration::from_secs(1_795_132_800 + (day * 24 + hour) * 3600), ..Extent::default() };
        pro.cost(&usage(1_000_000, 0), &extent).unwrap().0 / 10_000_000
    };
    assert_eq!([at(0, 0), at(0, 2), at(0, 5), at(0, 7), at(0, 12)], [66, 132, 66, 132, 66], "cents");
    assert_eq!(at(1, 2), 66, "Saturday");
}

#[test]
fn requests_images_and_seconds_are_billed() {
    let nine = Nano(5_000_000);
    let own = Prices { fees: Fees { request: Some(nine), ..Fees::default() }, ..plain(1, 1) };
    assert_eq!(nano(&own, &usage(1_000, 0)), Some(5_000_000 + 1_000_000), "request beside tokens");
    let own = Prices::configured(None, &written("per_image = 0.0025"));
    let extent = Extent { images: 3, ..Extent::default() };
    assert_eq!(own.cost(&usage(1_000, 9), &extent), Some(Nano(7_500_000)), "images alone");
    let own = Prices::configured(None, &written("per_second = 0.000975"));
    let extent = Extent { took: Duration::from_millis(2_500), ..Extent::default() };
    assert_eq!(own.cost(&usage(1_000, 9), &extent), Some(Nano(2_437_500)), "seconds alone");
    let own = Prices::configured(None, &written("per_request = 0.005"));
    assert_eq!(nano(&own, &usage(1, 1)), Some(5_000_000), "requests alone");
}

#[test]
fn one_rate_for_every_token_is_taken() {
    let own = Prices::configured(None, &written("per_token = 0.000025"));
    let call = Usage { cached: 5, cache_write: 1, reasoning: 2, audio_in: 1, image_out: 1, ..usage(10, 10) };
    assert_eq!(nano(&own, &call), Some(20 * 25_000));
    let mixed = Prices::configured(None, &written("per_token = 0.00002\noutput = 30"));
    assert_eq!(nano(&mixed, &usage(10, 10)), Some(10 * 20_000 + 10 * 30_000));
}

#[test]
fn what_is_configured_lies_over_what_is_known() {
    let sonnet = prices("anthropic", "claude-sonnet-4-5");
    let own = Prices::configured(Some(sonnet), &written("input = 2.5"));
    assert_eq!(
        nano(&own, &Usage { cached: 100, ..usage(1_100, 10) }),
        Some(1_000 * 2_500 + 100 * 300 + 10 * 15_000)
    );
    let fee = Prices::configured(Some(sonnet), &written("per_request = 0.01"));
    assert_eq!(fee.standard, sonnet.standard);
    assert_eq!(nano(&fee, &usage(0, 0)), Some(10_000_000));
    let tiers = written("input = 1\noutput = 2\ntiers = [{above = 20, input = 4}, {above = 10, input = 3}]");
    let own = Prices::configured(None, &tiers);
    let at = |input| nano(&own, &usage(input, 1));
    assert_eq!([at(10), at(11), at(21)], [Some(12_000), Some(35_000), Some(86_000)]);
    let gift = Prices::configured(Some(sonnet), &written("input = 0\noutput = 0"));
    assert_eq!(nano(&gift, &usage(10, 10)), Some(0));
}

#[test]
fn a_decimal_is_kept_as_it_was_written() {
    for (text, rate) in [
        ("0.1", 100_000_000),
        ("0.075", 75_000_000),
        ("0.000000001", 1),
        ("1e-3", 1_000_000),
        ("3", 3_000_000_000),
    ] {
        let own = Prices::configured(None, &written(&format!("input = {text}")));
        assert_eq!(own.standard.base.input, Some(rate), "{text}");
    }
}

#[test]
fn the_sum_is_rounded_once_and_half_up() {
    // A rate of half a nano-dollar a token: one token rounds up, two are exact.
    let half = Prices {
        standard: Schedule {
            base: Rates { input: Some(500_000), ..Rates::default() },
            ..Schedule::default()
        },
        ..Prices::default()
    };
    assert_eq!([0, 1, 2, 3].map(|tokens| nano(&half, &usage(tokens, 0)).unwrap()), [0, 1, 1, 2]);
    let below = Prices {
        standard: Schedule {
            base: Rates { input: Some(499_999), ..Rates::default() },
            ..Schedule::default()
        },
        ..Prices::default()
    };
    assert_eq!(nano(&below, &usage(1, 0)), Some(0));
}

#[test]
fn money_shows_itself_as_dollars() {
    assert_eq!(Nano(0).to_string(), "$0");
    assert_eq!(Nano(1).to_string(), "$0.000000001");
    assert_eq!(Nano(1_250_000_000).to_string(), "$1.25");
    assert_eq!(Nano(10_000_000_000).to_string(), "$10");
    assert!((Nano(2_437_500).as_usd() - 0.002_437_5).abs() < 1e-15);
    assert_eq!(Nano::from_usd(0.002_437_5), Nano(2_437_500));
    assert_eq!([f64::NAN, -1.0].map(Nano::from_usd), [Nano(0); 2]);
    assert_eq!(Nano(u64::MAX).plus(Nano(1)), Nano(u64::MAX));
}

proptest! {
    /// Any counts and any rates: no overflow, no panic, and a class costs its tokens times its rate.
    #[test]
    fn no_usage_breaks_the_arithmetic(
        counts in prop::array::uniform9(0..=u64::MAX), rates in prop::array::uniform4(0..=u64::MAX),
    ) {
        let [input, output, total, cached, cache_write, cache_write_1h, reasoning, audio_in, image_out] = counts;
        let [i, o, c, w] = rates.map(Some);
        let base = Rates { input: i, output: o, cached: c, write: w, write_1h: w, audio_in: i, image_out: o, ..Rates::default() };
        let own = Prices { standard: Schedule { base, tiers: vec![(200_000, base)] }, ..Prices::default() };
        let usage = Usage { input, output, total, cached, cache_write, cache_write_1h, reasoning, audio_in, image_out, ..Usage::default() };
        let extent = Extent { images: total, took: Duration::from_secs(output), at: Duration::from_secs(input) };
        let _ = own.cost(&usage, &extent);
    }

    /// One rate for all: the parts add up to the whole, however the tokens are split.
    #[test]
    fn the_parts_add_up(input in 0..1_000_000_u64, output in 0..1_000_000_u64, cached in 0..500_000_u64, write in 0..400_000_u64, reasoning in 0..1_000_000_u64, audio in 0..1_000_000_u64) {
        let own = Prices::configured(None, &written("per_token = 0.000001"));
        let call = Usage { cached, cache_write: write, reasoning, audio_in: audio, ..usage(input, output) };
        let beside = if cached + write > input { cached + write } else { 0 };
        prop_assert_eq!(nano(&own, &call), Some((input + beside + output.max((input + output).saturating_sub(input + beside))) * 1_000));
    }
}

proptest! {
    /// What a decision reckons is what such a call would cost, whatever has a price.
    #[test]
    fn what_a_call_is_expected_to_cost_is_what_it_costs(
        (input, output) in (prop_oneof![0_u64..2_000_000, any::<u64>()], prop_oneof![0_u64..200_000, any::<u64>()]),
        rates in (proptest::option::of(0_u64..100_000_000_000), proptest::option::of(any::<u64>())),
        request in proptest::option::of(0_u64..1_000_000),
        above in 0_u64..1_000_000,
    ) {
        let base = Rates { input: rates.0, output: rates.1, ..Rates::default() };
        let dearer = Rates { input: rates.0.map(|rate| rate * 2), ..base };
        let fees = Fees { request: request.map(Nano), ..Fees::default() };
        let standard = Schedule { base, tiers: vec![(above, dearer)] };
        let all = [Prices { standard, fees, ..Prices::default() }, prices("gemini", "gemini-2.5-pro").clone()];
        for prices in all {
            let usage = Usage { input, output, total: input.saturating_add(output), ..Usage::default() };
            prop_assert_eq!(prices.expected(input, output), prices.cost(&usage, &Extent::default()));
        }
    }
}
