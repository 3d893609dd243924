//! From tokens to the compiled form.
//!
//! ```text
//! expression = or ["?" expression ":" expression]
//! or         = and {("||" | OR) and}
//! and        = not {("&&" | AND) not}
//! not        = NOT not | relation
//! relation   = sum [("==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "not in") sum]
//! sum        = product {("+" | "-") product}
//! product    = unary {("*" | "/" | "%") unary}
//! unary      = ("!" | "-") unary | postfix
//! postfix    = primary {"." name ["(" arguments ")"] | "[" expression "]"}
//! primary    = literal | name ["(" arguments ")"] | "(" expression ")" | "[" arguments "]"
//! ```

mod cursor;
mod compose;

use super::lex::{self, Is as Lexed, Token};
use super::names::{self, Variable};
use super::node::{Comparison, Is, Node};
use super::value::Operator;
use super::{Fault, MAX_SOURCE};
use crate::chat::facts::Wants;

/// What a source says.
pub(super) struct Parsed {
    pub(super) root: Node,
    pub(super) wants: Wants,
}

/// Reads `source`, which must be a condition.
pub(super) fn parse(source: &str) -> Result<Parsed, Fault> {
    if source.len() > MAX_SOURCE {
        return Err(Fault::new(source, MAX_SOURCE, format!("an expression has at most {MAX_SOURCE} bytes")));
    }
    let tokens = lex::tokens(source)?;
    let mut parser = Parser { source, tokens, next: 0, depth: 0, wants: Wants::NOTHING };
    let root = parser.expression()?;
    if !parser.is_over() {
        return Err(parser.unexpected("an operator or the end"));
    }
    let root = parser.condition(root)?;
    Ok(Parsed { root: root.node, wants: parser.wants })
}

/// A node and how deep it is.
struct Built {
    node: Node,
    depth: usize,
}

struct Parser<'a> {
    source: &'a str,
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    wants: Wants,
}

const RELATIONS: [(&str, Comparison); 6] = [
    ("==", Comparison::Equal),
    ("!=", Comparison::Different),
    ("<", Comparison::Less),
    ("<=", Comparison::LessOrEqual),
    (">", Comparison::Greater),
    (">=", Comparison::GreaterOrEqual),
];

const SUMS: [(&str, Operator); 2] = [("+", Operator::Add), ("-", Operator::Subtract)];
const PRODUCTS: [(&str, Operator); 3] =
    [("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Remainder)];

type Step<'a> = fn(&mut Parser<'a>) -> Result<Built, Fault>;

impl<'a> Parser<'a> {
    fn expression(&mut self) -> Result<Built, Fault> {
        self.nested(|parser| {
            let condition = parser.or()?;
            let at = parser.at();
            if !parser.takes("?") {
                return Ok(condition);
            }
            let condition = parser.condition(condition)?;
            let yes = parser.expression()?;
            parser.expect(":")?;
            let no = parser.expression()?;
            let depth = condition.depth.max(yes.depth).max(no.depth);
            parser.built(at, depth, Is::Choice(Box::new((condition.node, yes.node, no.node))))
        })
    }

    fn or(&mut self) -> Result<Built, Fault> {
        self.joined("||", "or", Self::and, Is::Or)
    }

    fn and(&mut self) -> Result<Built, Fault> {
        self.joined("&&", "and", Self::not, Is::And)
    }

    /// Conditions joined by one operator, as many as there are, in one node.
    fn joined(
        &mut self,
        symbol: &str,
        word: &str,
        part: Step<'a>,
        join: fn(Vec<Node>) -> Is,
    ) -> Result<Built, Fault> {
        let first = part(self)?;
        let at = self.at();
        if !self.takes(symbol) && !self.takes_word(word) {
            return Ok(first);
        }
        let first = self.condition(first)?;
        let (mut nodes, mut depth) = (vec![first.node], first.depth);
        loop {
            let next = part(self)?;
            let next = self.condition(next)?;
            depth = depth.max(next.depth);
            nodes.push(next.node);
            if !self.takes(symbol) && !self.takes_word(word) {
                return self.built(at, depth, join(nodes));
            }
        }
    }

    fn not(&mut self) -> Result<Built, Fault> {
        let at = self.at();
        if !self.takes_word("not") {
            return self.relation();
        }
        self.nested(|parser| {
            let operand = parser.not()?;
            parser.negated(at, operand)
        })
    }

    fn negated(&mut self, at: usize, operand: Built) -> Result<Built, Fault> {
        let Built { node, depth } = self.condition(operand)?;
        self.built(at, depth, Is::Not(Box::new(node)))
    }

    fn relation(&mut self) -> Result<Built, Fault> {
        let left = self.sum()?;
        let at = self.at();
        let built = if let Some((_, comparison)) = RELATIONS.iter().find(|(symbol, _)| self.takes(symbol)) {
            let right = self.sum()?;
            self.compared(at, *comparison, left, right)?
        } else if self.takes_word("in") {
            let right = self.sum()?;
            self.pair(at, left, right, Is::In)?
        } else if self.is_word("not") && self.after().is_some_and(|next| next.is_word("in")) {
            self.next += 2;
            let right = self.sum()?;
            let inside = self.pair(at, left, right, Is::In)?;
            self.negated(at, inside)?
        } else {
            return Ok(left);
        };
        if RELATIONS.iter().any(|(symbol, _)| self.is_symbol(symbol)) || self.is_word("in") {
            return Err(self.fault(self.at(), "comparisons do not chain: join two of them with `&&`"));
        }
        Ok(built)
    }

    fn pair(
        &mut self,
        at: usize,
        left: Built,
        right: Built,
        join: impl FnOnce(Box<(Node, Node)>) -> Is,
    ) -> Result<Built, Fault> {
        let depth = left.depth.max(right.depth);
        self.built(at, depth, join(Box::new((left.node, right.node))))
    }

    fn sum(&mut self) -> Result<Built, Fault> {
        self.reckoned(&SUMS, Self::product)
    }

    fn product(&mut self) -> Result<Built, Fault> {
        self.reckoned(&PRODUCTS, Self::unary)
    }

    fn reckoned(&mut self, operators: &[(&str, Operator)], part: Step<'a>) -> Result<Built, Fault> {
        let mut left = part(self)?;
        loop {
            let at = self.at();
            let Some((_, operator)) = operators.iter().find(|(symbol, _)| self.takes(symbol)) else {
                return Ok(left);
            };
            let right = part(self)?;
            left = self.pair(at, left, right, |pair| Is::Reckon(*operator, pair))?;
        }
    }

    fn unary(&mut self) -> Result<Built, Fault> {
        let at = self.at();
        if self.takes("!") {
            return self.nested(|parser| {
                let operand = parser.unary()?;
                parser.negated(at, operand)
            });
        }
        if !self.takes("-") {
            return self.postfix();
        }
        let alone = !matches!(self.after(), Some(Lexed::Symbol("." | "[")));
        match self.peek() {
            Lexed::Int(digits) if alone => {
                let negative = 0_i64.checked_sub_unsigned(*digits);
                self.next += 1;
                negative.ok_or_else(|| self.too_large(at)).and_then(|number| self.leaf(at, Is::Int(number)))
            }
            Lexed::Float(number) if alone => {
                let negative = -number;
                self.next += 1;
                self.leaf(at, Is::Float(negative))
            }
            _ => self.nested(|parser| {
                let operand = parser.unary()?;
                parser.built(at, operand.depth, Is::Negative(Box::new(operand.node)))
            }),
        }
    }

    fn postfix(&mut self) -> Result<Built, Fault> {
        let mut built = self.primary()?;
        loop {
            let at = self.at();
            if self.takes(".") {
                built = self.member(at, built)?;
            } else if self.takes("[") {
                let key = self.expression()?;
                self.expect("]")?;
                built = self.item(at, built, key)?;
            } else {
                return Ok(built);
            }
        }
    }

    fn member(&mut self, at: usize, of: Built) -> Result<Built, Fault> {
        let Lexed::Word(name) = self.peek() else { return Err(self.unexpected("a name")) };
        let name = name.clone();
        self.next += 1;
        if !self.takes("(") {
            let key = self.leaf(at, Is::Text(name.into()))?;
            return self.item(at, of, key);
        }
        let mut arguments = vec![of];
        self.arguments(")", &mut arguments)?;
        self.call(at, &name, arguments)
    }

    fn primary(&mut self) -> Result<Built, Fault> {
        let at = self.at();
        let token = self.peek().clone();
        self.next += 1;
        match token {
            Lexed::Int(digits) => {
                let number = i64::try_from(digits).map_err(|_| self.too_large(at))?;
                self.leaf(at, Is::Int(number))
            }
            Lexed::Float(number) => self.leaf(at, Is::Float(number)),
            Lexed::Text(text) => self.leaf(at, Is::Text(text.into())),
            Lexed::Word(word) if self.takes("(") => {
                let mut arguments = Vec::new();
                self.arguments(")", &mut arguments)?;
                self.call(at, &word, arguments)
            }
            Lexed::Word(word) => self.word(at, &word),
            Lexed::Symbol("(") => {
                let inner = self.expression()?;
                self.expect(")")?;
                Ok(inner)
            }
            Lexed::Symbol("[") => {
                let mut items = Vec::new();
                self.arguments("]", &mut items)?;
                let depth = deepest(&items);
                self.built(at, depth, Is::List(items.into_iter().map(|item| item.node).collect()))
            }
            _ => {
                self.next -= 1;
                Err(self.unexpected("a value"))
            }
        }
    }

    fn word(&mut self, at: usize, word: &str) -> Result<Built, Fault> {
        let literal = match word {
            "true" | "True" | "TRUE" => Is::Bool(true),
            "false" | "False" | "FALSE" => Is::Bool(false),
            "null" | "None" | "NULL" => Is::Null,
            _ => {
                if ["and", "or", "not", "in"].iter().any(|operator| operator.eq_ignore_ascii_case(word)) {
                    let message = format!("`{word}` cannot stand here: a value is missing, or parentheses");
                    return Err(self.fault(at, message));
                }
                let variable = Variable::named(word);
                let variable = variable.ok_or_else(|| self.fault(at, names::unknown_variable(word)))?;
                self.wants = self.wants | variable.wants();
                Is::Variable(variable)
            }
        };
        self.leaf(at, literal)
    }

    /// The expressions up to `close`, which is taken too.
    fn arguments(&mut self, close: &'static str, into: &mut Vec<Built>) -> Result<(), Fault> {
        if self.takes(close) {
            return Ok(());
        }
        loop {
            into.push(self.expression()?);
            if self.takes(close) {
                return Ok(());
            }
            self.expect(",")?;
        }
    }
}

fn deepest(parts: &[Built]) -> usize {
    parts.iter().map(|part| part.depth).max().unwrap_or_default()
}
