//! Configurations that change while calls run.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    unreachable_pub,
    missing_docs,
    missing_debug_implementations,
    reason = "a test fails by panicking"
)]

mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use fairlead::call::{Call, CallOptions, Operation};
use fairlead::clock::Rng;
use fairlead::config::load;
use fairlead::config::reload::{Current, Outcome, Reloader};
use fairlead::config::source::{Files, Source};
use fairlead::config::tree::Node;
use fairlead::config::watch::{Pace, watch};
use fairlead::send::{Broken, Connect, Exchange, Limits, Outgoing, Transport};
use fairlead::{Engine, Error, Kind};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use support::scripted::{World, ok, status};
use tokio::sync::mpsc;

/// A configuration whose model, key and header all carry the same number.
fn numbered(number: usize) -> String {
    format!(
        "[[models.m.deployments]]\nprovider = 'openai'\nmodel = 'up-{number}'\napi_key = 'k-{number}'\n\
         base_url = 'http://host/v1'\nheaders = {{ x-number = '{number}' }}\n"
    )
}

fn config(text: &str) -> fairlead::config::Config {
    toml::from_str(text).unwrap()
}

fn chat() -> Call {
    let body = Bytes::from_static(br#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#);
    Call { operation: Operation::Chat, body, options: CallOptions::default() }
}

async fn call(engine: &Arc<Engine>) -> Result<(), Error> {
    engine.call(chat()).await.map(drop)
}

/// Answers everything, and counts requests whose parts belong to different configurations.
#[derive(Debug, Default)]
struct Judge {
    asked: AtomicUsize,
    mixed: AtomicUsize,
    made: AtomicUsize,
}

#[derive(Debug)]
struct Judged(Arc<Judge>);

impl Transport for Judged {
    fn send<'a>(
        &'a self,
        request: &'a Outgoing,
        limits: &'a Limits,
    ) -> BoxFuture<'a, Result<Exchange, Broken>> {
        let text =
            |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let number = text("x-number");
        let body = String::from_utf8_lossy(&request.body);
        let same = text("authorization") == format!("Bearer k-{number}")
            && body.contains(&format!("\"up-{number}\""));
        self.0.asked.fetch_add(1, Ordering::Relaxed);
        self.0.mixed.fetch_add(usize::from(!same), Ordering::Relaxed);
        let world = World::new([ok()]);
        let host = world.host("host");
        Box::pin(async move {
            tokio::task::yield_now().await;
            host.send(request, limits).await
        })
    }
}

fn judged(text: &str) -> (Arc<Engine>, Arc<Judge>) {
    let judge = Arc::<Judge>::default();
    let seen = Arc::clone(&judge);
    let connect: Connect = Box::new(move |_, _| {
        seen.made.fetch_add(1, Ordering::Relaxed);
        Arc::new(Judged(Arc::clone(&seen)))
    });
    (Engine::assembled(config(text), connect, Rng::seeded(1)).unwrap(), judge)
}

/// A thousand; a hundred thousand in the long run.
fn reloads() -> usize {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse::<usize>().ok());
    cases.map_or(1_000, |cases| cases * 5)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn reloads_under_load_fail_no_call_and_mix_no_two_configurations() {
    let (engine, judge) = judged(&numbered(0));
    let over = Arc::new(AtomicBool::new(false));
    let callers = (0..16).map(|_| {
        let (engine, over) = (Arc::clone(&engine), Arc::clone(&over));
        tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                call(&engine).await.unwrap();
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    for number in 1..=reloads() {
        engine.reload(config(&numbered(number))).unwrap();
        tokio::task::yield_now().await;
    }
    over.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(judge.asked.load(Ordering::Relaxed) > 100);
    assert_eq!(judge.mixed.load(Ordering::Relaxed), 0);
    assert_eq!(judge.made.load(Ordering::Relaxed), 1, "one host, whatever else changed");
    assert_eq!(engine.gauges().calls.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_live_state_of_what_stays_the_same_survives() {
    let text = |retries: u32| {
        let deployment = |host: &str| {
            format!(
                "[[models.m.deployments]]\nprovider = 'openai'\nmodel = 'up'\napi_key = 'k'\nbase_url = 'http://{host}/v1'\n"
            )
        };
        format!("[retry]\nmax_retries = {retries}\n{}{}", deployment("a"), deployment("b"))
    };
    let world = World::new([status(429).with_header("retry-after", "30"), ok(), ok(), ok()]);
    let engine = world.engine(&text(2));
    call(&engine).await.unwrap();
    engine.reload(config(&text(1))).unwrap();
    call(&engine).await.unwrap();
    assert_eq!(world.hosts(), ["a", "b", "b"], "the first one is still cooling down");
    tokio::time::sleep(Duration::from_secs(31)).await;
    call(&engine).await.unwrap();
    assert_eq!(world.hosts()[3], "a");
}

#[tokio::test(start_paused = true)]
async fn a_call_in_flight_ends_on_the_configuration_it_began_with() {
    let world = World::new([status(500), ok()]);
    let text = |model: &str, cap: f64| {
        format!(
            "[retry]\nbase = {cap}\ncap = {cap}\n[[models.m.deployments]]\nprovider = 'openai'\nmodel = '{model}'\napi_key = 'k'\nbase_url = 'http://h/v1'\n"
        )
    };
    let engine = world.engine(&text("old", 10.0));
    let running = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move { call(&engine).await }
    });
    while world.seen.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    engine.reload(config(&text("new", 10.0))).unwrap();
    running.await.unwrap().unwrap();
    let seen = world.seen.lock();
    assert!(seen.iter().all(|seen| String::from_utf8_lossy(&seen.body).contains("\"old\"")));
    assert_eq!(seen.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_configuration_that_is_wrong_changes_nothing_and_a_closed_engine_stays_closed() {
    let (engine, _) = judged(&numbered(1));
    let error = engine.reload(config("[models.m]\ndeployments = []\n")).unwrap_err();
    assert_eq!(error.kind(), Kind::Config);
    call(&engine).await.unwrap();
    engine.close();
    assert_eq!(engine.reload(config(&numbered(2))).unwrap_err().kind(), Kind::ClientClosed);
    assert!(engine.is_closed());
}

#[tokio::test(start_paused = true)]
async fn hosts_that_nobody_uses_any_more_go() {
    let (engine, judge) = judged(&numbered(1));
    let elsewhere = numbered(2).replace("http://host", "http://elsewhere");
    for _ in 0..3 {
        engine.reload(config(&elsewhere)).unwrap();
    }
    engine.reload(config(&numbered(1))).unwrap();
    assert_eq!(judge.made.load(Ordering::Relaxed), 3, "the first one was made again");
}

/// An empty folder.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("fairlead-reload-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// A file that is watched, and what is told of it.
struct Watched {
    folder: PathBuf,
    current: Arc<ArcSwap<Current>>,
    told: mpsc::UnboundedReceiver<Outcome>,
    task: tokio::task::JoinHandle<()>,
}

impl Watched {
    fn begin(name: &str, file: &str, text: &str, poll: Duration) -> Self {
        let folder = folder(name);
        let path = folder.join(file);
        std::fs::write(&path, text).unwrap();
        Self::of(folder, path, poll)
    }

    fn of(folder: PathBuf, path: PathBuf, poll: Duration) -> Self {
        let source: Arc<dyn Source> = Arc::new(Files::new([path]));
        let loaded = load::load(source.as_ref(), None).unwrap();
        let current = Arc::new(ArcSwap::from_pointee(Current::new(loaded)));
        let reloader = Arc::new(Reloader::new(Arc::clone(&current), Box::new(|_| Ok(()))));
        let (tell, told) = mpsc::unbounded_channel();
        let pace = Pace { quiet: Duration::from_millis(20), poll };
        let task = tokio::spawn(watch(reloader, source, Node::table(), pace, move |outcome| {
            let _ = tell.send(outcome);
        }));
        Self { folder, current, told, task }
    }

    /// The next thing told that is news: one change of a file may be several events, and while it is wrong each of
    /// them is another look at it. A minute is long enough for any machine.
    async fn next(&mut self) -> Outcome {
        loop {
            let told = tokio::time::timeout(Duration::from_mins(1), self.told.recv());
            match told.await.expect("nothing was told").unwrap() {
                Outcome::Unchanged | Outcome::StillFailing => {}
                outcome => return outcome,
            }
        }
    }

    /// The watch has had its first look.
    async fn ready(&mut self) {
        assert!(matches!(self.told.recv().await.unwrap(), Outcome::Unchanged));
    }

    fn retries(&self) -> u32 {
        self.current.load().loaded.config.retry.max_retries
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.folder.join(file), text).unwrap();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

const HOURS: Duration = Duration::from_hours(1);

fn retries(count: u32) -> String {
    format!("[retry]\nmax_retries = {count}\n")
}

#[tokio::test]
async fn a_file_that_is_written_renamed_over_or_made_again_is_read_again() {
    let mut watched = Watched::begin("edited", "c.toml", &retries(1), HOURS);
    watched.ready().await;
    watched.write("c.toml", &retries(2));
    assert!(matches!(watched.next().await, Outcome::Changed { version: 2 }));
    assert_eq!(watched.retries(), 2);
    watched.write("c.toml.new", &retries(3));
    std::fs::rename(watched.folder.join("c.toml.new"), watched.folder.join("c.toml")).unwrap();
    assert!(matches!(watched.next().await, Outcome::Changed { version: 3 }));
    std::fs::remove_file(watched.folder.join("c.toml")).unwrap();
    assert!(matches!(watched.next().await, Outcome::Failed(_)));
    assert_eq!(watched.retries(), 3, "the last good one holds");
    watched.write("c.toml", &retries(4));
    assert!(matches!(watched.next().await, Outcome::Changed { version: 4 }));
}

#[cfg(unix)]
#[tokio::test]
async fn a_mounted_folder_whose_link_is_swapped_is_read_again() {
    use std::os::unix::fs::symlink;
    let folder = folder("mounted");
    for (version, count) in [("..one", 1), ("..two", 2), ("..three", 3)] {
        std::fs::create_dir_all(folder.join(version)).unwrap();
        std::fs::write(folder.join(version).join("c.toml"), retries(count)).unwrap();
    }
    symlink("..one", folder.join("..data")).unwrap();
    symlink("..data/c.toml", folder.join("c.toml")).unwrap();
    let mut watched = Watched::of(folder.clone(), folder.join("c.toml"), HOURS);
    watched.ready().await;
    for (version, count) in [("..two", 2), ("..three", 3)] {
        symlink(version, folder.join("..new")).unwrap();
        std::fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
        assert!(matches!(watched.next().await, Outcome::Changed { .. }));
        assert_eq!(watched.retries(), count);
    }
}

#[tokio::test]
async fn a_half_written_file_is_told_once_and_the_last_good_one_holds() {
    let mut watched = Watched::begin("half", "c.toml", &retries(1), HOURS);
    watched.ready().await;
    watched.write("c.toml", "[retry]\nmax_ret");
    let Outcome::Failed(error) = watched.next().await else { panic!("it was taken") };
    assert!(error.to_string().contains("c.toml:2"), "{error}");
    assert_eq!(watched.retries(), 1);
    assert!(watched.current.load().problem.is_some());
    watched.write("c.toml", "[retry]\nmax_ret");
    watched.write("c.toml", "");
    // Were the first one told again, it would come before this one.
    let Outcome::Failed(error) = watched.next().await else { panic!("an empty file was taken") };
    assert!(error.to_string().contains("nothing is configured"), "{error}");
    watched.write("c.toml", &retries(5));
    assert!(matches!(watched.next().await, Outcome::Changed { version: 2 }));
    assert!(watched.current.load().problem.is_none());
}

#[tokio::test]
async fn a_problem_that_goes_away_by_going_back_is_forgotten() {
    let mut watched = Watched::begin("back", "c.toml", &retries(1), HOURS);
    watched.ready().await;
    watched.write("c.toml", "[[[");
    assert!(matches!(watched.next().await, Outcome::Failed(_)));
    watched.write("c.toml", &retries(1));
    loop {
        match watched.told.recv().await.unwrap() {
            Outcome::Unchanged => break,
            Outcome::StillFailing => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(watched.current.load().problem.is_none());
    assert_eq!(watched.current.load().version, 1);
}

#[tokio::test]
async fn what_no_event_tells_is_found_by_looking() {
    let mut watched = Watched::begin("missed", "c.toml", &retries(1), Duration::from_millis(50));
    watched.ready().await;
    // The folder that is watched is no longer the one that is read.
    let aside = watched.folder.with_extension("aside");
    let _ = std::fs::remove_dir_all(&aside);
    std::fs::rename(&watched.folder, &aside).unwrap();
    std::fs::create_dir_all(&watched.folder).unwrap();
    watched.write("c.toml", &retries(2));
    while watched.retries() != 2 {
        watched.next().await;
    }
    std::fs::remove_dir_all(&aside).unwrap();
}

#[tokio::test]
async fn a_file_of_a_secret_is_watched_too() {
    let folder = folder("secret");
    std::fs::write(folder.join("key.txt"), "one\n").unwrap();
    let written = "[client]\nbase_url = 'http://h/v1'\napi_key = '${file:key.txt}'\n";
    std::fs::write(folder.join("c.toml"), written).unwrap();
    let mut watched = Watched::of(folder.clone(), folder.join("c.toml"), HOURS);
    watched.ready().await;
    watched.write("key.txt", "two\n");
    assert!(matches!(watched.next().await, Outcome::Changed { .. }));
    let current = watched.current.load();
    let key = current.loaded.config.client.api_key.0[0].key.as_ref().unwrap().expose().to_owned();
    assert_eq!(key, "two");
}

#[test]
fn nobody_is_told_anything_while_a_lock_is_held() {
    let folder = folder("lock");
    let path = folder.join("c.toml");
    std::fs::write(&path, retries(1)).unwrap();
    let source = Files::new([path.clone()]);
    let current = Arc::new(ArcSwap::from_pointee(Current::new(load::load(&source, None).unwrap())));
    let reloader = Arc::new(Reloader::new(Arc::clone(&current), Box::new(|_| Ok(()))));
    let versions = Mutex::new(Vec::new());
    std::fs::write(&path, retries(2)).unwrap();
    if let Outcome::Changed { version } = reloader.look(&source, &Node::table()) {
        // What is told may look again at once.
        versions.lock().push(version);
        std::fs::write(&path, retries(3)).unwrap();
        if let Outcome::Changed { version } = reloader.look(&source, &Node::table()) {
            versions.lock().push(version);
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(*versions.lock(), [2, 3]);
}
