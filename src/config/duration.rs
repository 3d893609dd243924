//! Durations and moments as they are written: seconds, and RFC 3339.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use crate::provider::moment;

/// Reads a number of seconds.
pub(crate) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let written = f64::deserialize(deserializer)?;
    Duration::try_from_secs_f64(written).map_err(|_| {
        serde::de::Error::custom(format!("expected a number of seconds, 0 or more, finite: {written}"))
    })
}

/// Reads a number of seconds where there may be none.
pub(crate) fn optional_seconds<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    seconds(deserializer).map(Some)
}

/// A point in calendar time: seconds since the Unix epoch, written as RFC 3339 (`2026-12-01T00:00:00Z`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema)]
pub struct Moment(#[schemars(with = "String", extend("format" = DATE_TIME))] pub Duration);

/// The schema's name for a point in calendar time.
pub(super) const DATE_TIME: &str = "date-time";

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = String::deserialize(deserializer)?;
        let read = moment::date(&written).map(Self);
        read.ok_or_else(|| {
            serde::de::Error::custom(format!("expected a date such as 2026-12-01T00:00:00Z: {written}"))
        })
    }
}
