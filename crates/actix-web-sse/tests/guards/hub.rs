//! The guards and the hub together: what the one found out, the other keeps to.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{Responder, web};
use actix_web_sse::{
    Event, Hub, Identity, Policy, Subscriber,
    config::{HubConfig, StreamConfig},
    protect::{Attempt, AuthError, AuthFuture, Authenticator, PolicyBuilder},
};

use super::reply::over_both;
use super::support::{APP, Recording, Reply, Server, reference, refusal, wait_until};

/// Later than this nothing is that happens at once or in two seconds, on a machine that is busy with other work.
const LATE: Duration = Duration::from_secs(20);

/// `user`, `user:seconds`, or `user:seconds:topic` for one who may not read `demo`.
struct Expiring;

impl Authenticator for Expiring {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        let token = attempt.token.map(|token| token.text.to_owned());
        Box::pin(async move {
            let token = token.ok_or(AuthError::Missing)?;
            let mut parts = token.split(':');
            let user = parts.next().unwrap_or_default();
            let seconds = parts.next().unwrap_or("3600");
            let topic = parts.next().unwrap_or("demo").to_owned();
            let seconds = seconds.parse().map_err(|_| AuthError::Invalid)?;
            Ok(Identity::user(user)
                .expiring_in(Duration::from_secs(seconds))
                .reading([topic]))
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
    serve_with(hub, policy, 1)
}

fn serve_with(hub: &Hub, policy: Policy, workers: usize) -> Server {
    let recording: Arc<Recording> = Arc::default();
    let hub = hub.clone();
    Server::start_with(&recording, workers, move |config| {
        config.app_data(hub.clone()).service(
            web::scope("")
                .wrap(policy.clone())
                .route("/events/{topic}", web::get().to(follow)),
        );
    })
}

fn builder() -> PolicyBuilder {
    reference(&Arc::default())
        .require_auth(true)
        .auth_cookie("sid")
        .authenticator(Expiring)
}

fn policy() -> Policy {
    builder().build().unwrap()
}

async fn open(server: &Server, topic: &str, token: &str) -> Reply {
    let lines =
        format!("Accept: text/event-stream\r\nOrigin: {APP}\r\nAuthorization: Bearer {token}\r\n");
    server
        .request("GET", &format!("/events/{topic}"), &lines)
        .await
}

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

async fn t03_a_topic_without_a_right_to_it_is_as_one_that_is_not_there() {
    let hub = hub();
    let server = serve(&hub, policy());
    hub.publish("secret", Event::data("x")).unwrap();
    let mut refusals = Vec::new();
    for topic in ["secret", "nowhere"] {
        let mut reply = open(&server, topic, "alice").await;
        reply.assert_err(403);
        reply.assert_readable_by(APP);
        assert_eq!(
            reply.header("www-authenticate"),
            Some(r#"Bearer error="insufficient_scope""#)
        );
        let body = reply.body().await;
        assert_eq!(body, refusal("insufficient_scope"));
        let mut headers = reply.headers.clone();
        headers.retain(|(name, _)| name != "date");
        headers.sort();
        refusals.push((headers, body));
    }
    assert_eq!(refusals[0], refusals[1]);
}

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
    assert!(lasted <= LATE, "{lasted:?}");
    let text = String::from_utf8(body).unwrap();
    assert!(text.contains("data: tick\n"), "{text}");
    let (_, after) = text
        .split_once("event: auth_expired\ndata: {}\n")
        .expect("the last event");
    assert!(!after.contains("data:"), "{after}");
}

async fn t17_a_disconnected_users_streams_end() {
    let hub = hub();
    let server = serve(&hub, policy());
    let mut alice = open(&server, "demo", "alice").await;
    alice.first_byte().await;
    let mut bob = open(&server, "demo", "bob").await;
    bob.first_byte().await;
    let since = Instant::now();
    hub.disconnect("alice");
    alice.rest_of_it().await;
    assert!(since.elapsed() < LATE);
    open(&server, "demo", "alice").await.assert_ok();
    hub.publish("demo", Event::data("for bob")).unwrap();
    bob.until("data: for bob\n").await;
}

async fn t17_a_user_is_disconnected_on_every_worker() {
    let hub = hub();
    let server = serve_with(&hub, policy(), 4);
    let mut streams = Vec::new();
    // Connections are dealt out in turn.
    for _ in 0..8 {
        let mut stream = open(&server, "demo", "alice").await;
        stream.first_byte().await;
        streams.push(stream);
    }
    let since = Instant::now();
    hub.disconnect("alice");
    for stream in streams {
        stream.rest_of_it().await;
    }
    assert!(since.elapsed() < LATE);
}

async fn d10_a_draining_hub_is_refused_by_who_is_asking() {
    let hub = hub();
    let server = serve(&hub, policy());
    hub.drain().await;
    let mut reply = open(&server, "demo", "alice").await;
    reply.assert_err(503);
    reply.assert_readable_by(APP);
    assert_eq!(reply.body().await, refusal("draining"));

    let event_source = format!(
        "Accept: text/event-stream\r\nCache-Control: no-cache\r\nSec-Fetch-Mode: cors\r\n\
         Sec-Fetch-Dest: empty\r\nSec-Fetch-Site: cross-site\r\nOrigin: {APP}\r\nCookie: sid=alice\r\n"
    );
    let mut reply = server.request("GET", "/events/demo", &event_source).await;
    assert_eq!(reply.status, 200);
    reply.assert_readable_by(APP);
    let body = reply.body().await;
    assert!(
        body.starts_with(b"retry: ") && body.ends_with(b"\n\n"),
        "{body:?}"
    );
    assert_eq!(body.iter().filter(|byte| **byte == b'\n').count(), 2);
}

async fn a06_head_is_refused_where_get_is_and_opens_nothing() {
    let hub = Hub::builder()
        .with(|hub, _| hub.max_topics = 2)
        .topics(|topic| topic != "nowhere")
        .build()
        .unwrap();
    let server = serve(&hub, policy());
    let ask = async |method: &str, topic: &str, token: &str| {
        let lines = format!(
            "Accept: text/event-stream\r\nOrigin: {APP}\r\nAuthorization: Bearer {token}\r\n"
        );
        server
            .request(method, &format!("/events/{topic}"), &lines)
            .await
    };
    for (topic, token, status) in [
        ("demo", "alice", 200),
        ("secret", "alice", 403),
        ("nowhere", "alice:60:nowhere", 403),
        ("demo", "alice:0", 401),
    ] {
        let head = ask("HEAD", topic, token).await;
        assert_eq!(head.status, status, "HEAD {topic} {token}");
        assert_eq!((hub.stats().streams, hub.stats().topics), (0, 0));
        let get = ask("GET", topic, token).await;
        assert_eq!(get.status, status, "GET {topic} {token}");
        let named = |reply: &Reply| {
            let mut names: Vec<_> = reply.headers.clone();
            let same =
                |name: &str| !["date", "transfer-encoding", "content-length"].contains(&name);
            names.retain(|(name, _)| same(name));
            names.sort();
            names
        };
        assert_eq!(named(&head), named(&get), "{topic} {token}");
        drop(get);
        wait_until("the stream is over", || hub.stats().topics == 0).await;
    }
    for topic in ["one", "two"] {
        hub.publish(topic, Event::data("x")).unwrap();
    }
    for method in ["HEAD", "GET"] {
        assert_eq!(ask(method, "demo", "alice").await.status, 503, "{method}");
    }
    hub.drain().await;
    for method in ["HEAD", "GET"] {
        assert_eq!(ask(method, "demo", "alice").await.status, 503, "{method}");
    }
}

async fn t13_an_idle_stream_ends_with_its_token_and_gives_its_slot_back() {
    let hub = hub();
    let server = serve(&hub, builder().streams_per_ip(1).build().unwrap());
    let opened = Instant::now();
    let reply = open(&server, "demo", "alice:2").await;
    reply.assert_ok();
    open(&server, "demo", "alice").await.assert_err(429);
    let text = String::from_utf8(reply.rest_of_it().await).unwrap();
    let lasted = opened.elapsed();
    assert!(lasted >= Duration::from_millis(1900), "{lasted:?}");
    assert!(lasted <= LATE, "{lasted:?}");
    assert!(text.contains("event: auth_expired\ndata: {}\n"), "{text}");
    open(&server, "demo", "alice").await.assert_ok();
}

/// The row's p99 is the benchmark's business; that nothing is lost or held up is this one's.
async fn l16_open_streams_go_on_while_others_are_refused() {
    let hub = hub();
    let server = serve(&hub, builder().streams(1).build().unwrap());
    let mut steady = open(&server, "demo", "alice").await;
    steady.first_byte().await;
    for n in 0..100 {
        open(&server, "demo", "bob").await.assert_err(503);
        hub.publish("demo", Event::data(format!("event {n}")))
            .unwrap();
        steady.until(&format!("data: event {n}\n")).await;
    }
}

async fn r09_nothing_is_replayed_of_a_topic_whose_right_is_lost() {
    let hub = hub();
    let server = serve(&hub, policy());
    let seen = hub.publish("demo", Event::data("seen")).unwrap();
    hub.publish("demo", Event::data("secret")).unwrap();
    let back = async |token: &str| {
        let id = seen.id.as_deref().unwrap();
        let lines = format!(
            "Accept: text/event-stream\r\nAuthorization: Bearer {token}\r\nLast-Event-ID: {id}\r\n"
        );
        server.request("GET", "/events/demo", &lines).await
    };
    back("alice").await.until("data: secret\n").await;
    let mut reply = back("alice:3600:news").await;
    reply.assert_err(403);
    assert_eq!(reply.body().await, refusal("insufficient_scope"));
}

/// What one address may have replayed in a second is bounded by its connects per second times the
/// bytes that a topic keeps (`connects_per_ip`, `replay_bytes`): the row's budget, without another
/// account to keep.
async fn r11_replays_are_bounded_and_delay_nobody() {
    let mut config = HubConfig::default();
    config.replay_events = 100;
    let hub = Hub::builder().config(config).build().unwrap();
    let policy = reference(&Arc::default())
        .connects_per_ip(10)
        .build()
        .unwrap();
    let server = serve(&hub, policy);
    let first = hub.publish("demo", Event::data("0")).unwrap().id.unwrap();
    for _ in 0..99 {
        hub.publish("demo", Event::data("x".repeat(1000))).unwrap();
    }
    let lines = format!("Accept: text/event-stream\r\nLast-Event-ID: {first}\r\n");
    let mut steady = server
        .request("GET", "/events/demo", "Accept: text/event-stream\r\n")
        .await;
    steady.first_byte().await;
    let since = Instant::now();
    let mut replayed = 0;
    for round in 0..200 {
        let reply = server.request("GET", "/events/demo", &lines).await;
        if reply.status == 200 {
            replayed += 1;
        }
        drop(reply);
        if round % 50 == 0 {
            hub.publish("demo", Event::data(format!("live {round}")))
                .unwrap();
            steady.until(&format!("data: live {round}\n")).await;
        }
    }
    let seconds = since.elapsed().as_secs() + 1;
    // A window more at either end, for the seconds do not begin with the test.
    assert!(replayed >= 9, "{replayed}");
    assert!(
        replayed <= 10 * (seconds + 1),
        "{replayed} replays in {seconds} s"
    );
}

over_both! {
    a06_head_is_refused_where_get_is_and_opens_nothing,
    o01_the_whole_header_set_of_an_opened_stream,
    t03_a_topic_without_a_right_to_it_is_as_one_that_is_not_there,
    t17_a_user_is_disconnected_on_every_worker,
    t13_a_stream_ends_when_its_token_does,
    t17_a_disconnected_users_streams_end,
    d10_a_draining_hub_is_refused_by_who_is_asking,
    t13_an_idle_stream_ends_with_its_token_and_gives_its_slot_back,
    l16_open_streams_go_on_while_others_are_refused,
    r09_nothing_is_replayed_of_a_topic_whose_right_is_lost,
    r11_replays_are_bounded_and_delay_nobody,
}
