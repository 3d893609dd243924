//! What a look at a source that changed comes to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use fairlead::config::load;
use fairlead::config::reload::{Current, Outcome, Reloader};
use fairlead::config::source::{Files, Source};
use fairlead::config::tree::{Member, Node, Value};
use fairlead::config::watch::{Pace, watch};

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("fairlead-look-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn reloader(path: &Path, arguments: &Node) -> (Files, Arc<Reloader>) {
    let source = Files::new([path.to_owned()]);
    let loaded = load::load(&source, Some(arguments)).unwrap();
    let current = Arc::new(ArcSwap::from_pointee(Current::new(loaded)));
    (source, Arc::new(Reloader::new(current, Box::new(|_| Ok(())))))
}

fn under(key: &str, node: Node) -> Node {
    let member = Member { key: key.to_owned(), at: None, node };
    Node::new(Value::Map(vec![member]), None)
}

#[test]
fn an_emptied_file_is_refused_whatever_lies_on_top_of_it() {
    let folder = folder("blank");
    let path = folder.join("c.toml");
    std::fs::write(&path, "[retry]\nmax_retries = 1\n").unwrap();
    let proxy = Node::new(Value::Text("http://proxy:3128".to_owned()), None);
    let arguments = under("client", under("proxy", proxy));
    let (source, reloader) = reloader(&path, &arguments);
    std::fs::write(&path, "").unwrap();
    let outcome = reloader.look(&source, &arguments);
    std::fs::remove_dir_all(&folder).unwrap();
    let Outcome::Failed(error) = outcome else { panic!("{outcome:?}") };
    assert!(error.to_string().contains("nothing is configured"), "{error}");
}

#[tokio::test]
async fn a_configuration_that_waits_for_a_file_takes_effect_when_it_arrives() {
    let folder = folder("late");
    let path = folder.join("c.toml");
    std::fs::write(&path, "[retry]\nmax_retries = 1\n").unwrap();
    let (source, reloader) = reloader(&path, &Node::table());
    let source: Arc<dyn Source> = Arc::new(source);
    let pace = Pace { quiet: Duration::from_millis(10), poll: Duration::from_millis(50) };
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let task = tokio::spawn(watch(Arc::clone(&reloader), source, Node::table(), pace, move |outcome| {
        let _ = tell.send(outcome);
    }));
    let secrets = folder.join("secrets");
    let key =
        format!("[client]\nbase_url = 'http://h/v1'\napi_key = '${{file:{}/key}}'\n", secrets.display());
    std::fs::write(&path, key).unwrap();
    while !matches!(told.recv().await.unwrap(), Outcome::StillFailing | Outcome::Failed(_)) {}
    std::fs::create_dir_all(&secrets).unwrap();
    std::fs::write(secrets.join("key"), "k\n").unwrap();
    let changed = async { while !matches!(told.recv().await.unwrap(), Outcome::Changed { .. }) {} };
    let arrived = tokio::time::timeout(Duration::from_secs(20), changed).await;
    task.abort();
    std::fs::remove_dir_all(&folder).unwrap();
    arrived.expect("the file that arrived was never looked at");
    assert!(reloader.current().problem.is_none());
}

#[test]
fn clocks_may_be_those_of_utc_as_well_as_ahead_or_behind() {
    for (written, fits) in [("Z", true), ("+08:00", true), ("-03:30", true), ("8", false), ("+8", false)] {
        let folder = folder("offset");
        let path = folder.join("c.toml");
        std::fs::write(&path, format!("[routing]\nutc_offset = '{written}'\n")).unwrap();
        let loaded = load::load(&Files::new([path]), None);
        std::fs::remove_dir_all(&folder).unwrap();
        assert_eq!(loaded.is_ok(), fits, "{written}: {loaded:?}");
    }
}
