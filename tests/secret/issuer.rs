//! What goes to an issuer, byte for byte, and what is said when it refuses.

use fairlead::Kind;

use crate::support::scripted::{Meets, status};
use crate::world::{OAUTH, Scene, call};

/// Path, authorization and body of the one request that went to the issuer.
async fn asked(source: &str) -> (String, String, String) {
    let scene = Scene::new();
    let config = format!(
        "[[models.m.deployments]]\nprovider = \"openai\"\nmodel = \"up\"\nbase_url = \"http://up.test/v1\"\n\
         [models.m.deployments.api_key]\n{source}\n"
    );
    call(&scene.engine(&config)).await.unwrap();
    assert_eq!(scene.keys(), ["token-1"]);
    let seen = scene.world.seen.lock()[0].clone();
    assert_eq!(seen.host, "issuer.test");
    (seen.path, seen.key, String::from_utf8(seen.body.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn client_credentials_are_a_form_with_http_basic() {
    let (path, key, body) = asked(
        r#"oauth = { token_url = "http://issuer.test/oauth/token?tenant=1", client_id = "a:b", client_secret = "c d/é", scope = "read write", audience = "https://api.test" }"#,
    )
    .await;
    assert_eq!(path, "/oauth/token?tenant=1");
    // Both halves are form-encoded before they are joined (RFC 6749, section 2.3.1): a%3Ab:c+d%2F%C3%A9
    assert_eq!(key, "Basic YSUzQWI6YytkJTJGJUMzJUE5");
    assert_eq!(body, "grant_type=client_credentials&scope=read+write&audience=https%3A%2F%2Fapi.test");
}

#[tokio::test(start_paused = true)]
async fn client_credentials_may_stand_in_the_body() {
    let (path, key, body) = asked(
        r#"oauth = { token_url = "http://issuer.test/t/", client_id = "me", client_secret = "hush&", client_auth = "body" }"#,
    )
    .await;
    assert_eq!((path.as_str(), key.as_str()), ("/t/", ""));
    assert_eq!(body, "grant_type=client_credentials&client_id=me&client_secret=hush%26");
}

#[tokio::test(start_paused = true)]
async fn a_client_without_a_secret_names_itself_in_the_body() {
    let (_, key, body) = asked(r#"oauth = { token_url = "http://issuer.test/t", client_id = "me" }"#).await;
    assert_eq!((key.as_str(), body.as_str()), ("", "grant_type=client_credentials&client_id=me"));
}

#[tokio::test(start_paused = true)]
async fn a_token_exchange_gives_one_token_for_another() {
    let (_, key, body) = asked(
        r#"token_exchange = { token_url = "http://issuer.test/t", subject_token = "ey.J+/=", audience = "up" }"#,
    )
    .await;
    assert_eq!(key, "");
    assert_eq!(
        body,
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=ey.J%2B%2F%3D\
         &subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&audience=up"
    );
}

#[tokio::test(start_paused = true)]
async fn an_exchange_reads_its_subject_token_anew_each_time() {
    let path = std::env::temp_dir().join(format!("fairlead-subject-{}", std::process::id()));
    std::fs::write(&path, "first\n").unwrap();
    let scene = Scene::new();
    scene.state.lock().lives = 100;
    let engine = scene.engine(&format!(
        "[[models.m.deployments]]\nprovider = \"openai\"\nmodel = \"up\"\nbase_url = \"http://up.test/v1\"\n\
         [models.m.deployments.api_key]\ntoken_exchange = {{ token_url = \"http://issuer.test/t\", \
         subject_token_file = '{}', client_id = \"me\", client_secret = \"s\" }}\n",
        path.display()
    ));
    call(&engine).await.unwrap();
    std::fs::write(&path, "second\n").unwrap();
    crate::world::pass_time(101.0).await;
    call(&engine).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let seen = scene.world.seen.lock();
    let asked: Vec<_> = seen.iter().filter(|seen| seen.host == "issuer.test").collect();
    assert_eq!(asked[0].key, "Basic bWU6cw==");
    for (request, subject) in asked.iter().zip(["subject_token=first&", "subject_token=second&"]) {
        assert!(String::from_utf8_lossy(&request.body).contains(subject));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_issuer_says_is_told_without_any_secret() {
    let scene = Scene::new();
    let said = r#"{"error":"invalid_client","error_description":"hush hush is not the secret of me"}"#;
    scene.break_issuer(Some(status(401).with_body(said)));
    let error = call(&scene.engine(OAUTH)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Authentication);
    let told = error.to_string();
    let expected = "no token from the issuer http://issuer.test/oauth/token: it answered 401: \
                    invalid_client: *** is not the secret of me";
    assert_eq!(told, expected);
    assert!(!format!("{error:?}").contains("hush"));
    assert_eq!((scene.asked(), scene.keys().len()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_blip_of_the_issuer_costs_no_call() {
    for blip in [status(503), status(429), Meets::Breaks(Kind::Connect)] {
        let scene = Scene::new();
        scene.break_issuer(Some(blip));
        let engine = scene.engine(OAUTH);
        let waiting = tokio::spawn({
            let engine = engine.clone();
            async move { call(&engine).await }
        });
        while scene.asked() == 0 {
            tokio::task::yield_now().await;
        }
        scene.break_issuer(None);
        waiting.await.unwrap().unwrap();
        assert_eq!(scene.keys(), ["token-2"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_issuer_that_never_answers_is_not_waited_for_longer_than_its_limit() {
    let scene = Scene::new();
    scene.break_issuer(Some(Meets::Never));
    let engine = scene.engine(OAUTH);
    let began = fairlead::clock::now();
    let error = call(&engine).await.unwrap_err();
    let took = began.elapsed().as_secs_f64();
    assert_eq!(error.kind(), Kind::Authentication);
    assert!((29.9..=30.1).contains(&took), "{took}");
    assert!(error.to_string().contains("within"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_life_that_is_not_named_is_five_minutes() {
    let scene = Scene::new();
    scene.break_issuer(Some(status(200).with_body(r#"{"access_token":"kept"}"#)));
    let engine = scene.engine(OAUTH);
    call(&engine).await.unwrap();
    crate::world::pass_time(233.0).await;
    call(&engine).await.unwrap();
    assert_eq!(scene.asked(), 1);
    crate::world::pass_time(68.0).await;
    call(&engine).await.unwrap();
    assert_eq!(scene.asked(), 2);
}
