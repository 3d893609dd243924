//! How many tokens a request comes to, when nobody has counted: a pure function of sizes and of what is known of the
//! model's family. [`crate::live::calibration`] corrects it from what upstreams count.

/// Bytes of an answer that make one token; the common rule of thumb for English and code.
const BYTES_PER_TOKEN: usize = 4;
/// Bytes of a message's own JSON, such as `{"role":"user","content":""},`; the model sees about
/// [`TOKENS_PER_MESSAGE`] in their place.
const ENVELOPE: usize = 30;
/// Tokens around each message, as OpenAI documents for its chat models.
const TOKENS_PER_MESSAGE: f64 = 4.0;
/// Tokens around all messages, as OpenAI documents.
pub const TOKENS_AROUND: f64 = 3.0;
/// Bytes beyond ASCII that make one token: about one for a Chinese character, two letters of Cyrillic.
const BYTES_BEYOND_ASCII: f64 = 3.0;
/// How many times as many bytes of a JSON schema make one token: providers write schemas shorter for the model.
const SCHEMA: f64 = 1.14;
/// Tokens a sound or file comes to at least, and bytes of one (in base64) that make a token beyond that.
const LEAST_OF_ATTACHMENT: f64 = 300.0;
const BYTES_OF_ATTACHMENT: f64 = 1024.0;

/// The sizes of what a model reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Bytes of messages, inputs and instructions as they are written, without pictures, sounds and files.
    pub text: usize,
    /// Bytes of tools and of a schema for the answer.
    pub schema: usize,
    /// Bytes of all of it that are not ASCII.
    pub beyond_ascii: usize,
    /// Messages.
    pub messages: usize,
    /// Pictures.
    pub images: u64,
    /// Sounds and files.
    pub attachments: u64,
    /// Their bytes.
    pub attached: usize,
}

/// What a family of models is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Family {
    /// Bytes of text that make one token.
    pub bytes_per_token: f64,
    /// Tokens of a picture of usual size.
    pub image: f64,
}

/// Where nothing is known of a family.
pub const UNKNOWN: Family = Family { bytes_per_token: 4.0, image: 765.0 };

/// By the beginning of a model's name, the longest first. Text: recorded traffic (`docs/limits.md`).
/// Pictures, each of 1,024 by 1,024 pixels: OpenAI's 85 and four tiles of 170 (33 times as many for gpt-4o-mini),
/// Anthropic's width times height by 750, Gemini's 258 a tile.
const FAMILIES: &[(&str, Family)] = &[
    ("gpt-4o-mini", Family { bytes_per_token: 4.4, image: 25_501.0 }),
    ("gpt-", Family { bytes_per_token: 4.4, image: 765.0 }),
    ("o1", Family { bytes_per_token: 4.4, image: 765.0 }),
    ("o3", Family { bytes_per_token: 4.4, image: 765.0 }),
    ("o4", Family { bytes_per_token: 4.4, image: 765.0 }),
    ("claude", Family { bytes_per_token: 3.6, image: 1398.0 }),
    ("gemini", Family { bytes_per_token: 4.2, image: 258.0 }),
];

impl Family {
    /// The family of a model, with or without a vendor before its name.
    pub fn of(model: &str) -> Self {
        let model = model.rsplit('/').next().unwrap_or(model);
        let is_of =
            |name: &str| model.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        FAMILIES.iter().find(|(name, _)| is_of(name)).map_or(UNKNOWN, |(_, family)| *family)
    }
}

impl Prompt {
    /// The tokens of what is text.
    pub fn text_tokens(&self, family: Family) -> f64 {
        let written = self.text.saturating_sub(self.messages * ENVELOPE);
        let beyond = self.beyond_ascii.min(written);
        (written - beyond) as f64 / family.bytes_per_token
            + beyond as f64 / BYTES_BEYOND_ASCII
            + self.schema as f64 / (family.bytes_per_token * SCHEMA)
            + self.messages as f64 * TOKENS_PER_MESSAGE
            + TOKENS_AROUND
    }

    /// The tokens of pictures, sounds and files.
    pub fn media_tokens(&self, family: Family) -> f64 {
        let least = self.attachments as f64 * LEAST_OF_ATTACHMENT;
        self.images as f64 * family.image + least.max(self.attached as f64 / BYTES_OF_ATTACHMENT)
    }

    /// Is there anything to read?
    pub fn is_empty(&self) -> bool {
        self.text == 0 && self.schema == 0
    }

    /// All of it, before anything is known of the deployment.
    pub fn tokens(&self, family: Family) -> u64 {
        if self.is_empty() { 0 } else { whole(self.text_tokens(family) + self.media_tokens(family)) }
    }
}

/// The next whole number of tokens.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates")]
pub fn whole(tokens: f64) -> u64 {
    tokens.ceil() as u64
}

/// The tokens that `bytes` of an answer come to, rounded up.
pub fn tokens(bytes: usize) -> u64 {
    bytes.div_ceil(BYTES_PER_TOKEN) as u64
}

/// How many bytes are not ASCII.
pub fn beyond_ascii(bytes: &[u8]) -> usize {
    // In lanes of a byte, which the compiler adds up sixteen at a time; none of them overflows within a block.
    const LANES: usize = 16;
    let blocks = bytes.chunks(LANES * usize::from(u8::MAX)).map(|block| {
        let mut counts = [0_u8; LANES];
        let rows = block.chunks_exact(LANES);
        let rest = rows.remainder().iter().filter(|byte| !byte.is_ascii()).count();
        for row in rows {
            for (count, byte) in counts.iter_mut().zip(row) {
                *count += byte >> 7;
            }
        }
        counts.into_iter().map(usize::from).sum::<usize>() + rest
    });
    blocks.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_known_by_the_beginning_of_a_name_after_its_vendor() {
        assert!((Family::of("openai/GPT-4o-mini-2024-07-18").image - 25_501.0).abs() < 1e-9);
        assert!((Family::of("gpt-4o").image - 765.0).abs() < 1e-9);
        assert!((Family::of("anthropic/claude-sonnet-4.5").bytes_per_token - 3.6).abs() < 1e-9);
        assert_eq!(Family::of("ключ"), UNKNOWN);
        assert_eq!(Family::of(""), UNKNOWN);
    }

    #[test]
    fn sizes_come_to_tokens() {
        let prompt = Prompt { text: 430, messages: 1, ..Prompt::default() };
        assert_eq!(
            prompt.tokens(UNKNOWN),
            107,
            "400 bytes by four, four around the message, three around all"
        );
        let chinese = Prompt { text: 330, messages: 1, beyond_ascii: 300, ..Prompt::default() };
        assert_eq!(chinese.tokens(UNKNOWN), 107, "a hundred characters");
        assert_eq!(Prompt::default().tokens(UNKNOWN), 0);
        let picture = Prompt { text: 430, messages: 1, images: 2, ..Prompt::default() };
        assert_eq!(picture.tokens(UNKNOWN), 107 + 2 * 765);
    }

    #[test]
    fn bytes_beyond_ascii_are_counted() {
        assert_eq!(beyond_ascii("a代б".as_bytes()), 5);
        for length in [15, 16, 17, 4079, 4080, 4081, 10_000] {
            assert_eq!(beyond_ascii(&vec![0xe4; length]), length);
            assert_eq!(beyond_ascii("aб".repeat(length).as_bytes()), 2 * length);
        }
    }
}
