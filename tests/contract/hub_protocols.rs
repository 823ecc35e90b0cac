//! The responder under other protocols and middleware: HEAD, `Compress`, HTTP/2.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use actix_web_sse::{
    Event,
    config::{HubConfig, StreamConfig},
    observe::CloseReason,
};
use actix_web_sse_tests::{Connection, LIMIT, Request};
use bytes::{Bytes, BytesMut};
use h2::{RecvStream, client::SendRequest};
use tokio::{net::TcpStream, time::timeout};

use crate::served::{Served, Setup};

/// Headers that belong to a connection (RFC 9110 § 7.6.1).
const HOP_BY_HOP: [&str; 6] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
];

fn serve(setup: Setup) -> Served {
    let mut stream = StreamConfig::default();
    stream.heartbeat = Duration::from_secs(1);
    stream.retry_jitter = 0.0;
    Served::new(setup, HubConfig::default(), stream)
}

#[test]
fn a06_head_has_the_headers_of_get_and_opens_nothing() {
    let served = serve(Setup::ForEventStreams);
    let stream = served.open();
    let get = &stream.response().head.headers;
    let mut connection = Connection::open(served.address());
    for _ in 0..2 {
        // Twice on one connection: nothing of a body is in the way of the second.
        let head = Request::new("HEAD", "/events").header("Accept", "text/event-stream");
        connection.send(&head.bytes(served.address())).unwrap();
        let head = connection.head(LIMIT).unwrap();
        assert_eq!(head.status, 200);
        for name in get.names_with("") {
            // RFC 9110 § 9.3.2: the framing of a body that is not there may be left out.
            if name != "date" && name != "transfer-encoding" {
                assert_eq!(head.headers.all(&name), get.all(&name), "{name}");
            }
        }
    }
    assert_eq!(served.recorder.look().opened.len(), 1, "only the GET");
    assert_eq!(served.hub.subscribers("t"), 1);
}

#[test]
fn c11_a_stream_is_never_conditional_and_never_a_range() {
    let served = serve(Setup::ForEventStreams);
    for (name, value) in [
        ("If-None-Match", "*"),
        ("If-Modified-Since", "Fri, 20 Nov 2026 07:00:00 GMT"),
        ("Range", "bytes=0-"),
    ] {
        let mut stream = served.open_with(&Request::stream("/events").header(name, value));
        let head = &stream.response().head;
        assert_eq!(head.status, 200);
        for absent in ["etag", "last-modified", "content-range", "accept-ranges"] {
            assert_eq!(head.headers.get(absent), None, "{name}");
        }
        served.hub.publish("t", Event::data("whole")).unwrap();
        assert_eq!(stream.next_event().data(), Some("whole"));
    }
}

#[test]
fn e16_the_wire_bytes_are_these() {
    let served = serve(Setup::ForEventStreams);
    let mut stream = served.open();
    let id = served
        .hub
        .publish("t", Event::data("x"))
        .unwrap()
        .id
        .unwrap();
    stream.next_event();
    stream.next_comment();
    stream.next_comment();
    let wire = String::from_utf8(stream.wire().to_vec()).unwrap();
    let (epoch, _) = id.split_once('-').unwrap();
    let topics = wire.split(&format!("id: {epoch}.0.")).nth(1).unwrap();
    let anchor = format!(
        "id: {epoch}.0.{}\nevent: anchor\ndata: {{}}\n\n",
        &topics[..6]
    );
    // On a busy machine heartbeats come before the event too, and more behind it.
    let rest = wire.strip_prefix(&format!(":\nretry: 30000\n{anchor}"));
    let rest = rest.expect("the first block").trim_start_matches(":\n");
    let heartbeats = rest.strip_prefix(&format!("id: {id}\ndata: x\n\n"));
    let heartbeats = heartbeats.expect("the event");
    assert!(heartbeats.starts_with(":\n:\n"), "{wire:?}");
    assert_eq!(heartbeats.trim_start_matches(":\n"), "");
}

#[test]
fn e17_compress_leaves_streams_alone() {
    let served = serve(Setup::Compressing);
    let accept = "gzip, br, zstd";
    let text = Request::new("GET", "/text").header("Accept-Encoding", accept);
    let text = text.send(served.address());
    assert_eq!(
        text.header("content-encoding"),
        Some("gzip"),
        "Compress is at work"
    );

    let request = Request::stream("/events").header("Accept-Encoding", accept);
    let mut stream = served.open_with(&request);
    let encoding = stream.response().header("content-encoding");
    assert!(matches!(encoding, None | Some("identity")), "{encoding:?}");
    let mut delays: Vec<_> = (0..11)
        .map(|_| {
            let published = Instant::now();
            served.hub.publish("t", Event::data("plain")).unwrap();
            assert_eq!(stream.next_event().data(), Some("plain"));
            published.elapsed()
        })
        .collect();
    delays.sort();
    // The best: a busy machine delays some. What Compress holds back would come with a heartbeat, or never.
    assert!(delays[0] <= Duration::from_millis(200), "{delays:?}");
}

#[test]
fn e18_http_1_has_no_header_of_the_connection_but_its_framing() {
    let served = serve(Setup::Http2);
    let stream = served.open();
    let headers = &stream.response().head.headers;
    assert_eq!(
        headers.all("transfer-encoding"),
        ["chunked"],
        "by actix, once"
    );
    assert_eq!(headers.get("content-length"), None);
    for name in HOP_BY_HOP {
        assert_eq!(headers.get(name), None, "{name}");
    }
}

/// A stream over HTTP/2 with prior knowledge.
pub(crate) struct Http2Stream {
    body: RecvStream,
    buffer: BytesMut,
    /// Without it the connection would end with its last stream.
    sender: SendRequest<Bytes>,
    connection: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl Http2Stream {
    async fn open(address: SocketAddr) -> (Self, http::HeaderMap) {
        Self::open_at(address, "/events").await
    }

    pub(crate) async fn open_at(address: SocketAddr, path: &str) -> (Self, http::HeaderMap) {
        let socket = TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) = h2::client::handshake(socket).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = http::Request::get(format!("http://{address}{path}"))
            .header("accept", "text/event-stream")
            .body(())
            .unwrap();
        let (response, _) = sender.send_request(request, true).unwrap();
        let response = timeout(LIMIT, response).await.unwrap().unwrap();
        assert_eq!(response.status(), 200);
        let headers = response.headers().clone();
        let stream = Self {
            body: response.into_body(),
            buffer: BytesMut::new(),
            sender,
            connection,
        };
        (stream, headers)
    }

    /// The next DATA frame; `None` at END_STREAM.
    async fn frame(&mut self) -> Option<Bytes> {
        let frame = timeout(LIMIT, self.body.data())
            .await
            .expect("a frame in time")?;
        let frame = frame.expect("no reset");
        self.body
            .flow_control()
            .release_capacity(frame.len())
            .unwrap();
        Some(frame)
    }

    /// Reads until all that came ends with this.
    pub(crate) async fn until(&mut self, end: &str) {
        let deadline = Instant::now() + LIMIT;
        while !self.buffer.ends_with(end.as_bytes()) {
            let late = Instant::now() > deadline;
            assert!(!late, "{end:?} does not come after {:?}", self.buffer);
            let frame = self.frame().await.expect("the stream goes on");
            self.buffer.extend_from_slice(&frame);
        }
    }
}

#[actix_web::test]
async fn e18_http_2_carries_streams_by_its_own_rules() {
    let served = serve(Setup::Http2);
    let (mut stream, headers) = Http2Stream::open(served.address()).await;
    assert_eq!(headers["content-type"], "text/event-stream; charset=utf-8");
    assert!(!headers.contains_key("content-length"));
    for name in HOP_BY_HOP.into_iter().chain(["transfer-encoding"]) {
        // RFC 9113 § 8.2.2: such a field makes the message malformed.
        assert!(!headers.contains_key(name), "{name}");
    }
    stream.until("event: anchor\ndata: {}\n\n").await;
    let id = served
        .hub
        .publish("t", Event::data("x"))
        .unwrap()
        .id
        .unwrap();
    stream.until(&format!("id: {id}\ndata: x\n\n")).await;
    stream.until("\n\n:\n").await;
    // A drain ends it with the last `retry` and END_STREAM, not with a reset.
    served.hub.drain_within(Duration::ZERO).await;
    stream.until("retry: 30000\n").await;
    // END_STREAM comes on a frame of its own, which carries nothing.
    while let Some(frame) = stream.frame().await {
        assert_eq!(frame, "", "nothing after the last line");
    }
    assert!(stream.body.is_end_stream());
    assert!(stream.body.trailers().await.unwrap().is_none());
    assert_eq!(served.recorder.look().closed[0].reason, CloseReason::Drain);
    stream.connection.abort();
}

/// Facts A1: over HTTP/2 a client that leaves is found at the next write, so within a heartbeat.
#[actix_web::test]
async fn d02_an_http_2_client_that_leaves_is_noticed() {
    let served = serve(Setup::Http2);
    let (mut by_reset, _) = Http2Stream::open(served.address()).await;
    let (mut by_close, _) = Http2Stream::open(served.address()).await;
    for stream in [&mut by_reset, &mut by_close] {
        stream.until("event: anchor\ndata: {}\n\n").await;
    }
    let left = Instant::now();
    // Dropped, the body is reset with CANCEL; its connection stays.
    drop(by_reset.body);
    by_close.connection.abort();
    drop(by_close.body);
    let recorder = served.recorder.clone();
    let ends = actix_rt::task::spawn_blocking(move || recorder.wait_for_ends(2));
    for end in ends.await.unwrap() {
        assert_eq!(end.reason, CloseReason::ClientGone);
    }
    // A heartbeat's second, and much more for a busy machine.
    let took = left.elapsed();
    assert!(took <= Duration::from_secs(20), "{took:?}");
    served.wait_until_nobody_is_counted();
    by_reset
        .sender
        .ready()
        .await
        .expect("only the stream was reset");
    by_reset.connection.abort();
}
