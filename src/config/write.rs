//! A tree as TOML text.

use super::tree::{Member, Node, Value};

/// `tree` as TOML, which reads back as the same tree. Null members are left out: TOML has no word for them.
pub fn toml(tree: &Node) -> String {
    let mut out = String::new();
    table(tree.members(), "", is_section, &mut out);
    out
}

/// Plain members first: whatever follows a heading belongs to its table.
fn table(members: &[Member], path: &str, is_section: fn(&Node) -> bool, out: &mut String) {
    let written = || members.iter().filter(|member| member.node.value != Value::Null);
    for member in written().filter(|member| !is_section(&member.node)) {
        out.push_str(&key(&member.key));
        out.push_str(" = ");
        inline(&member.node, out);
        out.push('\n');
    }
    for member in written().filter(|member| is_section(&member.node)) {
        section(&member.node, &below_toml(path, &member.key), out);
    }
}

fn section(node: &Node, path: &str, out: &mut String) {
    if let Value::List(items) = &node.value {
        for item in items {
            heading(&format!("[[{path}]]"), out);
            table(item.members(), path, is_list_of_tables, out);
        }
        return;
    }
    let members = node.members();
    if members.is_empty() || members.iter().any(|member| !is_section(&member.node)) {
        heading(&format!("[{path}]"), out);
    }
    table(members, path, is_section, out);
}

fn heading(text: &str, out: &mut String) {
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(text);
    out.push('\n');
}

/// A table, or a list of nothing but tables.
fn is_section(node: &Node) -> bool {
    matches!(node.value, Value::Map(_)) || is_list_of_tables(node)
}

/// The tables of a list's items stay on their line.
fn is_list_of_tables(node: &Node) -> bool {
    let Value::List(items) = &node.value else { return false };
    !items.is_empty() && items.iter().all(|item| matches!(item.value, Value::Map(_)))
}

fn inline(node: &Node, out: &mut String) {
    match &node.value {
        Value::Null => out.push_str("\"\""),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Integer(number) => out.push_str(&number.to_string()),
        Value::Float(number) => out.push_str(&float(*number)),
        Value::Text(text) => out.push_str(&quoted(text)),
        Value::List(items) => {
            listed("[", "]", items.iter().map(|item| ("", item)), out);
        }
        Value::Map(members) => {
            let members = members.iter().filter(|member| member.node.value != Value::Null);
            let keyed: Vec<_> =
                members.map(|member| (format!("{} = ", key(&member.key)), &member.node)).collect();
            listed("{ ", " }", keyed.iter().map(|(key, node)| (key.as_str(), *node)), out);
        }
    }
}

fn listed<'a>(open: &str, close: &str, items: impl Iterator<Item = (&'a str, &'a Node)>, out: &mut String) {
    out.push_str(open);
    for (position, (key, item)) in items.enumerate() {
        if position > 0 {
            out.push_str(", ");
        }
        out.push_str(key);
        inline(item, out);
    }
    out.push_str(close);
}

/// With a point or an exponent, so that it stays a float.
fn float(number: f64) -> String {
    if number.is_nan() {
        "nan".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "inf".to_owned() } else { "-inf".to_owned() }
    } else {
        format!("{number:?}")
    }
}

fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { quoted(name) }
}

fn below_toml(path: &str, name: &str) -> String {
    if path.is_empty() { key(name) } else { format!("{path}.{}", key(name)) }
}

/// A basic string.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.extend(format!("\\u{:04X}", u32::from(c)).chars()),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
