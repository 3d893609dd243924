//! What an expression works with, and what two values have to say to each other.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::chat::facts::Needs;

/// The most bytes of a text that an expression makes.
pub(super) const MAX_MADE: usize = 256 * 1024;

/// A value; texts are borrowed from the call or the expression as long as nothing changes them.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    /// What is missing.
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Cow<'a, str>),
    List(List<'a>),
    Map(Map),
}

#[derive(Clone, Debug)]
pub(super) enum List<'a> {
    Needs(Needs),
    Tags(&'a [String]),
    Values(Vec<Value<'a>>),
}

/// The maps there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Map {
    Metadata,
    Headers,
}

/// Why there is no value.
pub(super) type Reason = &'static str;

impl<'a> Value<'a> {
    pub(super) fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// Text, or null for none.
    pub(super) fn optional(text: Option<&'a str>) -> Self {
        text.map_or(Self::Null, Self::text)
    }

    pub(super) fn count(count: u64) -> Self {
        Self::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// A text that was made, if it is not too long.
    pub(super) fn made(text: String) -> Result<Self, Reason> {
        if text.len() > MAX_MADE {
            return Err("a text of more than 256 KiB");
        }
        Ok(Self::Text(Cow::Owned(text)))
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The value as a condition; what is missing does not hold.
    pub(super) fn holds(&self) -> Result<bool, Reason> {
        match self {
            Self::Bool(holds) => Ok(*holds),
            Self::Null => Ok(false),
            _ => Err("a condition must be true or false"),
        }
    }
}

impl<'a> List<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Needs(needs) => needs.iter().count(),
            Self::Tags(tags) => tags.len(),
            Self::Values(values) => values.len(),
        }
    }

    pub(super) fn item(&self, position: usize) -> Value<'a> {
        match self {
            Self::Needs(needs) => Value::optional(needs.iter().nth(position)),
            Self::Tags(tags) => Value::optional(tags.get(position).map(String::as_str)),
            Self::Values(values) => values.get(position).cloned().unwrap_or(Value::Null),
        }
    }

    pub(super) fn has(&self, wanted: &Value<'_>) -> bool {
        match (self, wanted) {
            (Self::Values(values), _) => values.iter().any(|value| equal(value, wanted)),
            (Self::Needs(needs), Value::Text(text)) => needs.iter().any(|need| need == text),
            (Self::Tags(tags), Value::Text(text)) => tags.iter().any(|tag| *tag == **text),
            _ => false,
        }
    }
}

/// Are two values that are there equal? Values of different kinds are not; numbers are one kind.
pub(super) fn equal(one: &Value<'_>, other: &Value<'_>) -> bool {
    match (one, other) {
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Text(a), Value::Text(b)) => a == b,
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && (0..a.len()).all(|position| equal(&a.item(position), &b.item(position)))
        }
        _ => numbers(one, other) == Some(Ordering::Equal),
    }
}

/// Which comes first? Texts are ordered by their code points.
pub(super) fn order(one: &Value<'_>, other: &Value<'_>) -> Result<Ordering, Reason> {
    if let (Value::Text(a), Value::Text(b)) = (one, other) {
        return Ok(a.cmp(b));
    }
    numbers(one, other).ok_or("only two numbers or two texts have an order")
}

/// Numbers compare by what they are worth, never by a rounded conversion.
fn numbers(one: &Value<'_>, other: &Value<'_>) -> Option<Ordering> {
    match (one, other) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Int(a), Value::Float(b)) => Some(int_to_float(*a, *b)),
        (Value::Float(a), Value::Int(b)) => Some(int_to_float(*b, *a).reverse()),
        _ => None,
    }
}

/// 2^63: the first float above every integer.
const ABOVE: f64 = 9_223_372_036_854_775_808.0;

#[expect(clippy::cast_possible_truncation, reason = "the bounds are checked first")]
fn int_to_float(int: i64, float: f64) -> Ordering {
    if float >= ABOVE {
        return Ordering::Less;
    }
    if float < -ABOVE {
        return Ordering::Greater;
    }
    int.cmp(&(float.trunc() as i64)).then_with(|| 0.0.partial_cmp(&float.fract()).unwrap_or(Ordering::Equal))
}

/// `+`, `-`, `*`, `/` and `%`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    /// What is missing stays missing.
    pub(super) fn apply<'a>(self, one: Value<'a>, other: Value<'a>) -> Result<Value<'a>, Reason> {
        match (one, other) {
            (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
            (Value::Int(a), Value::Int(b)) => self.integers(a, b).map(Value::Int),
            (Value::Text(a), Value::Text(b)) if self == Self::Add => {
                if a.len() + b.len() > MAX_MADE {
                    return Err("a text of more than 256 KiB");
                }
                let mut joined = a.into_owned();
                joined.push_str(&b);
                Ok(Value::Text(Cow::Owned(joined)))
            }
            (Value::Float(a), Value::Float(b)) => self.floats(a, b),
            (Value::Int(a), Value::Float(b)) => self.floats(a as f64, b),
            (Value::Float(a), Value::Int(b)) => self.floats(a, b as f64),
            _ => Err("these values cannot be reckoned with"),
        }
    }

    fn integers(self, a: i64, b: i64) -> Result<i64, Reason> {
        if b == 0 && matches!(self, Self::Divide | Self::Remainder) {
            return Err("a division by zero");
        }
        let result = match self {
            Self::Add => a.checked_add(b),
            Self::Subtract => a.checked_sub(b),
            Self::Multiply => a.checked_mul(b),
            Self::Divide => a.checked_div(b),
            Self::Remainder => a.checked_rem(b),
        };
        result.ok_or("an integer beyond 64 bits")
    }

    fn floats<'a>(self, a: f64, b: f64) -> Result<Value<'a>, Reason> {
        let result = match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            Self::Remainder => return Err("`%` takes two integers"),
        };
        finite(result)
    }
}

/// Infinity and what is not a number do not exist here.
pub(super) fn finite<'a>(number: f64) -> Result<Value<'a>, Reason> {
    if number.is_finite() { Ok(Value::Float(number)) } else { Err("a number that is not finite") }
}

/// The whole part of a float.
#[expect(clippy::cast_possible_truncation, reason = "the bounds are checked first")]
pub(super) fn whole<'a>(number: f64) -> Result<Value<'a>, Reason> {
    if (-ABOVE..ABOVE).contains(&number) {
        Ok(Value::Int(number as i64))
    } else {
        Err("an integer beyond 64 bits")
    }
}
