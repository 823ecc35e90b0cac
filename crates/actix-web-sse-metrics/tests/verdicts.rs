//! What is counted as allowed or denied is what the browser makes of the headers as they leave.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::{future::poll_fn, pin::pin};

use actix_cors::Cors;
use actix_web::{
    App, Error, Responder,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header,
    middleware::{Condition, Next, from_fn},
    test::{TestRequest, call_service, init_service},
    web,
};
use actix_web_sse::{Hub, Policy, Subscriber, observe::CorsWitness};
use actix_web_sse_metrics::Metrics;

const APP: &str = "https://app.example.com";
const OTHER: &str = "https://other.example.com";

async fn events(hub: Hub, subscriber: Subscriber) -> impl Responder {
    hub.subscribe("news", subscriber)
}

/// One line too many.
async fn strip(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let mut reply = next.call(request).await?;
    reply
        .headers_mut()
        .remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    Ok(reply)
}

/// Opens a stream from a page of this origin and reads its first bytes; the verdicts that were
/// counted, by name.
async fn verdicts(path: &str, origin: &str, witness: bool) -> Vec<String> {
    let metrics = Metrics::builder().max_learned_routes(3).build().unwrap();
    let hub = Hub::builder().observer(metrics.observer()).build().unwrap();
    let policy = Policy::builder()
        .allow_origin(APP)
        .observer(metrics.observer())
        .build()
        .unwrap();
    let cors = || Cors::default().allowed_origin(APP).allowed_methods(["GET"]);
    let app = App::new()
        .app_data(hub)
        .route("/bare", web::get().to(events))
        .service(web::resource("/cors").wrap(cors()).get(events))
        .service(web::resource("/policy").wrap(policy.clone()).get(events))
        .service(
            web::resource("/stripped")
                .wrap(policy)
                .wrap(from_fn(strip))
                .get(events),
        )
        .wrap(Condition::new(witness, CorsWitness));
    let service = init_service(app).await;
    let request = TestRequest::get()
        .uri(path)
        .insert_header((header::HOST, "api.example.com"))
        .insert_header((header::ACCEPT, "text/event-stream"))
        .insert_header((header::ORIGIN, origin));
    let response = call_service(&service, request.to_request()).await;
    assert_eq!(response.status(), 200);
    let mut body = pin!(response.into_body());
    let first = poll_fn(|cx| body.as_mut().poll_next(cx)).await;
    assert!(first.unwrap().is_ok());
    let text = metrics.text();
    let counted = text.lines().filter_map(|line| {
        let labels = line.strip_prefix("sse_connections_opened_cors_total{")?;
        let (labels, value) = labels.split_once("} ")?;
        let verdict = labels.split('"').nth(3)?;
        (value != "0").then(|| format!("{verdict} {value}"))
    });
    counted.collect()
}

#[actix_rt::test]
async fn another_cors_middleware_is_given_its_due() {
    assert_eq!(verdicts("/cors", APP, true).await, ["allowed 1"]);
    assert_eq!(verdicts("/cors", OTHER, true).await, ["denied 1"]);
}

#[actix_rt::test]
async fn a_route_whose_guard_was_forgotten_is_denied() {
    assert_eq!(verdicts("/bare", APP, true).await, ["denied 1"]);
    let own = "http://api.example.com";
    assert_eq!(verdicts("/bare", own, true).await, ["same_origin 1"]);
}

#[actix_rt::test]
async fn without_a_witness_a_route_without_a_policy_is_taken_for_an_unguarded_one() {
    assert_eq!(verdicts("/bare", APP, false).await, ["denied 1"]);
    assert_eq!(verdicts("/cors", APP, false).await, ["denied 1"]);
}

#[actix_rt::test]
async fn a_policy_knows_what_it_sends_and_a_witness_what_became_of_it() {
    assert_eq!(verdicts("/policy", APP, false).await, ["allowed 1"]);
    assert_eq!(verdicts("/policy", APP, true).await, ["allowed 1"]);
    assert_eq!(verdicts("/stripped", APP, true).await, ["denied 1"]);
}
