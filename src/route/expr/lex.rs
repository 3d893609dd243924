//! From source to tokens.

use super::Fault;

/// A token and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) at: usize,
    pub(super) is: Is,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Is {
    /// Without its sign; 2^63 is one too large unless a minus stands before it.
    Int(u64),
    Float(f64),
    Text(String),
    /// A name or a word operator.
    Word(String),
    /// One of [`SYMBOLS`].
    Symbol(&'static str),
    End,
}

impl Is {
    /// Is it this word operator, in upper or lower case?
    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Word(found) if found.eq_ignore_ascii_case(word))
    }
}

/// Longer ones first.
const SYMBOLS: [&str; 21] = [
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", "(", ")", "[", "]",
    ",",
];

/// All tokens of `source`, the last one [`Is::End`].
pub(super) fn tokens(source: &str) -> Result<Vec<Token>, Fault> {
    let mut lexer = Lexer { source, at: 0 };
    let mut found = Vec::new();
    loop {
        lexer.skip_space();
        let at = lexer.at;
        let is = lexer.token()?;
        let end = is == Is::End;
        found.push(Token { at, is });
        if end {
            return Ok(found);
        }
    }
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn fault(&self, at: usize, message: impl Into<String>) -> Fault {
        Fault::new(self.source, at, message)
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn token(&mut self) -> Result<Is, Fault> {
        let Some(first) = self.rest().chars().next() else { return Ok(Is::End) };
        match first {
            '\'' | '"' => self.text(first),
            '0'..='9' => self.number(),
            '_' | 'a'..='z' | 'A'..='Z' => Ok(Is::Word(self.take(is_word).to_owned())),
            _ => self.symbol(first),
        }
    }

    /// The longest run of characters that `belongs`.
    fn take(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|character| !belongs(character)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn symbol(&mut self, first: char) -> Result<Is, Fault> {
        let rest = self.rest();
        let found = SYMBOLS.iter().chain(&["."]).find(|symbol| rest.starts_with(**symbol));
        if let Some(symbol) = found {
            self.at += symbol.len();
            return Ok(Is::Symbol(symbol));
        }
        let instead = match first {
            '=' => "; to compare, write `==`".to_owned(),
            '&' | '|' => format!("; write `{first}{first}`"),
            '‘' | '’' | '“' | '”' => "; write plain quotes, ' or \"".to_owned(),
            _ => String::new(),
        };
        Err(self.fault(self.at, format!("`{}` has no meaning here{instead}", first.escape_debug())))
    }

    fn number(&mut self) -> Result<Is, Fault> {
        let start = self.at;
        let rest = self.rest();
        if let Some(digits) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
            let length = digits.find(|digit: char| !is_word(digit)).unwrap_or(digits.len());
            self.at += 2 + length;
            let digits = digits.get(..length).unwrap_or_default();
            return u64::from_str_radix(digits, 16).map(Is::Int).map_err(|_| self.no_number(start));
        }
        self.take(|digit| digit.is_ascii_digit());
        let mut whole = true;
        if self
            .rest()
            .strip_prefix('.')
            .is_some_and(|rest| rest.starts_with(|digit: char| digit.is_ascii_digit()))
        {
            self.at += 1;
            self.take(|digit| digit.is_ascii_digit());
            whole = false;
        }
        if self.rest().starts_with(['e', 'E']) {
            self.at += 1;
            self.at += usize::from(self.rest().starts_with(['+', '-']));
            whole = false;
        }
        self.take(is_word);
        let written = self.source.get(start..self.at).unwrap_or_default();
        let number = if whole {
            written.parse().ok().map(Is::Int)
        } else {
            written.parse().ok().filter(|number: &f64| number.is_finite()).map(Is::Float)
        };
        number.ok_or_else(|| self.no_number(start))
    }

    fn no_number(&self, start: usize) -> Fault {
        let written = self.source.get(start..self.at).unwrap_or_default();
        self.fault(start, format!("`{written}` is not a number, or too large for one"))
    }

    fn text(&mut self, quote: char) -> Result<Is, Fault> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            text.push_str(self.take(|character| character != quote && character != '\\'));
            let Some(stop) = self.rest().chars().next() else {
                return Err(self.fault(start, format!("the text that begins here has no closing {quote}")));
            };
            self.at += 1;
            if stop == quote {
                return Ok(Is::Text(text));
            }
            text.push(self.escape()?);
        }
    }

    /// The character that an escape stands for; we are behind its backslash.
    fn escape(&mut self) -> Result<char, Fault> {
        let at = self.at.saturating_sub(1);
        let Some(letter) = self.rest().chars().next() else {
            return Err(self.fault(at, "the text ends within an escape"));
        };
        self.at += letter.len_utf8();
        let code = match letter {
            '\\' | '\'' | '"' | '`' | '?' => return Ok(letter),
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            'x' => self.digits(at, 2)?,
            'u' => self.utf16(at)?,
            'U' => self.digits(at, 8)?,
            _ => return Err(self.fault(at, format!("`\\{}` is not an escape", letter.escape_debug()))),
        };
        char::from_u32(code).ok_or_else(|| self.fault(at, "this escape is not a character"))
    }

    fn digits(&mut self, at: usize, count: usize) -> Result<u32, Fault> {
        let digits =
            self.rest().get(..count).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let Some(digits) = digits else {
            return Err(self.fault(at, format!("this escape needs {count} hexadecimal digits")));
        };
        self.at += count;
        u32::from_str_radix(digits, 16).map_err(|_| self.fault(at, "this escape is not a character"))
    }

    /// One `\u` escape, or the two of a surrogate pair, as JSON writes characters beyond U+FFFF.
    fn utf16(&mut self, at: usize) -> Result<u32, Fault> {
        let high = self.digits(at, 4)?;
        if !(0xd800..0xdc00).contains(&high) || !self.rest().starts_with("\\u") {
            return Ok(high);
        }
        self.at += 2;
        let low = self.digits(at, 4)?;
        if !(0xdc00..0xe000).contains(&low) {
            return Err(self.fault(at, "this escape is half a character"));
        }
        Ok(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))
    }
}

fn is_word(character: char) -> bool {
    character == '_' || character.is_ascii_alphanumeric()
}
