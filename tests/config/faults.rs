//! Everything that is wrong is told at once, each with its place, its key and what may have been meant.

use fairlead::config::problem;

use crate::{Folder, problems, spot};

const WRONG: &str = r#"defualt_model = "m"
[[models.m.deployments]]
provider = "opnai"
model = "up"
wieght = 2
[models.n]
strategy = "wieghted"
deployments = []
[retry]
max_retries = "hush-1234567890"
cap = -1
[[rules]]
name = "r"
when = "true"
model = "mm"
[[rules]]
name = "r"
model = "m"
[routing]
exploration = 2.0
"#;

#[test]
fn all_problems_of_a_file_are_told_at_once() {
    let folder = Folder::new("all");
    let error = folder.load(&[("wrong.toml", WRONG)]).unwrap_err();
    let found: Vec<_> = error
        .problems()
        .iter()
        .map(|problem| (problem.path.as_str(), spot(problem), problem.suggestion.as_deref()))
        .collect();
    for expected in [
        ("defualt_model", (1, 1), Some("default_model")),
        ("models.m.deployments[0].provider", (3, 12), Some("openai")),
        ("models.m.deployments[0].wieght", (5, 1), Some("weight")),
        ("models.n.strategy", (7, 12), Some("weighted")),
        ("retry.max_retries", (10, 15), None),
        ("retry.cap", (11, 7), None),
        ("rules[1].when", (16, 1), None),
        ("routing.exploration", (20, 15), None),
    ] {
        assert!(found.contains(&expected), "{expected:?} is not in {error}");
    }
    let sentence = error.to_string();
    assert!(
        sentence.contains("wrong.toml:10:15: `retry.max_retries`: expected an integer, not a string"),
        "{sentence}"
    );
    assert!(!sentence.contains("hush"), "{sentence}");
}

#[test]
fn a_fault_hides_no_other_that_only_looks_alike() {
    let written = r#"
[models.a]
deployments = []
[models."gpt-4"]
deployments = []
[models.ab]
stratgy = "cost"
deployments = [{ provider = "ollama", model = "x" }]
[models."gpt-4.1"]
stratgy = "cost"
deployments = [{ provider = "ollama", model = "x" }]
[[rules]]
name = "stratgy"
when = "true"
model = "stratgy"
"#;
    let found = problems("alike.toml", written);
    let told: Vec<_> = found.iter().map(|problem| problem.path.as_str()).collect();
    let expected =
        ["models.a", "models.gpt-4", "models.ab.stratgy", "models.\"gpt-4.1\".stratgy", "rules[0].model"];
    assert_eq!(told, expected);
}

#[test]
fn what_only_follows_from_a_fault_is_not_told() {
    let written = r#"
[providers.house]
base_url = 7
[models.m]
deploymnts = []
[models."n.1"]
deployments = [{ provider = "house", model = "x" }]
"#;
    let found = problems("follows.toml", written);
    let told: Vec<_> = found.iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(told, ["providers.house.base_url", "models.m.deploymnts"]);
}

#[test]
fn references_that_lead_nowhere_are_told() {
    let written = r#"
default_model = "tag:fast"
[models.general]
fallbacks = { any = ["cod"], quota = ["groq/llama-3"] }
profile = "chatt"
deployments = [{ id = "one", provider = "groq", model = "x" }]
[models.code]
canary = { model = "generl", percent = 5 }
deployments = [{ id = "one", provider = "groq", model = "y" }]
[models]
round = "about"
about = "round"
[[rules]]
name = "r"
when = "true"
model = [{ model = "one" }, { model = "gone" }]
[[rules]]
name = "r"
when = true
model = "code"
[tenants.acme]
default_model = "auto"
api_keys = { grop = "k" }
"#;
    let written = written.replace("[models]\nround = \"about\"\nabout = \"round\"\n", "");
    let written = format!("models.round = \"about\"\nmodels.about = \"round\"\n{written}");
    let found = problems("references.toml", &written);
    let told: Vec<_> = found.iter().map(ToString::to_string).collect();
    let told = told.join("\n");
    for part in [
        "`default_model`: no model has the capability `fast`",
        "`models.general.fallbacks.any`: no model is called `cod`; did you mean `code`?",
        "`models.general.profile`: no profile is called `chatt`; did you mean `chat`?",
        "`models.code.canary.model`: no model is called `generl`; did you mean `general`?",
        "leads in a circle",
        "`rules[0].model[1].model`: no model is called `gone`",
        "`tenants.acme.default_model`: `auto` leaves the model open",
        "no provider is called `grop`; did you mean `groq`?",
    ] {
        assert!(told.contains(part), "{part}\n{told}");
    }
    let twice = |what: &str| found.iter().find(|problem| problem.message.contains(what)).unwrap().to_string();
    assert!(twice("a deployment is called `one` already at").ends_with("references.toml:8:23"), "{told}");
    assert!(twice("a rule is called `r` already at").contains("references.toml:1"), "{told}");
}

#[test]
fn a_proxy_that_would_be_passed_by_is_refused_and_does_not_show_itself() {
    for proxy in
        ["ftp://me:hush@corp:21", "me:hush@corp", "corp:3128", "xx", "", "http://", "socks4://me:hush@corp"]
    {
        let written = format!(
            "client.proxy = '{proxy}'\nproviders.groq.proxy = '{proxy}'\n\
             models.m.deployments = [{{ provider = 'groq', model = 'x', proxy = '{proxy}' }}]"
        );
        let found = problems("proxy.toml", &written);
        let paths: Vec<_> = found.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(
            paths,
            ["client.proxy", "providers.groq.proxy", "models.m.deployments[0].proxy"],
            "{proxy}"
        );
        assert_eq!(found.iter().map(|problem| spot(problem).0).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(found.iter().all(|problem| problem.message.contains("`socks5://`")), "{found:?}");
        assert!(!format!("{found:?}").contains("hush"), "{found:?}");
    }
    for proxy in ["http://me:hush@corp:3128", "https://corp", "socks5://corp:1080", "SOCKS5H://[::1]:1080"] {
        let written =
            format!("models.m.deployments = [{{ provider = 'ollama', model = 'x', proxy = '{proxy}' }}]");
        Folder::new("proxies").load(&[("c.toml", &written)]).unwrap();
    }
}

#[test]
fn an_empty_key_is_refused_where_one_is_needed() {
    let written = "client.api_key = ''\nproviders.groq.api_key = ['k', ' ']\n\
                   models.m.deployments = [{ provider = 'openai', model = 'x', base_url = 'http://h', api_key = '' }]\n\
                   tenants.t.api_keys.ollama = ''\n";
    let found = problems("empty.toml", written);
    let told: Vec<_> =
        found.iter().map(|problem| (problem.path.as_str(), problem.message.as_str())).collect();
    let expected = [
        "client.api_key",
        "providers.groq.api_key[1]",
        "models.m.deployments[0].api_key",
        "tenants.t.api_keys.ollama",
    ];
    assert_eq!(told, expected.map(|path| (path, "empty")));
    let written = "providers.own = { base_url = 'http://h', preset = 'openai-compatible', api_key = '' }\n\
                   models.m.deployments = [{ provider = 'ollama', model = 'x', api_key = '' }]";
    Folder::new("none").load(&[("c.toml", written)]).unwrap();
}

#[test]
fn keys_of_one_list_that_share_an_id_or_are_the_same_are_told_with_both_places() {
    let written = "providers.groq.api_key = [\n 'hush-1',\n { id = 'a', key = 'hush-2' },\n { id = 'a', key = 'hush-1' },\n\
                    { env = 'E' },\n { env = 'E' }]";
    let found = problems("keys.toml", written);
    let told: Vec<_> = found.iter().map(|problem| (spot(problem).0, problem.message.as_str())).collect();
    let [(4, id), (4, same), (6, variable)] = told[..] else { panic!("{told:?}") };
    assert!(id.contains("`a` already at") && id.contains("keys.toml:3"), "{id}");
    assert!(same.contains("the same key") && same.contains("keys.toml:2"), "{same}");
    assert!(variable.contains("`E` already at") && variable.contains("keys.toml:5"), "{variable}");
    assert!(!format!("{told:?}").contains("hush"), "{told:?}");
    let written = "providers.groq.api_key = ['${HOME}', '${HOME}']";
    Folder::new("variables").load(&[("c.toml", written)]).unwrap();
}

#[test]
fn what_is_left_out_of_a_required_place_is_told() {
    let found = problems(
        "c.yaml",
        "rules:\n  - name: r\n    when: true\nmodels:\n  m:\n    deployments:\n      - provider: openai\n",
    );
    let paths: Vec<_> = found.iter().map(|problem| problem.path.as_str()).collect();
    assert!(
        paths.contains(&"rules[0].model") && paths.contains(&"models.m.deployments[0].model"),
        "{found:?}"
    );
}

#[test]
fn a_fault_of_one_form_is_told_not_that_no_form_fits() {
    let found = problems("c.yaml", "providers:\n  openai:\n    api_key:\n      - {enf: X}\n");
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].path, "providers.openai.api_key[0].enf");
    assert_eq!(found[0].suggestion.as_deref(), Some("env"));
}

#[test]
fn moments_and_durations_are_told_with_their_place_too() {
    let written = "[[models.m.deployments]]\nprovider = 'groq'\nmodel = 'x'\napi_key = { env = 'K', not_after = 'tomorrow' }\n[timeouts]\ntotal = inf\nidle = '1s'";
    let found = problems("c.toml", written);
    let lines: Vec<_> = found.iter().map(|problem| spot(problem).0).collect();
    assert!(lines.contains(&4) && lines.contains(&6) && lines.contains(&7), "{found:?}");
}

#[test]
fn a_duration_that_is_no_time_is_told_at_its_key() {
    let written = "[models.c]\ntimeout = 1e300\ndeployments = [{ provider = 'groq', model = 'x',\n\
                   api_key = { env = 'K', ttl = 1e20 } }]\n[timeouts]\ntotal = 1e300";
    let found = problems("c.toml", written);
    let told: Vec<_> = found.iter().map(|problem| (problem.path.as_str(), spot(problem).0)).collect();
    let expected =
        [("models.c.timeout", 2), ("models.c.deployments[0].api_key.ttl", 4), ("timeouts.total", 6)];
    assert_eq!(told, expected);
    assert!(found.iter().all(|problem| problem.message == "expected 0 to 1000000000"), "{found:?}");
}

#[test]
fn what_a_canary_hardly_means_is_a_warning() {
    let written = r#"
models.self = "a"
models.a = { deployments = [{ provider = "ollama", model = "x" }], canary = { model = "self", percent = 5 } }
models.b = { deployments = [{ provider = "ollama", model = "x" }], canary = { model = "c", percent = 5 } }
models.c = { deployments = [{ provider = "ollama", model = "x" }], canary = { model = "b", percent = 5 } }
[models.d]
deployments = [{ provider = "ollama", model = "x" }]
[models.d.canary]
model = "a"
percent = 10
steps = [{ percent = 5, for = 9 }, { percent = 25 }, { percent = 100, for = 9 }]
"#;
    let loaded = Folder::new("canaries").load(&[("c.toml", written)]).unwrap();
    let told: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    let expected = [
        "`models.a.canary.model`: it is the model itself",
        "`models.b.canary.model`: `c` has this model as its canary",
        "`models.c.canary.model`: `b` has this model as its canary",
        "`models.d.canary.steps`: they never begin",
        "`models.d.canary.steps[0].percent`: the share shrinks from 10 to 5 %",
        "`models.d.canary.steps[2]`: it is never reached",
    ];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    assert!(told.iter().zip(expected).all(|(told, part)| told.contains(part)), "{told:?}");
}

#[test]
fn an_empty_name_is_told() {
    let written = "models.m.deployments = [{ id = '', provider = 'ollama', model = 'x' }]\n\
                   rules = [{ name = '', when = true, model = 'm' }, { name = '', when = true, model = 'm' }]";
    let found = problems("c.toml", written);
    let told: Vec<_> = found.iter().map(|problem| (problem.path.as_str(), &*problem.message)).collect();
    let paths = ["models.m.deployments[0].id", "rules[0].name", "rules[1].name"];
    assert_eq!(told, paths.map(|path| (path, "empty")));
}

#[test]
fn numbers_out_of_their_type_are_told() {
    let found = problems(
        "c.json",
        r#"{"retry": {"max_retries": -1}, "bounds": {"body": 1.5, "line": 99999999999999999999}}"#,
    );
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn a_parameter_that_json_cannot_hold_is_told_and_no_other() {
    let written = "[models.m]\nparams = { top_p = nan, logit_bias = { a = [1, inf] }, seed = 9 }\n\
                   [[models.m.deployments]]\nprovider = 'ollama'\nmodel = 'x'\nparams = { top_p = 0.5 }\n";
    let found = problems("c.toml", written);
    let told: Vec<_> = found.iter().map(|problem| (problem.path.as_str(), spot(problem).0)).collect();
    assert_eq!(told, [("models.m.params.top_p", 2), ("models.m.params.logit_bias.a[1]", 2)], "{found:?}");
    let found = problems(
        "c.yaml",
        "models: {m: {params: {seed: 10000000000000000000000000}, deployments: [{provider: ollama, model: x}]}}",
    );
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0]
            .to_string()
            .contains("`models.m.params.seed`: expected -9223372036854775808 to 18446744073709551615"),
        "{found:?}"
    );
    for most in ["18446744073709551615", "-9223372036854775808"] {
        let text = format!(
            r#"{{"models": {{"m": {{"params": {{"seed": {most}}}, "deployments": [{{"provider": "ollama", "model": "x"}}]}}}}}}"#
        );
        let loaded = Folder::new("largest").load(&[("c.json", &text)]).unwrap();
        assert_eq!(loaded.config.models["m"].group.params["seed"].to_string(), most);
    }
}

#[test]
fn null_is_as_if_nothing_were_written() {
    let folder = Folder::new("null");
    let loaded = folder.load(&[("c.yaml", "default_model:\nretry:\ntimeouts: {attempt: null}\n")]).unwrap();
    assert_eq!(loaded.config.retry.max_retries, 2);
}

#[test]
fn what_is_hardly_meant_is_warned_about_and_loads() {
    let written = "[[models.m.deployments]]\nprovider = 'ollama'\nmodel = 'x'\nweight = 3\n[profiles.night]\ntotal = 5\n";
    let loaded = Folder::new("warn").load(&[("c.toml", written)]).unwrap();
    let told: Vec<_> =
        loaded.warnings.iter().map(|warning| (warning.path.as_str(), spot(warning).0)).collect();
    assert_eq!(told, [("models.m.deployments[0].weight", 4), ("profiles.night", 5)]);
}

#[test]
fn a_name_that_no_model_of_a_tenant_can_have_is_warned_about() {
    let written = "models.short = 'm'\n[[models.m.deployments]]\nprovider = 'ollama'\nmodel = 'x'\nid = 'east'\n\
                   [tenants.acme]\nallow = ['m', 'short', 'east', 'mm', 'openai/gpt-5', 'olama/x', '*']\n\
                   deny = ['*-preview', 's*', 'x*', 'open*', 'openai/*-mini', 'opnai/*', 'tag:none', 'ollama:*']\n";
    let loaded = Folder::new("names").load(&[("c.toml", written)]).unwrap();
    let told: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    let expected = ["`mm`", "`olama/x`", "`opnai/*`", "`tag:none`"];
    assert_eq!(told.len(), expected.len(), "{told:?}");
    for (told, name) in told.iter().zip(expected) {
        assert!(told.ends_with(&format!("no model is called {name}")), "{told}");
    }
}

#[test]
fn a_base_model_that_nobody_knows_is_warned_about_with_the_nearest_name() {
    let written = "[[models.m.deployments]]\nprovider = 'vllm'\nmodel = 'x'\nbase_model = 'openai/gpt-4oo'\n";
    let loaded = Folder::new("base").load(&[("c.toml", written)]).unwrap();
    let told: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].ends_with("the catalogue does not know `openai/gpt-4oo`; did you mean `openai/gpt-4o`?"),
        "{told:?}"
    );
}

#[test]
fn a_price_nobody_knows_is_warned_about() {
    let one = |provider: &str, more: &str| {
        format!("[[models.m.deployments]]\nprovider = '{provider}'\nmodel = 'gpt-4o-mini'\n{more}\n")
    };
    let written = [
        one("openai", ""),
        one("ollama", ""),
        one("groq", ""),
        one("groq", "price = { input = 1.0, output = 2.0 }"),
        one("openai-compatible", "base_url = 'http://localhost:8000/v1'"),
        one("openai-compatible", "base_url = 'https://models.example/v1'"),
    ];
    let near = "[providers.near]\nbase_url = 'http://127.0.0.1:1/v1'\n".to_owned() + &one("near", "");
    let loaded = Folder::new("unpriced").load(&[("c.toml", &(written.concat() + &near))]).unwrap();
    let told: Vec<_> = loaded.warnings.iter().map(|warning| warning.path.as_str()).collect();
    assert_eq!(told, ["models.m.deployments[2]", "models.m.deployments[5]"]);
}

#[test]
fn conditions_that_do_not_compile_are_told_with_the_column() {
    let written = r#"
models.m = "ollama/x"
[[rules]]
name = "typo"
when = "contains(usr_input, '代码')"
model = "m"
[[tenants.acme.rules]]
name = "half"
when = "metadata.lang =="
model = "m"
"#;
    let found = problems("rules.toml", written);
    let told: Vec<_> = found.iter().map(|problem| (problem.path.as_str(), spot(problem).0)).collect();
    assert_eq!(told, [("rules[0].when", 5), ("tenants.acme.rules[0].when", 9)]);
    assert_eq!(found[0].message, "at column 10: unknown name `usr_input`; did you mean `user_input`?");
    assert_eq!(found[1].message, "at column 17: expected a value, found the end");
}

#[test]
fn rules_that_never_decide_are_worth_a_warning() {
    let written = r#"
models.m = "ollama/x"
[[rules]]
name = "late"
when = "stream"
model = "m"
weight = 0.5
[[rules]]
name = "always"
when = "true"
model = "m"
[[rules]]
name = "never"
when = "stream && false"
model = "m"
weight = 2
"#;
    let loaded = Folder::new("unreachable").load(&[("rules.toml", written)]).unwrap();
    let told: Vec<_> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].ends_with("`rules[0].when`: it is never asked: `always` comes first and always holds"),
        "{told:?}"
    );
    assert!(told[1].ends_with("`rules[2].when`: it never holds"), "{told:?}");
}

#[test]
fn what_belongs_to_the_call_has_no_default() {
    let written = r#"
[models.m]
params = { stream = true, n = 2 }
deployments = [{ provider = "groq", model = "x", params = { messages = [], temperature = 0 } }]
[[rules]]
name = "r"
when = true
model = "m"
params = { fairlead = { user = "u" }, input = "x", model = "y", stream_options = {} }
"#;
    let error = Folder::new("params").load(&[("params.toml", written)]).unwrap_err();
    let found: Vec<_> =
        error.problems().iter().map(|problem| (problem.path.as_str(), spot(problem).0)).collect();
    let expected = [
        ("models.m.params.stream", 3),
        ("models.m.deployments[0].params.messages", 4),
        ("rules[0].params.fairlead", 9),
        ("rules[0].params.input", 9),
        ("rules[0].params.model", 9),
        ("rules[0].params.stream_options", 9),
    ];
    assert!(expected.iter().all(|expected| found.contains(expected)), "{error}");
    assert_eq!(found.len(), expected.len(), "{error}");
}

#[test]
fn a_price_that_can_be_none_is_refused() {
    for (price, path, message) in [
        ("input = -1", "input", "expected 0 to 1000000"),
        ("output = 1e30", "output", "expected 0 to 1000000"),
        ("per_token = 2", "per_token", "expected 0 to 1"),
        ("per_request = 1001", "per_request", "expected 0 to 1000"),
        ("tiers = [{ above = 1, input = -0.1 }]", "tiers[0].input", "expected 0 to 1000000"),
    ] {
        let written =
            format!("[[models.m.deployments]]\nprovider = \"groq\"\nmodel = \"x\"\nprice = {{ {price} }}\n");
        let error = Folder::new("price").load(&[("price.toml", &written)]).unwrap_err();
        let sentence = error.to_string();
        let expected = format!("`models.m.deployments[0].price.{path}`: {message}");
        assert!(sentence.contains(&expected) && sentence.contains("price.toml:4:"), "{sentence}");
    }
}

/// What only shows when a configuration is put together.
const UNSET: &str = r#"default_model = "house/x"
[providers.house]
base_url = "http://h.test"
api_key = { env = "FAIRLEAD_TEST_NO_FOUR" }
[providers.lost]
base_url = "http://l.test"
ca = "no-such.pem"
[[models.m.deployments]]
provider = "openai"
model = "up"
id = "east"
api_key = [{ env = "FAIRLEAD_TEST_NO_ONE" }, { env = "FAIRLEAD_TEST_NO_TWO" }]
[[models.m.deployments]]
provider = "openai"
model = "up"
base_url = "http://h.test"
api_key = "k"
headers = { "no header" = "x" }
[[models.m.deployments]]
provider = "openai"
model = "up"
base_url = "http://h.test"
api_key = "k"
[[rules]]
name = "r"
when = "true"
model = "lost/x"
[tenants.acme.api_keys]
openai = { env = "FAIRLEAD_TEST_NO_THREE" }
"#;

#[test]
fn what_shows_when_it_is_put_together_is_told_at_once_with_its_place_too() {
    let loaded = Folder::new("unset").load(&[("unset.toml", UNSET)]).unwrap();
    let error = problem::placed(fairlead::Engine::new(loaded.config).unwrap_err(), &loaded.tree);
    let found: Vec<_> =
        error.problems().iter().map(|problem| (problem.path.as_str(), spot(problem))).collect();
    let expected = [
        ("providers.house.api_key", (4, 11)),
        ("models.m.deployments[0].api_key[0]", (12, 12)),
        ("models.m.deployments[0].api_key[1]", (12, 46)),
        ("models.m.deployments[1]", (13, 1)),
        ("rules[0].model.ca", (27, 9)),
        ("tenants.acme.api_keys.openai", (29, 10)),
    ];
    assert_eq!(found, expected, "{error}");
    assert!(
        error.to_string().contains("unset.toml:12:12: `models.m.deployments[0].api_key[0]`: "),
        "{error}"
    );
}

#[test]
fn limits_and_budgets_that_cannot_be_kept_are_told() {
    let written = r#"
[limits.global]
requests_per_minute = 5
burst = 3
windows = [{ per = 0.5, requests = 1 }, { per = 10 }]
[limits.model]
requests_per_minute = 5
windows = [{ per = 60, requests = 9 }]
[limits.user]
algorithm = "log"
tokens_per_minute = 20000
[budgets.tenant]
daily = 1.0
timezone = "Middle/Earth"
[tenants.acme.budget]
soft = 0.5
[[models.m.deployments]]
provider = "openai"
model = "up"
api_key = "k"
requests_per_minute = 3
limits = { requests_per_minute = 4 }
"#;
    let folder = Folder::new("limits");
    let error = folder.load(&[("limits.toml", written)]).unwrap_err();
    let found: Vec<_> = error.problems().iter().map(|problem| problem.path.as_str()).collect();
    for expected in [
        "limits.global.burst",
        "limits.global.windows[0].per",
        "limits.global.windows[1]",
        "limits.model.windows",
        "limits.user.algorithm",
        "budgets.tenant.timezone",
        "tenants.acme.budget",
        "models.m.deployments[0].limits.requests_per_minute",
    ] {
        assert!(found.contains(&expected), "{expected} is not in {error}");
    }
}
