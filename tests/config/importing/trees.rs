//! Trees that nobody wrote: none makes the conversion panic, and the TOML made of any reads back.

use fairlead::config::tree::{Member, Node, Value};
use fairlead::config::{import, read, write};
use proptest::prelude::*;

fn tree() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(|number| Value::Integer(number.into())),
        any::<f64>().prop_filter("equal to itself", |number| !number.is_nan()).prop_map(Value::Float),
        any::<String>().prop_map(Value::Text),
    ];
    let value = leaf.prop_recursive(4, 32, 4, |inner| {
        let node = inner.prop_map(|value| Node::new(value, None));
        prop_oneof![
            prop::collection::vec(node.clone(), 0..4).prop_map(Value::List),
            prop::collection::btree_map(any::<String>(), node, 0..4).prop_map(|members| {
                Value::Map(members.into_iter().map(|(key, node)| Member { key, at: None, node }).collect())
            }),
        ]
    });
    prop::collection::btree_map(any::<String>(), value, 0..5).prop_map(|members| {
        let member = |(key, value)| Member { key, at: None, node: Node::new(value, None) };
        Node::new(Value::Map(members.into_iter().map(member).collect()), None)
    })
}

proptest! {
    #[test]
    fn any_tree_reads_back_from_its_toml(tree in tree()) {
        let text = write::toml(&tree);
        let read = read::text("c.toml", &text, Some(read::Format::Toml));
        prop_assert_eq!(sorted(read.unwrap().0), sorted(tree), "{}", text);
    }
}

/// TOML puts plain members before tables; their order means nothing.
fn sorted(node: Node) -> Node {
    let value = match node.value {
        Value::Map(mut members) => {
            members.sort_by(|one, other| one.key.cmp(&other.key));
            Value::Map(
                members.into_iter().map(|member| Member { node: sorted(member.node), ..member }).collect(),
            )
        }
        Value::List(items) => Value::List(items.into_iter().map(sorted).collect()),
        other => other,
    };
    Node::new(value, None)
}

/// Trees of the keys that foreign files have, in shapes that they do not.
fn foreign() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i32>().prop_map(|number| Value::Integer(number.into())),
        any::<f64>().prop_map(Value::Float),
        "(os.environ/|\\$\\{?|openai/|\\*|@|,|[a-z]{1,4}|\\}){0,3}".prop_map(Value::Text),
    ];
    let key = prop::sample::select(KEYS.to_vec());
    let value = leaf.prop_recursive(6, 48, 5, move |inner| {
        let node = inner.prop_map(|value| Node::new(value, None));
        prop_oneof![
            prop::collection::vec(node.clone(), 0..5).prop_map(Value::List),
            prop::collection::btree_map(key.clone(), node, 0..6).prop_map(|members| {
                let member = |(key, node): (&str, Node)| Member { key: key.to_owned(), at: None, node };
                Value::Map(members.into_iter().map(member).collect())
            }),
        ]
    });
    let tops = prop::sample::select(vec![
        "models",
        "routing_rules",
        "model_list",
        "arguments",
        "Providers",
        "Router",
    ]);
    let member = (tops, value).prop_map(|(key, value)| Member {
        key: key.to_owned(),
        at: None,
        node: Node::new(value, None),
    });
    prop::collection::vec(member, 1..4).prop_map(|mut members| {
        members.sort_by(|one, other| one.key.cmp(&other.key));
        members.dedup_by(|one, other| one.key == other.key);
        Node::new(Value::Map(members), None)
    })
}

const KEYS: [&str; 43] = [
    "router_config",
    "models",
    "routing_rules",
    "model_list",
    "router_settings",
    "litellm_settings",
    "arguments",
    "credential_list",
    "credential_name",
    "credential_values",
    "Providers",
    "Router",
    "model_name",
    "litellm_params",
    "model_info",
    "model",
    "model_id",
    "endpoint",
    "api_key",
    "api_base",
    "api_version",
    "api_key_env_var",
    "weight",
    "rpm",
    "order",
    "timeout",
    "tags",
    "extra_body",
    "headers",
    "fallbacks",
    "default_fallbacks",
    "model_group_alias",
    "retry_policy",
    "routing_strategy",
    "cooldown_time",
    "*",
    "name",
    "api_base_url",
    "transformer",
    "use",
    "default",
    "longContext",
    "condition",
];

proptest! {
    #[test]
    fn any_foreign_tree_is_converted_without_a_panic_and_its_toml_reads_back(tree in foreign()) {
        if let Some(imported) = import::recognise(&tree) {
            let read = read::text("c.toml", &write::toml(&imported.tree), Some(read::Format::Toml));
            prop_assert!(read.is_ok(), "{:?}\n{}", read, write::toml(&imported.tree));
        }
    }
}
