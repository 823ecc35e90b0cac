//! The demo as a newcomer meets it: places announced, page, publishing, health, a clean end.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed step of a test is the test's failure"
)]

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Longer than anything here takes, shorter than anybody's patience.
const LIMIT: Duration = Duration::from_secs(30);

struct Demo {
    process: Child,
    places: HashMap<String, String>,
    _config: tempfile::NamedTempFile,
}

impl Demo {
    fn start(config: &str) -> Self {
        Self::start_with_log(config, Stdio::null())
    }

    fn start_with_log(config: &str, log: Stdio) -> Self {
        let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
        file.write_all(config.as_bytes()).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_demo"))
            .arg("--config")
            .arg(file.path())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let said = BufReader::new(process.stdout.take().unwrap());
        let places = said
            .lines()
            .map(Result::unwrap)
            .take_while(|line| line != "ready")
            .filter_map(|line| {
                line.split_once(' ')
                    .map(|(word, at)| (word.to_owned(), at.trim().to_owned()))
            })
            .collect();
        Self {
            process,
            places,
            _config: file,
        }
    }

    fn at(&self, place: &str) -> &str {
        self.places.get(place).expect("announced")
    }

    fn host(&self, place: &str) -> &str {
        let address = self.at(place).strip_prefix("http://").unwrap();
        address.split('/').next().unwrap()
    }

    fn ask(&self, place: &str, head: &str, body: &str) -> String {
        let mut socket = self.send(place, head, body);
        let mut reply = Vec::new();
        socket.read_to_end(&mut reply).unwrap();
        String::from_utf8(reply).unwrap()
    }

    fn send(&self, place: &str, head: &str, body: &str) -> TcpStream {
        let host = self.host(place);
        let mut socket = TcpStream::connect(host).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        let length = body.len();
        write!(
            socket,
            "{head}\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        socket
    }

    fn terminate(&self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const CONFIG: &str = "[server]\nlisten = \"127.0.0.1:0\"\nforeign = \"127.0.0.1:0\"\nworkers = 1\n\
                      [stream]\nheartbeat = \"1s\"\ndrain = \"1s\"\n";

fn stream(demo: &Demo) -> BufReader<TcpStream> {
    BufReader::new(demo.send(
        "events",
        "GET /events HTTP/1.1\r\nAccept: text/event-stream",
        "",
    ))
}

/// Reads lines until one holds the text.
fn read_to(stream: &mut BufReader<TcpStream>, text: &str) -> String {
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert_ne!(
            stream.read_line(&mut line).unwrap(),
            0,
            "{text} before the end"
        );
    }
    line
}

#[test]
fn the_page_and_its_files_are_served_at_both_origins() {
    let demo = Demo::start(CONFIG);
    for place in ["page", "foreign"] {
        let page = demo.ask(place, "GET / HTTP/1.1", "");
        assert!(page.starts_with("HTTP/1.1 200 "), "{page}");
        let policy = page
            .lines()
            .find(|line| line.starts_with("content-security-policy:"));
        let policy = policy.expect("a policy");
        assert!(
            policy.contains(&format!("http://{} ", demo.host("events"))),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        let port = demo.host("events").rsplit_once(':').unwrap().1;
        assert!(page.contains(&format!("data-stream-port=\"{port}\"")));
        for file in ["main.js", "page.css", "icon.svg"] {
            let file = demo.ask(place, &format!("GET /page/{file} HTTP/1.1"), "");
            assert!(file.starts_with("HTTP/1.1 200 "), "{file}");
        }
        let metrics = demo.ask(place, "GET /metrics HTTP/1.1", "");
        assert!(
            metrics.contains("sse_connections_active{route=\"/events\"} 0"),
            "{metrics}"
        );
    }
    let reply = demo.ask(
        "foreign",
        "GET /events HTTP/1.1\r\nAccept: text/event-stream",
        "",
    );
    assert!(
        reply.starts_with("HTTP/1.1 404 "),
        "no stream at the foreign origin: {reply}"
    );
}

#[test]
fn what_is_published_arrives() {
    let demo = Demo::start(CONFIG);
    let mut stream = stream(&demo);
    read_to(&mut stream, "retry:");
    let reply = demo.ask(
        "publish",
        "POST /publish HTTP/1.1\r\nContent-Type: text/plain",
        "plain",
    );
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    read_to(&mut stream, "data: plain");
    let json = r#"{"data":"named","event":"price"}"#;
    let reply = demo.ask(
        "publish",
        "POST /publish?topic=demo HTTP/1.1\r\nContent-Type: application/json",
        json,
    );
    assert!(reply.contains("\"id\":\""), "{reply}");
    read_to(&mut stream, "event: price");
    read_to(&mut stream, "data: named");
}

#[test]
fn a_foreign_page_cannot_publish() {
    let demo = Demo::start(CONFIG);
    let origin = demo.at("foreign").trim_end_matches('/').to_owned();
    let head = format!("POST /publish HTTP/1.1\r\nOrigin: {origin}\r\nContent-Type: text/plain");
    let reply = demo.ask("publish", &head, "spam");
    assert!(reply.starts_with("HTTP/1.1 403 "), "{reply}");
    assert!(!reply.to_lowercase().contains("access-control-"), "{reply}");
}

#[test]
fn an_event_that_is_too_large_is_refused_in_words() {
    let demo = Demo::start(CONFIG);
    let large = "x".repeat(64 * 1024 + 1);
    let reply = demo.ask(
        "publish",
        "POST /publish HTTP/1.1\r\nContent-Type: text/plain",
        &large,
    );
    assert!(reply.starts_with("HTTP/1.1 413 "), "{reply}");
    assert!(reply.contains("max_event_bytes"), "{reply}");
}

#[test]
fn the_metrics_can_have_a_listener_of_their_own() {
    let demo = Demo::start(&format!("{CONFIG}[metrics]\nlisten = \"127.0.0.1:0\"\n"));
    assert_ne!(demo.host("metrics"), demo.host("page"));
    let metrics = demo.ask("metrics", "GET /metrics HTTP/1.1", "");
    assert!(
        metrics.contains("sse_connections_opened_total"),
        "{metrics}"
    );
    let beside = demo.ask("page", "GET /metrics HTTP/1.1", "");
    assert!(beside.starts_with("HTTP/1.1 404 "), "{beside}");
}

#[test]
fn sigterm_ends_streams_cleanly_and_then_the_process() {
    let mut demo = Demo::start(CONFIG);
    let mut stream = stream(&demo);
    read_to(&mut stream, "retry:");
    assert!(
        demo.ask("page", "GET /healthz HTTP/1.1", "")
            .starts_with("HTTP/1.1 200 ")
    );
    assert!(
        demo.ask("page", "GET /readyz HTTP/1.1", "")
            .starts_with("HTTP/1.1 200 ")
    );
    demo.terminate();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "the last chunk: {rest:?}");
    let since = Instant::now();
    let status = loop {
        if let Some(status) = demo.process.try_wait().unwrap() {
            break status;
        }
        assert!(since.elapsed() < LIMIT, "the process goes on");
        std::thread::yield_now();
    };
    assert!(status.success(), "{status}");
}

#[test]
fn what_cannot_be_read_is_refused_in_json() {
    let demo = Demo::start(CONFIG);
    let text = "POST /publish HTTP/1.1\r\nContent-Type: text/plain";
    for (head, body, status) in [
        (
            "POST /publish?topic=a&topic=b HTTP/1.1\r\nContent-Type: text/plain",
            String::new(),
            "400",
        ),
        (
            "GET /events?topic=a&topic=b HTTP/1.1\r\nAccept: text/event-stream",
            String::new(),
            "400",
        ),
        (text, "x".repeat(1024 * 1024), "413"),
        ("POST /ticket HTTP/1.1", String::new(), "404"),
    ] {
        let reply = demo.ask("page", head, &body);
        assert!(
            reply.starts_with(&format!("HTTP/1.1 {status} ")),
            "{head}: {reply}"
        );
        assert!(
            reply.contains("content-type: application/json"),
            "{head}: {reply}"
        );
        assert!(reply.contains("{\"error\":\""), "{head}: {reply}");
    }
}

/// Keys that are made at the start, so that nothing in the file is a secret.
const SIGN_IN: &str = "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\nsign_in = true\n\
                       [stream]\nheartbeat = \"1s\"\n[auth]\nrequired = true\n";

fn sign_in(demo: &Demo, wish: &str) -> (String, String) {
    let json = "POST /session HTTP/1.1\r\nContent-Type: application/json";
    let reply = demo.ask("page", json, wish);
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    let token = text_of(&reply, "token");
    (reply, token)
}

/// A text of a JSON body.
fn text_of(reply: &str, key: &str) -> String {
    let (_, rest) = reply.split_once(&format!("\"{key}\":\"")).expect("the key");
    rest.split('"').next().unwrap().to_owned()
}

#[test]
fn who_signs_in_reads_by_token_by_cookie_and_by_ticket() {
    let demo = Demo::start(SIGN_IN);
    let open = |target: &str, headers: &str| {
        let head = format!("GET {target} HTTP/1.1\r\nAccept: text/event-stream{headers}");
        let mut reply = String::new();
        BufReader::new(demo.send("events", &head, ""))
            .read_line(&mut reply)
            .unwrap();
        reply.trim().to_owned()
    };
    assert_eq!(open("/events", ""), "HTTP/1.1 401 Unauthorized");

    let (reply, token) = sign_in(&demo, r#"{"user":"ada","seconds":60,"cookie":true}"#);
    let bearer = format!("\r\nAuthorization: Bearer {token}");
    assert_eq!(open("/events", &bearer), "HTTP/1.1 200 OK");

    let cookie = reply
        .lines()
        .find_map(|line| line.strip_prefix("set-cookie: "));
    let cookie = cookie.expect("a cookie").split(';').next().unwrap();
    assert_eq!(
        open("/events", &format!("\r\nCookie: {cookie}")),
        "HTTP/1.1 200 OK"
    );

    let reply = demo.ask("page", &format!("POST /ticket HTTP/1.1{bearer}"), "");
    let target = format!("/events?ticket={}", text_of(&reply, "ticket"));
    assert_eq!(open(&target, ""), "HTTP/1.1 200 OK");
    assert_eq!(open(&target, ""), "HTTP/1.1 401 Unauthorized", "used");
}

#[test]
fn publishing_takes_a_token_that_allows_it() {
    let demo = Demo::start(SIGN_IN);
    for (wish, status) in [
        (r#"{"user":"ada","seconds":60}"#, "403"),
        (r#"{"user":"ada","seconds":60,"publish":true}"#, "200"),
    ] {
        let (_, token) = sign_in(&demo, wish);
        let head = format!(
            "POST /publish HTTP/1.1\r\nContent-Type: text/plain\r\nAuthorization: Bearer {token}"
        );
        let reply = demo.ask("publish", &head, "x");
        assert!(reply.starts_with(&format!("HTTP/1.1 {status} ")), "{reply}");
    }
}

#[test]
fn signing_out_ends_the_streams_of_the_user() {
    let demo = Demo::start(SIGN_IN);
    let (_, token) = sign_in(&demo, r#"{"user":"ada","seconds":60}"#);
    let bearer = format!("\r\nAuthorization: Bearer {token}");
    let head = format!("GET /events HTTP/1.1\r\nAccept: text/event-stream{bearer}");
    let mut stream = BufReader::new(demo.send("events", &head, ""));
    read_to(&mut stream, "retry:");
    let reply = demo.ask("page", &format!("DELETE /session HTTP/1.1{bearer}"), "");
    assert!(reply.contains("Max-Age=0"), "{reply}");
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "a clean end: {rest:?}");
}

#[test]
fn h06_what_a_signed_out_user_publishes_with_a_body_that_dawdles_is_refused() {
    let demo = Demo::start(SIGN_IN);
    let wish = r#"{"user":"ada","seconds":60,"publish":true}"#;
    let (_, token) = sign_in(&demo, wish);
    let bearer = format!("\r\nAuthorization: Bearer {token}");
    let host = demo.host("publish");
    let mut slow = TcpStream::connect(host).unwrap();
    slow.set_read_timeout(Some(LIMIT)).unwrap();
    write!(
        slow,
        "POST /publish HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Type: text/plain\r\nContent-Length: 2\r\nExpect: 100-continue{bearer}\r\n\r\n"
    )
    .unwrap();
    // It says so when the guards have let the request in and its body is read.
    let mut go_on = [0; 25];
    slow.read_exact(&mut go_on).unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100 "), "{go_on:?}");
    slow.write_all(b"x").unwrap();
    let reply = demo.ask("page", &format!("DELETE /session HTTP/1.1{bearer}"), "");
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    slow.write_all(b"y").unwrap();
    let mut reply = String::new();
    slow.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 401 "), "{reply}");
    assert_eq!(text_of(&reply, "error"), "invalid_token");
    // Signed in again at once, with the same right.
    let (_, token) = sign_in(&demo, wish);
    let head = format!(
        "POST /publish HTTP/1.1\r\nContent-Type: text/plain\r\nAuthorization: Bearer {token}"
    );
    let reply = demo.ask("publish", &head, "x");
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
}

#[test]
fn no_user_is_signed_in_unless_the_configuration_allows_it() {
    let demo = Demo::start(CONFIG);
    let json = "POST /session HTTP/1.1\r\nContent-Type: application/json";
    let reply = demo.ask("page", json, r#"{"user":"ada","seconds":60}"#);
    assert!(reply.starts_with("HTTP/1.1 404 "), "{reply}");
}

#[test]
fn browsers_can_report_and_operators_can_look() {
    let demo = Demo::start(&format!("{CONFIG}[metrics]\noperators = \"token\"\n"));
    let script = demo.ask("foreign", "GET /sse-reports/client.js HTTP/1.1", "");
    assert!(script.contains("export function watch"), "{script}");
    let origin = demo.at("page").trim_end_matches('/').to_owned();
    let beacon = "POST /sse-reports HTTP/1.1\r\nContent-Type: text/plain";
    for (head, body) in [
        (beacon.to_owned(), "network"),
        (
            format!("{beacon}\r\nOrigin: https://evil.example"),
            "network",
        ),
        (format!("{beacon}\r\nOrigin: {origin}"), "network"),
    ] {
        let reply = demo.ask("page", &head, body);
        assert!(reply.starts_with("HTTP/1.1 204 "), "{reply}");
    }
    let metrics = demo.ask("metrics", "GET /metrics HTTP/1.1", "");
    assert!(
        metrics
            .contains("sse_client_reports_total{diagnosis=\"network\",origin=\"same_origin\"} 1"),
        "{metrics}"
    );
    let foreign = demo.ask("foreign", "GET /operators HTTP/1.1", "");
    assert!(foreign.starts_with("HTTP/1.1 404 "), "{foreign}");
}

#[test]
fn h10_operators_need_the_token_that_is_printed() {
    let demo = Demo::start(&format!("{CONFIG}[metrics]\noperators = \"token\"\n"));
    let ask = |more: &str| demo.ask("operators", &format!("GET /operators HTTP/1.1{more}"), "");
    let token = demo.at("token");
    assert!(token.len() >= 16, "{token}");
    let seen = ask(&format!("\r\nAuthorization: Bearer {token}"));
    assert!(seen.contains("\"topAddresses\""), "{seen}");
    let refused = ask("");
    assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
    let refused = ask(&format!(
        "\r\nAuthorization: Bearer {}",
        "0".repeat(token.len())
    ));
    assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
}

#[test]
fn h10_the_loopback_is_an_explicit_choice_and_looks_at_the_host() {
    let config = format!("{CONFIG}[metrics]\noperators = \"loopback-without-token\"\n");
    let demo = Demo::start(&config);
    let seen = demo.ask("operators", "GET /operators HTTP/1.1", "");
    assert!(seen.contains("\"topAddresses\""), "{seen}");
    let mut socket = TcpStream::connect(demo.host("operators")).unwrap();
    let rebound = "GET /operators HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    socket.write_all(rebound.as_bytes()).unwrap();
    let mut reply = String::new();
    socket.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.1 403 "), "{reply}");
}

#[test]
fn operators_have_no_endpoint_unless_the_configuration_says_so() {
    let demo = Demo::start(CONFIG);
    let reply = demo.ask("page", "GET /operators HTTP/1.1", "");
    assert!(reply.starts_with("HTTP/1.1 404 "), "{reply}");
}

/// The value of an unlabelled metric.
fn metric(demo: &Demo, name: &str) -> f64 {
    let metrics = demo.ask("metrics", "GET /metrics HTTP/1.1", "");
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name} ")));
    line.expect(name).parse().unwrap()
}

/// The pipe takes 64 KiB, some eighty opens; then the log's queue fills, and then lines are dropped.
#[test]
fn h09_a_log_that_is_not_read_stops_neither_streams_nor_health_checks() {
    let config = CONFIG.replace("workers = 1", "workers = 2")
        + "[policy.limits]\nconnects_per_second = 100000\n";
    let mut demo = Demo::start_with_log(&config, Stdio::piped());
    let log = demo.process.stderr.take().expect("piped");
    let began = Instant::now();
    let mut opens = 0;
    while metric(&demo, "sse_log_records_dropped_total") == 0.0 {
        assert!(
            began.elapsed() < 10 * LIMIT,
            "no line lost in {opens} opens"
        );
        for _ in 0..200 {
            read_to(&mut stream(&demo), "retry:");
            opens += 1;
        }
    }
    let mut open = stream(&demo);
    read_to(&mut open, "retry:");
    for _ in 0..20 {
        let health = demo.ask("page", "GET /healthz HTTP/1.1", "");
        assert!(health.starts_with("HTTP/1.1 200 "), "{health}");
    }
    let head = "POST /publish HTTP/1.1\r\nContent-Type: text/plain";
    demo.ask("publish", head, "delivered all the same");
    read_to(&mut open, "data: delivered all the same");
    // It ends although nobody takes what is left of the log.
    demo.terminate();
    let since = Instant::now();
    while demo.process.try_wait().unwrap().is_none() {
        assert!(since.elapsed() < LIMIT, "the process goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(log);
}

#[test]
fn the_log_is_written_to_its_end() {
    let mut demo = Demo::start_with_log(CONFIG, Stdio::piped());
    for _ in 0..20 {
        read_to(&mut stream(&demo), "retry:");
    }
    demo.terminate();
    let mut log = String::new();
    let stderr = demo.process.stderr.as_mut().expect("piped");
    stderr.read_to_string(&mut log).unwrap();
    let lines = |event: &str| log.matches(&format!("\"event\":\"{event}\"")).count();
    assert_eq!(
        (lines("sse_connect"), lines("sse_close")),
        (20, 20),
        "{log}"
    );
}
