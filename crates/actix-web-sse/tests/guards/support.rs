//! A real server on a free port, a client that sends bytes as they are, and a recording observer.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    App, HttpResponse, HttpServer,
    body::{BodySize, MessageBody},
    dev::ServerHandle,
    web::{self, Bytes, ServiceConfig},
};
use actix_web_sse::{
    Policy, Subscriber,
    observe::{CorsVerdict, Observer, Opened, RefusalMode, Refused, StreamObserver, Visitor},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

pub const APP: &str = "https://app.example.com";
const LIMIT: Duration = Duration::from_secs(10);

/// What the observer was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    pub route: String,
    pub reason: &'static str,
    pub mode: RefusalMode,
    pub status: u16,
    pub origin: String,
    pub cors: &'static str,
    pub address: Option<String>,
}

#[derive(Debug, Default)]
pub struct Recording {
    pub attempts: AtomicUsize,
    pub refused: Mutex<Vec<Heard>>,
    /// Streams that the test's handler has open, and has ever opened.
    pub active: AtomicUsize,
    pub opened: AtomicUsize,
}

impl Recording {
    pub fn refusals(&self) -> Vec<Heard> {
        self.refused.lock().unwrap().clone()
    }

    pub fn last_reason(&self) -> Option<&'static str> {
        self.refused
            .lock()
            .unwrap()
            .last()
            .map(|heard| heard.reason)
    }
}

#[derive(Debug)]
pub struct Ear(pub Arc<Recording>);

impl Observer for Ear {
    fn attempted(&self, _: &Visitor<'_>) {
        self.0.attempts.fetch_add(1, Ordering::SeqCst);
    }

    fn refused(&self, refused: &Refused<'_>) {
        self.0.refused.lock().unwrap().push(Heard {
            route: refused.visitor.route.to_owned(),
            reason: refused.reason.as_str(),
            mode: refused.mode,
            status: refused.status,
            origin: refused.visitor.origin.label().to_owned(),
            cors: refused.visitor.cors.map_or("", CorsVerdict::as_str),
            address: refused.visitor.address.map(|address| address.to_string()),
        });
    }

    fn opened(&self, _: &Opened<'_>) -> Box<dyn StreamObserver> {
        Box::new(())
    }
}

/// The body of the test's stream: one comment, then silence, holding the subscriber to its end.
pub struct Silent {
    _subscriber: Subscriber,
    recording: Arc<Recording>,
    spoken: bool,
}

impl MessageBody for Silent {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if std::mem::replace(&mut self.spoken, true) {
            Poll::Pending
        } else {
            Poll::Ready(Some(Ok(Bytes::from_static(b":\n"))))
        }
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.recording.active.fetch_sub(1, Ordering::SeqCst);
    }
}

pub async fn events(subscriber: Subscriber, recording: web::Data<Recording>) -> HttpResponse {
    recording.active.fetch_add(1, Ordering::SeqCst);
    recording.opened.fetch_add(1, Ordering::SeqCst);
    HttpResponse::Ok()
        .insert_header(("content-type", "text/event-stream; charset=utf-8"))
        .body(Silent {
            _subscriber: subscriber,
            recording: recording.into_inner(),
            spoken: false,
        })
}

pub struct Server {
    pub address: SocketAddr,
    pub recording: Arc<Recording>,
    handle: ServerHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Sends the command; nobody waits for its end.
        drop(self.handle.stop(false));
    }
}

/// A scope with `/events` behind the policy.
pub fn streams(policy: Policy) -> impl Fn(&mut ServiceConfig) + Clone + Send {
    move |config| {
        config.service(
            web::scope("")
                .wrap(policy.clone())
                .route("/events", web::route().to(events)),
        );
    }
}

impl Server {
    /// Serves whatever is configured, with the recording as application data.
    pub fn start(
        recording: &Arc<Recording>,
        configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
    ) -> Self {
        let data = web::Data::from(Arc::clone(recording));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .configure(configure.clone())
        })
        .workers(1)
        .h1_allow_half_closed(false)
        .shutdown_timeout(0)
        .disable_signals()
        .bind_auto_h2c(("127.0.0.1", 0))
        .unwrap();
        let address = server.addrs()[0];
        let server = server.run();
        let handle = server.handle();
        actix_rt::spawn(server);
        Self {
            address,
            recording: Arc::clone(recording),
            handle,
        }
    }

    /// Sends bytes as they are, on a connection of their own.
    pub async fn raw(&self, request: impl AsRef<[u8]>) -> Reply {
        self.raw_from("127.0.0.1", request).await
    }

    /// Sends bytes, and waits for nothing.
    pub async fn send(&self, request: &str) -> TcpStream {
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        socket
    }

    /// The same from another loopback address.
    pub async fn raw_from(&self, source: &str, request: impl AsRef<[u8]>) -> Reply {
        let socket = TcpSocket::new_v4().unwrap();
        socket
            .bind((source.parse::<IpAddr>().unwrap(), 0).into())
            .unwrap();
        let mut socket = socket.connect(self.address).await.unwrap();
        socket.write_all(request.as_ref()).await.unwrap();
        Reply::read(socket).await
    }

    /// A `GET /events` as a stream client sends it, with these header lines beside `Host` and
    /// `Accept`.
    pub async fn get(&self, lines: &str) -> Reply {
        self.request(
            "GET",
            "/events",
            &format!("Accept: text/event-stream\r\n{lines}"),
        )
        .await
    }

    /// A request with `Host` and these header lines, each with its end.
    pub async fn request(&self, method: &str, target: &str, lines: &str) -> Reply {
        self.raw(format!(
            "{method} {target} HTTP/1.1\r\nHost: api.example.com\r\n{lines}\r\n"
        ))
        .await
    }
}

/// What came back.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    socket: TcpStream,
    rest: Vec<u8>,
}

impl Reply {
    pub async fn read(mut socket: TcpStream) -> Self {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") {
                break end;
            }
            let read = timeout(LIMIT, socket.read_buf(&mut bytes))
                .await
                .expect("a head within the limit")
                .unwrap();
            assert_ne!(read, 0, "closed before the head ended: {bytes:?}");
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap()[9..12].parse().unwrap();
        let headers = lines
            .map(|line| {
                let (name, value) = line.split_once(": ").unwrap();
                (name.to_ascii_lowercase(), value.to_owned())
            })
            .collect();
        Self {
            status,
            headers,
            socket,
            rest: bytes[end + 4..].to_vec(),
        }
    }

    /// Every value of a header, line by line.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The only value of a header, or none.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} comes {} times", all.len());
        all.first().copied()
    }

    /// The whole body of a reply with a length.
    pub async fn body(&mut self) -> Vec<u8> {
        let length = self
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        while self.rest.len() < length {
            self.read_more().await;
        }
        self.rest.clone()
    }

    /// Waits for the first byte of a stream.
    pub async fn first_byte(&mut self) {
        while self.rest.is_empty() {
            self.read_more().await;
        }
    }

    /// Reads to the end of the connection's last chunk, framing included.
    pub async fn rest_of_it(mut self) -> Vec<u8> {
        while !self.rest.ends_with(b"0\r\n\r\n") {
            self.read_more().await;
        }
        self.rest
    }

    /// Reads until the body holds this.
    pub async fn until(&mut self, text: &str) {
        while !String::from_utf8_lossy(&self.rest).contains(text) {
            self.read_more().await;
        }
    }

    async fn read_more(&mut self) {
        let read = timeout(LIMIT, self.socket.read_buf(&mut self.rest))
            .await
            .expect("more bytes within the limit")
            .unwrap();
        assert_ne!(read, 0, "closed early");
    }

    /// The connection, for another request.
    pub fn into_socket(self) -> TcpStream {
        self.socket
    }

    pub fn vary(&self) -> Vec<String> {
        self.all("vary")
            .iter()
            .flat_map(|line| line.split(','))
            .map(|name| name.trim().to_ascii_lowercase())
            .collect()
    }

    /// The reply carries what an allowed origin needs to read it.
    #[track_caller]
    pub fn assert_readable_by(&self, origin: &str) {
        assert_eq!(self.header("access-control-allow-origin"), Some(origin));
        assert_eq!(
            self.header("access-control-allow-credentials"),
            Some("true")
        );
        assert_eq!(
            self.header("access-control-expose-headers"),
            Some("retry-after, x-request-id")
        );
        assert_varies(self);
    }

    /// The reply carries no CORS header at all.
    #[track_caller]
    pub fn assert_unreadable(&self) {
        let cors: Vec<_> = self
            .headers
            .iter()
            .filter(|(name, _)| name.starts_with("access-control-"))
            .collect();
        assert!(cors.is_empty(), "{cors:?}");
        assert_varies(self);
    }

    /// The contract's `OK`, as far as it is seen in the head.
    #[track_caller]
    pub fn assert_ok(&self) {
        assert_eq!(self.status, 200, "{:?}", self.headers);
        assert_eq!(
            self.header("content-type"),
            Some("text/event-stream; charset=utf-8")
        );
        assert_eq!(self.header("content-length"), None);
        assert_varies(self);
    }

    /// The contract's `ERR`.
    #[track_caller]
    pub fn assert_err(&self, status: u16) {
        assert_eq!(self.status, status, "{:?}", self.headers);
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert_eq!(self.header("x-content-type-options"), Some("nosniff"));
        assert_varies(self);
    }
}

#[track_caller]
fn assert_varies(reply: &Reply) {
    let origin = reply.vary().iter().filter(|name| *name == "origin").count();
    assert_eq!(origin, 1, "Vary lists Origin once: {:?}", reply.all("vary"));
}

/// Waits until a condition holds, with a limit.
pub async fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(timeout(LIMIT, waiting).await.is_ok(), "{what}");
}

/// The `[policy]` of the contract's reference set-up, observed, with the limits out of the way:
/// the end of a stream is noticed a little later, and most rows open several in a row.
pub fn reference(recording: &Arc<Recording>) -> actix_web_sse::protect::PolicyBuilder {
    limited_reference(recording)
        .streams_per_ip(1000)
        .connects_per_second(10_000)
}

/// The `[policy]` of the contract's reference set-up, observed.
pub fn limited_reference(recording: &Arc<Recording>) -> actix_web_sse::protect::PolicyBuilder {
    let config = toml::from_str(
        r#"
        hosts = ["api.example.com", "127.0.0.1", "localhost"]
        accept = "explicit"
        overload = "auto"

        [origins]
        allow = ["https://app.example.com", "https://*.tenant.example.net", "http://localhost:5173"]
        credentials = true
        request_headers = ["authorization", "last-event-id", "cache-control", "x-request-id"]
        expose_headers = ["retry-after", "x-request-id"]
        max_age = "10m"

        [limits]
        per_ip = 4
        per_user = 8
        total = 1000
        connects_per_second = 50
        ipv6_prefix = 64
        trusted_proxies = ["10.0.0.0/8"]
        "#,
    )
    .unwrap();
    Policy::builder()
        .config(config)
        .observer(Ear(Arc::clone(recording)))
}

/// The reference policy around `/events`.
pub fn reference_server() -> Server {
    let recording = Arc::default();
    let policy = reference(&recording).build().unwrap();
    Server::start(&recording, streams(policy))
}
