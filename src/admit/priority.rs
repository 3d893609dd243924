//! How urgent a call is: 0 to 9, higher first, or a name for it.

/// The header that says it; never sent upstream.
pub const HEADER: &str = "x-fairlead-priority";

/// Names for priorities.
pub const NAMES: &[(&str, u8)] =
    &[("background", 1), ("low", 3), ("normal", 5), ("high", 7), ("critical", 9)];

/// Reads a priority as it is written: a digit or a name.
pub fn parse(written: &str) -> Option<u8> {
    let written = written.trim();
    let named =
        NAMES.iter().find(|(name, _)| written.eq_ignore_ascii_case(name)).map(|(_, priority)| *priority);
    named.or_else(|| written.parse().ok().filter(|priority| *priority <= 9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digit_or_a_name_is_a_priority_and_nothing_else() {
        for (written, read) in [
            ("0", Some(0)),
            (" 9 ", Some(9)),
            ("High", Some(7)),
            ("10", None),
            ("", None),
            ("0.5", None),
            ("urgent", None),
        ] {
            assert_eq!(parse(written), read, "{written}");
        }
    }
}
