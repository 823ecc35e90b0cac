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

use sse_probe::{
    exporter::{Config, Exporter, WebConfig},
    http::{Ask, Dialer, Limits, Trust},
};
use support::{APP, Reply, Server, good};
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
        "interval = \"1s\"\n{}[[targets]]\nurl = \"{}\"\nmodule = \"app\"\nname = \"good\"\n\
         [[targets]]\nurl = \"{}\"\nmodule = \"app\"\nname = \"bad\"\n\
         [[targets]]\nurl = \"http://127.0.0.1:1/?token=s\"\n",
        module(&[&server, &bad]),
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
        module(&[&server]).replace("900ms", "2500ms"),
        server.url()
    );
    let running = start("long", &toml).await;
    until(running.address, "probe_success{instance=\"long\"} 1").await;
}

#[tokio::test]
async fn probe_checks_a_target_on_demand() {
    let server = Server::start(good).await;
    let running = start("demand", &module(&[&server])).await;
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
    let server = stuck().await;
    let running = start("time", &module(&[&server])).await;
    let path = format!("/probe?module=app&target={}", server.url());
    let begun = Instant::now();
    let (_, text) = get(running.address, &path, &scrape(1.5)).await;
    assert!(text.contains("\nprobe_success 0\n"), "{text}");
    assert!(
        text.contains("probe_sse_failure_info{reason=\"timeout\"} 1"),
        "{text}"
    );
    assert!(begun.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn what_was_seen_when_the_time_is_up_is_a_result() {
    let server = Server::start(good).await;
    let toml = module(&[&server]).replace("900ms", "5m");
    let running = start("partial", &toml).await;
    let path = format!("/probe?module=app&target={}", server.url());
    let begun = Instant::now();
    let (status, text) = get(running.address, &path, &scrape(6.0)).await;
    assert_eq!(status, 200);
    for line in ["probe_success 1", "probe_http_status_code 200"] {
        assert!(text.lines().any(|l| l == line), "no `{line}` in {text}");
    }
    assert!(begun.elapsed() < Duration::from_secs(12));
}

fn scrape(seconds: f64) -> String {
    format!("X-Prometheus-Scrape-Timeout-Seconds: {seconds}\r\n")
}

#[tokio::test]
async fn probe_sends_credentials_to_the_modules_origins_only() {
    let server = Server::start(good).await;
    let elsewhere = Server::start(good).await;
    let running = start("origins", &module(&[&server])).await;
    let port = server.address.port();
    for (path, code) in [
        ("/probe".to_owned(), 400),
        (
            "/probe?target=http://evil.example/&module=app".to_owned(),
            400,
        ),
        (format!("/probe?target={}&module=app", elsewhere.url()), 400),
        (
            format!("/probe?target=https://127.0.0.1:{port}/&module=app"),
            400,
        ),
        (
            format!("/probe?target=http://localhost:{port}/&module=app"),
            400,
        ),
        (
            "/probe?target=http://127.0.0.1:1/&module=none".to_owned(),
            400,
        ),
        ("/probe?target=file:///etc/passwd".to_owned(), 400),
        ("/nothing".to_owned(), 404),
        ("/-/healthy".to_owned(), 200),
        ("/".to_owned(), 200),
    ] {
        assert_eq!(get(running.address, &path, "").await.0, code, "{path}");
    }
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn a_redirect_leads_no_secret_out_of_the_modules_origins() {
    let elsewhere = Server::start(good).await;
    let to = elsewhere.url();
    let server = Server::start(move |request| {
        Reply::new(307)
            .with("Location", &to)
            .with(
                "Access-Control-Allow-Origin",
                request.get("origin").unwrap_or("*"),
            )
            .with("Access-Control-Allow-Credentials", "true")
    })
    .await;
    let running = start("redirect", &module(&[&server])).await;
    let path = format!("/probe?module=app&target={}", server.url());
    let (_, text) = get(running.address, &path, "").await;
    assert!(
        text.contains("probe_sse_failure_info{reason=\"redirect\"} 1"),
        "{text}"
    );
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn ten_scrapes_at_once_are_all_answered_beside_the_rounds() {
    let server = Server::start(good).await;
    let stuck = stuck().await;
    // The only place of the rounds is taken for the whole test.
    let toml = format!(
        "concurrency = 1\nprobe_concurrency = 3\n{}[[targets]]\nurl = \"{}\"\nmodule = \"app\"\n",
        module(&[&server, &stuck]),
        stuck.url()
    );
    let running = start("ten", &toml).await;
    let begun = Instant::now();
    while stuck.requests().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let path = format!("/probe?module=app&target={}", server.url());
    let mut scrapes = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let (address, path) = (running.address, path.clone());
        scrapes.spawn(async move { get(address, &path, &scrape(90.0)).await });
    }
    for (status, text) in scrapes.join_all().await {
        assert_eq!(status, 200);
        assert!(text.contains("\nprobe_success 1\n"), "{text}");
    }
}

#[tokio::test]
async fn debug_answers_with_the_report_and_the_page_lists_the_last_probes() {
    let server = Server::start(|r| good(r).without("Access-Control-Allow-Origin")).await;
    let running = start("debug", &module(&[&server])).await;
    let path = format!("/probe?module=app&debug=true&target={}", server.url());
    let (_, text) = get(running.address, &path, "").await;
    for part in [
        "failed, cors: ",
        "FAIL  A page of the allowed origin may read",
        "docs/sse-probe.md#cors",
        "\nprobe_success 0\n",
    ] {
        assert!(text.contains(part), "no `{part}` in {text}");
    }
    assert!(!text.contains("Bearer token"));
    let (_, page) = get(running.address, "/", "").await;
    assert!(
        page.contains("is blocked: no Access-Control-Allow-Origin"),
        "{page}"
    );
    let id = page.split("/logs?id=").nth(1).unwrap();
    let id: String = id.chars().take_while(char::is_ascii_digit).collect();
    let (status, log) = get(running.address, &format!("/logs?id={id}"), "").await;
    assert_eq!(status, 200);
    assert!(log.contains("failed, cors: "), "{log}");
    assert_eq!(get(running.address, "/logs?id=0", "").await.0, 404);
}

#[tokio::test]
async fn the_exporter_says_what_it_is_and_when_each_target_was_probed() {
    let server = Server::start(good).await;
    let toml = format!(
        "interval = \"1s\"\n{}[[targets]]\nurl = \"{}\"\nmodule = \"app\"\nname = \"good\"\n",
        module(&[&server]),
        server.url()
    );
    let running = start("own", &toml).await;
    let text = until(running.address, "probe_success{instance=\"good\"} 1").await;
    for name in [
        "process_resident_memory_bytes ",
        "process_start_time_seconds ",
        "sse_probe_build_info{version=",
        "sse_probe_config_last_reload_successful 1",
        "probe_sse_last_run_timestamp_seconds{instance=\"good\"} ",
        "probe_sse_browser_opens{instance=\"good\"} 1",
        "probe_dns_lookup_time_seconds{instance=\"good\"} ",
        "probe_ip_protocol{instance=\"good\"} 4",
        "probe_http_redirects{instance=\"good\"} 0",
    ] {
        assert!(
            text.lines().any(|l| l.starts_with(name)),
            "no `{name}` in {text}"
        );
    }
    // What is exported is in the reference, name by name.
    let page = root().join("docs/sse-probe.md");
    let page = std::fs::read_to_string(page).unwrap();
    for line in text.lines().filter_map(|l| l.strip_prefix("# TYPE ")) {
        let name = line.split(' ').next().unwrap();
        let there = name.starts_with("process_") || page.contains(name);
        assert!(there, "`{name}` is not in the reference");
    }
}

fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[tokio::test]
async fn the_example_beside_the_dashboards_is_read() {
    let config = Config::read(&root().join("grafana/probe.toml")).unwrap();
    assert!(config.modules.contains_key("app"));
}

#[tokio::test]
async fn rounds_are_spread_over_the_interval() {
    let times = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&times);
    let server = Server::start(move |request| {
        seen.lock().unwrap().push(Instant::now());
        good(request)
    })
    .await;
    let mut toml = format!(
        "interval = \"4s\"\n{}only = [\"status\"]\n",
        module(&[&server])
    );
    for name in ["a", "b", "c", "d"] {
        let url = server.url();
        toml.push_str(&format!(
            "[[targets]]\nurl = \"{url}\"\nmodule = \"app\"\nname = \"{name}\"\n"
        ));
    }
    let running = start("spread", &toml).await;
    for name in ["a", "b", "c", "d"] {
        until(
            running.address,
            &format!("probe_success{{instance=\"{name}\"}} 1"),
        )
        .await;
    }
    let times = times.lock().unwrap().clone();
    let first_four: Vec<_> = times.iter().take(4).collect();
    let took = first_four[3].duration_since(*first_four[0]);
    assert!(took > Duration::from_millis(2500), "all at once: {took:?}");
}

#[tokio::test]
async fn tls_is_served_where_the_web_configuration_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("server.pem", &certificate.pem());
    write("server.key", &key.serialize_pem());
    write(
        "web.yml",
        "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n",
    );
    let web = WebConfig::read(&folder.path().join("web.yml")).unwrap();
    let config = Config::parse("listen = \"127.0.0.1:0\"\n").unwrap();
    let exporter = Exporter::bind_with(config, None, web).await.unwrap();
    let running = run(exporter, TokenFile::new("tls"));
    let trust = Trust::Also(vec![certificate.der().to_vec()]);
    let mut dialer = Dialer::new(Limits::default(), trust.into());
    let port = running.address.port();
    dialer.pin("localhost", port, running.address);
    let url = format!("https://localhost:{port}/metrics").parse().unwrap();
    let exchange = dialer.open(&Ask::get(url)).await.unwrap();
    assert_eq!(exchange.head().status, 200);
    assert!(exchange.head().tls_version.is_some());
}

#[tokio::test]
async fn a_configuration_is_read_again_and_a_wrong_one_is_refused() {
    let server = Server::start(good).await;
    let token = TokenFile::new("reload");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("probe.toml");
    let with = |name: &str| {
        let target = format!(
            "interval = \"1s\"\n{}[[targets]]\nurl = \"{}\"\nmodule = \"app\"\nname = \"{name}\"\n",
            module(&[&server]),
            server.url()
        );
        std::fs::write(&file, filled(&target, &token)).unwrap();
    };
    with("before");
    let config = Config::read(&file).unwrap();
    let exporter = Exporter::bind_with(config, Some(&file), WebConfig::default())
        .await
        .unwrap();
    let running = run(exporter, TokenFile::new("reload-other"));
    until(running.address, "probe_success{instance=\"before\"} 1").await;
    std::fs::write(&file, "interval = \"soon\"\n").unwrap();
    let (status, text) = post(running.address, "/-/reload").await;
    assert_eq!(status, 500);
    assert!(text.contains("interval"), "{text}");
    let text = until(running.address, "sse_probe_config_last_reload_successful 0").await;
    assert!(
        text.contains("probe_success{instance=\"before\"} 1"),
        "{text}"
    );
    with("after");
    assert_eq!(post(running.address, "/-/reload").await.0, 200);
    let text = until(running.address, "probe_success{instance=\"after\"} 1").await;
    assert!(!text.contains("instance=\"before\""), "{text}");
    assert_eq!(get(running.address, "/-/reload", "").await.0, 405);
}

async fn post(address: SocketAddr, path: &str) -> (u16, String) {
    ask(address, "POST", path, "").await
}

#[tokio::test]
async fn basic_auth_is_asked_for_where_the_web_configuration_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("web.yml");
    // The password is `secret`.
    let hash = "$2b$04$Vw4wwJDbTeA1AqszkabmJu.3C0q9q9.qCjxL/bYZMwd3uIh7M/k5S";
    std::fs::write(&file, format!("basic_auth_users:\n  prometheus: {hash}\n")).unwrap();
    let web = WebConfig::read(&file).unwrap();
    let config = Config::parse("listen = \"127.0.0.1:0\"\n").unwrap();
    let exporter = Exporter::bind_with(config, None, web).await.unwrap();
    let running = run(exporter, TokenFile::new("web"));
    let with = |pair: &str| format!("Authorization: Basic {pair}\r\n");
    assert_eq!(get(running.address, "/metrics", "").await.0, 401);
    assert_eq!(get(running.address, "/-/healthy", "").await.0, 200);
    // prometheus:secret, prometheus:wrong, nobody:secret
    for (pair, code) in [
        ("cHJvbWV0aGV1czpzZWNyZXQ=", 200),
        ("cHJvbWV0aGV1czp3cm9uZw==", 401),
        ("bm9ib2R5OnNlY3JldA==", 401),
        ("%%%", 401),
    ] {
        assert_eq!(
            get(running.address, "/metrics", &with(pair)).await.0,
            code,
            "{pair}"
        );
    }
    std::fs::write(&file, "basic_auth_users:\n  prometheus: secret\n").unwrap();
    let error = WebConfig::read(&file).unwrap_err();
    assert!(error.contains("bcrypt"), "{error}");
    std::fs::write(
        &file,
        "tls_server_config: {cert_file: none.pem, key_file: none.pem}\n",
    )
    .unwrap();
    let error = WebConfig::read(&file).unwrap_err();
    assert!(error.contains("none.pem"), "{error}");
}
