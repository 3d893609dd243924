//! What a provider says about its limits in response headers.
//!
//! Three families: `x-ratelimit-{limit,remaining,reset}-<kind>` (OpenAI, Groq, Azure, xAI and most hosts; Mistral and
//! Cerebras add the window to the kind), the bare `x-ratelimit-{limit,remaining,reset}` (OpenRouter) and
//! `anthropic-ratelimit-<kind>-{limit,remaining,reset}`. The reader is total: a header it cannot read is absent.

use std::time::Duration;

use http::HeaderMap;

use super::moment;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitKind {
    /// Requests, in the provider's usual window (a minute; a day at Groq).
    Requests,
    /// Requests a minute, where the provider names the window.
    RequestsPerMinute,
    /// Requests a day, where the provider names the window.
    RequestsPerDay,
    /// Tokens, in the provider's usual window (a minute).
    Tokens,
    /// Tokens a minute, where the provider names the window.
    TokensPerMinute,
    /// Tokens a day, where the provider names the window.
    TokensPerDay,
    /// Input tokens a minute.
    InputTokens,
    /// Output tokens a minute.
    OutputTokens,
    /// Images in prompts.
    InputImages,
    /// Requests of the project, where it has limits of its own.
    ProjectRequests,
    /// Tokens of the project, where it has limits of its own.
    ProjectTokens,
    /// Anthropic's unified five-hour window.
    UnifiedFiveHours,
    /// Anthropic's unified seven-day window.
    UnifiedSevenDays,
}

impl LimitKind {
    /// What it counts, as errors call it.
    pub const fn measure(self) -> &'static str {
        match self {
            Self::Requests | Self::RequestsPerMinute | Self::RequestsPerDay | Self::ProjectRequests => {
                "requests"
            }
            Self::Tokens | Self::TokensPerMinute | Self::TokensPerDay | Self::ProjectTokens => "tokens",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::InputImages => "images",
            Self::UnifiedFiveHours | Self::UnifiedSevenDays => "use",
        }
    }
}

/// One limit as the last response told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitView {
    /// What it counts.
    pub kind: LimitKind,
    /// How many a window allows.
    pub limit: Option<u64>,
    /// How many are left in the current window.
    pub remaining: Option<u64>,
    /// How long until the window is full again; zero when the moment has passed.
    pub reset: Option<Duration>,
}

/// Kinds of the `x-ratelimit-limit-<kind>` family, and the bare form.
const COMMON: &[(&str, LimitKind)] = &[
    ("", LimitKind::Requests),
    ("-requests", LimitKind::Requests),
    ("-tokens", LimitKind::Tokens),
    ("-input-images", LimitKind::InputImages),
    ("-project-requests", LimitKind::ProjectRequests),
    ("-project-tokens", LimitKind::ProjectTokens),
    ("-req-minute", LimitKind::RequestsPerMinute),
    ("-requests-minute", LimitKind::RequestsPerMinute),
    ("-requests-day", LimitKind::RequestsPerDay),
    ("-tokens-minute", LimitKind::TokensPerMinute),
    ("-tokens-day", LimitKind::TokensPerDay),
];

/// Kinds of the `anthropic-ratelimit-<kind>-limit` family.
const ANTHROPIC: &[(&str, LimitKind)] = &[
    ("requests", LimitKind::Requests),
    ("tokens", LimitKind::Tokens),
    ("input-tokens", LimitKind::InputTokens),
    ("output-tokens", LimitKind::OutputTokens),
    ("unified-5h", LimitKind::UnifiedFiveHours),
    ("unified-7d", LimitKind::UnifiedSevenDays),
];

/// Every limit that `headers` tell; `wall` is our clock, used where the response has no `Date`.
pub fn read(headers: &HeaderMap, wall: Duration) -> Vec<LimitView> {
    let now = moment::sender_now(headers, wall);
    let common = COMMON
        .iter()
        .filter_map(|(suffix, kind)| view(headers, now, *kind, |part| format!("x-ratelimit-{part}{suffix}")));
    let anthropic = ANTHROPIC.iter().filter_map(|(name, kind)| {
        view(headers, now, *kind, |part| format!("anthropic-ratelimit-{name}-{part}"))
    });
    common.chain(anthropic).collect()
}

fn view(
    headers: &HeaderMap,
    now: Duration,
    kind: LimitKind,
    name: impl Fn(&str) -> String,
) -> Option<LimitView> {
    let text = |part| headers.get(name(part)).and_then(|value| value.to_str().ok());
    let view = LimitView {
        kind,
        limit: text("limit").and_then(count),
        remaining: text("remaining").and_then(count),
        reset: text("reset").and_then(|text| moment::reset(text, now)),
    };
    let told = view.limit.is_some() || view.remaining.is_some() || view.reset.is_some();
    told.then_some(view)
}

/// A count; some hosts write `-1` or `50000.0`.
fn count(text: &str) -> Option<u64> {
    let text = text.trim();
    let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
    whole.parse::<u64>().ok().or_else(|| whole.parse::<i64>().ok().map(|_| 0))
}

#[cfg(test)]
#[allow(clippy::duration_suboptimal_units, reason = "the numbers are those on the wire")]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    const WALL: Duration = Duration::from_secs(1_792_567_680); // 2026-10-21T07:28:00Z

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    fn only(pairs: &[(&'static str, &str)]) -> LimitView {
        let views = read(&headers(pairs), WALL);
        assert_eq!(views.len(), 1, "{views:?}");
        views[0]
    }

    #[test]
    fn go_durations_are_read() {
        let view = only(&[
            ("x-ratelimit-limit-tokens", "30000"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "1m30.002s"),
        ]);
        let expected = LimitView {
            kind: LimitKind::Tokens,
            limit: Some(30_000),
            remaining: Some(0),
            reset: Some(Duration::from_millis(90_002)),
        };
        assert_eq!(view, expected);
    }

    #[test]
    fn bare_integers_are_seconds_and_epochs_are_moments() {
        assert_eq!(only(&[("x-ratelimit-reset-requests", "60")]).reset, Some(Duration::from_secs(60)));
        assert_eq!(only(&[("x-ratelimit-reset", "1792567690000")]).reset, Some(Duration::from_secs(10)));
    }

    #[test]
    fn a_reset_in_the_past_is_zero_by_the_senders_clock() {
        let pairs = [
            ("anthropic-ratelimit-requests-reset", "2026-10-21T12:40:59Z"),
            ("date", "Wed, 21 Oct 2026 12:41:00 GMT"),
        ];
        assert_eq!(only(&pairs).reset, Some(Duration::ZERO));
    }

    #[test]
    fn kinds_are_kept_apart() {
        let views = read(
            &headers(&[
                ("x-ratelimit-limit-requests", "1"),
                ("x-ratelimit-limit-project-tokens", "2"),
                ("x-ratelimit-limit-tokens-minute", "3"),
                ("anthropic-ratelimit-input-tokens-remaining", "4"),
            ]),
            WALL,
        );
        let kinds: Vec<_> = views.iter().map(|view| view.kind).collect();
        assert_eq!(
            kinds,
            [
                LimitKind::Requests,
                LimitKind::ProjectTokens,
                LimitKind::TokensPerMinute,
                LimitKind::InputTokens
            ]
        );
    }

    #[test]
    fn junk_is_absent_and_negative_is_nothing_left() {
        assert!(read(&headers(&[("x-ratelimit-limit-tokens", "many")]), WALL).is_empty());
        assert_eq!(only(&[("x-ratelimit-remaining-tokens", "-1")]).remaining, Some(0));
        assert_eq!(only(&[("x-ratelimit-limit-tokens", "50000.0")]).limit, Some(50_000));
    }

    proptest! {
        #[test]
        fn no_header_makes_the_reader_panic(value in "[ -~]{0,80}") {
            let _ = read(&headers(&[("x-ratelimit-reset", &value), ("x-ratelimit-limit", &value)]), WALL);
        }
    }
}
