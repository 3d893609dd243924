//! One schema in every format, with the place of every key.

use fairlead::config::read::{Format, text};
use fairlead::config::tree::{Node, Value};
use proptest::prelude::*;

use crate::{Folder, problems, spot};

const TOML: &str = r#"
default_model = "m"
[[models.m.deployments]]
provider = "openai"
model = "up"
api_key = "k"
weight = 2
[retry]
max_retries = 1
cap = 3.5
"#;

const YAML: &str = r"
default_model: m
models:
  m:
    deployments:
      - {provider: openai, model: up, api_key: k, weight: 2}
retry:
  max_retries: 1
  cap: 3.5
";

const JSONC: &str = r#"{
  // the only one
  "default_model": "m",
  "models": {"m": {"deployments": [
    {"provider": "openai", "model": "up", "api_key": "k", "weight": 2,},
  ]}},
  "retry": {"max_retries": 1, /* seconds */ "cap": 3.5},
}"#;

#[test]
fn every_format_says_the_same() {
    let folder = Folder::new("same");
    let files = [("c.toml", TOML), ("c.yaml", YAML), ("c.yml", YAML), ("c.jsonc", JSONC), ("c.json", JSONC)];
    for (name, written) in files {
        let loaded = folder.load(&[(name, written)]).unwrap();
        let told = format!("{:?}", loaded.config);
        assert_eq!(told, format!("{:?}", folder.load(&files[..1]).unwrap().config), "{name}");
        assert_eq!(loaded.config.retry.max_retries, 1);
        assert!(loaded.sources[0].ends_with(name));
    }
}

#[test]
fn a_key_is_found_at_its_line_and_column_in_every_format() {
    let cases = [
        ("c.toml", Format::Toml, TOML, (9, 15), (3, 19)),
        ("c.yaml", Format::Yaml, YAML, (8, 16), (6, 9)),
        ("c.json", Format::Json, JSONC, (7, 28), (5, 5)),
    ];
    for (name, format, written, retries, deployment) in cases {
        let tree = text(name, written, Some(format)).unwrap().0;
        let at = |path: &str| tree.place(path).map(|at| (at.line, at.column)).unwrap();
        assert_eq!(at("retry.max_retries"), retries, "{name}");
        if format != Format::Toml {
            assert_eq!(at("models.m.deployments[0]"), deployment, "{name}");
        }
    }
}

#[test]
fn an_ending_nobody_knows_is_read_as_json_or_refused() {
    let folder = Folder::new("ending");
    assert!(folder.load(&[("c.conf", JSONC)]).is_ok());
    let faults = problems("c.ini", TOML);
    assert!(faults[0].to_string().contains(".toml, .yaml"), "{faults:?}");
}

#[test]
fn duplicate_keys_are_refused_with_both_places() {
    let cases = [
        ("a.toml", "[retry]\ncap = 1\nbase = 1\ncap = 2\n", (4, 1), ":2:1"),
        ("b.toml", "[retry]\n[pool]\n[retry]\n", (3, 2), ":1:2"),
        ("c.toml", "retry = { cap = 1, cap = 2 }", (1, 20), ":1:11"),
        (
            "d.toml",
            "[providers.x]\nheaders = { a = \"1\" }\na = 1\n[providers.y]\na = 1\na = 2",
            (6, 1),
            ":5:1",
        ),
        ("e.yaml", "retry:\n  cap: 1\n  cap: 2\n", (3, 3), ":2:3"),
        ("f.json", "{\"retry\": {\"cap\": 1,\n \"cap\": 2}}", (2, 2), ":1:12"),
    ];
    for (name, written, second, first) in cases {
        let found = problems(name, written);
        let sentence = found[0].to_string();
        assert_eq!(spot(&found[0]), second, "{sentence}");
        assert!(sentence.contains("duplicate key") && sentence.ends_with(first), "{sentence}");
    }
}

#[test]
fn a_fault_of_grammar_names_its_place_and_quotes_nothing() {
    let cases = [
        ("a.toml", "[client]\napi_key = \"hush-1234567890\nbase_url = 1", 2),
        ("b.yaml", "client:\n  api_key: \"hush-1234567890\n", 2),
        ("c.json", "{\"client\": {\n\"api_key\": \"hush-1234567890}}", 2),
        ("d.json", "{\"client\": {'api_key': 1}}", 1),
    ];
    for (name, written, line) in cases {
        let found = problems(name, written);
        let sentence = found[0].to_string();
        assert!(spot(&found[0]).0 >= line && sentence.contains(name), "{sentence}");
        assert!(!sentence.contains("hush"), "{sentence}");
    }
}

fn yaml(written: &str) -> Node {
    text("c.yaml", written, Some(Format::Yaml)).unwrap().0
}

#[test]
fn yaml_is_read_by_the_core_schema() {
    let tree = yaml(
        "a: no\nb: on\nc: 0o17\nd: 0x1F\ne: 1e3\nf: ~\ng: !!str 1\nh: '1'\ni: -7\nj: .5\nk: 1.2.3\nl: True",
    );
    let value = |key: &str| tree.get(key).unwrap().value.clone();
    let word = |text: &str| Value::Text(text.to_owned());
    assert_eq!(value("a"), word("no"));
    assert_eq!(value("b"), word("on"));
    assert_eq!(value("c"), Value::Integer(15));
    assert_eq!(value("d"), Value::Integer(31));
    assert_eq!(value("e"), Value::Float(1000.0));
    assert_eq!(value("f"), Value::Null);
    assert_eq!(value("g"), word("1"));
    assert_eq!(value("h"), word("1"));
    assert_eq!(value("i"), Value::Integer(-7));
    assert_eq!(value("j"), Value::Float(0.5));
    assert_eq!(value("k"), word("1.2.3"));
    assert_eq!(value("l"), Value::Bool(true));
}

#[test]
fn yaml_aliases_and_merge_keys_are_understood() {
    let tree = yaml("x: &x {a: 1, b: 2}\ny:\n  <<: *x\n  b: 3\nz: *x\nw: {<<: [*x, {c: 4}]}");
    let pairs = |key: &str| tree.get(key).unwrap().json().to_string();
    assert_eq!(pairs("y"), r#"{"a":1,"b":3}"#);
    assert_eq!(pairs("z"), r#"{"a":1,"b":2}"#);
    assert_eq!(pairs("w"), r#"{"a":1,"b":2,"c":4}"#);
}

#[test]
fn a_bomb_of_aliases_is_refused_in_no_time() {
    let line = |level: usize| {
        let before = if level == 0 { "x".to_owned() } else { format!("*a{}", level - 1) };
        format!("a{level}: &a{level} [{}]\n", [before.as_str(); 10].join(", "))
    };
    let bomb: String = (0..12).map(line).collect();
    let found = problems("bomb.yaml", &bomb);
    assert!(found[0].message.contains("aliases"), "{found:?}");
}

#[test]
fn what_is_nested_without_end_is_refused() {
    for (name, open) in [("n.yaml", "["), ("n.json", "["), ("n.toml", "a = [")] {
        let written = if name == "n.toml" { format!("a = {}", "[".repeat(5000)) } else { open.repeat(5000) };
        assert!(!problems(name, &written).is_empty(), "{name}");
    }
}

#[test]
fn no_file_can_pretend_to_be_a_callable() {
    let found = problems("c.json", r#"{"rules": [{"name": "r", "when": {"callable": 0}, "model": "m"}]}"#);
    assert!(found[0].message.contains("callable"), "{found:?}");
}

proptest! {
    #[test]
    fn no_text_makes_a_reader_panic(written in "[\\[\\]{}:,\"'a-c0-9\\-&*!|>#=. \n\t<\\\\]{0,80}") {
        for format in [Format::Toml, Format::Yaml, Format::Json] {
            let _ = text("c", &written, Some(format));
        }
    }
}

#[test]
fn what_only_shows_when_it_is_put_together_is_told_with_what_is_wrong_before() {
    let wrong = "rety: {}\nrouting: {ejecton: {}}\nmodels:\n  m:\n    deployments:\n      \
                 - {provider: openai, model: a, api_key: k, base_url: 'ftp://x'}\n      \
                 - {provider: openai, model: b, api_key: k, headers: {'a b': c}}\n      \
                 - {provider: bedrock, model: c}\n      \
                 - {provider: openai, model: d, api_key: k, weigth: 2}\n  m2: m\n  m2: m\n";
    let found = problems("c.yaml", wrong);
    let paths: Vec<&str> = found.iter().map(|problem| problem.path.as_str()).collect();
    for path in [
        "rety",
        "routing.ejecton",
        "models.m.deployments[0].base_url",
        "models.m.deployments[1]",
        "models.m.deployments[2]",
        "models.m.deployments[3].weigth",
        "models.m2",
    ] {
        assert!(paths.contains(&path), "{path}: {found:#?}");
    }
    assert!(found.iter().all(|problem| problem.at.is_some()), "{found:#?}");
    assert_eq!(found.len(), 7, "{found:#?}");
}
