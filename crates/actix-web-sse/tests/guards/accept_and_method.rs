use std::sync::{Arc, atomic::Ordering};

use actix_web_sse::protect::AcceptMode;
use tokio::io::AsyncWriteExt;

use super::reply::over_both;
use super::support::{APP, Reply, Server, reference, reference_server, refusal, streams};

async fn with_accept(server: &Server, lines: &str) -> Reply {
    server
        .request("GET", "/events", &format!("Origin: {APP}\r\n{lines}"))
        .await
}

async fn a01_a04_event_streams_asked_for_by_name() {
    let server = reference_server();
    for lines in [
        "Accept: text/event-stream\r\n",
        "Accept: text/event-stream;q=0.5, text/html\r\n",
        "Accept: Text/Event-Stream\r\n",
        "Accept: text/event-stream; charset=utf-8\r\n",
        "Accept: application/json\r\nAccept: text/event-stream\r\n",
        "Accept: application/json, text/event-stream\r\n",
    ] {
        with_accept(&server, lines).await.assert_ok();
    }
}

async fn a01b_ranges_will_do_only_when_negotiated() {
    let recording = Arc::default();
    let policy = reference(&recording)
        .accept(AcceptMode::Negotiate)
        .build()
        .unwrap();
    let negotiating = Server::start(&recording, streams(policy));
    let explicit = reference_server();
    for lines in ["", "Accept: */*\r\n", "Accept: text/*\r\n"] {
        with_accept(&negotiating, lines).await.assert_ok();
        with_accept(&explicit, lines).await.assert_err(406);
    }
}

async fn a02_other_types_are_not_acceptable() {
    let server = reference_server();
    for accept in ["application/json", "text/html"] {
        let mut reply = with_accept(&server, &format!("Accept: {accept}\r\n")).await;
        reply.assert_err(406);
        reply.assert_readable_by(APP);
        assert!(reply.vary().contains(&"accept".to_owned()));
        assert_eq!(reply.body().await, refusal("not_acceptable"));
    }
}

async fn a05_nonsense_is_answered_not_crashed_on() {
    let server = reference_server();
    let huge = "a/b,".repeat(15_000);
    for accept in [";;;", "text/event-stream;q=abc", &huge] {
        let reply = with_accept(&server, &format!("Accept: {accept}\r\n")).await;
        assert!(matches!(reply.status, 200 | 406), "{}", reply.status);
    }
}

#[actix_rt::test]
async fn a06_head_has_the_headers_of_the_stream_and_opens_none() {
    let server = reference_server();
    let head = format!(
        "HEAD /events HTTP/1.1\r\nHost: api.example.com\r\nAccept: text/event-stream\r\nOrigin: {APP}\r\n\r\n"
    );
    let reply = server.raw(&head).await;
    reply.assert_ok();
    reply.assert_readable_by(APP);
    assert_eq!(reply.header("x-accel-buffering"), Some("no"));

    let mut socket = reply.into_socket();
    socket.write_all(head.as_bytes()).await.unwrap();
    let reply = Reply::read(socket).await;
    reply.assert_ok();
    assert_eq!(server.recording.opened.load(Ordering::SeqCst), 0);

    let mut socket = reply.into_socket();
    let get = head.replace("HEAD", "GET");
    socket.write_all(get.as_bytes()).await.unwrap();
    let mut reply = Reply::read(socket).await;
    reply.assert_ok();
    reply.first_byte().await;
}

async fn a07_other_methods_are_not_allowed() {
    let server = reference_server();
    for method in ["POST", "PUT", "TRACE", "FOO"] {
        let mut reply = server
            .request(
                method,
                "/events",
                &format!("Accept: text/event-stream\r\nOrigin: {APP}\r\n"),
            )
            .await;
        reply.assert_err(405);
        reply.assert_readable_by(APP);
        assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"));
        assert_eq!(reply.body().await, refusal("method_not_allowed"));
    }
    assert_eq!(server.recording.opened.load(Ordering::SeqCst), 0);
}

over_both! {
    a01_a04_event_streams_asked_for_by_name,
    a01b_ranges_will_do_only_when_negotiated,
    a02_other_types_are_not_acceptable,
    a05_nonsense_is_answered_not_crashed_on,
    a07_other_methods_are_not_allowed,
}
