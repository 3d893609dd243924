//! Changing single members of a request while every other byte stays as the caller sent it.
//!
//! Prompt caches of providers depend on the bytes, so a request is never parsed and written again. A change
//! concerns every top-level occurrence of its key, however the key is escaped: with duplicate keys, what our rules
//! read and what the upstream reads must not differ.

use std::ops::Range;

use bytes::Bytes;

use super::json::{self, Fault, FaultKind, Raw, Str, ValueKind};

/// One change to the top level of a request. Keys are plain text, values are JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit<'a> {
    /// Gives the member this value, and adds it where it is absent.
    Set(&'a str, &'a str),
    /// Adds the member where it is absent.
    SetIfAbsent(&'a str, &'a str),
    /// Takes the member away.
    Remove(&'a str),
    /// Gives the first key the name of the second. If a member of that name is there, that one stays and the
    /// renamed one goes.
    Rename(&'a str, &'a str),
}

/// Makes the edits one after the other. Without an effect the result is `body` itself, not a copy.
///
/// # Errors
/// Where `body` is not a JSON object.
pub fn apply(body: &Bytes, edits: &[Edit<'_>]) -> Result<Bytes, Fault> {
    if edits.is_empty() {
        return Ok(body.clone());
    }
    let root = json::document(body)?;
    let Some(patched) = patch(root, edits)? else { return Ok(body.clone()) };
    let start = root.text().as_ptr().addr() - body.as_ptr().addr();
    let mut bytes = Vec::with_capacity(body.len() - root.text().len() + patched.len());
    bytes.extend_from_slice(body.get(..start).unwrap_or_default());
    bytes.extend_from_slice(patched.as_bytes());
    bytes.extend_from_slice(body.get(start + root.text().len()..).unwrap_or_default());
    Ok(Bytes::from(bytes))
}

/// The value that `stream_options` must get so that its `include_usage` is as given and its other members stay;
/// `None` where it says so already. `written` is its JSON text, if it is there.
pub fn stream_options(written: Option<&[u8]>, include_usage: bool) -> Result<Option<String>, Fault> {
    let wanted = if include_usage { "true" } else { "false" };
    let options = written.map(json::document).transpose()?;
    match options.filter(|options| options.kind() == ValueKind::Object) {
        Some(options) => patch(options, &[Edit::Set("include_usage", wanted)]),
        None => Ok(Some(format!("{{\"include_usage\":{wanted}}}"))),
    }
}

/// Makes the edits in every object of a list; `None` if nothing changes.
pub(super) fn items(list: Raw<'_>, edits: &[Edit<'_>]) -> Result<Option<String>, Fault> {
    let text = list.text();
    let (mut out, mut end) = (String::new(), 0);
    for item in list.items().filter(|item| item.kind() == ValueKind::Object) {
        if let Some(patched) = patch(item, edits)? {
            let start = item.text().as_ptr().addr() - text.as_ptr().addr();
            out.push_str(span(text, &(end..start)));
            out.push_str(&patched);
            end = start + item.text().len();
        }
    }
    out.push_str(span(text, &(end..text.len())));
    Ok((end > 0).then_some(out))
}

/// The patched text of an object, or `None` if nothing changes.
fn patch(root: Raw<'_>, edits: &[Edit<'_>]) -> Result<Option<String>, Fault> {
    if root.kind() != ValueKind::Object {
        return Err(Fault { offset: 0, kind: FaultKind::Syntax });
    }
    let mut object = Object::read(root);
    for edit in edits {
        object.edit(*edit);
    }
    Ok(object.changed.then(|| object.write()))
}

/// An object as a list of members over its text.
struct Object<'a> {
    text: &'a str,
    members: Vec<Member<'a>>,
    added: Vec<(&'a str, &'a str)>,
    changed: bool,
}

struct Member<'a> {
    key: Range<usize>,
    value: Range<usize>,
    new_key: Option<&'a str>,
    new_value: Option<&'a str>,
    removed: bool,
}

impl<'a> Object<'a> {
    fn read(root: Raw<'a>) -> Self {
        let mut fields = root.fields();
        let members = std::iter::from_fn(|| fields.next_member())
            .map(|member| Member {
                key: member.key.0..member.key.1,
                value: member.value.0..member.value.1,
                new_key: None,
                new_value: None,
                removed: false,
            })
            .collect();
        Self { text: root.text(), members, added: Vec::new(), changed: false }
    }

    fn edit(&mut self, edit: Edit<'a>) {
        match edit {
            Edit::Set(key, value) => self.set(key, value),
            Edit::SetIfAbsent(key, value) => {
                if !self.has(key) {
                    self.add(key, value);
                }
            }
            Edit::Remove(key) => self.remove(key),
            Edit::Rename(from, to) if from != to => self.rename(from, to),
            Edit::Rename(..) => {}
        }
    }

    fn has(&self, key: &str) -> bool {
        self.added.iter().any(|(name, _)| *name == key)
            || self.members.iter().any(|member| member.is_called(self.text, key))
    }

    fn add(&mut self, key: &'a str, value: &'a str) {
        self.added.push((key, value));
        self.changed = true;
    }

    fn set(&mut self, key: &'a str, value: &'a str) {
        if !self.has(key) {
            return self.add(key, value);
        }
        for (_, old) in self.added.iter_mut().filter(|(name, _)| *name == key) {
            *old = value;
        }
        let text = self.text;
        for member in self.members.iter_mut().filter(|member| member.is_called(text, key)) {
            self.changed |= member.value(text) != value;
            member.new_value = Some(value);
        }
    }

    fn remove(&mut self, key: &str) {
        let text = self.text;
        self.added.retain(|(name, _)| *name != key);
        for member in self.members.iter_mut().filter(|member| member.is_called(text, key)) {
            member.removed = true;
            self.changed = true;
        }
    }

    fn rename(&mut self, from: &str, to: &'a str) {
        if self.has(to) {
            return self.remove(from);
        }
        let text = self.text;
        for (name, _) in self.added.iter_mut().filter(|(name, _)| *name == from) {
            *name = to;
        }
        for member in self.members.iter_mut().filter(|member| member.is_called(text, from)) {
            member.new_key = Some(to);
            self.changed = true;
        }
    }

    fn write(&self) -> String {
        let more: usize = self.added.iter().map(|(key, value)| key.len() + value.len() + 4).sum();
        let mut out = String::with_capacity(self.text.len() + more + 64);
        let first = self.members.first().map_or(1, |member| member.key.start);
        out.push_str(span(self.text, &(0..first)));
        let (mut empty, mut end) = (true, first);
        for member in &self.members {
            if !member.removed {
                if !empty {
                    out.push_str(span(self.text, &(end..member.key.start)));
                }
                member.write(self.text, &mut out);
                empty = false;
            }
            end = member.value.end;
        }
        for (key, value) in &self.added {
            if !std::mem::take(&mut empty) {
                out.push(',');
            }
            push_key(&mut out, key);
            out.push(':');
            out.push_str(value);
        }
        out.push_str(span(self.text, &(end..self.text.len())));
        out
    }
}

impl Member<'_> {
    fn is_called(&self, text: &str, name: &str) -> bool {
        !self.removed
            && self.new_key.map_or_else(
                || Str::assume(span(text, &(self.key.start + 1..self.key.end - 1))).is(name),
                |key| key == name,
            )
    }

    fn value<'b>(&'b self, text: &'b str) -> &'b str {
        self.new_value.unwrap_or_else(|| span(text, &self.value))
    }

    fn write(&self, text: &str, out: &mut String) {
        match self.new_key {
            Some(key) => push_key(out, key),
            None => out.push_str(span(text, &self.key)),
        }
        out.push_str(span(text, &(self.key.end..self.value.start)));
        out.push_str(self.value(text));
    }
}

fn push_key(out: &mut String, key: &str) {
    out.push_str(&serde_json::Value::from(key).to_string());
}

fn span<'a>(text: &'a str, range: &Range<usize>) -> &'a str {
    text.get(range.clone()).unwrap_or_default()
}
