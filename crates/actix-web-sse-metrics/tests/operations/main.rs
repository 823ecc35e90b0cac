//! The operations page: who may see it, what it shows, what it does.
#![cfg(feature = "operations")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail loudly"
)]

mod access;
mod actions;
mod shown;

#[path = "../sink/mod.rs"]
mod sink;

use std::{future::ready, time::Duration};

use actix_web::{
    App, Responder,
    dev::ServiceResponse,
    http::{StatusCode, header},
    test::{self, TestRequest},
    web,
};
use actix_web_sse::{
    Hub, Identity, Policy, Subscriber,
    protect::{Attempt, AuthError, AuthFuture, Authenticator},
};
use actix_web_sse_metrics::{Metrics, OperatorAccess, log};
use serde_json::Value;
use tracing_subscriber::prelude::*;

use sink::Sink;

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

impl Sink {
    fn install(&self) -> tracing::subscriber::DefaultGuard {
        let sink = self.clone();
        tracing_subscriber::registry()
            .with(log::json_layer_with(move || sink.clone()))
            .set_default()
    }

    /// What operators did, without the time.
    fn actions(&self) -> Vec<Value> {
        let lines = self.lines().into_iter();
        let actions = lines.filter(|line| line["event"] == "sse_operator_action");
        actions
            .map(|mut action| {
                assert!(action["timestamp"].take().is_string());
                action
            })
            .collect()
    }
}
