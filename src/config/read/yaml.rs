//! YAML 1.2 with the core schema: `no` and `on` are text, `0o17` is a number. Merge keys (`<<`) are understood.

use std::collections::HashMap;
use std::num::ParseIntError;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};

use super::DEEPEST;
use super::lines::Lines;
use crate::config::problem::Problem;
use crate::config::tree::{Member, Node, Place, Value};

/// Values that aliases may repeat in all: a file of a few lines must not fill the memory.
const MOST: usize = 100_000;
const MERGE: &str = "<<";

/// Reads a document; a second one is refused.
pub(super) fn read(text: &str, lines: &Lines<'_>) -> Result<Node, Problem> {
    let mut reader =
        Reader { parser: Parser::new_from_str(text), lines, anchors: HashMap::new(), repeated: 0 };
    let mut document = None;
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => break,
            (Event::DocumentStart(_), span) if document.is_some() => {
                return Err(reader.problem(span, "a second document"));
            }
            (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing, _) => {}
            (event, span) => document = Some(reader.node(event, span, 0)?),
        }
    }
    document.ok_or_else(|| Problem::new("", Some(&lines.at(1, 1)), "the file is empty"))
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    lines: &'a Lines<'a>,
    /// What each alias stands for, and how many values it holds.
    anchors: HashMap<usize, (Node, usize)>,
    repeated: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Problem> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(fault)) => Err(Problem::new("", Some(&self.place(*fault.marker())), fault.info())),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn place(&self, marker: Marker) -> Place {
        self.lines.at(marker.line(), marker.col() + 1)
    }

    fn problem(&self, span: Span, message: impl Into<String>) -> Problem {
        Problem::new("", Some(&self.place(span.start)), message)
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Problem> {
        if depth > DEEPEST {
            return Err(self.problem(span, format!("nested more than {DEEPEST} deep")));
        }
        let (value, anchor) = match event {
            Event::Alias(anchor) => return self.alias(anchor, span),
            Event::Scalar(text, style, anchor, tag) => {
                (self.scalar(&text, style, tag.as_deref(), span)?, anchor)
            }
            Event::SequenceStart(anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(depth)?, anchor),
            _ => return Err(self.problem(span, "expected a value")),
        };
        let node = Node::new(value, Some(self.place(span.start)));
        if anchor != 0 {
            let mut size = 0;
            node.walk(&mut |_| size += 1);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<Node, Problem> {
        let Some((node, size)) = self.anchors.get(&anchor) else {
            return Err(self.problem(span, "an alias inside what it stands for"));
        };
        self.repeated += size;
        if self.repeated > MOST {
            return Err(self.problem(span, format!("aliases repeat more than {MOST} values")));
        }
        Ok(node.clone())
    }

    fn list(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Problem> {
        let (mut members, mut merged) = (Vec::new(), Vec::new());
        loop {
            let (event, span) = self.next()?;
            let plain = matches!(&event, Event::Scalar(text, ScalarStyle::Plain, ..) if text == MERGE);
            let key = match event {
                Event::MappingEnd => return Ok(Value::Map(joined(members, merged))),
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err(self.problem(span, "expected a name as the key")),
            };
            let (event, at) = self.next()?;
            let node = self.node(event, at, depth + 1)?;
            if plain {
                self.merge(node, at, &mut merged)?;
            } else {
                members.push(Member { key, at: Some(self.place(span.start)), node });
            }
        }
    }

    /// What `<<` takes in: a table, or several, of which the first counts.
    fn merge(&self, node: Node, at: Span, merged: &mut Vec<Member>) -> Result<(), Problem> {
        let tables = match node.value {
            Value::List(items) => items,
            _ => vec![node],
        };
        for table in tables {
            let Value::Map(members) = table.value else {
                return Err(self.problem(at, "`<<` takes a table, or a list of tables"));
            };
            merged.extend(members);
        }
        Ok(())
    }

    fn scalar(
        &self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<Value, Problem> {
        let tag = tag.map(|tag| if tag.is_yaml_core_schema() { tag.suffix.as_str() } else { "" });
        let value = match (tag, style) {
            (None, ScalarStyle::Plain) => return self.plain(text, span),
            (None | Some("str"), _) => return Ok(Value::Text(text.to_owned())),
            (Some("int" | "float" | "bool" | "null"), _) => self.plain(text, span)?,
            _ => return Err(self.problem(span, "a tag that is not of YAML's core schema")),
        };
        let fits = match (tag, &value) {
            (Some("float"), Value::Integer(_)) => true,
            (Some(tag), value) => tag == name(value),
            (None, _) => true,
        };
        if fits { Ok(value) } else { Err(self.problem(span, "a value that is not what its tag says")) }
    }

    fn plain(&self, text: &str, span: Span) -> Result<Value, Problem> {
        Ok(match text {
            "" | "~" | "null" | "Null" | "NULL" => Value::Null,
            "true" | "True" | "TRUE" => Value::Bool(true),
            "false" | "False" | "FALSE" => Value::Bool(false),
            _ if !text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) => {
                Value::Text(text.to_owned())
            }
            _ => match integer(text) {
                Some(Ok(number)) => Value::Integer(number),
                Some(Err(_)) => return Err(self.problem(span, "a number of more than 64 bits")),
                None => float(text).map_or_else(|| Value::Text(text.to_owned()), Value::Float),
            },
        })
    }
}

fn name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Integer(_) => "int",
        Value::Float(_) => "float",
        _ => "str",
    }
}

/// A whole number, where the text is one; an error where it is too large.
fn integer(text: &str) -> Option<Result<i128, ParseIntError>> {
    let (radix, digits) = match text.split_at_checked(2) {
        Some(("0x", digits)) => (16, digits),
        Some(("0o", digits)) => (8, digits),
        _ => (10, text.strip_prefix(['+', '-']).unwrap_or(text)),
    };
    let whole = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    whole.then(|| if radix == 10 { text.parse() } else { i128::from_str_radix(digits, radix) })
}

fn float(text: &str) -> Option<f64> {
    match text.strip_prefix(['+', '-']).unwrap_or(text) {
        ".inf" | ".Inf" | ".INF" if text.starts_with('-') => Some(f64::NEG_INFINITY),
        ".inf" | ".Inf" | ".INF" => Some(f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" => Some(f64::NAN),
        digits if digits.contains(|c: char| c.is_ascii_digit()) => {
            let number = digits.chars().all(|c| c.is_ascii_digit() || ".eE+-".contains(c));
            if number { text.parse().ok() } else { None }
        }
        _ => None,
    }
}

/// Members of the table itself win over those that `<<` took in.
fn joined(mut members: Vec<Member>, merged: Vec<Member>) -> Vec<Member> {
    for member in merged {
        if !members.iter().any(|own| own.key == member.key) {
            members.push(member);
        }
    }
    members
}
