//! Plug-ins and callables: what the engine's host answers for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fairlead::clock::Rng;
use fairlead::live::Live;
use fairlead::secret::{Fault, Issued, Outside, Wanted};
use fairlead::{Engine, Kind};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::world::{Scene, call, pass_time};

/// Knows the plug-in `vault` and one callable.
#[derive(Debug, Default)]
struct Host {
    asked: Arc<AtomicUsize>,
}

impl Outside for Host {
    fn fetch(&self, wanted: &Wanted) -> BoxFuture<'static, Result<Issued, Fault>> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let (answer, life) = match wanted {
            Wanted::Callable(position) => (format!("called-{position}-{number}"), Some(100.0)),
            Wanted::Plugin { options, .. } => (options["path"].clone(), None),
        };
        async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if answer == "never" { std::future::pending().await } else { Issued::key(&answer, life) }
        }
        .boxed()
    }

    fn knows(&self, wanted: &Wanted) -> bool {
        let vault = |options: &BTreeMap<String, String>| options.contains_key("path");
        match wanted {
            Wanted::Callable(position) => *position == 0,
            Wanted::Plugin { name, options } => name == "vault" && vault(options),
        }
    }
}

fn engine(scene: &Scene, source: &str) -> (Arc<Engine>, Arc<AtomicUsize>) {
    let config = format!(
        "[[models.m.deployments]]\nprovider = \"openai\"\nmodel = \"up\"\nbase_url = \"http://up.test/v1\"\n\
         [models.m.deployments.api_key]\n{source}\n"
    );
    let host = Host::default();
    let asked = Arc::clone(&host.asked);
    let live = Live::new(Some(Arc::new(host)));
    let config = toml::from_str(&config).unwrap();
    (Engine::over(config, live, scene.world.connect(), Rng::seeded(1)).unwrap(), asked)
}

#[tokio::test(start_paused = true)]
async fn a_plug_in_gets_its_options_and_is_asked_again_after_the_ttl() {
    let scene = Scene::new();
    let source = "plugin = \"vault\"\nttl = 50\noptions = { path = \"secret/llm\" }";
    let (engine, asked) = engine(&scene, source);
    for _ in 0..10 {
        call(&engine).await.unwrap();
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    pass_time(51.0).await;
    call(&engine).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert_eq!(scene.keys().last().unwrap(), "secret/llm");
}

#[tokio::test(start_paused = true)]
async fn a_callable_is_asked_again_when_what_it_gave_ends_or_is_refused() {
    let scene = Scene::new();
    let (engine, _) = engine(&scene, "callable = 0");
    call(&engine).await.unwrap();
    pass_time(101.0).await;
    call(&engine).await.unwrap();
    scene.refuse("called-0-2");
    call(&engine).await.unwrap();
    assert_eq!(scene.keys(), ["called-0-1", "called-0-2", "called-0-2", "called-0-3"]);
}

#[tokio::test(start_paused = true)]
async fn a_plug_in_that_never_answers_ends_at_its_limit() {
    let scene = Scene::new();
    let source = "plugin = \"vault\"\ntimeout = 2\noptions = { path = \"never\" }";
    let (engine, _) = engine(&scene, source);
    let began = fairlead::clock::now();
    let error = call(&engine).await.unwrap_err();
    assert_eq!((error.kind(), began.elapsed().as_secs()), (Kind::Authentication, 2));
    let told = "no token from the plug-in `vault`: no answer within 2.000 s";
    assert_eq!(error.to_string(), told);
}
