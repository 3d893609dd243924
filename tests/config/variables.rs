//! Variables of the environment and files of secrets.

use fairlead::config::load;
use fairlead::config::source::Files;

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
