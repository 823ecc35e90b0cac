//! What the page does.

use std::{
    future::{Future as _, poll_fn},
    task::Poll,
    time::{Duration, Instant},
};

use actix_web::{
    http::{StatusCode, header},
    rt,
    test::TestRequest,
};
use actix_web_sse::test::read_events;
use serde_json::{Value, json};

use crate::{Sink, Site, TOKEN};

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
    let read = read_events(ended, 1, Duration::from_secs(30)).await;
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

/// As where the connection is closed while the workers are asked.
#[actix_web::test]
async fn an_operator_who_does_not_wait_for_the_answer_is_logged_as_well() {
    let (site, sink) = (Site::new(), Sink::default());
    let _log = sink.install();
    site.get("overview").await;
    let _stream = site.open(Some("ada"), None).await;
    let id = site.streams("").await[0]["connection"].clone();
    let path = format!("streams/{}/end", id.as_str().unwrap());
    let mut asking = Box::pin(site.post(&path, json!({})));
    let asked = poll_fn(|cx| Poll::Ready(asking.as_mut().poll(cx).is_pending()));
    assert!(asked.await, "the workers have not answered yet");
    drop(asking);
    let began = Instant::now();
    while sink.actions().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(30));
        rt::task::yield_now().await;
    }
    assert_eq!(sink.actions()[0]["ended"], 1);
    assert_eq!(site.hub.stats().streams, 0);
}

#[actix_web::test]
async fn users_whose_names_are_shown_alike_are_not_ended_together() {
    let site = Site::new();
    site.get("overview").await;
    let long = "u".repeat(300);
    let _streams = [
        site.open(Some(&format!("{long}1")), None).await,
        site.open(Some(&format!("{long}2")), None).await,
    ];
    let shown = site.streams("").await[0]["user"].clone();
    let (status, body) = site.post("users/end", json!({ "user": shown })).await;
    assert_eq!(status, StatusCode::CONFLICT, "{body}");
    assert_eq!(site.hub.stats().streams, 2);
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
        assert!(began.elapsed() < Duration::from_secs(30));
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
