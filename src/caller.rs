//! Who calls: the names by which limits, rules and logs know a caller, held to a measure before anything looks at them.

use crate::call::CallOptions;
use crate::error::{Error, Kind};

/// Bytes of a name. What identifies somebody is shorter: a UUID has 36, a mail address at most 254.
pub const LONGEST: usize = 256;

/// Are the caller's names such that they may be kept and shown?
///
/// # Errors
///
/// [`Kind::Config`], naming the field; what it holds is not shown.
pub(crate) fn check(options: &CallOptions) -> Result<(), Error> {
    let fields = [
        ("user", &options.user),
        ("tenant", &options.tenant),
        ("key", &options.key),
        ("session", &options.session),
    ];
    let wrong = fields.iter().find_map(|(field, name)| Some((field, fault(name.as_deref()?)?)));
    wrong.map_or(Ok(()), |(field, fault)| {
        Err(Error::new(Kind::Config, format!("`fairlead.{field}`: {fault}")))
    })
}

fn fault(name: &str) -> Option<String> {
    if name.len() > LONGEST {
        return Some(format!("expected at most {LONGEST} bytes, not {}", name.len()));
    }
    let control = name.chars().find(|character| character.is_control())?;
    Some(format!("expected no control characters, such as U+{:04X}", u32::from(control)))
}
