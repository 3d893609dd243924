//! Moving over JSON text that was checked before; over any other text it moves too, just nowhere sensible.

#[inline]
pub(super) fn slice(text: &str, start: usize, end: usize) -> &str {
    text.get(start..end).unwrap_or_default()
}

#[inline]
pub(super) fn past_whitespace(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

#[inline]
pub(super) fn past_separator(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t' | b',')) {
        at += 1;
    }
    at
}

/// The end of the string whose opening quote is at `at`, and whether it holds escapes.
#[inline]
pub(super) fn past_string(bytes: &[u8], at: usize) -> (usize, bool) {
    let (mut at, mut escaped) = (at + 1, false);
    loop {
        at = past_plain(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return (at + 1, escaped),
            Some(b'\\') => {
                escaped = true;
                at += 2;
            }
            Some(_) => at += 1,
            None => return (bytes.len(), escaped),
        }
    }
}

/// Strings that end within so many bytes have ended before `memchr` would have begun.
const NEAR: usize = 32;

/// From `at`, the first quote or backslash, or a place before it.
#[inline]
fn past_plain(bytes: &[u8], at: usize) -> usize {
    let near = bytes.len().min(at.saturating_add(NEAR));
    let at = plain(bytes.get(..near).unwrap_or_default(), at);
    if at < near {
        return at;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    memchr::memchr2(b'"', b'\\', rest).map_or(bytes.len(), |found| at + found)
}

/// The end of the value that starts at `at`; `at` itself where none does.
#[inline]
pub(super) fn past_value(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        Some(b'"') => past_string(bytes, at).0,
        Some(b'{' | b'[') => past_container(bytes, at),
        _ => past_scalar(bytes, at),
    }
}

fn past_scalar(bytes: &[u8], mut at: usize) -> usize {
    while !matches!(bytes.get(at), None | Some(b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

fn past_container(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = past_string(bytes, at).0;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

const ONES: u64 = u64::MAX / 0xff;
const HIGHS: u64 = ONES * 0x80;

/// From `at`, the first byte that cannot stand for itself in a string: a quote, a backslash or a control
/// character; the length if there is none.
#[inline]
pub(super) fn plain(bytes: &[u8], mut at: usize) -> usize {
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let special = special(u64::from_le_bytes(*eight));
        if special != 0 {
            return at + special.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while !matches!(bytes.get(at), None | Some(b'"' | b'\\' | ..0x20)) {
        at += 1;
    }
    at
}

/// Marks the high bit of the bytes in question. Borrows may mark bytes above the lowest one, never below it.
#[inline]
const fn special(word: u64) -> u64 {
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = quote.wrapping_sub(ONES) & !quote;
    let backslash = backslash.wrapping_sub(ONES) & !backslash;
    (control | quote | backslash) & HIGHS
}
