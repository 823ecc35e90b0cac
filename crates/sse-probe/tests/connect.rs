//! How connections are made: racing addresses, proxies, names in TLS.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail loudly"
)]

mod support;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use sse_probe::{
    Target,
    http::{Dialer, Limits, Proxy, Trust},
};
use support::{APP, Reply, Server, good};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpSocket, TcpStream},
};

/// An address at which connections are neither taken nor refused: its queue is full. It stays so with this value.
struct BlackHole {
    address: SocketAddr,
    _listener: TcpListener,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    async fn at(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(address).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        for _ in 0..16 {
            let one = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address));
            match one.await {
                Ok(Ok(stream)) => queue.push(stream),
                _ => break,
            }
        }
        assert!(queue.len() < 16, "the queue never fills");
        Self {
            address,
            _listener: listener,
            _queue: queue,
        }
    }
}

#[tokio::test]
async fn a_black_holed_first_address_is_not_unreachable() {
    let server = Server::start(good).await;
    let port = server.address.port();
    let hole = BlackHole::at(SocketAddr::from(([127, 0, 0, 2], port))).await;
    let mut limits = Limits::default();
    // Half of it for each.
    limits.connect = Duration::from_secs(8);
    let target = Target::new(&format!("http://api.example.com:{port}/events"))
        .unwrap()
        .pin("api.example.com", port, hole.address)
        .pin("api.example.com", port, server.address)
        .connection(limits, Trust::System)
        .origin(APP)
        .unwrap()
        .bearer("token")
        .only("status")
        .unwrap()
        .hold(Duration::from_millis(300));
    let begun = Instant::now();
    let report = sse_probe::check(target).await.unwrap();
    report.assert_passed("status");
    assert_eq!(report.facts.address, server.address.ip());
    assert!(begun.elapsed() < Duration::from_secs(30));
}

fn through(url: &str, proxy: SocketAddr, user: &str) -> Target {
    let mut dialer = Dialer::default();
    dialer.proxy = Proxy::always(&format!("http://{user}{proxy}")).unwrap();
    Target::new(url)
        .unwrap()
        .dialer(dialer)
        .only("status")
        .unwrap()
        .hold(Duration::from_millis(300))
}

#[tokio::test]
async fn a_proxy_is_asked_for_the_whole_url_of_a_plain_request() {
    let proxy = Server::start(|_| {
        Reply::new(200)
            .with("Content-Type", "text/event-stream")
            .body(vec![support::bytes("data: x\n\n"), support::Step::Hold])
    })
    .await;
    let target = through(
        "http://api.example.com/events?a=b",
        proxy.address,
        "user:password@",
    );
    sse_probe::check(target)
        .await
        .unwrap()
        .assert_passed("status");
    let request = &proxy.requests()[0];
    assert_eq!(request.target, "http://api.example.com/events?a=b");
    assert_eq!(request.get("host"), Some("api.example.com"));
    assert_eq!(
        request.get("proxy-authorization"),
        Some("Basic dXNlcjpwYXNzd29yZA==")
    );
}

#[tokio::test]
async fn a_proxy_is_asked_for_a_tunnel_to_a_server_with_tls() {
    // A proxy that opens a tunnel to a server which speaks no TLS: the handshake fails behind the tunnel.
    let server = Server::start(good).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let behind = server.address;
    let asked = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        client
            .write_all(b"HTTP/1.1 200 Connected\r\n\r\n")
            .await
            .unwrap();
        let mut server = TcpStream::connect(behind).await.unwrap();
        copy_bidirectional(&mut client, &mut server).await.ok();
        String::from_utf8(head).unwrap()
    });
    let mut limits = Limits::default();
    limits.connect = Duration::from_secs(4);
    let target =
        through("https://api.example.com/events", proxy, "").connection(limits, Trust::System);
    let error = sse_probe::check(target).await.unwrap_err();
    assert_eq!(error.reason(), "tls", "{error}");
    let head = asked.await.unwrap();
    assert!(
        head.starts_with("CONNECT api.example.com:443 HTTP/1.1"),
        "{head}"
    );
}

#[tokio::test]
async fn a_proxy_that_nobody_listens_at_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = free.local_addr().unwrap();
    drop(free);
    for url in ["http://api.example.com/", "https://api.example.com/"] {
        let error = sse_probe::check(through(url, proxy, "")).await.unwrap_err();
        assert_eq!(error.reason(), "proxy", "{url}: {error}");
        let shown = error.to_string();
        assert!(shown.contains(&proxy.to_string()), "{url}: {shown}");
        assert!(shown.contains("refused"), "{url}: {shown}");
    }
}

#[tokio::test]
async fn a_proxy_of_the_environment_that_is_no_http_proxy_is_refused() {
    for proxy in ["socks5://127.0.0.1:1", "https://127.0.0.1:1"] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_sse-probe"))
            .args(["check", "https://api.example.com/"])
            .env("HTTPS_PROXY", proxy)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{errors}");
        assert!(errors.contains("only http proxies can be used"), "{errors}");
    }
}

#[tokio::test]
async fn what_is_no_http_proxy_is_refused() {
    for bad in ["socks5://127.0.0.1:1", "", "https://proxy.example:1"] {
        let error = Proxy::always(bad).unwrap_err();
        assert!(error.contains("http://HOST:PORT"), "{bad}: {error}");
    }
}
