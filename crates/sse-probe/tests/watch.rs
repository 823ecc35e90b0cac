//! The exporter.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail loudly"
)]

mod support;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use sse_probe::watch::{Config, Exporter};
use support::{APP, Server, good};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
};

/// A running exporter; it ends with this value.
struct Running {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
    _files: Vec<TokenFile>,
}

/// A secret on disk, gone with this value.
struct TokenFile(std::path::PathBuf);

impl TokenFile {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("sse-probe-{}-{name}", std::process::id()));
        std::fs::write(&path, "token\n").unwrap();
        Self(path)
    }
}

impl Drop for TokenFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

async fn start(name: &str, toml: &str) -> Running {
    let token = TokenFile::new(name);
    let toml = format!(
        "listen = \"127.0.0.1:0\"\n{}",
        toml.replace("TOKEN", token.0.to_str().unwrap())
            .replace("APP", APP)
    );
    let exporter = Exporter::bind(Config::parse(&toml).unwrap()).await.unwrap();
    let address = exporter.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(exporter.run(async {
        stopped.await.ok();
    }));
    Running {
        address,
        _stop: stop,
        _files: vec![token],
    }
}

const MODULE: &str = "[modules.app]\norigin = \"APP\"\ncredentials = true\nbearer_file = \"TOKEN\"\nhosts = [\"127.0.0.1\"]\nhold = \"900ms\"\n";

async fn get(address: SocketAddr, path: &str, more: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    socket.read_to_string(&mut reply).await.unwrap();
    let status = reply.split(' ').nth(1).unwrap().parse().unwrap();
    (status, reply.split_once("\r\n\r\n").unwrap().1.to_owned())
}

async fn until(address: SocketAddr, line: &str) -> String {
    let begun = Instant::now();
    loop {
        let (_, text) = get(address, "/metrics", "").await;
        if text.lines().any(|l| l == line) {
            return text;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "no `{line}` in {text}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn static_targets_are_probed_and_exported_by_instance() {
    let server = Server::start(good).await;
    let bad = Server::start(|request| good(request).without("Access-Control-Allow-Origin")).await;
    let toml = format!(
        "interval = \"1s\"\n{MODULE}[[targets]]\nurl = \"{}\"\nmodule = \"app\"\nname = \"good\"\n\
         [[targets]]\nurl = \"{}\"\nmodule = \"app\"\nname = \"bad\"\n\
         [[targets]]\nurl = \"http://127.0.0.1:1/?token=s\"\n",
        server.url(),
        bad.url()
    );
    let running = start("static", &toml).await;
    until(running.address, "probe_success{instance=\"good\"} 1").await;
    until(
        running.address,
        "probe_success{instance=\"http://127.0.0.1:1/\"} 0",
    )
    .await;
    let text = until(running.address, "probe_success{instance=\"bad\"} 0").await;
    let blocked = "probe_sse_cors_verdict{credentials=\"include\",instance=\"bad\",origin_role=\"allowed\",verdict=\"blocked\"} 1";
    assert!(text.contains(blocked), "{text}");
    assert!(!text.contains("token=s"));
    assert_eq!(text.matches("# TYPE probe_success gauge").count(), 1);
    // Known as ours whether it succeeds or not, and whether it still runs.
    for instance in ["good", "bad"] {
        let version = env!("CARGO_PKG_VERSION");
        for line in [
            format!("probe_sse_info{{instance=\"{instance}\",version=\"{version}\"}} 1"),
            format!("probe_sse_interval_seconds{{instance=\"{instance}\"}}"),
            format!("probe_sse_last_run_timestamp_seconds{{instance=\"{instance}\"}} 1"),
        ] {
            assert!(text.contains(&line), "{line}\n{text}");
        }
    }
}

#[tokio::test]
async fn a_hold_longer_than_the_interval_is_no_failure() {
    let server = Server::start(good).await;
    let toml = format!(
        "interval = \"1s\"\n{}[[targets]]\nurl = \"{}\"\nmodule = \"app\"\nname = \"long\"\n",
        MODULE.replace("900ms", "2500ms"),
        server.url()
    );
    let running = start("long", &toml).await;
    until(running.address, "probe_success{instance=\"long\"} 1").await;
}

#[tokio::test]
async fn probe_checks_a_target_on_demand() {
    let server = Server::start(good).await;
    let running = start("demand", MODULE).await;
    let path = format!("/probe?module=app&target={}", server.url());
    let (status, text) = get(running.address, &path, "").await;
    assert_eq!(status, 200);
    assert!(text.contains("\nprobe_success 1\n"), "{text}");
    assert!(
        text.contains("probe_sse_check_passed{check=\"cors\"} 1"),
        "{text}"
    );
}

#[tokio::test]
async fn probe_keeps_to_the_time_of_the_scrape() {
    let server = Server::start(|request| {
        let mut reply = good(request);
        reply.wait = 60_000;
        reply
    })
    .await;
    let running = start("time", MODULE).await;
    let path = format!("/probe?module=app&target={}", server.url());
    let begun = Instant::now();
    let (_, text) = get(
        running.address,
        &path,
        "X-Prometheus-Scrape-Timeout-Seconds: 1.5\r\n",
    )
    .await;
    assert!(text.contains("\nprobe_success 0\n"), "{text}");
    assert!(begun.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn probe_sends_credentials_to_the_modules_hosts_only() {
    let running = start("hosts", MODULE).await;
    for (path, code) in [
        ("/probe", 400),
        ("/probe?target=http://evil.example/&module=app", 400),
        ("/probe?target=http://127.0.0.1:1/&module=none", 400),
        ("/probe?target=file:///etc/passwd", 400),
        ("/nothing", 404),
        ("/-/healthy", 200),
    ] {
        assert_eq!(get(running.address, path, "").await.0, code, "{path}");
    }
}

#[tokio::test]
async fn probes_under_way_are_bounded() {
    let server = Server::start(|request| {
        let mut reply = good(request);
        reply.wait = 60_000;
        reply
    })
    .await;
    let running = start("bounded", &format!("concurrency = 1\n{MODULE}")).await;
    let path = format!("/probe?module=app&target={}", server.url());
    let address = running.address;
    let first = tokio::spawn({
        let path = path.clone();
        async move { get(address, &path, "X-Prometheus-Scrape-Timeout-Seconds: 3\r\n").await }
    });
    let begun = Instant::now();
    while server.requests().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(get(address, &path, "").await.0, 503);
    assert_eq!(first.await.unwrap().0, 200);
}
