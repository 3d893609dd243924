//! Files, commands, variables: keys that are kept elsewhere. And the keys of one call or one tenant.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fairlead::clock::Rng;
use fairlead::{Engine, Error, Kind};

use crate::support::scripted::{World, ok};
use crate::world::{Scene, call, pass_time};

fn config(source: &str) -> String {
    format!(
        "[[models.m.deployments]]\nprovider = \"openai\"\nmodel = \"up\"\nbase_url = \"http://up.test/v1\"\n\
         [models.m.deployments.api_key]\n{source}\n"
    )
}

fn made(source: &str) -> Result<Arc<Engine>, Error> {
    let world = World::new([]);
    Engine::assembled(toml::from_str(&config(source)).unwrap(), world.connect(), Rng::seeded(1))
}

struct Held(PathBuf);

impl Held {
    fn new(name: &str, text: &str) -> Self {
        let held = Self(std::env::temp_dir().join(format!("fairlead-{name}-{}", std::process::id())));
        held.write(text);
        held
    }

    fn write(&self, text: &str) {
        std::fs::write(&self.0, text).unwrap();
    }

    fn config(&self, more: &str) -> String {
        config(&format!("file = '{}'\n{more}", self.0.display()))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_is_read_anew_when_its_time_is_up() {
    let held = Held::new("reread", "one\n");
    let scene = Scene::new();
    let engine = scene.engine(&held.config("ttl = 40"));
    call(&engine).await.unwrap();
    held.write("two\r\n");
    pass_time(15.0).await;
    call(&engine).await.unwrap();
    assert_eq!(scene.keys(), ["one", "one"], "kept while it is fresh");
    pass_time(26.0).await;
    call(&engine).await.unwrap();
    assert_eq!(scene.keys().last().unwrap(), "two");
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_read_anew_at_once() {
    let held = Held::new("refused", "one");
    let scene = Scene::new();
    let engine = scene.engine(&held.config(""));
    call(&engine).await.unwrap();
    held.write("two");
    scene.refuse("one");
    call(&engine).await.unwrap();
    assert_eq!(scene.keys(), ["one", "one", "two"]);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_gone_leaves_the_last_key_for_an_hour() {
    let held = Held::new("gone", "one");
    let scene = Scene::new();
    let engine = scene.engine(&held.config(""));
    call(&engine).await.unwrap();
    std::fs::remove_file(&held.0).unwrap();
    for _ in 0..60 {
        pass_time(60.0).await;
        call(&engine).await.unwrap();
    }
    pass_time(301.0).await;
    let error = call(&engine).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Authentication);
    assert!(error.to_string().contains("the file"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_file_that_holds_no_key_is_told_without_what_it_holds() {
    let held = Held::new("wrong", "x");
    for (text, told) in [("hush\nhush", "cannot stand"), (" hush", "white space"), ("", "empty")] {
        held.write(text);
        let error = call(&Scene::new().engine(&held.config(""))).await.unwrap_err().to_string();
        assert!(error.contains(told) && !error.contains("hush"), "{error}");
    }
    held.write(&"hush".repeat(20_000));
    let error = call(&Scene::new().engine(&held.config(""))).await.unwrap_err().to_string();
    assert!(error.contains("larger than 65536 bytes"), "{error}");
}

// Commands run in real time: the waits here are bounds, not sleeps.

#[tokio::test]
async fn a_command_prints_the_key_without_a_shell() {
    let scene = Scene::new();
    call(&scene.engine(&config(r#"exec = ["printf", "%s\n", "$HOME;key"]"#))).await.unwrap();
    assert_eq!(scene.keys(), ["$HOME;key"]);
}

#[tokio::test]
async fn a_command_may_print_a_token_with_its_life() {
    let scene = Scene::new();
    let source = r#"exec = ["printf", "%s", '{"access_token":"printed","expires_in":60}']"#;
    call(&scene.engine(&config(source))).await.unwrap();
    assert_eq!(scene.keys(), ["printed"]);
}

fn runs(process: &str) -> bool {
    let mut asked = std::process::Command::new("sh");
    let asked = asked.args(["-c", "kill -0 $0", process]).stderr(std::process::Stdio::null());
    asked.status().unwrap().success()
}

#[tokio::test]
async fn a_command_that_does_not_end_is_ended() {
    let began = fairlead::clock::now();
    let noted = Held::new("process", "");
    let script = format!("echo $$ > {}; exec sleep 60", noted.0.display());
    let source = format!("timeout = 1\nexec = [\"sh\", \"-c\", \"{script}\"]");
    let error = call(&Scene::new().engine(&config(&source))).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(20));
    let told = "no token from the command `sh`: no answer within 1.000 s";
    assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Authentication, told));
    let process = std::fs::read_to_string(&noted.0).unwrap();
    while runs(process.trim()) {
        assert!(began.elapsed() < Duration::from_secs(20), "it still runs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_command_that_fails_shows_neither_its_words_nor_its_arguments() {
    for (script, told) in [
        ("echo hush; echo hush >&2; exit 3", "it ended with status 3"),
        ("kill -9 $$ # hush", "it was killed"),
        ("yes hush", "it prints more than 65536 bytes"),
        ("printf 'hush\\n\\nhush'", "cannot stand in a header"),
    ] {
        let source = format!("exec = [\"sh\", \"-c\", '''{script}''']");
        let error = call(&Scene::new().engine(&config(&source))).await.unwrap_err().to_string();
        assert!(error.contains(told) && !error.contains("hush"), "{error}");
    }
    let error = call(&Scene::new().engine(&config("exec = [\"/no/such\"]"))).await.unwrap_err();
    assert!(error.to_string().contains("it cannot be run"), "{error}");
}

#[test]
fn what_cannot_be_a_source_is_refused_at_load() {
    for (source, told) in [
        ("id = \"x\"", "no source"),
        ("key = \"a\"\nenv = \"HOME\"", "more than one source"),
        ("env = \"FAIRLEAD_NO_SUCH\"", "the environment variable FAIRLEAD_NO_SUCH is not set"),
        ("file = \"/no/such/key\"", "no such file"),
        ("exec = []", "no command"),
        ("plugin = \"kms\"", "no secret plug-in is registered under the name `kms`"),
        ("callable = 0", "only be given by a Python program"),
        ("oauth = { token_url = \"nonsense\" }", "token_url"),
        ("token_exchange = { token_url = \"http://issuer.test\" }", "either subject_token or"),
    ] {
        let error = made(source).unwrap_err();
        assert_eq!(error.kind(), Kind::Config);
        let sentence = error.to_string();
        assert!(
            sentence.contains(told) && sentence.contains("models.m.deployments[0].api_key"),
            "{sentence}"
        );
    }
}

#[test]
fn of_two_keys_the_one_whose_variable_is_missing_is_named() {
    let written = "[[models.m.deployments]]\nprovider = \"openai\"\nmodel = \"up\"\n\
                   api_key = [\"one\", { env = \"FAIRLEAD_NO_SUCH\" }]\n";
    let world = World::new([]);
    let made = Engine::assembled(toml::from_str(written).unwrap(), world.connect(), Rng::seeded(1));
    let told = made.unwrap_err().to_string();
    assert!(told.contains("api_key[1]`: the environment variable FAIRLEAD_NO_SUCH is not set"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_variable_gives_its_name_to_its_key() {
    let world = World::new([ok()]);
    let engine = world.engine(&config("env = \"PATH\""));
    assert_eq!(engine.keys()[0].id, "PATH");
}

#[test]
fn no_secret_of_a_configuration_is_shown_by_debug() {
    let text = r#"
[client]
proxy = "http://me:hush@proxy.test"
default_headers = { x = "hush" }
default_query = { key = "hush" }
api_key = "hush"
[providers.own]
base_url = "http://up.test/v1"
proxy = "http://me:hush@proxy.test"
headers = { x = "hush" }
api_key = [{ exec = ["get", "hush"] }, { plugin = "vault", options = { token = "hush" } }]
[[models.m.deployments]]
provider = "own"
model = "up"
proxy = "http://me:hush@proxy.test"
headers = { x = "hush" }
"#;
    let config: fairlead::config::Config = toml::from_str(text).unwrap();
    let own = &config.providers["own"].api_key.0;
    let sources: Vec<_> = own.iter().map(fairlead::config::Key::source).collect();
    let command = fairlead::secret::Exec::new("get", &["hush".to_owned()]);
    for shown in [format!("{config:?}"), format!("{sources:?}"), format!("{command:?}")] {
        assert!(!shown.contains("hush"), "{shown}");
    }
}
