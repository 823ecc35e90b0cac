//! The operations page: who may see it, what it shows, what it does.
#![cfg(feature = "operations")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

use std::{
    future::ready,
    io,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use actix_web::{
    App, Responder,
    dev::ServiceResponse,
    http::{StatusCode, header},
    rt,
    test::{self, TestRequest},
    web,
};
use actix_web_sse::{
    Event, Hub, Identity, Policy, Subscriber,
    protect::{Attempt, AuthError, AuthFuture, Authenticator},
};
use actix_web_sse_metrics::{Metrics, OperatorAccess, log};
use serde_json::{Value, json};
use tracing_subscriber::prelude::*;

const TOKEN: &str = "a-token-of-24-bytes-long";
/// What the authenticator calls the user with the token `hostile`.
const HOSTILE: &str = "<script>alert(1)</script>\u{202e}\n";
const ALLOWED: &str = "https://app.example.com";

/// Whoever presents a name as bearer token has that name.
struct Names;

impl Authenticator for Names {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        let identity = attempt.token.map(|token| match token.text {
            "hostile" => Identity::user(HOSTILE),
            name => Identity::user(name).expiring_in(Duration::from_secs(600)),
        });
        Box::pin(ready(identity.ok_or(AuthError::Missing)))
    }
}

/// A hub with its metrics, its policy and its page.
#[derive(Clone)]
struct Site {
    metrics: Metrics,
    hub: Hub,
    policy: Policy,
    access: OperatorAccess,
}

impl Site {
    fn new() -> Self {
        let metrics = Metrics::new().unwrap();
        Self {
            hub: Hub::builder().observer(metrics.observer()).build().unwrap(),
            policy: Policy::builder()
                .allow_origin(ALLOWED)
                .authenticator(Names)
                .observer(metrics.observer())
                .build()
                .unwrap(),
            access: OperatorAccess::bearer(TOKEN).unwrap(),
            metrics,
        }
    }

    /// What the application answers to a request.
    async fn call(&self, request: TestRequest) -> ServiceResponse {
        async fn follow(hub: Hub, subscriber: Subscriber) -> impl Responder {
            hub.subscribe("prices", subscriber)
        }
        let operations = self
            .metrics
            .operations("/admin/operations/", self.access.clone(), &self.hub)
            .node("node-7");
        let app = App::new()
            .app_data(self.hub.clone())
            .service(operations)
            .service(
                web::resource("/{name}/events")
                    .wrap(self.policy.clone())
                    .route(web::route().to(follow)),
            );
        let app = test::init_service(app).await;
        test::call_service(&app, request.to_request()).await
    }

    /// Opens a stream; it is open as long as the response is kept.
    async fn open(&self, user: Option<&str>, origin: Option<&str>) -> ServiceResponse {
        let mut request = TestRequest::get()
            .uri("/a/events")
            .peer_addr("192.0.2.1:4711".parse().unwrap())
            .insert_header((header::HOST, "api.example.com"))
            .insert_header((header::ACCEPT, "text/event-stream"));
        if let Some(user) = user {
            request = request.insert_header((header::AUTHORIZATION, format!("Bearer {user}")));
        }
        if let Some(origin) = origin {
            request = request.insert_header((header::ORIGIN, origin));
        }
        self.call(request).await
    }

    async fn ask(&self, request: TestRequest) -> (StatusCode, Value) {
        let request = request
            .insert_header((header::AUTHORIZATION, format!("Bearer {TOKEN}")))
            .peer_addr("198.51.100.7:1".parse().unwrap());
        let response = self.call(request).await;
        let status = response.status();
        (status, test::read_body_json(response).await)
    }

    async fn get(&self, path: &str) -> Value {
        let uri = format!("/admin/operations/api/{path}");
        let (status, body) = self.ask(TestRequest::get().uri(&uri)).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let uri = format!("/admin/operations/api/{path}");
        let request = TestRequest::post().uri(&uri).set_json(body);
        self.ask(request).await
    }

    async fn streams(&self, query: &str) -> Vec<Value> {
        let mut body = self.get(&format!("streams?{query}")).await;
        match body["streams"].take() {
            Value::Array(streams) => streams,
            other => panic!("no list: {other}"),
        }
    }
}

fn header_of(response: &ServiceResponse, name: &str) -> String {
    let value = response.headers().get(name).unwrap();
    value.to_str().unwrap().to_owned()
}

/// A log in memory.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink {
    fn install(&self) -> tracing::subscriber::DefaultGuard {
        let sink = self.clone();
        tracing_subscriber::registry()
            .with(log::json_layer_with(move || sink.clone()))
            .set_default()
    }

    /// What operators did, without the time.
    fn actions(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let actions = lines.filter(|line: &Value| line["event"] == "sse_operator_action");
        actions
            .map(|mut action| {
                assert!(action["timestamp"].take().is_string());
                action
            })
            .collect()
    }
}

#[actix_web::test]
async fn h10_the_data_and_the_actions_need_the_token() {
    let site = Site::new();
    let _stream = site.open(Some("ada"), None).await;
    let id = site.streams("").await[0]["connection"].clone();
    let id = id.as_str().unwrap();
    let (one, end) = (format!("streams/{id}"), format!("streams/{id}/end"));
    for (method, path) in [
        ("GET", "overview"),
        ("GET", "streams"),
        ("GET", one.as_str()),
        ("POST", end.as_str()),
        ("POST", "users/end"),
    ] {
        for presented in [
            None,
            Some("Bearer a-token-of-24-bytes-lone"),
            Some("Bearer "),
        ] {
            let mut request = TestRequest::with_uri(&format!("/admin/operations/api/{path}"))
                .method(method.parse().unwrap())
                .peer_addr("127.0.0.1:1".parse().unwrap())
                .insert_header((header::HOST, "localhost"))
                .set_json(json!({ "user": "ada" }));
            if let Some(presented) = presented {
                request = request.insert_header((header::AUTHORIZATION, presented));
            }
            let response = site.call(request).await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{method} {path}");
            assert_eq!(header_of(&response, "cache-control"), "no-store");
            let body: Value = test::read_body_json(response).await;
            assert_eq!(body["error"], "token_required");
            let hint = body["hint"].as_str().unwrap();
            assert!(hint.contains("Authorization: Bearer"), "{hint}");
            assert_eq!(body.as_object().unwrap().len(), 2, "nothing else: {body}");
        }
    }
    assert_eq!(site.hub.stats().streams, 1, "nothing was ended");
}

#[actix_web::test]
async fn h10_without_a_token_this_machine_may_look_and_end_nothing() {
    let mut site = Site::new();
    site.access = OperatorAccess::loopback_without_token();
    let _stream = site.open(Some("ada"), None).await;
    let local = |request: TestRequest| {
        request
            .peer_addr("127.0.0.1:1".parse().unwrap())
            .insert_header((header::HOST, "localhost"))
    };
    let request = TestRequest::get().uri("/admin/operations/api/overview");
    let response = site.call(local(request)).await;
    assert_eq!(response.status(), StatusCode::OK);
    let body: Value = test::read_body_json(response).await;
    assert_eq!(
        (&body["canEnd"], &body["streams"]),
        (&json!(false), &json!(1))
    );
    let request = TestRequest::post()
        .uri("/admin/operations/api/users/end")
        .set_json(json!({ "user": "ada" }));
    let response = site.call(local(request)).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let body: Value = test::read_body_json(response).await;
    assert!(
        body["hint"]
            .as_str()
            .unwrap()
            .contains("OperatorAccess::bearer")
    );
    // From elsewhere nothing is shown.
    let request = TestRequest::get()
        .uri("/admin/operations/api/overview")
        .peer_addr("192.0.2.1:1".parse().unwrap())
        .insert_header((header::HOST, "localhost"));
    assert_eq!(site.call(request).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(site.hub.stats().streams, 1);
}

#[actix_web::test]
async fn the_files_need_no_token_hold_no_data_and_allow_only_themselves() {
    let site = Site::new();
    let _stream = site.open(Some("ada-lovelace"), Some(ALLOWED)).await;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/page.css", "text/css; charset=utf-8"),
        ("/main.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let uri = format!("/admin/operations{path}");
        let response = site.call(TestRequest::get().uri(&uri)).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let header = |name| header_of(&response, name);
        assert_eq!(header("content-type"), kind);
        assert_eq!(header("x-content-type-options"), "nosniff");
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"));
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
        let body = test::read_body(response).await;
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(!text.contains("ada-lovelace") && !text.contains(TOKEN));
    }
    let response = site.call(TestRequest::get().uri("/admin/operations")).await;
    assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(header_of(&response, "location"), "operations/");
    let response = site
        .call(TestRequest::get().uri("/admin/operations/api/x"))
        .await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn the_streams_are_shown_by_route_origin_and_user_and_chosen_by_them() {
    let site = Site::new();
    // The page is mounted before the first stream.
    site.get("overview").await;
    let _streams = [
        site.open(Some("ada"), Some(ALLOWED)).await,
        site.open(Some("ada"), None).await,
        site.open(None, None).await,
    ];
    let overview = site.get("overview").await;
    assert_eq!(overview["node"], "node-7");
    for (count, expected) in [
        ("streams", 3),
        ("topics", 1),
        ("addresses", 1),
        ("notListed", 0),
    ] {
        assert_eq!(overview[count], expected, "{count}");
    }
    assert_eq!(
        overview["groups"],
        json!({
            "route": { "distinct": 1, "top": [{ "value": "/{name}/events", "streams": 3 }] },
            "origin": { "distinct": 2, "top": [
                { "value": "none", "streams": 2 },
                { "value": ALLOWED, "streams": 1 },
            ] },
            "user": { "distinct": 1, "top": [{ "value": "ada", "streams": 2 }] },
        })
    );
    let of_ada = site.streams("user=ada").await;
    assert_eq!(of_ada.len(), 2);
    assert!(of_ada[0]["connection"].as_str() > of_ada[1]["connection"].as_str());
    let oldest = site.streams("user=ada&sort=oldest&limit=1").await;
    assert_eq!(oldest.len(), 1);
    assert_eq!(oldest[0]["connection"], of_ada[1]["connection"]);
    let by_origin = site.streams("origin=https://app.example.com").await;
    assert_eq!(by_origin.len(), 1);
    assert_eq!(by_origin[0]["cors"], "allowed");
    assert_eq!(
        site.streams("route=/{name}/events&origin=none").await.len(),
        2
    );
    assert_eq!(site.streams("route=/other").await, Vec::<Value>::new());
    let request = TestRequest::get().uri("/admin/operations/api/streams?sort=nonsense");
    let request = request.insert_header((header::AUTHORIZATION, format!("Bearer {TOKEN}")));
    let status = site.call(request).await.status();
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

#[actix_web::test]
async fn one_stream_is_shown_from_its_first_write_to_its_end() {
    let site = Site::new();
    site.get("overview").await;
    let response = site.open(Some("ada"), Some(ALLOWED)).await;
    site.hub.publish("prices", Event::data("secret")).unwrap();
    let id = site.streams("").await[0]["connection"].clone();
    let path = format!("streams/{}", id.as_str().unwrap());
    let began = Instant::now();
    let life = loop {
        let life = site.get(&path).await;
        if life["behindEvents"] == 1 {
            break life;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{life}");
        rt::task::yield_now().await;
    };
    for (field, expected) in [
        ("connection", id.clone()),
        ("route", json!("/{name}/events")),
        ("origin", json!(ALLOWED)),
        ("originClass", json!("allowed")),
        ("originEntry", json!(ALLOWED)),
        ("user", json!("ada")),
        ("address", json!("192.0.2.1")),
        ("authMethod", json!("bearer")),
        ("cors", json!("allowed")),
        ("httpVersion", json!("1.1")),
        ("resume", json!("fresh")),
        ("topics", json!(["prices"])),
        ("events", json!(0)),
        ("skippedEvents", json!(0)),
        ("lastWriteSeconds", Value::Null),
        ("ending", Value::Null),
        ("end", Value::Null),
    ] {
        assert_eq!(life[field], expected, "{field} of {life}");
    }
    assert!(life["expires"].is_string() && life["opened"].is_string());
    assert!(!life.to_string().contains("secret"), "no data of events");

    let read = actix_web_sse::test::read_events(response, 1, Duration::from_secs(10)).await;
    assert_eq!(read.events.len(), 1);
    let life = site.get(&path).await;
    let end = &life["end"];
    assert_eq!(
        (&end["reason"], &end["events"]),
        (&json!("client_gone"), &json!(1))
    );
    assert!(end["bytes"].as_u64() > Some(20), "{end}");
    assert!(
        end["lastWrite"].is_string() && end["firstEventSeconds"].is_f64(),
        "{end}"
    );
    assert_eq!(site.streams("").await, Vec::<Value>::new());
    let overview = site.get("overview").await;
    assert_eq!(overview["ended"][0]["connection"], id);
    assert_eq!(overview["ended"][0]["reason"], "client_gone");
    let (status, _) = site
        .ask(TestRequest::get().uri("/admin/operations/api/streams/00000000ffffffff"))
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[actix_web::test]
async fn refusals_have_their_remedy_and_origins_their_verdict() {
    let site = Site::new();
    site.get("overview").await;
    let _stream = site.open(None, Some(ALLOWED)).await;
    for _ in 0..2 {
        let refused = site.open(None, Some("https://evil.example")).await;
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    }
    let refused = site.open(None, Some("<script>")).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let overview = site.get("overview").await;
    let refusals = &overview["refusals"];
    assert_eq!(refusals["total"], 3);
    assert_eq!(
        refusals["reasons"][0],
        json!({
            "reason": "origin_denied",
            "count": 3,
            "remedy": "the Origin of the page must stand in policy.origins.allow, byte by byte",
        })
    );
    let latest = &refusals["latest"];
    assert_eq!(latest[0]["origin"], "<script>");
    for (field, expected) in [
        ("reason", json!("origin_denied")),
        ("origin", json!("https://evil.example")),
        ("route", json!("/{name}/events")),
        ("address", json!("192.0.2.1")),
        ("status", json!(403)),
        ("mode", json!("hard")),
    ] {
        assert_eq!(latest[1][field], expected, "{field}");
    }
    let origins = overview["origins"].as_array().unwrap();
    let verdict = |name: &str| {
        let seen = origins.iter().find(|seen| seen["origin"] == name).unwrap();
        let field = |field: &str| seen[field].clone();
        [
            field("verdict"),
            field("reason"),
            field("opened"),
            field("refused"),
        ]
    };
    assert_eq!(
        verdict(ALLOWED),
        [json!("allowed"), Value::Null, json!(1), json!(0)]
    );
    let denied = json!("origin_denied");
    assert_eq!(
        verdict("https://evil.example"),
        [json!("denied"), denied, json!(0), json!(2)]
    );
}

#[actix_web::test]
async fn a_stream_is_ended_logged_and_counted() {
    let (site, sink) = (Site::new(), Sink::default());
    let _log = sink.install();
    site.get("overview").await;
    let ended = site.open(Some("ada"), None).await;
    let _other = site.open(Some("ada"), None).await;
    let id = site.streams("sort=oldest").await[0]["connection"].clone();
    let path = format!("streams/{}/end", id.as_str().unwrap());
    let (status, body) = site.post(&path, json!({})).await;
    assert_eq!((status, body), (StatusCode::OK, json!({ "ended": 1 })));
    let read = actix_web_sse::test::read_events(ended, 1, Duration::from_secs(10)).await;
    assert!(read.ended && read.events.is_empty(), "{read:?}");
    assert_eq!(site.hub.stats().streams, 1);
    let (_, body) = site.post(&path, json!({})).await;
    assert_eq!(body, json!({ "ended": 0 }), "it is gone");
    let (status, _) = site.post("streams/nonsense/end", json!({})).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let line = |ended| {
        json!({
            "event": "sse_operator_action",
            "action": "end_stream",
            "operatorAddr": "198.51.100.7",
            "connectionId": id,
            "userId": "ada",
            "ended": ended,
            "timestamp": null,
        })
    };
    assert_eq!(sink.actions(), [line(1), line(0)]);
    let text = site.metrics.text();
    assert!(text.contains("sse_operator_actions_total{action=\"end_stream\"} 2"));
    assert!(text.contains("sse_operator_actions_total{action=\"end_user\"} 0"));
}

#[actix_web::test]
async fn all_streams_of_a_user_are_ended_whatever_the_name_is() {
    let (site, sink) = (Site::new(), Sink::default());
    let _log = sink.install();
    site.get("overview").await;
    let _streams = [
        site.open(Some("hostile"), None).await,
        site.open(Some("hostile"), None).await,
        site.open(Some("ada"), None).await,
    ];
    let shown = "<script>alert(1)</script>\\u{202e}\\u{a}";
    let rows = site.streams("sort=oldest").await;
    assert_eq!(rows[0]["user"], shown, "what acts on readers is escaped");
    let (status, body) = site.post("users/end", json!({ "user": shown })).await;
    assert_eq!((status, body), (StatusCode::OK, json!({ "ended": 2 })));
    let began = Instant::now();
    while site.hub.stats().streams > 1 {
        assert!(began.elapsed() < Duration::from_secs(10));
        rt::task::yield_now().await;
    }
    assert_eq!(site.streams("").await[0]["user"], "ada");
    let action = &sink.actions()[0];
    assert_eq!(
        (&action["userId"], &action["ended"]),
        (&json!(shown), &json!(2))
    );
    assert_eq!(action["connectionId"], Value::Null);
    for wrong in [
        json!({}),
        json!({ "user": "" }),
        json!({ "user": "ada", "x": 1 }),
    ] {
        let uri = "/admin/operations/api/users/end";
        let request = TestRequest::post().uri(uri).set_json(&wrong);
        let request = request.insert_header((header::AUTHORIZATION, format!("Bearer {TOKEN}")));
        let status = site.call(request).await.status();
        assert_eq!(status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert_eq!(site.hub.stats().streams, 1);
}

#[actix_web::test]
async fn nothing_is_kept_before_the_page_is_mounted() {
    let metrics = Metrics::new().unwrap();
    let hub = Hub::builder().observer(metrics.observer()).build().unwrap();
    let request = TestRequest::get().to_http_request();
    let response = hub.subscribe("t", Subscriber::of(&request));
    let _early = response.respond_to(&request);
    let site = Site { hub, ..Site::new() };
    let site = Site { metrics, ..site };
    let overview = site.get("overview").await;
    assert_eq!(
        (&overview["streams"], &overview["notListed"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(site.streams("").await, Vec::<Value>::new());
}
