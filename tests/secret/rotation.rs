//! Several keys for one deployment: windows, overlap, dead keys, and what is told of each.

use std::time::Duration;

use fairlead::call::{Call, CallOptions};
use fairlead::clock;
use fairlead::config::Secret;
use fairlead::reply::Answer;
use fairlead::{Engine, Kind};

use crate::support::chat_with;
use crate::support::scripted::{Meets, World, ok, status};
use crate::world::{call, pass_time};

/// 2026-12-01T00:00:00Z
const MIDNIGHT: Duration = Duration::from_secs(1_796_083_200);

/// Each key hands over to the next one at 20 and 40 minutes, with five minutes in which both are valid.
const ROTATING: &str = r#"
[[models.m.deployments]]
provider = "openai"
model = "up"
base_url = "http://up.test/v1"
api_key = [
    { id = "first", key = "k1", not_after = "2026-12-01T00:25:00Z" },
    { id = "second", key = "k2", not_before = "2026-12-01T00:20:00Z", not_after = "2026-12-01T00:45:00Z" },
    { id = "third", key = "k3", not_before = "2026-12-01T00:40:00Z" },
]
"#;

fn minute() -> f64 {
    clock::wall().saturating_sub(MIDNIGHT).as_secs_f64() / 60.0
}

/// An upstream that takes a key from two minutes after its `not_before` on (the new key spreads slowly) and never
/// outside its window.
fn strict() -> World {
    World::answering(|seen| {
        let minute = minute();
        let valid = match seen.key.as_str() {
            "Bearer k1" => minute < 25.0,
            "Bearer k2" => (22.0..45.0).contains(&minute),
            "Bearer k3" => minute >= 42.0,
            _ => false,
        };
        if valid { ok() } else { status(401) }
    })
}

#[tokio::test(start_paused = true)]
async fn no_call_fails_while_keys_rotate_through_an_hour() {
    clock::pretend(MIDNIGHT);
    let world = strict();
    let engine = world.engine(ROTATING);
    let mut served = Vec::new();
    while minute() < 60.0 {
        call(&engine).await.unwrap();
        served.push((minute(), world.seen.lock().last().unwrap().key.clone()));
        pass_time(2.0).await;
    }
    assert!(served.len() > 1790);
    let refused = world.seen.lock().len() - served.len();
    assert!(refused <= 6, "{refused} requests met a key that was not valid upstream");
    // The newest one serves soon after it is taken: a refused key is left alone for at most some minutes.
    for (from, to, key) in [(0.0, 20.0, "Bearer k1"), (25.0, 40.0, "Bearer k2"), (46.0, 60.0, "Bearer k3")] {
        let there = |served: &&(f64, String)| (from..to).contains(&served.0);
        assert!(served.iter().filter(there).all(|served| served.1 == key), "{key}");
    }
    let usage = engine.keys();
    let ids: Vec<&str> = usage.iter().map(|key| key.id.as_str()).collect();
    assert_eq!(ids, ["first", "second", "third"]);
    let requests: u64 = usage.iter().map(|key| key.requests).sum();
    let failures: u64 = usage.iter().map(|key| key.failures).sum();
    assert_eq!(requests, world.seen.lock().len() as u64);
    assert_eq!(failures, refused as u64);
    assert!(usage.iter().all(|key| key.provider == "openai" && key.requests > 300), "{usage:?}");
}

#[tokio::test(start_paused = true)]
async fn in_an_overlap_the_key_that_became_valid_last_is_asked_first() {
    clock::pretend(MIDNIGHT + Duration::from_secs(23 * 60));
    let world = World::new((0..9).map(|_| ok()));
    let engine = world.engine(ROTATING);
    call(&engine).await.unwrap();
    assert_eq!(world.seen.lock()[0].key, "Bearer k2");
}

#[tokio::test(start_paused = true)]
async fn a_key_outside_its_window_is_never_sent_and_the_error_names_every_one() {
    let config = r#"
[[models.m.deployments]]
provider = "openai"
model = "up"
base_url = "http://up.test/v1"
api_key = [
    { id = "old", key = "k1", not_after = "2026-11-30T00:00:00Z" },
    { id = "new", key = "k2", not_before = "2027-01-01T00:00:00Z" },
]
"#;
    clock::pretend(MIDNIGHT);
    let world = World::new([]);
    let error = call(&world.engine(config)).await.unwrap_err();
    assert_eq!((error.kind(), world.hosts().len()), (Kind::Authentication, 0));
    let told = error.to_string();
    for part in ["no usable key", "the key `old` is expired", "the key `new` is not yet valid"] {
        assert!(told.contains(part), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_that_ends_before_it_begins_is_refused_at_load() {
    let config = ROTATING.replace("2026-12-01T00:45:00Z", "2026-12-01T00:20:00Z");
    let world = World::new([]);
    let made = Engine::assembled(toml::from_str(&config).unwrap(), world.connect(), clock::Rng::seeded(1));
    let told = made.unwrap_err().to_string();
    assert!(told.contains("`models.m.deployments[0].api_key[1].not_after`"), "{told}");
}

const TWO: &str = r#"
[[models.m.deployments]]
provider = "openai"
model = "up"
base_url = "http://up.test/v1"
api_key = [{ id = "a", key = "k1" }, { id = "b", key = "k2" }]
"#;

/// Two hosts, of which the first has KEYS.
const TWO_HOSTS: &str = r#"
[[models.m.deployments]]
provider = "openai"
model = "up"
base_url = "http://a.test/v1"
api_key = KEYS

[[models.m.deployments]]
provider = "openai"
model = "up"
base_url = "http://b.test/v1"
api_key = "k9"
"#;

fn quota() -> Meets {
    status(429).with_body(
        r#"{"error":{"message":"no money","type":"insufficient_quota","code":"insufficient_quota"}}"#,
    )
}

#[tokio::test(start_paused = true)]
async fn a_dead_key_steps_aside_for_the_next_whatever_it_died_of() {
    for death in [status(401), status(402), status(403), quota()] {
        let world = World::new([death.clone(), ok(), ok()]);
        let engine = world.engine(TWO);
        call(&engine).await.unwrap();
        call(&engine).await.unwrap();
        let keys: Vec<String> = world.seen.lock().iter().map(|seen| seen.key.clone()).collect();
        assert_eq!(keys, ["Bearer k1", "Bearer k2", "Bearer k2"], "{death:?}");
        let usage = engine.keys();
        assert_eq!((usage[0].requests, usage[0].failures), (1, 1));
        assert_eq!((usage[1].requests, usage[1].failures), (2, 0));
        assert!(usage[0].disabled_for > 59.0 && usage[1].disabled_for < 0.001);
    }
}

#[tokio::test(start_paused = true)]
async fn f101_a_refused_key_rests_for_a_minute_and_is_asked_again() {
    let world = World::new([status(401), ok(), ok(), ok()]);
    let engine = world.engine(TWO);
    call(&engine).await.unwrap();
    pass_time(58.0).await;
    call(&engine).await.unwrap();
    pass_time(3.0).await;
    call(&engine).await.unwrap();
    let keys: Vec<String> = world.seen.lock().iter().map(|seen| seen.key.clone()).collect();
    assert_eq!(keys, ["Bearer k1", "Bearer k2", "Bearer k2", "Bearer k1"]);
    assert_eq!(engine.stats().input_tokens, 3, "a refusal uses nothing");
}

/// The hosts and keys of all requests.
fn asked(world: &World) -> Vec<(String, String)> {
    world.seen.lock().iter().map(|seen| (seen.host.clone(), seen.key.clone())).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(host, key)| ((*host).to_owned(), format!("Bearer {key}"))).collect()
}

fn throttled() -> Meets {
    status(429).with_header("retry-after", "30")
}

#[tokio::test(start_paused = true)]
async fn a_throttled_key_rests_alone_and_the_next_one_of_the_deployment_serves() {
    let world = World::new([throttled(), ok(), ok(), ok()]);
    let engine = world.engine(&TWO_HOSTS.replace("KEYS", r#"["k1", "k2"]"#));
    for _ in 0..2 {
        call(&engine).await.unwrap();
    }
    pass_time(31.0).await;
    call(&engine).await.unwrap();
    let expected = [("a.test", "k1"), ("a.test", "k2"), ("a.test", "k2"), ("a.test", "k1")];
    assert_eq!(asked(&world), pairs(&expected));
}

#[tokio::test(start_paused = true)]
async fn a_key_throttled_for_one_model_serves_another() {
    let model = |name: &str| {
        format!(
            "[[models.{name}.deployments]]\nprovider = 'openai'\nmodel = '{name}'\nbase_url = 'http://a.test/v1'\napi_key = 'k'\n"
        )
    };
    let world = World::new([throttled(), ok(), ok()]);
    let engine = world.engine(&format!("{}fallbacks = ['n']\n{}", "[models.m]\n", model("m") + &model("n")));
    for _ in 0..2 {
        call(&engine).await.unwrap();
    }
    let bodies: Vec<bool> =
        world.seen.lock().iter().map(|seen| String::from_utf8_lossy(&seen.body).contains("\"m\"")).collect();
    assert_eq!(bodies, [true, false, false], "m rests, n does not");
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_a_calls_own_key_is_nobody_elses() {
    let world = World::new([throttled(), ok(), ok()]);
    let engine = world.engine(&TWO_HOSTS.replace("KEYS", "'k1'"));
    let own = CallOptions {
        api_key: Some(Secret::new("own".to_owned())),
        max_retries: Some(0),
        ..CallOptions::default()
    };
    engine.call(chat_with(false, own)).await.unwrap_err();
    for _ in 0..2 {
        call(&engine).await.unwrap();
    }
    assert_eq!(asked(&world), pairs(&[("a.test", "own"), ("a.test", "k1"), ("a.test", "k1")]));
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_a_tenants_key_is_nobody_elses() {
    let config =
        format!("{}\n[tenants.acme.api_keys]\nopenai = 'theirs'\n", TWO_HOSTS.replace("KEYS", "'k1'"));
    let world = World::new([throttled(), ok(), ok(), ok()]);
    let engine = world.engine(&config);
    let acme = || CallOptions { tenant: Some("acme".to_owned()), ..CallOptions::default() };
    engine.call(chat_with(false, acme())).await.unwrap();
    call(&engine).await.unwrap();
    engine.call(chat_with(false, acme())).await.unwrap();
    let expected = [("a.test", "theirs"), ("b.test", "theirs"), ("a.test", "k1"), ("b.test", "theirs")];
    assert_eq!(asked(&world), pairs(&expected), "theirs rests at a for them alone");
}

#[tokio::test(start_paused = true)]
async fn what_a_key_meets_at_a_calls_own_address_says_nothing_of_it_here() {
    for refusal in [throttled(), status(401)] {
        let world = World::new([refusal, ok()]);
        let engine = world.engine(&TWO_HOSTS.replace("KEYS", "'k1'"));
        let base_url = Some("http://else.test/v1".to_owned());
        let own = CallOptions { base_url, max_retries: Some(0), ..CallOptions::default() };
        engine.call(chat_with(false, own)).await.unwrap_err();
        call(&engine).await.unwrap();
        assert_eq!(asked(&world), pairs(&[("else.test", "k1"), ("a.test", "k1")]));
    }
}

#[tokio::test(start_paused = true)]
async fn when_all_keys_are_dead_the_error_names_them() {
    let world = World::new((0..9).map(|_| status(401)));
    let error = call(&world.engine(TWO)).await.unwrap_err();
    assert_eq!((error.kind(), world.hosts().len()), (Kind::Authentication, 2));
    let told = error.to_string();
    assert!(told.contains("(keys tried: `a` of openai/up, `b` of openai/up)"), "{told}");
    assert!(!told.contains("k1"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn route_tells_which_keys_are_idle_and_why() {
    clock::pretend(MIDNIGHT);
    let world = World::new([status(401), ok()]);
    let engine = world.engine(&ROTATING.replace("not_before = \"2026-12-01T00:40:00Z\"", ""));
    call(&engine).await.unwrap();
    let asked: Call = chat_with(false, CallOptions::default());
    let decision = engine.route(&asked).unwrap();
    let idle: Vec<String> =
        decision.idle_keys.iter().map(|idle| format!("{}: {}", idle.key, idle.reason)).collect();
    assert_eq!(idle, ["second: not yet valid", "first: out of use after it was refused"]);
    assert_eq!(decision.candidates[0].keys, 1);
}

#[tokio::test(start_paused = true)]
async fn two_deployments_with_one_key_share_what_becomes_of_it() {
    let config = format!("{TWO}{}", TWO.replace("\"up\"", "\"other\""));
    let world = World::new([status(401), ok(), ok()]);
    let engine = world.engine(&config);
    call(&engine).await.unwrap();
    assert_eq!(engine.keys().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_a_reload_took_away_is_listed_no_more_and_known_when_it_comes_back() {
    let world = World::new((0..9).map(|_| ok()));
    let (one, other) = (TWO_HOSTS.replace("KEYS", "'k1'"), TWO_HOSTS.replace("KEYS", "'k2'"));
    let engine = world.engine(&one);
    call(&engine).await.unwrap();
    let requests = |engine: &Engine| engine.keys().iter().map(|key| key.requests).collect::<Vec<_>>();
    assert_eq!(requests(&engine), [1, 0]);
    engine.reload(toml::from_str(&other).unwrap()).unwrap();
    assert_eq!(requests(&engine), [0, 0]);
    engine.reload(toml::from_str(&one).unwrap()).unwrap();
    assert_eq!(requests(&engine), [1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_cannot_be_had_is_no_request_and_the_next_deployment_is_asked() {
    let key = r#"{ oauth = { token_url = "http://issuer.test/token", client_id = "me" } }"#;
    let world = World::answering(|seen| if seen.host == "issuer.test" { status(400) } else { ok() });
    let engine = world.engine(&TWO_HOSTS.replace("KEYS", key));
    let once = CallOptions { max_retries: Some(0), ..CallOptions::default() };
    let Answer::Reply(reply) = engine.call(chat_with(false, once)).await.unwrap() else { unreachable!() };
    assert_eq!(world.hosts(), ["issuer.test", "b.test"]);
    assert_eq!(reply.receipt.attempts.len(), 1, "every line is a request");
}
