//! Variables of the environment and files of secrets.

use std::path::PathBuf;

use fairlead::config::source::Files;
use fairlead::config::{find, load};

use crate::Folder;

/// Set by cargo for every test.
const SET: &str = "CARGO_PKG_NAME";

#[test]
fn every_spelling_of_a_variable_is_replaced() {
    let folder = Folder::new("variables");
    folder.write("key.txt", "from-a-file\n");
    let written = format!(
        "[providers.a]\nbase_url = 'http://${{{SET}}}:${{NOBODY_SETS_THIS:-80}}/v1'\napi_key = 'env::{SET}'\n\
         [providers.b]\nbase_url = 'http://b'\napi_key = ['os.environ/{SET}', '${{file:key.txt}}', 'a$$b$c']\n\
         [retry]\nmax_retries = '${{NOBODY_SETS_THIS:-4}}'\n"
    );
    let loaded = folder.load(&[("c.toml", &written)]).unwrap();
    let config = loaded.config;
    let keys = |id: &str| -> Vec<String> {
        let keys = config.providers[id].api_key.0.iter();
        keys.map(|key| key.key.as_ref().unwrap().expose().to_owned()).collect()
    };
    assert_eq!(config.providers["a"].base_url.as_deref(), Some("http://fairlead:80/v1"));
    assert_eq!(keys("a"), ["fairlead"]);
    assert_eq!(keys("b"), ["fairlead", "from-a-file", "a$b$c"]);
    assert_eq!(config.retry.max_retries, 4);
    assert_eq!(loaded.files.len(), 1, "the file is watched");
}

#[test]
fn all_missing_variables_are_told_at_once_with_their_places() {
    let folder = Folder::new("missing");
    let written = "client:\n  api_key: ${NOBODY_SETS_ONE}\n  base_url: env::NOBODY_SETS_TWO\nproviders:\n  x:\n    base_url: ${file:nowhere}\n    ca: ${open\n";
    let error = folder.load(&[("c.yaml", written)]).unwrap_err();
    let lines: Vec<_> = error.problems().iter().map(|problem| problem.at.as_ref().unwrap().line).collect();
    assert_eq!(lines, [2, 3, 6, 7], "{error}");
    assert!(error.to_string().contains("NOBODY_SETS_ONE is not set"), "{error}");
}

#[test]
fn what_a_variable_holds_is_never_told() {
    let folder = Folder::new("hidden");
    let written = format!(
        "default_model: ${{{SET}}}\nretry: {{cap: '${{{SET}}}'}}\nmodels: {{m: {{deployments: [{{provider: '${{{SET}}}', model: x}}]}}}}\n"
    );
    let error = folder.load(&[("c.yaml", &written)]).unwrap_err();
    let told: String = error.problems().iter().map(|problem| problem.message.clone()).collect();
    assert_eq!(error.problems().len(), 3, "{error}");
    assert!(!told.contains("fairlead") && told.contains("`***`"), "{told}");
}

#[test]
fn a_file_is_looked_for_beside_the_one_that_names_it() {
    let folder = Folder::new("beside");
    for name in ["base", "over"] {
        std::fs::create_dir_all(folder.path(&format!("{name}.d"))).unwrap();
        folder.write(&format!("{name}.d/key"), &format!("key-of-{name}"));
    }
    let base = "[providers.a]\nbase_url = 'http://a'\napi_key = '${file:key}'\nca = 'ca.pem'\n\
                [providers.b]\nbase_url = 'http://b'\napi_key = [{ file = 'key' }, { file = '/elsewhere/key' }]\n\
                [models]\nca = 'a/x'\n";
    let over = "[providers.a]\napi_key = '${file:key}'\n\
                [providers.c]\nbase_url = 'http://c'\n\
                api_key.token_exchange = { token_url = 'http://t', subject_token_file = 'token' }\n";
    let config = folder.load(&[("base.d/c.toml", base), ("over.d/c.toml", over)]).unwrap().config;
    let keys = |id: &str| &config.providers[id].api_key.0;
    assert_eq!(keys("a")[0].key.as_ref().unwrap().expose(), "key-of-over");
    let at = |name: &str| Some(folder.path(name).display().to_string());
    assert_eq!(config.providers["a"].ca, at("base.d/ca.pem"));
    assert_eq!(keys("b")[0].file, at("base.d/key"));
    assert_eq!(keys("b")[1].file.as_deref(), Some("/elsewhere/key"));
    assert_eq!(keys("c")[0].token_exchange.as_ref().unwrap().subject_token_file, at("over.d/token"));
    assert_eq!(config.models["ca"].alias.as_deref(), Some("a/x"), "no file");
}

#[test]
fn a_project_is_asked_for_our_table_and_for_nothing_like_it() {
    let folder = Folder::new("project");
    let found = |text: &str| {
        folder.write("pyproject.toml", text);
        find::discover(&folder.path(""))
    };
    for text in ["[tool.fairlead]\n", "[ tool . fairlead ]\n", "[tool]\nfairlead = {}\n", "[tool.fairlead\n"]
    {
        assert!(found(text).contains(&PathBuf::from("pyproject.toml")), "{text}");
    }
    for text in ["# see [tool.fairlead]\n[project]\n", "[tool.fairlead-plugin]\n", "[tool.other\n"] {
        assert!(!found(text).contains(&PathBuf::from("pyproject.toml")), "{text}");
    }
}

#[test]
fn conditions_and_descriptions_are_taken_as_they_stand() {
    let folder = Folder::new("verbatim");
    let written = "default_model = 'm'\nmodels.m = 'ollama/x'\n[[rules]]\nname = 'r'\nwhen = \"contains(text, '${x} $$')\"\nmodel = 'm'\n";
    let loaded = folder.load(&[("c.toml", written)]).unwrap();
    assert!(format!("{:?}", loaded.config.rules[0].when).contains("${x} $$"));
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let error = load::load(&Files::new(["/nowhere/fairlead.toml".into()]), None).unwrap_err();
    assert!(error.to_string().contains("/nowhere/fairlead.toml: cannot be read"), "{error}");
}

#[test]
fn a_key_in_the_place_of_a_path_is_not_repeated() {
    for key in ["sk-proj-AbCdEfGhIjKl0123456789", "0123456789abcdef0123456789abcdef"] {
        let error = load::load(&Files::new([key.into()]), None).unwrap_err();
        let told = format!("{error} {error:?}");
        assert!(told.contains("looks like a key") && told.contains("`api_key`"), "{told}");
        assert!(!told.contains(key), "{told}");
    }
}
