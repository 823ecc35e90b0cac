//! What the page shows.

use std::time::{Duration, Instant};

use actix_web::{
    Responder,
    http::{StatusCode, header},
    rt,
    test::TestRequest,
};
use actix_web_sse::{Event, Hub, Subscriber, test::read_events};
use actix_web_sse_metrics::Metrics;
use serde_json::{Value, json};

use crate::{ALLOWED, Site, TOKEN};

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
        assert!(began.elapsed() < Duration::from_secs(30), "{life}");
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

    let read = read_events(response, 1, Duration::from_secs(30)).await;
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
