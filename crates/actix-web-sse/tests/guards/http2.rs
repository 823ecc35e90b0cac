//! What is different over HTTP/2, by prior knowledge, with a client that speaks it: the authority,
//! many streams on one connection, and resets. The other tests go over both, see `over_both!`.

use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use actix_web_sse::{
    Identity,
    protect::{Attempt, AuthError, AuthFuture, Authenticator},
};
use h2::{
    Reason,
    client::{ResponseFuture, SendRequest},
};
use http::{Method, Request, Response};
use tokio::{net::TcpStream, time::timeout};

use super::support::{
    APP, LIMIT, Recording, Server, limited_reference, reference, reference_server, streams,
    wait_until,
};

type Sender = SendRequest<bytes::Bytes>;

async fn connect(address: SocketAddr) -> Sender {
    let socket = TcpStream::connect(address).await.unwrap();
    let (sender, connection) = h2::client::handshake(socket).await.unwrap();
    actix_rt::spawn(async move {
        let _ = connection.await;
    });
    sender
}

fn request(method: Method, authority: &str, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("http://{authority}/events"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

fn get(headers: &[(&str, &str)]) -> Request<()> {
    let headers = [&[("accept", "text/event-stream")], headers].concat();
    request(Method::GET, "api.example.com", &headers)
}

async fn send(sender: &Sender, request: Request<()>) -> ResponseFuture {
    let mut ready = timeout(LIMIT, sender.clone().ready())
        .await
        .unwrap()
        .unwrap();
    ready.send_request(request, true).unwrap().0
}

async fn answer(sender: &Sender, request: Request<()>) -> Response<h2::RecvStream> {
    let response = send(sender, request).await;
    timeout(LIMIT, response).await.unwrap().unwrap()
}

fn header<'a>(response: &'a Response<h2::RecvStream>, name: &str) -> Option<&'a str> {
    let mut values = response.headers().get_all(name).iter();
    let value = values.next().map(|value| value.to_str().unwrap());
    assert!(values.next().is_none(), "{name} comes twice");
    value
}

#[actix_rt::test]
async fn o01_e18_an_allowed_origin_reads_the_stream() {
    let server = reference_server();
    let sender = connect(server.address).await;
    let mut response = answer(&sender, get(&[("origin", APP)])).await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "access-control-allow-origin"), Some(APP));
    assert_eq!(
        header(&response, "access-control-allow-credentials"),
        Some("true")
    );
    assert_eq!(header(&response, "vary"), Some("Origin"));
    for name in [
        "connection",
        "keep-alive",
        "transfer-encoding",
        "content-length",
    ] {
        assert_eq!(header(&response, name), None);
    }
    let first = timeout(LIMIT, response.body_mut().data()).await.unwrap();
    assert!(!first.unwrap().unwrap().is_empty());
}

#[actix_rt::test]
async fn o22_the_authority_is_the_host() {
    let server = reference_server();
    let sender = connect(server.address).await;
    for (authority, status) in [
        ("evil.com", 421),
        ("api.example.com.evil.com", 421),
        ("api.example.com", 200),
        ("api.example.com:443", 200),
    ] {
        let request = request(Method::GET, authority, &[("accept", "text/event-stream")]);
        assert_eq!(
            answer(&sender, request).await.status(),
            status,
            "{authority}"
        );
    }
    let both = request(
        Method::GET,
        "api.example.com",
        &[("accept", "text/event-stream"), ("host", "evil.com")],
    );
    assert!(matches!(
        answer(&sender, both).await.status().as_u16(),
        400 | 421
    ));
}

#[actix_rt::test]
async fn p01_a06_a07_preflight_head_and_other_methods() {
    let server = reference_server();
    let sender = connect(server.address).await;
    let preflight = request(
        Method::OPTIONS,
        "api.example.com",
        &[("origin", APP), ("access-control-request-method", "GET")],
    );
    let response = answer(&sender, preflight).await;
    assert_eq!(response.status(), 204);
    assert_eq!(header(&response, "access-control-max-age"), Some("600"));

    let head = request(
        Method::HEAD,
        "api.example.com",
        &[("accept", "text/event-stream")],
    );
    let mut response = answer(&sender, head).await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "x-accel-buffering"), Some("no"));
    assert!(
        timeout(LIMIT, response.body_mut().data())
            .await
            .unwrap()
            .is_none()
    );

    let put = request(
        Method::PUT,
        "api.example.com",
        &[("accept", "text/event-stream")],
    );
    let response = answer(&sender, put).await;
    assert_eq!(response.status(), 405);
    assert_eq!(header(&response, "allow"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(server.recording.opened.load(Ordering::SeqCst), 0);
}

#[actix_rt::test]
async fn l01_streams_count_and_not_connections() {
    let recording: Arc<Recording> = Arc::default();
    let policy = limited_reference(&recording).build().unwrap();
    let server = Server::start(&recording, streams(policy));
    let sender = connect(server.address).await;
    let mut open = Vec::new();
    for _ in 0..4 {
        let response = answer(&sender, get(&[("authorization", "Bearer x")])).await;
        assert_eq!(response.status(), 200);
        open.push(response);
    }
    let response = answer(&sender, get(&[("authorization", "Bearer x")])).await;
    assert_eq!(response.status(), 429);
    assert!(header(&response, "retry-after").is_some());
}

/// Never answers.
struct Never;

impl Authenticator for Never {
    fn authenticate<'a>(&'a self, _: Attempt<'a>) -> AuthFuture<'a> {
        Box::pin(std::future::pending::<Result<Identity, AuthError>>())
    }
}

/// actix (4.18) does not look at a stream's reset before it has a response to send, so that what
/// ends the waiting of a client that has gone is the authenticator's time-out.
#[actix_rt::test]
async fn t08_a_stream_that_is_reset_while_it_is_checked_gives_its_slot_back() {
    let recording: Arc<Recording> = Arc::default();
    let mut auth = actix_web_sse::config::AuthConfig::default();
    auth.required = true;
    // On a busy machine all of them are to be asked for before the first has waited so long.
    auth.timeout = Duration::from_secs(4);
    let policy = reference(&recording)
        .auth(auth)
        .authenticator(Never)
        .streams_per_ip(50)
        .build()
        .unwrap();
    let server = Server::start(&recording, streams(policy));
    let sender = connect(server.address).await;
    let mut asked = 0;
    for _ in 0..2 {
        let mut pending = Vec::new();
        for _ in 0..50 {
            let mut ready = sender.clone().ready().await.unwrap();
            pending.push(
                ready
                    .send_request(get(&[("authorization", "Bearer x")]), true)
                    .unwrap(),
            );
        }
        asked += 50;
        wait_until("all are being checked", || {
            recording.attempts.load(Ordering::SeqCst) >= asked
        })
        .await;
        let full = answer(&sender, get(&[("authorization", "Bearer x")])).await;
        assert_eq!(full.status(), 429);
        for (_, mut stream) in pending {
            stream.send_reset(Reason::CANCEL);
        }
        let free = async {
            while answer(&sender, get(&[("authorization", "Bearer x")]))
                .await
                .status()
                == 429
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(LIMIT, free).await.expect("slots are free");
        asked = recording.attempts.load(Ordering::SeqCst);
    }
}
