//! Prometheus' text format, version 0.0.4: families with their help and type, samples with their labels.

use std::fmt::{self, Write as _};

use super::distribution::Distribution;

/// What every name begins with.
const PREFIX: &str = "fairlead_";

/// What is being written.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

/// What the samples of a family are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A number that only grows; its name ends in `_total`.
    Counter,
    /// A number that rises and falls.
    Gauge,
    /// Observations in buckets.
    Histogram,
}

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A count.
    Whole(u64),
    /// Any other.
    Real(f64),
    /// So many billionths, written as a decimal fraction: exact, where a float is not.
    Billionths(u64),
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Whole(count)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Whole(count) => write!(f, "{count}"),
            Self::Billionths(count) => write!(f, "{}.{:09}", count / 1_000_000_000, count % 1_000_000_000),
            Self::Real(number) if number.is_infinite() => {
                f.write_str(if number > 0.0 { "+Inf" } else { "-Inf" })
            }
            Self::Real(number) => write!(f, "{number}"),
        }
    }
}

/// Whoever has families to write.
pub trait Source: Send + Sync {
    /// Writes them as they stand now.
    fn write(&self, out: &mut Exposition);
}

impl Exposition {
    /// Begins a family. The name goes without its prefix; each must be begun once only.
    pub fn family(&mut self, name: &'static str, kind: Type, help: &str) -> Family<'_> {
        let kind = match kind {
            Type::Counter => "counter",
            Type::Gauge => "gauge",
            Type::Histogram => "histogram",
        };
        let help = help.replace('\\', r"\\").replace('\n', r"\n");
        // Writing to a `String` cannot fail.
        let _ = writeln!(self.text, "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {kind}");
        Family { text: &mut self.text, name }
    }

    /// A family with one sample.
    pub fn single(&mut self, name: &'static str, kind: Type, help: &str, value: impl Into<Value>) {
        self.family(name, kind, help).sample(&[], value);
    }

    /// All that was written.
    pub fn text(self) -> String {
        self.text
    }
}

/// A family that takes samples.
#[derive(Debug)]
pub struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Family<'_> {
    /// Adds a sample; no two with the same labels.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: impl Into<Value>) {
        self.line("", labels, None, value.into());
    }

    /// Adds the buckets, the sum and the count of a distribution.
    pub fn distribution(&mut self, labels: &[(&str, &str)], distribution: &Distribution) {
        let mut below = 0;
        for (bound, count) in distribution.buckets() {
            below += count;
            let bound = Value::Real(bound).to_string();
            self.line("_bucket", labels, Some(&bound), Value::Whole(below));
        }
        self.line("_sum", labels, None, distribution.sum());
        self.line("_count", labels, None, Value::Whole(below));
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], bound: Option<&str>, value: Value) {
        let _ = write!(self.text, "{PREFIX}{}{suffix}", self.name);
        let bound = bound.map(|bound| ("le", bound));
        for (position, (name, value)) in labels.iter().copied().chain(bound).enumerate() {
            let _ = write!(self.text, "{}{name}=\"", if position == 0 { '{' } else { ',' });
            escape(value, self.text);
            self.text.push('"');
        }
        if !labels.is_empty() || bound.is_some() {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

fn escape(value: &str, into: &mut String) {
    for character in value.chars() {
        match character {
            '\\' => into.push_str(r"\\"),
            '"' => into.push_str("\\\""),
            '\n' => into.push_str(r"\n"),
            other => into.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::settle::metrics::distribution::OVERHEAD;

    #[test]
    fn f129_label_values_cannot_break_out_of_their_line() {
        let mut out = Exposition::default();
        out.family("x_total", Type::Counter, "a\nb \\").sample(&[("a", "\"} 1\nb\\"), ("b", "π")], 3_u64);
        let wanted = "# HELP fairlead_x_total a\\nb \\\\\n# TYPE fairlead_x_total counter\n\
                      fairlead_x_total{a=\"\\\"} 1\\nb\\\\\",b=\"π\"} 3\n";
        assert_eq!(out.text(), wanted);
    }

    #[test]
    fn numbers_are_written_as_prometheus_reads_them() {
        let written = |value: Value| value.to_string();
        assert_eq!(written(Value::Billionths(1_000_000_210)), "1.000000210");
        assert_eq!(written(f64::INFINITY.into()), "+Inf");
        assert_eq!(written(0.01.into()), "0.01");
        assert_eq!(written(u64::MAX.into()), "18446744073709551615");
    }

    #[test]
    fn a_distribution_is_written_as_counts_of_all_that_is_not_above_each_bound() {
        let distribution = Distribution::seconds(&OVERHEAD);
        distribution.took(Duration::from_micros(20));
        distribution.took(Duration::from_micros(21));
        distribution.took(Duration::from_secs(100));
        let mut out = Exposition::default();
        out.family("y_seconds", Type::Histogram, "").distribution(&[("m", "a")], &distribution);
        let text = out.text();
        for line in [
            "fairlead_y_seconds_bucket{m=\"a\",le=\"0.00001\"} 0",
            "fairlead_y_seconds_bucket{m=\"a\",le=\"0.00002\"} 1",
            "fairlead_y_seconds_bucket{m=\"a\",le=\"0.00005\"} 2",
            "fairlead_y_seconds_bucket{m=\"a\",le=\"+Inf\"} 3",
            "fairlead_y_seconds_sum{m=\"a\"} 100.000041000",
            "fairlead_y_seconds_count{m=\"a\"} 3",
        ] {
            assert!(text.lines().any(|written| written == line), "{line} in\n{text}");
        }
    }
}
