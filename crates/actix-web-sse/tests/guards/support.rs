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
    App, HttpRequest, HttpResponse, HttpServer,
    body::{BodySize, MessageBody},
    dev::ServerHandle,
    http::Version,
    web::{self, Bytes, ServiceConfig},
};
use actix_web_sse::{
    Policy, Subscriber,
    config::RatePerIp,
    observe::{
        KeysRead, Observer, Opened, RefusalMode, RefusalReason, Refused, StreamObserver, Visitor,
    },
};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpSocket, TcpStream},
    time::{Interval, timeout},
};

pub use super::reply::Reply;

pub const APP: &str = "https://app.example.com";
/// Long enough for anything that ought to happen soon, on a machine that is busy with other work.
pub const LIMIT: Duration = Duration::from_secs(30);

/// The body of a refusal for this reason: its code, and what to do.
pub fn refusal(code: &str) -> Vec<u8> {
    let mut all = RefusalReason::ALL.iter();
    let reason = all.find(|reason| reason.as_str() == code).unwrap();
    format!(r#"{{"error":"{code}","hint":"{}"}}"#, reason.hint()).into_bytes()
}

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
    /// Refusals of requests that were lost.
    pub lost: AtomicUsize,
    pub refused: Mutex<Vec<Heard>>,
    /// Streams that the test's handler has open, and that were ever read from.
    pub active: AtomicUsize,
    pub opened: AtomicUsize,
    /// What became of each reading of an issuer's keys.
    pub keys: Mutex<Vec<Result<usize, String>>>,
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
        if refused.visitor.request.is_none() {
            self.0.lost.fetch_add(1, Ordering::SeqCst);
        }
        self.0.refused.lock().unwrap().push(Heard {
            route: refused.visitor.route.to_owned(),
            reason: refused.reason.as_str(),
            mode: refused.mode,
            status: refused.status,
            origin: refused.visitor.origin.label().to_owned(),
            cors: refused.visitor.cors.as_str(),
            address: refused.visitor.address.map(|address| address.to_string()),
        });
    }

    fn opened(&self, _: &Opened<'_>) -> Box<dyn StreamObserver> {
        Box::new(())
    }

    fn keys_read(&self, read: &KeysRead<'_>) {
        self.0
            .keys
            .lock()
            .unwrap()
            .push(read.outcome.map_err(str::to_owned));
    }
}

/// The body of the test's stream: one comment, then silence, holding the subscriber to its end.
/// Over HTTP/2 a comment now and then: without a write actix never learns that a client has gone.
pub struct Silent {
    _subscriber: Subscriber,
    recording: Arc<Recording>,
    spoken: bool,
    heartbeat: Option<Interval>,
}

impl MessageBody for Silent {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if std::mem::replace(&mut self.spoken, true) {
            match &mut self.heartbeat {
                Some(heartbeat) => std::task::ready!(heartbeat.poll_tick(cx)),
                None => return Poll::Pending,
            };
        } else {
            self.recording.opened.fetch_add(1, Ordering::SeqCst);
        }
        Poll::Ready(Some(Ok(Bytes::from_static(b":\n"))))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.recording.active.fetch_sub(1, Ordering::SeqCst);
    }
}

pub async fn events(
    request: HttpRequest,
    subscriber: Subscriber,
    recording: web::Data<Recording>,
) -> HttpResponse {
    let heartbeat = (request.version() == Version::HTTP_2)
        .then(|| tokio::time::interval(Duration::from_millis(250)));
    recording.active.fetch_add(1, Ordering::SeqCst);
    HttpResponse::Ok()
        .insert_header(("content-type", "text/event-stream; charset=utf-8"))
        .insert_header(("x-accel-buffering", "no"))
        .body(Silent {
            _subscriber: subscriber,
            recording: recording.into_inner(),
            spoken: false,
            heartbeat,
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
        Self::start_with(recording, 1, configure)
    }

    /// The same on several threads.
    pub fn start_with(
        recording: &Arc<Recording>,
        workers: usize,
        configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
    ) -> Self {
        let data = web::Data::from(Arc::clone(recording));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .configure(configure.clone())
        })
        .workers(workers)
        .h1_allow_half_closed(false)
        .tcp_nodelay(true)
        // A busy machine may take longer than actix's five seconds between a connection and its request, or between two.
        .client_request_timeout(LIMIT)
        .keep_alive(LIMIT)
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

    /// Sends bytes as they are, on a connection of their own; or over HTTP/2 what they say.
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
        let socket = socket.connect(self.address).await.unwrap();
        // HTTP/2 begins with several small writes.
        socket.set_nodelay(true).unwrap();
        Reply::to(socket, request.as_ref()).await
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
        .attempts_per_ip(RatePerIp::Unlimited)
        .connects_per_ip(RatePerIp::Unlimited)
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
