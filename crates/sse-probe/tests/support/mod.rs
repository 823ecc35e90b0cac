//! A server on raw sockets, whose every byte a test decides, and a good stream to take faults from.
#![allow(
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "test support: it fails loudly, and each test uses a part of it"
)]

use std::{
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use sse_probe::{Credentials, Target};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket},
    task::JoinHandle,
    time::{Instant, timeout},
};

pub const APP: &str = "https://app.example.com";

/// A judgement on what comes when fails where the machine was busy with something else at the wrong moment. If it does, and
/// this program has stood still for longer than this meanwhile, all is measured once more.
const STILL: Duration = Duration::from_millis(100);

/// For how long that is done.
const TRIES: Duration = Duration::from_secs(120);

/// Measures, and judges what was seen.
pub async fn steadily<T>(measure: impl AsyncFn() -> T, judge: impl Fn(&T)) -> T {
    let begun = Instant::now();
    loop {
        let (seen, stood_still) = beside_a_clock(measure()).await;
        let Err(why) = catch_unwind(AssertUnwindSafe(|| judge(&seen))) else {
            return seen;
        };
        if stood_still < STILL || begun.elapsed() > TRIES {
            resume_unwind(why);
        }
        eprintln!("once more: this program stood still for {stood_still:?}");
    }
}

/// Waits for something; what it was, and for how long at the most nothing ran here meanwhile.
async fn beside_a_clock<T>(what: impl Future<Output = T>) -> (T, Duration) {
    const TICK: Duration = Duration::from_millis(20);
    let (mut what, mut longest) = (pin!(what), Duration::ZERO);
    loop {
        let begun = Instant::now();
        let done = timeout(TICK, &mut what).await;
        longest = longest.max(begun.elapsed().saturating_sub(TICK));
        if let Ok(done) = done {
            return (done, longest);
        }
    }
}

/// A URL at which nobody listens, and nobody else will for as long as the socket lives.
pub fn refusing() -> (TcpSocket, String) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://{}/", socket.local_addr().unwrap());
    (socket, url)
}

/// What a client asked.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    /// The body, if it came with a length.
    pub body: String,
}

impl Request {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }
}

/// A part of a body.
#[derive(Debug, Clone)]
pub enum Step {
    Bytes(Vec<u8>),
    Pause(u64),
    /// Again and again until the client goes.
    Forever(Vec<u8>, u64),
    Hold,
    /// The first text that is there, as soon as it is.
    Relay(Arc<Mutex<Option<String>>>),
    /// Closes without the last chunk.
    Cut,
}

/// What the server answers.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<Step>,
    /// Sent as it is, instead of everything else.
    pub raw: Option<Vec<u8>>,
    /// Before the head.
    pub wait: u64,
}

impl Reply {
    pub fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            raw: None,
            wait: 0,
        }
    }

    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        let mut reply = Self::new(200);
        reply.raw = Some(bytes.into());
        reply
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self
    }

    pub fn set(self, name: &str, value: &str) -> Self {
        self.without(name).with(name, value)
    }

    pub fn body(mut self, steps: Vec<Step>) -> Self {
        self.body = steps;
        self
    }

    pub fn is_stream(&self) -> bool {
        self.status == 200
            && self
                .headers
                .iter()
                .any(|(_, v)| v.starts_with("text/event-stream"))
    }
}

/// A running server; it ends with this value.
pub struct Server {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub async fn start(respond: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", respond).await
    }

    /// The same at another address of this machine.
    pub async fn start_at(
        address: &str,
        respond: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, respond) = (Arc::clone(&requests), Arc::new(respond));
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                socket.set_nodelay(true).unwrap();
                let (seen, respond) = (Arc::clone(&seen), Arc::clone(&respond));
                tokio::spawn(async move { serve(socket, &seen, &*respond).await });
            }
        });
        Self {
            address,
            requests,
            task,
        }
    }

    /// The same behind TLS, with a certificate of its own.
    pub async fn start_tls(
        config: rustls::ServerConfig,
        respond: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, respond) = (Arc::clone(&requests), Arc::new(respond));
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (seen, respond, acceptor) =
                    (Arc::clone(&seen), Arc::clone(&respond), acceptor.clone());
                tokio::spawn(async move {
                    if let Ok(socket) = acceptor.accept(socket).await {
                        serve(socket, &seen, &*respond).await;
                    }
                });
            }
        });
        Self {
            address,
            requests,
            task,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// A target with everything that the good stream wants.
    pub fn target(&self) -> Target {
        Target::new(&self.url())
            .unwrap()
            .origin(APP)
            .unwrap()
            .credentials(Credentials::Include)
            .bearer("token")
            .hold(Duration::from_millis(900))
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: S,
    seen: &Mutex<Vec<Request>>,
    respond: &(impl Fn(&Request) -> Reply + ?Sized),
) {
    let mut head = Vec::new();
    while !head.windows(4).any(|w| w == b"\r\n\r\n") {
        let mut buffer = [0; 4096];
        match socket.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => head.extend_from_slice(&buffer[..n]),
        }
    }
    let end = head.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let mut request = parse(&String::from_utf8_lossy(&head[..end]));
    let length = request.get("content-length").and_then(|l| l.parse().ok());
    while head.len() < end + length.unwrap_or(0) {
        let mut buffer = [0; 4096];
        match socket.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => head.extend_from_slice(&buffer[..n]),
        }
    }
    request.body = String::from_utf8_lossy(&head[end..]).into_owned();
    let reply = respond(&request);
    seen.lock().unwrap().push(request);
    // The client may go at any time; that ends the answer.
    let _ = answer(&mut socket, &reply).await;
}

fn parse(head: &str) -> Request {
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap().split(' ');
    Request {
        method: first.next().unwrap().to_owned(),
        target: first.next().unwrap().to_owned(),
        headers: lines
            .filter_map(|line| line.split_once(':'))
            .map(|(n, v)| (n.to_owned(), v.trim().to_owned()))
            .collect(),
        body: String::new(),
    }
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut S,
    reply: &Reply,
) -> std::io::Result<()> {
    if let Some(raw) = &reply.raw {
        socket.write_all(raw).await?;
        return socket.shutdown().await;
    }
    tokio::time::sleep(Duration::from_millis(reply.wait)).await;
    let mut head = format!("HTTP/1.1 {} x\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let has_length = reply
        .headers
        .iter()
        .any(|(n, _)| n.eq_ignore_ascii_case("content-length"));
    let bodiless = reply.status == 204;
    if !has_length && !bodiless {
        head.push_str("transfer-encoding: chunked\r\n");
    }
    head.push_str("\r\n");
    socket.write_all(head.as_bytes()).await?;
    let frame = |bytes: &[u8]| {
        if has_length {
            return bytes.to_vec();
        }
        let mut framed = format!("{:x}\r\n", bytes.len()).into_bytes();
        framed.extend_from_slice(bytes);
        framed.extend_from_slice(b"\r\n");
        framed
    };
    for step in &reply.body {
        match step {
            Step::Bytes(bytes) => socket.write_all(&frame(bytes)).await?,
            Step::Pause(ms) => tokio::time::sleep(Duration::from_millis(*ms)).await,
            Step::Relay(text) => loop {
                let text = text.lock().unwrap().take();
                if let Some(text) = text {
                    let event = format!("data: {text}\n\n");
                    socket.write_all(&frame(event.as_bytes())).await?;
                    break;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            },
            Step::Cut => return Ok(()),
            Step::Forever(bytes, ms) => loop {
                socket.write_all(&frame(bytes)).await?;
                tokio::time::sleep(Duration::from_millis(*ms)).await;
            },
            Step::Hold => {
                let mut buffer = [0; 64];
                while socket.read(&mut buffer).await? > 0 {}
                return Ok(());
            }
        }
    }
    if !has_length && !bodiless {
        socket.write_all(b"0\r\n\r\n").await?;
    }
    // Waits for the client to close, so that no reset overtakes the answer.
    let mut buffer = [0; 64];
    while socket.read(&mut buffer).await? > 0 {}
    Ok(())
}

pub fn bytes(text: &str) -> Step {
    Step::Bytes(text.as_bytes().to_vec())
}

/// A stream endpoint as it should be: the origin `APP` with credentials, the bearer token `token` or the cookie
/// `sid=1`, three events with ids that are replayed, and a heartbeat each 100 ms.
pub fn good(request: &Request) -> Reply {
    let origin = request.get("origin");
    let allowed = origin == Some(APP);
    let cors = |reply: Reply| {
        if allowed {
            reply
                .with("Access-Control-Allow-Origin", APP)
                .with("Access-Control-Allow-Credentials", "true")
                .with("Access-Control-Expose-Headers", "retry-after")
        } else {
            reply
        }
    };
    let refuse = |status: u16| {
        cors(Reply::new(status))
            .with("Vary", "Origin")
            .with("Content-Type", "application/json")
            .with("Cache-Control", "no-store")
            .body(vec![bytes("{}")])
    };
    if origin.is_some() && !allowed {
        return refuse(403);
    }
    if request.method == "OPTIONS" {
        return cors(Reply::new(204))
            .with(
                "Vary",
                "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
            )
            .with("Access-Control-Allow-Methods", "GET")
            .with(
                "Access-Control-Allow-Headers",
                "authorization, last-event-id, cache-control",
            )
            .with("Access-Control-Max-Age", "600");
    }
    if request.get("accept") != Some("text/event-stream") {
        return refuse(406);
    }
    let ticket = request.target.contains("ticket=t");
    if request.get("authorization") != Some("Bearer token")
        && request.get("cookie") != Some("sid=1")
        && !ticket
    {
        return refuse(401).with("WWW-Authenticate", "Bearer");
    }
    let from = match request.get("last-event-id") {
        None => 0,
        Some(id) => id
            .strip_prefix('e')
            .and_then(|n| n.parse().ok())
            .unwrap_or(3),
    };
    let mut body = vec![bytes("retry: 3000\n\n")];
    body.extend((from + 1..=3).map(|n: u32| bytes(&format!("id: e{n}\ndata: {n}\n\n"))));
    body.push(Step::Forever(b":\n".to_vec(), 100));
    cors(Reply::new(200))
        .with("Content-Type", "text/event-stream; charset=utf-8")
        .with("Cache-Control", "no-cache, no-store, no-transform")
        .with("X-Accel-Buffering", "no")
        .with("X-Content-Type-Options", "nosniff")
        .with("Content-Security-Policy", "default-src 'none'")
        .with("Vary", "Origin")
        .body(body)
}
