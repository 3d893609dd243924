//! Where midnight is.

use std::time::Duration;

use jiff::civil::{Date, Weekday};
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp, ToSpan, ZonedDateTime};

use super::limit::Every;
use crate::config::check::offset_seconds;

/// A time zone of the machine's database, or a fixed offset from UTC.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(TimeZone);

impl Zone {
    /// UTC.
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// Reads a name such as `Europe/Berlin`, or an offset such as `+08:00`.
    pub fn parse(written: &str) -> Option<Self> {
        if let Some(seconds) = offset_seconds(written) {
            let offset = Offset::from_seconds(i32::try_from(seconds).ok()?).ok()?;
            return Some(Self(TimeZone::fixed(offset)));
        }
        if written == "UTC" {
            return Some(Self::utc());
        }
        TimeZone::get(written).ok().map(Self)
    }

    /// The span that `wall` lies in: its beginning and its end, in nanoseconds since the Unix epoch.
    pub(super) fn span(&self, every: Every, wall: u64) -> (u64, u64) {
        self.calendar_span(every, wall).unwrap_or_else(|| plain(every, wall))
    }

    fn calendar_span(&self, every: Every, wall: u64) -> Option<(u64, u64)> {
        let seconds = i64::try_from(wall / NANOS).ok()?;
        let now = Timestamp::from_second(seconds).ok()?.to_zoned_datetime(self.0.clone());
        if every == Every::Hour {
            // By the clock on the wall, so that zones off by half an hour have hours of their own.
            let since = u64::try_from(i64::from(now.minute()) * 60 + i64::from(now.second())).ok()?;
            let start = (wall / NANOS).saturating_sub(since);
            return Some((start * NANOS, (start + 3600).saturating_mul(NANOS)));
        }
        let (first, length) = beginning(now.date(), every)?;
        let start = self.midnight(first)?;
        let end = self.midnight(first.checked_add(length).ok()?)?;
        Some((start, end))
    }

    fn midnight(&self, date: Date) -> Option<u64> {
        let zoned: ZonedDateTime = date.to_zoned_datetime(self.0.clone()).ok()?;
        // The week in which time began had begun before.
        u64::try_from(zoned.timestamp().as_second().max(0)).ok()?.checked_mul(NANOS)
    }
}

const NANOS: u64 = 1_000_000_000;

fn beginning(today: Date, every: Every) -> Option<(Date, Span)> {
    match every {
        Every::Hour | Every::Day => Some((today, 1.day())),
        Every::Week => {
            let since = today.weekday().since(Weekday::Monday);
            Some((today.checked_sub(i64::from(since).days()).ok()?, 1.week()))
        }
        Every::Month => Some((today.first_of_month(), 1.month())),
    }
}

/// Spans of equal length, for moments that no calendar holds.
fn plain(every: Every, wall: u64) -> (u64, u64) {
    let days = match every {
        Every::Hour | Every::Day => 1,
        Every::Week => 7,
        Every::Month => 30,
    };
    let length = Duration::from_secs(days * 24 * 3600).as_nanos();
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    let start = wall - wall % length;
    (start, start.saturating_add(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> u64 {
        let moment: Timestamp = text.parse().unwrap();
        u64::try_from(moment.as_second()).unwrap() * NANOS
    }

    fn span(zone: &str, every: Every, wall: &str) -> (u64, u64) {
        Zone::parse(zone).unwrap().span(every, at(wall))
    }

    #[test]
    fn spans_begin_and_end_where_the_calendar_of_the_zone_says() {
        for (zone, every, wall, start, end) in [
            ("UTC", Every::Hour, "2026-11-29T10:59:59Z", "2026-11-29T10:00:00Z", "2026-11-29T11:00:00Z"),
            ("UTC", Every::Day, "2026-11-29T00:00:00Z", "2026-11-29T00:00:00Z", "2026-11-30T00:00:00Z"),
            ("+08:00", Every::Day, "2026-11-28T16:00:00Z", "2026-11-28T16:00:00Z", "2026-11-29T16:00:00Z"),
            ("+05:30", Every::Hour, "2026-11-29T10:45:00Z", "2026-11-29T10:30:00Z", "2026-11-29T11:30:00Z"),
            ("UTC", Every::Week, "2026-11-29T12:00:00Z", "2026-11-23T00:00:00Z", "2026-11-30T00:00:00Z"),
            ("UTC", Every::Week, "1970-01-02T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-05T00:00:00Z"),
            ("UTC", Every::Month, "2026-02-28T23:59:59Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        ] {
            assert_eq!(span(zone, every, wall), (at(start), at(end)), "{zone} {every:?} {wall}");
        }
    }

    #[test]
    fn a_day_of_25_hours_has_25_hours() {
        if let Some(berlin) = Zone::parse("Europe/Berlin") {
            let (start, end) = berlin.span(Every::Day, at("2026-10-25T12:00:00Z"));
            assert_eq!(end - start, 25 * 3600 * NANOS);
        }
    }

    #[test]
    fn what_is_no_zone_is_none() {
        for written in ["", "Middle/Earth", "+25:00", "8"] {
            assert_eq!(Zone::parse(written), None, "{written}");
        }
    }

    #[test]
    fn no_moment_is_too_far() {
        for wall in [0, 1, u64::MAX / 2, u64::MAX] {
            for every in [Every::Hour, Every::Day, Every::Week, Every::Month] {
                let (start, end) = Zone::utc().span(every, wall);
                assert!(start <= wall && wall <= end, "{wall} {every:?}");
            }
        }
    }
}
