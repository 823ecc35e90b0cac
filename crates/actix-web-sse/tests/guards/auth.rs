use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web_sse::{
    Identity, Policy,
    config::AuthConfig,
    protect::{Attempt, AuthError, AuthFuture, Authenticator, CacheKey, PolicyBuilder},
};
use tokio::time::Instant;

use super::reply::over_both;
use super::support::{
    APP, Ear, LIMIT, Recording, Reply, Server, reference, refusal, streams, wait_until,
};

/// Understands tokens that say what is to happen.
#[derive(Default)]
struct Obedient {
    asked: Arc<AtomicUsize>,
}

impl Authenticator for Obedient {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let token = attempt.token.map_or("", |token| token.text);
        assert_ne!(token, "panic-now", "provoked");
        Box::pin(async move {
            match token {
                "alice" => Ok(Identity::user("alice")),
                "bob" => Ok(Identity::user("bob").reading(["other"])),
                "ending" => Ok(Identity::user("ending").expiring_in(Duration::from_secs(1))),
                "ended" => Ok(Identity::user("ended").expiring_in(Duration::ZERO)),
                "slow" => {
                    tokio::time::sleep(10 * LIMIT).await;
                    Ok(Identity::user("slow"))
                }
                "panic" => panic!("provoked"),
                "broken" => Err(AuthError::Unavailable),
                "forbidden" => Err(AuthError::Forbidden),
                // Less than the time there is.
                slow if slow.starts_with("slow-") => {
                    tokio::time::sleep(Duration::from_millis(60)).await;
                    Err(AuthError::Invalid)
                }
                _ => Err(AuthError::Invalid),
            }
        })
    }

    fn cache_key(&self, _: &Attempt<'_>) -> CacheKey {
        CacheKey::Token
    }
}

pub fn auth(change: impl FnOnce(&mut AuthConfig)) -> AuthConfig {
    let mut auth = AuthConfig::default();
    auth.required = true;
    auth.cookie = Some("__Host-sid".into());
    auth.timeout = Duration::from_millis(200);
    change(&mut auth);
    auth
}

pub fn serve(change: impl FnOnce(PolicyBuilder) -> PolicyBuilder) -> (Server, Arc<AtomicUsize>) {
    let recording: Arc<Recording> = Arc::default();
    let authenticator = Obedient::default();
    let asked = Arc::clone(&authenticator.asked);
    let builder = reference(&recording)
        .auth(auth(|_| {}))
        .authenticator(authenticator);
    let policy = change(builder).build().unwrap();
    (Server::start(&recording, streams(policy)), asked)
}

async fn bearer(server: &Server, token: &str) -> Reply {
    server
        .get(&format!(
            "Origin: {APP}\r\nAuthorization: Bearer {token}\r\n"
        ))
        .await
}

async fn t01_without_credentials_nothing_is_said_about_errors() {
    let (server, asked) = serve(|builder| builder);
    let mut reply = server.get(&format!("Origin: {APP}\r\n")).await;
    reply.assert_err(401);
    reply.assert_readable_by(APP);
    assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    assert_eq!(reply.body().await, refusal("unauthorized"));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    assert_eq!(server.recording.opened.load(Ordering::SeqCst), 0);
}

async fn t02_credentials_that_do_not_hold_look_alike() {
    let (server, _) = serve(|builder| builder);
    let long = "x".repeat(9000);
    for token in ["nonsense", "ended", "", &long] {
        let mut reply = bearer(&server, token).await;
        reply.assert_err(401);
        reply.assert_readable_by(APP);
        assert_eq!(
            reply.header("www-authenticate"),
            Some(r#"Bearer error="invalid_token""#)
        );
        assert_eq!(reply.body().await, refusal("invalid_token"));
    }
}

async fn a_token_or_a_cookie_opens_the_stream() {
    let (server, _) = serve(|builder| builder);
    bearer(&server, "alice").await.assert_ok();
    let reply = server
        .get(&format!(
            "Origin: {APP}\r\nCookie: x=1; __Host-sid=alice\r\n"
        ))
        .await;
    reply.assert_ok();
    let reply = server.get("Cookie: __Host-sid=alice\r\n").await;
    reply.assert_ok();
}

/// The page of the server itself by its cookie, and a program by its token: neither names an
/// origin, and the guard on origins stands in nobody's way, and for nobody.
async fn o19_o20_without_an_origin_the_credentials_decide() {
    let (server, _) = serve(|builder| builder);
    let own = "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n";
    for (lines, status) in [
        (format!("{own}Cookie: __Host-sid=alice\r\n"), 200),
        (own.to_owned(), 401),
        ("Authorization: Bearer alice\r\n".to_owned(), 200),
        (String::new(), 401),
    ] {
        let reply = server.get(&lines).await;
        assert_eq!(reply.status, status, "{lines}");
        reply.assert_unreadable();
    }
}

/// Each fault alone would be refused by another guard; the earlier one answers, and nobody is
/// asked who it is.
async fn o22_c09_a02_the_cheaper_refusal_comes_first() {
    let (server, asked) = serve(|builder| builder);
    let bearer = "Authorization: Bearer nonsense\r\n";
    let navigation = "Sec-Fetch-Mode: navigate\r\n";
    let evil = "Origin: https://evil.com\r\n";
    for (method, host, lines, code) in [
        (
            "PUT",
            "evil.com",
            format!("{evil}{navigation}{bearer}"),
            "method_not_allowed",
        ),
        (
            "GET",
            "evil.com",
            format!("{evil}{navigation}{bearer}"),
            "host_denied",
        ),
        (
            "GET",
            "localhost",
            format!("{evil}{navigation}{bearer}"),
            "origin_denied",
        ),
        (
            "GET",
            "localhost",
            format!("{navigation}{bearer}"),
            "fetch_metadata_denied",
        ),
        ("GET", "localhost", bearer.to_owned(), "not_acceptable"),
    ] {
        let request = format!("{method} /events HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n");
        let mut reply = server.raw(&request).await;
        let body = reply.body().await;
        assert_eq!(body, refusal(code));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

async fn t03_the_right_to_another_topic_does_not_suffice() {
    let (server, _) = serve(|builder| builder.topic(|_| Some("demo".into())));
    for token in ["bob", "forbidden"] {
        let mut reply = bearer(&server, token).await;
        reply.assert_err(403);
        assert_eq!(
            reply.header("www-authenticate"),
            Some(r#"Bearer error="insufficient_scope""#)
        );
        assert_eq!(reply.body().await, refusal("insufficient_scope"));
    }
    bearer(&server, "alice").await.assert_ok();
}

async fn t05_credentials_that_may_disagree_are_refused() {
    let (server, asked) = serve(|builder| builder);
    let lines = "Authorization: Bearer alice\r\nAuthorization: Bearer bob\r\n";
    let mut reply = server.get(lines).await;
    reply.assert_err(400);
    assert_eq!(reply.body().await, refusal("invalid_request"));
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

async fn t07_what_cannot_be_checked_is_not_let_in() {
    let (server, _) = serve(|builder| builder.streams_per_ip(1));
    for token in ["slow", "broken", "panic", "panic-now"] {
        // Before the slow one has answered, or there would be no reply within the limit.
        let mut reply = bearer(&server, token).await;
        reply.assert_err(503);
        reply.assert_readable_by(APP);
        assert!(reply.header("retry-after").is_some());
        assert_eq!(reply.body().await, refusal("auth_unavailable"));
    }
    // The slot is free, and the worker alive.
    bearer(&server, "alice").await.assert_ok();
}

#[actix_rt::test]
async fn t08_a_client_that_leaves_while_it_is_checked_gives_its_slot_back() {
    let recording: Arc<Recording> = Arc::default();
    let policy = reference(&recording)
        .auth(auth(|auth| auth.timeout = Duration::from_secs(60)))
        .authenticator(Obedient::default())
        .streams_per_ip(100)
        .build()
        .unwrap();
    let server = Server::start(&recording, streams(policy));
    let request = "GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\nAuthorization: Bearer ";
    for round in 0..10 {
        let reset = round % 2 == 0;
        let mut sockets = Vec::new();
        let before = recording.attempts.load(Ordering::SeqCst);
        for _ in 0..100 {
            sockets.push(server.send(&format!("{request}slow\r\n\r\n")).await);
        }
        wait_until("all are being checked", || {
            recording.attempts.load(Ordering::SeqCst) == before + 100
        })
        .await;
        bearer(&server, "alice").await.assert_err(429);
        for socket in &sockets {
            if reset {
                socket.set_zero_linger().unwrap();
            }
        }
        drop(sockets);
        let since = Instant::now();
        while bearer(&server, "alice").await.status != 200 {
            assert!(since.elapsed() < LIMIT, "slots are free");
        }
        wait_until("none is left", || {
            recording.active.load(Ordering::SeqCst) == 0
        })
        .await;
    }
}

async fn l19_the_limits_stand_before_the_check() {
    let (server, asked) = serve(|builder| builder.attempts_per_ip(10));
    let since = Instant::now();
    for _ in 0..100 {
        bearer(&server, "nonsense").await;
    }
    // A whole budget at once, and what comes back meanwhile.
    let most = 10.0 + since.elapsed().as_secs_f64() * 10.0;
    let asked = asked.load(Ordering::SeqCst);
    assert!((10..=most.ceil() as usize).contains(&asked), "{asked}");
}

async fn a_user_has_a_limit_of_its_own() {
    let (server, _) = serve(|builder| builder.streams_per_user(2));
    let _first = bearer(&server, "alice").await;
    let _second = bearer(&server, "alice").await;
    let mut reply = bearer(&server, "alice").await;
    reply.assert_err(429);
    assert_eq!(reply.body().await, refusal("user_limit"));
    bearer(&server, "bob").await.assert_ok();
}

async fn where_it_is_not_required_credentials_must_hold_all_the_same() {
    let (server, _) = serve(|builder| builder.require_auth(false));
    server.get("").await.assert_ok();
    bearer(&server, "alice").await.assert_ok();
    // After it has ended nobody goes on as anonymous.
    for token in ["nonsense", "ended"] {
        bearer(&server, token).await.assert_err(401);
    }
}

async fn remembered_tokens_are_not_asked_about_again() {
    let (server, asked) =
        serve(|builder| builder.auth(auth(|auth| auth.cache = Some(Default::default()))));
    for _ in 0..5 {
        bearer(&server, "alice").await.assert_ok();
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    for _ in 0..3 {
        bearer(&server, "nonsense").await.assert_err(401);
    }
    assert_eq!(
        asked.load(Ordering::SeqCst),
        4,
        "refusals are not remembered"
    );
}

async fn t17_a_revoked_users_token_is_checked_again() {
    let recording: Arc<Recording> = Arc::default();
    let authenticator = Obedient::default();
    let asked = Arc::clone(&authenticator.asked);
    let policy = reference(&recording)
        .auth(auth(|auth| auth.cache = Some(Default::default())))
        .authenticator(authenticator)
        .build()
        .unwrap();
    let server = Server::start(&recording, streams(policy.clone()));
    bearer(&server, "alice").await.assert_ok();
    policy.revoke("alice");
    bearer(&server, "alice").await.assert_ok();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

async fn c07_a_cookie_counts_only_where_credentials_may_travel() {
    let recording: Arc<Recording> = Arc::default();
    let policy = Policy::builder()
        .allow_origin("*")
        .auth(auth(|_| {}))
        .authenticator(Obedient::default())
        .observer(Ear(Arc::clone(&recording)))
        .build()
        .unwrap();
    let server = Server::start(&recording, streams(policy));
    let cookie = "Cookie: __Host-sid=alice\r\n";
    let reply = server
        .get(&format!("Origin: https://anybody.example\r\n{cookie}"))
        .await;
    assert_eq!(reply.status, 401);
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    let reply = server
        .get(&format!(
            "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n{cookie}"
        ))
        .await;
    assert_eq!(reply.status, 200);
}

async fn p02_a06_preflight_and_head() {
    let (server, asked) = serve(|builder| builder);
    let reply = server
        .request(
            "OPTIONS",
            "/events",
            &format!("Origin: {APP}\r\nAccess-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: authorization\r\n"),
        )
        .await;
    assert_eq!((reply.status, asked.load(Ordering::SeqCst)), (204, 0));
    let head = |lines: &str| format!("Accept: text/event-stream\r\n{lines}");
    let reply = server.request("HEAD", "/events", &head("")).await;
    assert_eq!(reply.status, 401, "as the GET would be");
    let reply = server
        .request("HEAD", "/events", &head("Authorization: Bearer alice\r\n"))
        .await;
    reply.assert_ok();
}

over_both! {
    t01_without_credentials_nothing_is_said_about_errors,
    t02_credentials_that_do_not_hold_look_alike,
    a_token_or_a_cookie_opens_the_stream,
    o19_o20_without_an_origin_the_credentials_decide,
    o22_c09_a02_the_cheaper_refusal_comes_first,
    t03_the_right_to_another_topic_does_not_suffice,
    t05_credentials_that_may_disagree_are_refused,
    t07_what_cannot_be_checked_is_not_let_in,
    l19_the_limits_stand_before_the_check,
    a_user_has_a_limit_of_its_own,
    where_it_is_not_required_credentials_must_hold_all_the_same,
    remembered_tokens_are_not_asked_about_again,
    t17_a_revoked_users_token_is_checked_again,
    c07_a_cookie_counts_only_where_credentials_may_travel,
    p02_a06_preflight_and_head,
}
