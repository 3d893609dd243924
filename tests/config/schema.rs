//! The JSON Schema is the struct's, documented to the last key, and the one in the package.

use fairlead::config::schema::schema;
use serde_json::Value;

use crate::Folder;

#[test]
fn the_schema_in_the_package_is_the_one_of_the_structs() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/python/fairlead/fairlead.schema.json");
    let written = format!("{:#}\n", schema());
    if std::env::var_os("FAIRLEAD_WRITE_SCHEMA").is_some() {
        std::fs::write(path, &written).unwrap();
    }
    assert!(std::fs::read_to_string(path).unwrap() == written, "run `make schema`");
}

fn undocumented(schema: &Value, path: &str, found: &mut Vec<String>) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        for (name, property) in properties {
            if property.get("description").is_none() {
                found.push(format!("{path}.{name}"));
            }
        }
    }
    if let Some(definitions) = schema.get("$defs").and_then(Value::as_object) {
        for (name, definition) in definitions {
            undocumented(definition, name, found);
        }
    }
}

#[test]
fn every_key_is_documented() {
    let mut found = Vec::new();
    undocumented(schema(), "", &mut found);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_file_may_name_its_schema() {
    let folder = Folder::new("named");
    folder.load(&[("c.json", r#"{"$schema": "./fairlead.schema.json"}"#)]).unwrap();
    folder.load(&[("c.toml", "#:schema ./fairlead.schema.json\n")]).unwrap();
}
