//! How upstreams write time: seconds, Go durations, HTTP dates, RFC 3339, epoch seconds and milliseconds.
//!
//! Every reader is total: text that is not a time is `None`, never a panic, and no answer exceeds [`LONGEST`].

use std::time::{Duration, UNIX_EPOCH};

use http::HeaderMap;

/// The longest wait that is represented; `inf` and `1e9` seconds become this.
pub const LONGEST: Duration = Duration::from_hours(100 * 24);

/// No upstream writes a time longer than this; longer text is not looked at.
const LONGEST_TEXT: usize = 64;

/// From this number on a bare integer is an epoch in seconds, not a wait (it would be 31 years).
const EPOCH_SECONDS: f64 = 1e9;

/// From this number on an epoch is in milliseconds.
const EPOCH_MILLISECONDS: f64 = 1e12;

/// `seconds` as a wait: NaN and negative numbers are none, infinity is [`LONGEST`].
pub fn wait(seconds: f64) -> Option<Duration> {
    if seconds.is_nan() || seconds < 0.0 {
        return None;
    }
    Some(Duration::try_from_secs_f64(seconds).map_or(LONGEST, |wait| wait.min(LONGEST)))
}

/// A plain number of seconds: `3`, `0.5`, `1e9`, `inf`.
pub fn seconds(text: &str) -> Option<Duration> {
    number(text).and_then(wait)
}

/// A plain number of milliseconds.
pub fn milliseconds(text: &str) -> Option<Duration> {
    number(text).and_then(|number| wait(number / 1000.0))
}

fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    if text.len() > LONGEST_TEXT { None } else { text.parse().ok() }
}

/// A span of numbers with units and nothing else: `6m0s`, `120ms`, `10h17m5.7s`, `2 seconds`.
pub fn span(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text.len() > LONGEST_TEXT {
        return None;
    }
    let (seconds, rest) = leading_seconds(text)?;
    if rest.is_empty() { wait(seconds) } else { None }
}

/// The span that `text` begins with; what follows it does not matter.
pub fn leading_span(text: &str) -> Option<Duration> {
    leading_seconds(text).and_then(|(seconds, _)| wait(seconds))
}

fn leading_seconds(text: &str) -> Option<(f64, &str)> {
    let (mut total, mut rest) = part(text)?;
    while let Some((more, after)) = part(rest.trim_start_matches(' ')) {
        total += more;
        rest = after;
    }
    Some((total, rest))
}

/// One number and its unit, as seconds.
fn part(text: &str) -> Option<(f64, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, after) = text.split_at_checked(digits)?;
    let after = after.strip_prefix(' ').unwrap_or(after);
    let letters = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
    let (unit, rest) = after.split_at_checked(letters)?;
    Some((number.parse::<f64>().ok()? * unit_seconds(unit)?, rest))
}

fn unit_seconds(unit: &str) -> Option<f64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" | "millisecond" | "milliseconds" => 1e-3,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86400.0,
        _ => return None,
    })
}

/// A point in calendar time, as time since the Unix epoch: an HTTP date or RFC 3339.
pub fn date(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text.len() > LONGEST_TEXT {
        return None;
    }
    match httpdate::parse_http_date(text) {
        Ok(date) => date.duration_since(UNIX_EPOCH).ok(),
        Err(_) => rfc3339(text),
    }
}

/// An epoch in seconds or milliseconds, told apart by its size; `None` for numbers too small to be either.
pub fn epoch(text: &str) -> Option<Duration> {
    let number = number(text).filter(|number| *number >= EPOCH_SECONDS)?;
    let seconds = if number >= EPOCH_MILLISECONDS { number / 1000.0 } else { number };
    Duration::try_from_secs_f64(seconds).ok()
}

/// When a limit refills, as a wait from `now`: any form above; a moment in the past is a wait of zero.
pub fn reset(text: &str, now: Duration) -> Option<Duration> {
    let from_now = |moment: Duration| moment.saturating_sub(now).min(LONGEST);
    epoch(text)
        .map(from_now)
        .or_else(|| seconds(text))
        .or_else(|| span(text))
        .or_else(|| date(text).map(from_now))
}

/// The sender's clock: its `Date` header, which corrects for skew, else ours.
pub fn sender_now(headers: &HeaderMap, wall: Duration) -> Duration {
    headers.get(http::header::DATE).and_then(|date| date.to_str().ok()).and_then(date).unwrap_or(wall)
}

/// `2026-10-21T07:28:00.5+02:00`, with `Z` or an offset.
fn rfc3339(text: &str) -> Option<Duration> {
    let (day, time) = text.split_once(['T', 't', ' '])?;
    let mut parts = day.splitn(3, '-');
    let (year, month, day) = (integer(parts.next()?)?, integer(parts.next()?)?, integer(parts.next()?)?);
    let zone = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at_checked(zone)?;
    let mut parts = clock.splitn(3, ':');
    let (hour, minute) = (integer(parts.next()?)?, integer(parts.next()?)?);
    let second: f64 = parts.next()?.parse().ok().filter(|second| (0.0..=60.999).contains(second))?;
    let sane = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..=23).contains(&hour)
        && (0..=59).contains(&minute);
    if !sane {
        return None;
    }
    let minutes = (days_from_epoch(year, month, day) * 24 + hour) * 60 + minute - offset_minutes(zone)?;
    Duration::try_from_secs_f64(minutes as f64 * 60.0 + second).ok()
}

fn integer(text: &str) -> Option<i64> {
    if text.len() <= 4 && text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn offset_minutes(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, digits) = match zone.strip_prefix('+') {
        Some(digits) => (1, digits),
        None => (-1, zone.strip_prefix('-')?),
    };
    let (hours, minutes) = digits.split_once(':')?;
    Some(sign * (integer(hours)? * 60 + integer(minutes)?))
}

/// Days since 1 January 1970 (the proleptic Gregorian calendar counted in 400-year eras that begin in March).
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
#[allow(clippy::duration_suboptimal_units, reason = "the numbers are those on the wire")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spans_are_read_in_every_spelling() {
        for (text, millis) in [
            ("1s", 1_000),
            ("6m0s", 360_000),
            ("120ms", 120),
            ("8.64s", 8_640),
            ("1h2m3.5s", 3_723_500),
            ("2 seconds", 2_000),
            ("1 minute 30 seconds", 90_000),
            ("10h17m5.5s", 37_025_500),
        ] {
            assert_eq!(span(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "s", "5", "5 parsecs", "1..2s", "-1s", "s5", "5s later", &"1s".repeat(200)] {
            assert_eq!(span(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_that_is_no_wait_is_none_and_a_huge_one_is_capped() {
        for text in ["-5", "nan", "-inf", "", "x", "0x10", &"9".repeat(400)] {
            assert_eq!(seconds(text), None, "{text}");
        }
        for text in ["inf", "1e9", "1e308", "8640001"] {
            assert_eq!(seconds(text), Some(LONGEST), "{text}");
        }
        assert_eq!(seconds("0.5"), Some(Duration::from_millis(500)));
    }

    #[test]
    fn dates_agree_across_their_forms() {
        let expected = Some(Duration::from_secs(1_792_567_680));
        for text in [
            "Wed, 21 Oct 2026 07:28:00 GMT",
            "2026-10-21T07:28:00Z",
            "2026-10-21T09:28:00.0+02:00",
            "2026-10-21T00:28:00-07:00",
        ] {
            assert_eq!(date(text), expected, "{text}");
        }
        assert_eq!(date("2024-02-29T00:00:00Z"), Some(Duration::from_secs(1_709_164_800)));
        assert_eq!(date("2026-13-01T00:00:00Z"), None);
    }

    #[test]
    fn epochs_in_seconds_and_milliseconds_are_told_apart_by_size() {
        let now = Duration::from_secs(1_792_567_680);
        assert_eq!(reset("1792567690", now), Some(Duration::from_secs(10)));
        assert_eq!(reset("1792567690000", now), Some(Duration::from_secs(10)));
        assert_eq!(reset("1792567600", now), Some(Duration::ZERO));
        assert_eq!(reset("60", now), Some(Duration::from_secs(60)));
    }

    proptest! {
        #[test]
        fn no_text_makes_a_reader_panic(text in ".{0,80}", now in 0_u64..4_000_000_000) {
            let _ = (seconds(&text), milliseconds(&text), span(&text), date(&text), epoch(&text));
            prop_assert!(reset(&text, Duration::from_secs(now)).is_none_or(|wait| wait <= LONGEST));
            prop_assert!(leading_span(&text).is_none_or(|wait| wait <= LONGEST));
        }

        #[test]
        fn shapes_near_a_date_never_panic(text in "[0-9]{1,5}-[0-9]{1,3}-[0-9]{1,3}[Tt ][0-9:.]{0,12}[Zz+-][0-9:]{0,6}") {
            let _ = date(&text);
        }
    }
}
