//! The JSON Schema of a configuration: made from the structs, so that editors, [`super::shape`] and serde agree.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::Config;

/// Where a file may name the schema it follows. Not part of the configuration.
pub const SCHEMA_KEY: &str = "$schema";

/// The schema's name for the name of a file.
pub(super) const FILE: &str = "path";

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let mut schema =
        SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Config>().to_value();
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        let named =
            json!({ "type": "string", "description": "The schema that an editor holds this file against." });
        properties.insert(SCHEMA_KEY.to_owned(), named);
    }
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), "fairlead".into());
    }
    schema
});

/// The schema, with the documentation of every key.
pub fn schema() -> &'static Value {
    &SCHEMA
}

/// The forms that a value may have under one schema: references followed, choices laid side by side.
pub(super) fn forms(schema: &'static Value) -> Vec<Form> {
    let mut forms = Vec::new();
    lay(schema, Form::default(), &mut forms);
    forms
}

/// One form of a value: the members of a schema, with those of what it refers to.
#[derive(Clone, Debug, Default)]
pub(super) struct Form(Vec<&'static Map<String, Value>>);

impl Form {
    /// What the schema says under `word`.
    pub(super) fn get(&self, word: &str) -> Option<&'static Value> {
        self.0.iter().find_map(|members| members.get(word))
    }

    /// What a text or a number is, more closely.
    pub(super) fn format(&self) -> Option<&'static str> {
        self.get("format").and_then(Value::as_str)
    }

    /// Does it say nothing about the type, so that anything goes?
    pub(super) fn is_open(&self) -> bool {
        ["type", "enum", "const"].iter().all(|word| self.get(word).is_none())
    }

    /// The names of the types it allows.
    pub(super) fn types(&self) -> Vec<&'static str> {
        match self.get("type") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            _ if self.words().is_empty() => Vec::new(),
            _ => vec!["string"],
        }
    }

    /// The only texts it allows, where it lists them.
    pub(super) fn words(&self) -> Vec<&'static str> {
        let listed = self.get("enum").and_then(Value::as_array).into_iter().flatten();
        listed.chain(self.get("const")).filter_map(Value::as_str).collect()
    }
}

fn lay(schema: &'static Value, mut outer: Form, forms: &mut Vec<Form>) {
    if let Some(members) = schema.as_object() {
        outer.0.push(members);
        if let Some(target) =
            members.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#'))
        {
            return lay(SCHEMA.pointer(target).unwrap_or(&Value::Null), outer, forms);
        }
        for word in ["anyOf", "oneOf"] {
            if let Some(choices) = members.get(word).and_then(Value::as_array) {
                for choice in choices {
                    lay(choice, outer.clone(), forms);
                }
                return;
            }
        }
    }
    forms.push(outer);
}
