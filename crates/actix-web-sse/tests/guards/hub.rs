//! The guards and the hub together: what the one found out, the other keeps to.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{Responder, web};
use actix_web_sse::{
    Event, Hub, Identity, Policy, Subscriber,
    config::{HubConfig, StreamConfig},
    protect::{Attempt, AuthError, AuthFuture, Authenticator},
};

use super::support::{APP, Recording, Reply, Server, reference};

/// `user` or `user:seconds`.
struct Expiring;

impl Authenticator for Expiring {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        let token = attempt.token.map(|token| token.text.to_owned());
        Box::pin(async move {
            let token = token.ok_or(AuthError::Missing)?;
            let (user, seconds) = token.split_once(':').unwrap_or((&token, "3600"));
            let seconds = seconds.parse().map_err(|_| AuthError::Invalid)?;
            Ok(Identity::user(user)
                .expiring_in(Duration::from_secs(seconds))
                .reading(["demo"]))
        })
    }
}

fn hub() -> Hub {
    let mut stream = StreamConfig::default();
    stream.heartbeat = Duration::from_secs(1);
    Hub::builder()
        .config(HubConfig::default())
        .stream(stream)
        .build()
        .unwrap()
}

async fn follow(hub: Hub, subscriber: Subscriber, topic: web::Path<String>) -> impl Responder {
    hub.subscribe(topic.as_str(), subscriber)
}

fn serve(hub: &Hub, policy: Policy) -> Server {
    let recording: Arc<Recording> = Arc::default();
    let hub = hub.clone();
    Server::start(&recording, move |config| {
        config.app_data(hub.clone()).service(
            web::scope("")
                .wrap(policy.clone())
                .route("/events/{topic}", web::get().to(follow)),
        );
    })
}

fn policy() -> Policy {
    reference(&Arc::default())
        .require_auth(true)
        .authenticator(Expiring)
        .build()
        .unwrap()
}

async fn open(server: &Server, topic: &str, token: &str) -> Reply {
    let lines =
        format!("Accept: text/event-stream\r\nOrigin: {APP}\r\nAuthorization: Bearer {token}\r\n");
    server
        .request("GET", &format!("/events/{topic}"), &lines)
        .await
}

#[actix_rt::test]
async fn o01_the_whole_header_set_of_an_opened_stream() {
    let hub = hub();
    let server = serve(&hub, policy());
    let mut reply = open(&server, "demo", "alice").await;
    reply.assert_ok();
    reply.assert_readable_by(APP);
    for (name, value) in [
        ("cache-control", "no-cache, no-store, no-transform"),
        ("x-accel-buffering", "no"),
        ("x-content-type-options", "nosniff"),
        (
            "content-security-policy",
            "default-src 'none'; connect-src 'self'",
        ),
        ("surrogate-control", "no-store"),
        ("cdn-cache-control", "no-store"),
        ("vary", "Origin"),
    ] {
        assert_eq!(reply.header(name), Some(value));
    }
    assert_eq!(reply.header("strict-transport-security"), None);
    reply.first_byte().await;
}

#[actix_rt::test]
async fn t03_a_topic_without_a_right_to_it() {
    let hub = hub();
    let server = serve(&hub, policy());
    let mut reply = open(&server, "secret", "alice").await;
    reply.assert_err(403);
    reply.assert_readable_by(APP);
    assert_eq!(
        reply.header("www-authenticate"),
        Some(r#"Bearer error="insufficient_scope""#)
    );
    assert_eq!(reply.body().await, br#"{"error":"insufficient_scope"}"#);
}

#[actix_rt::test]
async fn t13_a_stream_ends_when_its_token_does() {
    let hub = hub();
    let server = serve(&hub, policy());
    let opened = Instant::now();
    let reply = open(&server, "demo", "alice:2").await;
    reply.assert_ok();
    let publisher = hub.clone();
    let publishing = actix_rt::spawn(async move {
        loop {
            publisher.publish("demo", Event::data("tick")).unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let body = reply.rest_of_it().await;
    let lasted = opened.elapsed();
    publishing.abort();
    assert!(lasted >= Duration::from_millis(1900), "{lasted:?}");
    assert!(lasted <= Duration::from_millis(3100), "{lasted:?}");
    let text = String::from_utf8(body).unwrap();
    assert!(text.contains("data: tick\n"), "{text}");
    let (_, after) = text
        .split_once("event: auth_expired\ndata: {}\n")
        .expect("the last event");
    assert!(!after.contains("data:"), "{after}");
    assert!(text.ends_with("0\r\n\r\n"), "a clean end");
}

#[actix_rt::test]
async fn t17_a_disconnected_users_streams_end() {
    let hub = hub();
    let server = serve(&hub, policy());
    let mut alice = open(&server, "demo", "alice").await;
    alice.first_byte().await;
    let mut bob = open(&server, "demo", "bob").await;
    bob.first_byte().await;
    let since = Instant::now();
    hub.disconnect("alice");
    let body = alice.rest_of_it().await;
    assert!(since.elapsed() < Duration::from_secs(1));
    assert!(body.ends_with(b"0\r\n\r\n"), "a clean end");
    open(&server, "demo", "alice").await.assert_ok();
    hub.publish("demo", Event::data("for bob")).unwrap();
    bob.until("data: for bob\n").await;
}

#[actix_rt::test]
async fn d10_a_draining_hub_is_refused_by_who_is_asking() {
    let hub = hub();
    let server = serve(&hub, policy());
    hub.drain().await;
    let mut reply = open(&server, "demo", "alice").await;
    reply.assert_err(503);
    reply.assert_readable_by(APP);
    assert_eq!(reply.body().await, br#"{"error":"draining"}"#);
}
