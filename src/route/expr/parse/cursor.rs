//! Where the parser stands, and how it says so.

use super::{Built, Parser};
use crate::route::expr::lex::Is as Lexed;
use crate::route::expr::node::{Is, Node};
use crate::route::expr::{Fault, MAX_DEPTH};

impl Parser<'_> {
    pub(super) fn leaf(&self, at: usize, is: Is) -> Result<Built, Fault> {
        self.built(at, 0, is)
    }

    /// A node over parts that are `depth` deep.
    pub(super) fn built(&self, at: usize, depth: usize, is: Is) -> Result<Built, Fault> {
        if depth >= MAX_DEPTH {
            return Err(self.too_deep(at));
        }
        Ok(Built { node: Node { at, is }, depth: depth + 1 })
    }

    pub(super) fn nested(
        &mut self,
        part: impl FnOnce(&mut Self) -> Result<Built, Fault>,
    ) -> Result<Built, Fault> {
        if self.depth >= MAX_DEPTH {
            return Err(self.too_deep(self.at()));
        }
        self.depth += 1;
        let built = part(self);
        self.depth -= 1;
        built
    }

    pub(super) fn too_deep(&self, at: usize) -> Fault {
        self.fault(at, format!("an expression is at most {MAX_DEPTH} levels deep"))
    }

    pub(super) fn too_large(&self, at: usize) -> Fault {
        self.fault(at, "an integer beyond 64 bits")
    }

    pub(super) fn fault(&self, at: usize, message: impl Into<String>) -> Fault {
        Fault::new(self.source, at, message)
    }

    pub(super) fn unexpected(&self, wanted: &str) -> Fault {
        let found = match self.peek() {
            Lexed::End => "the end".to_owned(),
            Lexed::Symbol(symbol) => format!("`{symbol}`"),
            Lexed::Word(word) => format!("`{word}`"),
            Lexed::Int(_) | Lexed::Float(_) => "a number".to_owned(),
            Lexed::Text(_) => "a text".to_owned(),
        };
        self.fault(self.at(), format!("expected {wanted}, found {found}"))
    }

    pub(super) fn peek(&self) -> &Lexed {
        self.tokens.get(self.next).map_or(&Lexed::End, |token| &token.is)
    }

    pub(super) fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.source.len(), |token| token.at)
    }

    pub(super) fn is_over(&self) -> bool {
        *self.peek() == Lexed::End
    }

    pub(super) fn is_symbol(&self, symbol: &str) -> bool {
        matches!(self.peek(), Lexed::Symbol(found) if *found == symbol)
    }

    /// Is a word operator next, in any case?
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.peek().is_word(word)
    }

    /// The token after the next.
    pub(super) fn after(&self) -> Option<&Lexed> {
        self.tokens.get(self.next + 1).map(|token| &token.is)
    }

    pub(super) fn takes(&mut self, symbol: &str) -> bool {
        let found = self.is_symbol(symbol);
        self.next += usize::from(found);
        found
    }

    pub(super) fn takes_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.next += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, symbol: &'static str) -> Result<(), Fault> {
        if self.takes(symbol) { Ok(()) } else { Err(self.unexpected(&format!("`{symbol}`"))) }
    }
}
