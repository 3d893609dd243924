//! Keys out of text: upstreams echo parts of the key they refuse, and error text ends up in logs.

/// How keys of known providers begin, and how many characters of key must follow to be one.
const KEY_PREFIXES: &[(&str, usize)] = &[
    ("sk-", 12),
    ("sk_", 12),
    ("gsk_", 12),
    ("xai-", 12),
    ("hf_", 12),
    ("pplx-", 12),
    ("csk-", 12),
    ("r8_", 12),
    ("fw_", 12),
    ("AIza", 20),
    ("AKIA", 12),
    ("ASIA", 12),
    ("ghp_", 12),
    ("github_pat_", 12),
    ("eyJ", 24),
    ("ya29.", 12),
];

/// `text` with every key of a known pattern replaced by its prefix and `***`.
pub fn scrub(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut bearer = false;
    for piece in text.split_inclusive(|c: char| !is_key_character(c)) {
        let word = piece.trim_end_matches(|c: char| !is_key_character(c));
        let (_, after) = piece.split_at_checked(word.len()).unwrap_or((word, ""));
        match key_prefix(word) {
            Some((before, prefix)) => clean.extend([before, prefix, "***"]),
            None if bearer && word.len() >= 8 => clean.push_str("***"),
            None => clean.push_str(word),
        }
        clean.push_str(after);
        // An empty word is a run of separators: `Bearer: "x"` is still a bearer.
        bearer = if word.is_empty() { bearer } else { word.eq_ignore_ascii_case("bearer") };
    }
    clean
}

/// Can all of `text` be a key: one that begins like those of a known provider, or a long word with digits?
pub fn is_key(text: &str) -> bool {
    let text = text.trim();
    let is_known = || KEY_PREFIXES.iter().any(|(prefix, _)| text.starts_with(prefix));
    let is_opaque = || text.len() >= 24 && !text.contains('.') && text.contains(|c: char| c.is_ascii_digit());
    text.chars().all(is_key_character) && (is_known() || is_opaque())
}

fn is_key_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*' | '.')
}

/// The key pattern inside `word`: what stands before it and its prefix.
fn key_prefix(word: &str) -> Option<(&str, &'static str)> {
    KEY_PREFIXES.iter().find_map(|(prefix, at_least)| {
        let (before, key) = word.split_once(prefix)?;
        let starts_word = !before.ends_with(|c: char| c.is_ascii_alphanumeric());
        (starts_word && key.len() >= *at_least).then_some((before, *prefix))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{is_key, scrub};

    #[test]
    fn keys_of_every_pattern_go() {
        for (text, clean) in [
            (
                "Incorrect API key provided: sk-proj-abcdefghijklmnop. See",
                "Incorrect API key provided: sk-*** See",
            ),
            ("key gsk_abcdefghijklmnopqrst!", "key gsk_***!"),
            ("AIzaSyA-abcdefghijklmnopqrstuvwxyz", "AIza***"),
            ("Authorization: Bearer abcdefghijkl", "Authorization: Bearer ***"),
            ("\"sk-abcd***********wxyz\"", "\"sk-***\""),
            ("api_key=sk-abcdefghijklmnop&x", "api_key=sk-***&x"),
        ] {
            assert_eq!(scrub(text), clean);
        }
    }

    #[test]
    fn prose_stays_as_it_is() {
        for text in
            ["the sk-learn package, task-force and risk-1 (AIza)", "bearer of news", "日本語 hf_x", ""]
        {
            assert_eq!(scrub(text), text);
        }
    }

    #[test]
    fn a_key_is_told_from_a_path() {
        for key in ["sk-abc", "sk-proj-AbC_1\n", "gsk_x", "0123456789abcdef0123456789abcdef", "AIzaSyA-abc"] {
            assert!(is_key(key), "{key}");
        }
        for path in ["fairlead", "conf/sk-abc", "a-configuration-with-a-long-name", "stage-2.conf", ""] {
            assert!(!is_key(path), "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_planted_key_never_survives(before in ".{0,20}", key in "[A-Za-z0-9]{24,48}", after in ".{0,20}") {
            let text = format!("{before} sk-{key} {after}");
            prop_assert!(!scrub(&text).contains(&key));
        }
    }
}
