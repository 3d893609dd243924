//! Tokens end: they are renewed ahead of time, once for everybody, and at most once for a refusal.

use std::sync::Arc;
use std::time::Duration;

use fairlead::call::{Call, CallOptions, Operation};
use fairlead::reply::Answer;
use fairlead::{Engine, Kind};

use crate::support::chat_with;
use crate::support::scripted::{World, ok, status};
use crate::world::{OAUTH, Scene, call, call_with, pass_time};

const THEN_STATIC: &str = r#"
[[models.m.deployments]]
provider = "openai"
model = "up"
base_url = "http://up.test/v1"
[[models.m.deployments.api_key]]
oauth = { token_url = "http://issuer.test/t", client_id = "me", client_secret = "s" }
[[models.m.deployments.api_key]]
key = "spare"
"#;

async fn all_at_once(engine: &Arc<Engine>, count: usize) {
    let calls = (0..count).map(|_| {
        let engine = Arc::clone(engine);
        tokio::spawn(async move { call(&engine).await })
    });
    for answer in futures_util::future::join_all(calls).await {
        answer.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_calls_at_once_ask_for_one_token() {
    let scene = Scene::new();
    scene.state.lock().delay = Duration::from_millis(500);
    let engine = scene.engine(OAUTH);
    all_at_once(&engine, 100).await;
    assert_eq!(scene.asked(), 1);
    assert_eq!(scene.keys(), vec!["token-1"; 100]);
    // The token has ended: again one, for all.
    pass_time(3601.0).await;
    all_at_once(&engine, 100).await;
    assert_eq!(scene.asked(), 2);
    assert_eq!(scene.keys()[100..], vec!["token-2"; 100]);
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_waiting_takes_nobody_with_him() {
    let scene = Scene::new();
    scene.state.lock().delay = Duration::from_secs(1);
    let engine = scene.engine(OAUTH);
    let first = tokio::spawn({
        let engine = Arc::clone(&engine);
        async move { call(&engine).await }
    });
    pass_time(0.5).await;
    first.abort();
    call(&engine).await.unwrap();
    assert_eq!(scene.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_a_minute_before_its_end_give_or_take_a_tenth_and_nobody_waits() {
    let mut renewals = Vec::new();
    for _ in 0..40 {
        let scene = Scene::new();
        let engine = scene.engine(OAUTH);
        call(&engine).await.unwrap();
        scene.state.lock().delay = Duration::from_secs(2);
        let began = fairlead::clock::now();
        pass_time(3533.0).await;
        while scene.asked() == 1 {
            let before = fairlead::clock::now();
            call(&engine).await.unwrap();
            assert_eq!(before.elapsed(), Duration::ZERO, "a call waited");
            pass_time(0.1).await;
        }
        renewals.push(3600.0 - began.elapsed().as_secs_f64());
        pass_time(3.0).await;
        call(&engine).await.unwrap();
        assert_eq!(scene.keys().last().unwrap(), "token-2");
    }
    assert!(renewals.iter().all(|ahead| (53.8..=66.1).contains(ahead)), "{renewals:?}");
    let (least, most) =
        (renewals.iter().copied().reduce(f64::min), renewals.iter().copied().reduce(f64::max));
    assert!(most.unwrap() - least.unwrap() > 3.0, "no jitter: {renewals:?}");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_lives_shorter_than_the_margin_is_not_renewed_for_every_call() {
    let scene = Scene::new();
    scene.state.lock().lives = 30;
    let engine = scene.engine(OAUTH);
    for _ in 0..130 {
        call(&engine).await.unwrap();
        pass_time(0.1).await;
    }
    assert_eq!(scene.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_old_token_serves_while_the_issuer_is_down_and_it_is_asked_with_pauses() {
    let scene = Scene::new();
    let engine = scene.engine(OAUTH);
    call(&engine).await.unwrap();
    scene.break_issuer(Some(status(500)));
    pass_time(3540.0).await;
    // In its last minute, under ten calls a second.
    for _ in 0..590 {
        call(&engine).await.unwrap();
        pass_time(0.1).await;
    }
    assert_eq!(scene.keys(), vec!["token-1"; 591]);
    // Three tries in a go, pauses of 1, 2, 4, 8, 16 and 32 s between them, each shortened by up to a half.
    assert!((4..=30).contains(&scene.asked()), "{}", scene.asked());
}

#[tokio::test(start_paused = true)]
async fn without_a_valid_token_a_call_fails_at_once_until_the_issuer_is_back() {
    let scene = Scene::new();
    let engine = scene.engine(OAUTH);
    call(&engine).await.unwrap();
    scene.break_issuer(Some(status(400).with_body(r#"{"error":"server_busy"}"#)));
    pass_time(3601.0).await;
    let error = call(&engine).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Authentication);
    assert!(error.to_string().contains("server_busy"), "{error}");
    let asked = scene.asked();
    // The source rests: these fail without asking it.
    for _ in 0..50 {
        assert_eq!(call(&engine).await.unwrap_err().kind(), Kind::Authentication);
    }
    assert_eq!(scene.asked(), asked);
    assert_eq!(scene.keys().len(), 1, "nothing is sent upstream without a token");
    scene.break_issuer(None);
    pass_time(1.1).await;
    call(&engine).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_source_fails_steps_aside_for_the_next_one() {
    let scene = Scene::new();
    scene.break_issuer(Some(status(400)));
    let engine = scene.engine(THEN_STATIC);
    for _ in 0..3 {
        call(&engine).await.unwrap();
    }
    assert_eq!(scene.keys(), ["spare"; 3]);
    assert_eq!(scene.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_once_and_the_call_succeeds_uncounted() {
    let scene = Scene::new();
    let engine = scene.engine(OAUTH);
    call(&engine).await.unwrap();
    scene.refuse("token-1");
    let Answer::Reply(reply) = call(&engine).await.unwrap() else { panic!() };
    assert_eq!(scene.keys(), ["token-1", "token-1", "token-2"]);
    assert_eq!(scene.asked(), 2);
    let counted: Vec<bool> = reply.receipt.attempts.iter().map(|attempt| attempt.counted).collect();
    assert_eq!(counted, [false, true]);
    // The key is not held to have failed.
    assert!(engine.keys()[0].disabled_for < 0.001);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_calls_whose_token_is_refused_renew_it_once() {
    let scene = Scene::new();
    let engine = scene.engine(OAUTH);
    call(&engine).await.unwrap();
    scene.refuse("token-1");
    scene.state.lock().delay = Duration::from_millis(300);
    all_at_once(&engine, 100).await;
    assert_eq!(scene.asked(), 2);
    assert_eq!(scene.keys().iter().filter(|key| *key == "token-2").count(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_second_refusal_is_the_next_keys_turn() {
    let scene = Scene::new();
    let engine = scene.engine(THEN_STATIC);
    scene.refuse("token-1");
    scene.refuse("token-2");
    call(&engine).await.unwrap();
    assert_eq!(scene.keys(), ["token-1", "token-2", "spare"]);
    assert_eq!(scene.asked(), 2);
    // The refused one is left alone for a minute.
    call(&engine).await.unwrap();
    assert_eq!(scene.keys(), ["token-1", "token-2", "spare", "spare"]);
    assert_eq!(scene.asked(), 2);
    assert!(engine.keys().iter().any(|key| key.disabled_for > 59.0));
}

#[tokio::test(start_paused = true)]
async fn one_call_renews_a_key_once_even_while_others_are_accepted_with_it() {
    let scene = Scene::new();
    let issuer = scene.clone();
    let world = World::answering(move |seen| match seen.host.as_str() {
        "issuer.test" => issuer.world.answer(seen),
        _ if String::from_utf8_lossy(&seen.body).contains("refused") => {
            status(401).after(Duration::from_secs(1))
        }
        _ => ok(),
    });
    let refused = OAUTH.replace("models.m.", "models.other.").replace("\"up\"", "\"refused\"");
    let engine = world.engine(&format!("{OAUTH}{refused}"));
    let failing = tokio::spawn({
        let engine = Arc::clone(&engine);
        let body = r#"{"model":"other","messages":[{"role":"user","content":"hi"}]}"#;
        let (operation, options) = (Operation::Chat, CallOptions::default());
        let call = Call { operation, body: body.into(), options };
        async move { engine.call(call).await }
    });
    for _ in 0..10 {
        pass_time(0.3).await;
        call(&engine).await.unwrap();
    }
    assert_eq!(failing.await.unwrap().unwrap_err().kind(), Kind::Authentication);
    let requests = world.seen.lock();
    let refused = requests.iter().filter(|seen| String::from_utf8_lossy(&seen.body).contains("refused"));
    assert_eq!(refused.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_comes_back_the_same_is_never_tried_again() {
    let scene = Scene::new();
    scene.state.lock().fresh = false;
    scene.refuse("token-0");
    let engine = scene.engine(OAUTH);
    let error = call(&engine).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Authentication);
    assert_eq!(scene.keys(), ["token-0"]);
    assert_eq!(scene.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_refuses_every_token_does_not_storm_the_issuer() {
    let scene = Scene::new();
    for number in 0..1000 {
        scene.refuse(&format!("token-{number}"));
    }
    let engine = scene.engine(OAUTH);
    for _ in 0..100 {
        assert_eq!(call(&engine).await.unwrap_err().kind(), Kind::Authentication);
        pass_time(0.6).await;
    }
    // A minute: the first, then one after 0, 10 and 30 s.
    assert!(scene.asked() <= 5, "{}", scene.asked());
    scene.state.lock().refused.clear();
    call(&engine).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_retries_there_is_one_request_and_the_next_call_has_a_new_token() {
    let scene = Scene::new();
    let engine = scene.engine(OAUTH);
    scene.refuse("token-1");
    assert_eq!(call_with(&engine, 0).await.unwrap_err().kind(), Kind::Authentication);
    assert_eq!(scene.keys(), ["token-1"]);
    call_with(&engine, 0).await.unwrap();
    assert_eq!(scene.keys(), ["token-1", "token-2"]);
}

#[tokio::test(start_paused = true)]
async fn a_call_never_waits_for_a_token_beyond_its_deadline() {
    let scene = Scene::new();
    scene.state.lock().delay = Duration::from_secs(8);
    let engine = scene.engine(OAUTH);
    let options = CallOptions { deadline: Some(Duration::from_secs(3)), ..CallOptions::default() };
    let began = fairlead::clock::now();
    let error = engine.call(chat_with(false, options)).await.unwrap_err();
    assert_eq!((error.kind(), began.elapsed().as_secs()), (Kind::Deadline, 3));
    // What was asked for serves the next call.
    pass_time(6.0).await;
    call(&engine).await.unwrap();
    assert_eq!(scene.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_closed_engine_lets_go_of_its_tokens() {
    let scene = Scene::new();
    let engine = scene.engine(OAUTH);
    call(&engine).await.unwrap();
    engine.close();
    assert_eq!(call(&engine).await.unwrap_err().kind(), Kind::ClientClosed);
    assert_eq!(scene.asked(), 1);
}
