//! The exporter.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail loudly"
)]

mod command;
mod configuration;
mod demand;
mod modules;
mod rounds;
#[path = "../support/mod.rs"]
mod support;

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use sse_probe::exporter::{Config, Exporter};
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

fn filled(toml: &str, token: &TokenFile) -> String {
    let toml = toml
        .replace("TOKEN", token.0.to_str().unwrap())
        .replace("APP", APP);
    format!("listen = \"127.0.0.1:0\"\n{toml}")
}

async fn start(name: &str, toml: &str) -> Running {
    let token = TokenFile::new(name);
    let config = Config::parse(&filled(toml, &token)).unwrap();
    run(Exporter::bind(config).await.unwrap(), token)
}

fn run(exporter: Exporter, token: TokenFile) -> Running {
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

/// A module for the good stream of these servers.
fn module(servers: &[&Server]) -> String {
    let origins: Vec<_> = servers
        .iter()
        .map(|server| format!("\"http://{}\"", server.address))
        .collect();
    format!(
        "[modules.app]\norigin = \"APP\"\ncredentials = true\nbearer_file = \"TOKEN\"\nhold = \"900ms\"\n\
         target_origins = [{}]\n",
        origins.join(", ")
    )
}

/// A server whose stream never gets a head.
async fn stuck() -> Server {
    Server::start(|request| {
        let mut reply = good(request);
        reply.wait = 60_000;
        reply
    })
    .await
}

async fn get(address: SocketAddr, path: &str, more: &str) -> (u16, String) {
    ask(address, "GET", path, more).await
}

async fn ask(address: SocketAddr, method: &str, path: &str, more: &str) -> (u16, String) {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\n{more}\r\n");
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
            begun.elapsed() < Duration::from_secs(60),
            "no `{line}` in {text}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn scrape(seconds: f64) -> String {
    format!("X-Prometheus-Scrape-Timeout-Seconds: {seconds}\r\n")
}

fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

async fn post(address: SocketAddr, path: &str) -> (u16, String) {
    ask(address, "POST", path, "").await
}
