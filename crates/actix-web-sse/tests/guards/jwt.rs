//! JSON Web Tokens, as the reference set-up has them.

use std::sync::Arc;

use actix_web_sse::config::AuthConfig;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::reply::over_both;
use super::support::{APP, Recording, Reply, Server, reference, streams};

const SECRET: &str = "reference-secret-of-at-least-32-bytes!";

/// As the reference set-up has it.
fn with_jwt(change: impl FnOnce(&mut AuthConfig)) -> Server {
    let mut auth: AuthConfig = toml::from_str(
        r#"
        required = true
        jwt_hs256_secret = "reference-secret-of-at-least-32-bytes!"
        cookie = "__Host-sid"
        ticket = { secret = "reference-ticket-secret-of-32-bytes!!", ttl = "60s", mode = "single-use" }
        "#,
    )
    .unwrap();
    change(&mut auth);
    let recording: Arc<Recording> = Arc::default();
    let policy = reference(&recording).auth(auth).build().unwrap();
    Server::start(&recording, streams(policy))
}

fn signed(secret: &str, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::default(), claims, &key).unwrap()
}

async fn t15_json_web_tokens_as_the_reference_has_them() {
    let server = with_jwt(|_| ());
    let now = jsonwebtoken::get_current_timestamp();
    let token = |exp: u64| signed(SECRET, &json!({"sub": "u", "exp": exp}));
    bearer(&server, &token(now + 60)).await.assert_ok();
    let reply = server
        .get(&format!("Cookie: __Host-sid={}\r\n", token(u64::MAX)))
        .await;
    reply.assert_ok();
}

async fn t02_tokens_that_do_not_hold_are_refused_in_the_same_bytes() {
    let server = with_jwt(|auth| auth.jwt_audience = vec!["streams".into()]);
    let now = jsonwebtoken::get_current_timestamp();
    let claims = |exp: u64, aud: &str| json!({"sub": "u", "exp": exp, "aud": aud});
    let good = signed(SECRET, &claims(now + 60, "streams"));
    bearer(&server, &good).await.assert_ok();
    let (_, payload) = good.rsplit_once('.').unwrap().0.split_once('.').unwrap();
    let mut refusals = Vec::new();
    for token in [
        signed(SECRET, &claims(now - 1, "streams")),
        signed(
            "another-secret-of-at-least-32-bytes!!!",
            &claims(now + 60, "streams"),
        ),
        signed(SECRET, &claims(now + 60, "others")),
        // {"alg":"none"}
        format!("eyJhbGciOiJub25lIn0.{payload}."),
        "nonsense".to_owned(),
    ] {
        let mut reply = bearer(&server, &token).await;
        reply.assert_err(401);
        let body = reply.body().await;
        let mut headers = reply.headers.clone();
        headers.retain(|(name, _)| name != "date");
        headers.sort();
        refusals.push((headers, body));
    }
    assert!(
        refusals.windows(2).all(|pair| pair[0] == pair[1]),
        "{refusals:?}"
    );
}

async fn bearer(server: &Server, token: &str) -> Reply {
    let lines = format!("Origin: {APP}\r\nAuthorization: Bearer {token}\r\n");
    server.get(&lines).await
}

over_both! {
    t15_json_web_tokens_as_the_reference_has_them,
    t02_tokens_that_do_not_hold_are_refused_in_the_same_bytes,
}
