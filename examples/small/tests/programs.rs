//! Each program is started, and a stream of it is read.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::{net::SocketAddr, process::Command};

use actix_web_sse_tests::{EventStream, LIMIT, Process, Request, free_port, until};

/// A running program.
struct Program {
    address: SocketAddr,
    _process: Process,
}

impl Program {
    /// Starts it and waits until it answers.
    fn start(path: &str, variables: &[(&str, &str)]) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut command = Command::new(path);
        command.env("LISTEN", address.to_string());
        command.envs(variables.iter().copied());
        let process = Process::spawn(&mut command);
        until(&format!("{path} answers"), LIMIT, || {
            let request = Request::new("GET", "/nothing");
            request.try_send(address).ok()
        });
        Self {
            address,
            _process: process,
        }
    }

    fn open(&self, request: &Request) -> EventStream {
        let stream = request.open(self.address);
        assert_eq!(stream.response().status(), 200);
        stream
    }

    fn send(&self, method: &str, target: &str, body: &str) -> String {
        let request = Request::new(method, target).body("text/plain", body);
        let response = request.send(self.address);
        assert!(response.status() < 300, "{}", response.status());
        match response.status() {
            204 => String::new(),
            _ => response.text(),
        }
    }
}

macro_rules! program {
    ($name:literal) => {
        program!($name,)
    };
    ($name:literal, $($variable:expr),*) => {
        Program::start(env!(concat!("CARGO_BIN_EXE_", $name)), &[$($variable),*])
    };
}

#[test]
fn minimal() {
    let program = program!("minimal");
    let mut stream = program.open(&Request::stream("/events"));
    let tick = |stream: &mut EventStream| {
        let event = stream.next_event();
        event.data().unwrap().parse::<u64>().unwrap()
    };
    let first = tick(&mut stream);
    assert_eq!(tick(&mut stream), first + 1);
}

#[test]
fn topics() {
    let program = program!("topics");
    let mut stream = program.open(&Request::stream("/events?topics=orders/7,news"));
    program.send("POST", "/publish/orders/8", "not followed");
    program.send("POST", "/publish/orders/7", "shipped");
    program.send("POST", "/publish/news", "hello");
    let data = [(); 2].map(|()| stream.next_event().data().map(str::to_owned));
    assert_eq!(data, ["shipped", "hello"].map(|data| Some(data.to_owned())));
    let unknown = Request::stream("/events?topics=secret").send(program.address);
    assert_eq!(unknown.status(), 403);
}

#[test]
fn snapshot() {
    let program = program!("snapshot");
    program.send("PUT", "/stock/pears/12", "");
    let mut stream = program.open(&Request::stream("/stock"));
    let state = stream.next_event();
    assert_eq!(
        (state.event(), state.data()),
        (Some("stock"), Some(r#"{"pears":12}"#))
    );
    program.send("PUT", "/stock/pears/11", "");
    let change = stream.next_event();
    assert_eq!(
        (change.event(), change.data()),
        (Some("change"), Some(r#"["pears",11]"#))
    );
    let id = change.id().unwrap().to_owned();
    program.send("PUT", "/stock/plums/3", "");
    let back = Request::stream("/stock").header("Last-Event-ID", &id);
    let missed = program.open(&back).next_event();
    assert_eq!(missed.data(), Some(r#"["plums",3]"#));
}

#[test]
fn presence() {
    let program = program!("presence");
    let stream = |target, user: &str| Request::stream(target).bearer(&format!("token-of-{user}"));
    let _alice = program.open(&stream("/room/7", "alice"));
    let mut who = program.open(&stream("/room/7/who", "host"));
    let list = who.next_event();
    assert_eq!(
        (list.event(), list.data()),
        (
            Some("present"),
            Some(r#"{"users":[{"user":"alice","streams":1}],"anonymous":0,"whole":true}"#)
        )
    );
    let bob = program.open(&stream("/room/7", "bob"));
    let mut next = || loop {
        let event = who.next_event();
        if matches!(event.event(), Some("join" | "leave")) {
            return (
                event.event().unwrap().to_owned(),
                event.data().unwrap().to_owned(),
            );
        }
    };
    let bob_is = |kind: &str, users: u32| {
        let data = format!(r#"{{"user":"bob","users":{users},"topic":"room/7"}}"#);
        (kind.to_owned(), data)
    };
    assert_eq!(next(), bob_is("join", 2));
    drop(bob);
    assert_eq!(next(), bob_is("leave", 1));
    let hidden = stream("/room/7/who", "alice").send(program.address);
    assert_eq!(hidden.status(), 403);
}

#[test]
fn tickets() {
    let program = program!("tickets");
    let nobody = Request::stream("/events").send(program.address);
    assert_eq!(nobody.status(), 401);
    let token = program.send("POST", "/session", "alice");
    program.open(&Request::stream("/events").bearer(&token));
    let ticket = Request::new("POST", "/ticket").bearer(&token);
    let ticket = ticket.send(program.address).json();
    let ticket = ticket["ticket"].as_str().unwrap();
    program.open(&Request::stream(&format!("/events?ticket={ticket}")));
}

#[test]
fn jwks() {
    let key = jsonwebtoken::EncodingKey::from_ed_der(include_bytes!(
        "../../../crates/actix-web-sse/tests/guards/keys/ed.der"
    ));
    let algorithm = jsonwebtoken::Algorithm::EdDSA;
    let published = jsonwebtoken::jwk::Jwk::from_encoding_key(&key, algorithm).unwrap();
    let mut published = serde_json::to_value(published).unwrap();
    published["kid"] = "ed".into();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    std::fs::write(
        &file,
        serde_json::json!({ "keys": [published] }).to_string(),
    )
    .unwrap();
    let program = program!("jwks", ("JWKS", file.to_str().unwrap()));
    let mut header = jsonwebtoken::Header::new(algorithm);
    header.kid = Some("ed".to_owned());
    let claims = |audience: &str| {
        serde_json::json!({
            "sub": "alice", "exp": 4_000_000_000_u64, "aud": audience,
            "iss": "https://login.example.com/realms/shop",
        })
    };
    let token = |audience| jsonwebtoken::encode(&header, &claims(audience), &key).unwrap();
    let other = Request::stream("/events").bearer(&token("another application"));
    assert_eq!(other.send(program.address).status(), 401);
    let mut stream = program.open(&Request::stream("/events").bearer(&token("streams")));
    assert_eq!(stream.next_event().data(), Some("welcome"));
}

#[test]
fn tenants() {
    let program = program!("tenants");
    let alice = |target| Request::stream(target).bearer("token-of-alice");
    let mut stream = program.open(&alice("/acme/news"));
    assert_eq!(stream.next_event().data(), Some("acme"));
    assert_eq!(alice("/globex/news").send(program.address).status(), 403);
    let unknown = Request::stream("/acme/news").bearer("token-of-eve");
    assert_eq!(unknown.send(program.address).status(), 401);
}

#[test]
fn cookie_session() {
    let program = program!("cookie_session");
    let post = |target: &str, cookie: &str, body: &str| {
        let request = Request::new("POST", target).header("Cookie", cookie);
        let answer = request.body("text/plain", body).send(program.address);
        assert_eq!(answer.status(), 204, "{target}");
        let cookie = answer.header("set-cookie").unwrap();
        cookie.split(';').next().unwrap().to_owned()
    };
    let cookie = post("/session/sign-in", "", "alice");
    assert!(!cookie.contains("alice"), "it is encrypted: {cookie}");
    let with = |target, cookie: &str| Request::stream(target).header("Cookie", cookie);
    let mut stream = program.open(&with("/events/alice", &cookie));
    let status = |request: Request| request.send(program.address).status();
    assert_eq!(status(with("/events/bob", &cookie)), 403);
    assert_eq!(status(with("/events/alice", "id=forged")), 401);
    let star = post("/session/sign-in", "", "*");
    assert_eq!(
        status(with("/events/alice", &star)),
        403,
        "a name, and no pattern"
    );
    post("/session/sign-out", &cookie, "");
    stream.until_end(LIMIT);
    assert_eq!(
        status(with("/events/alice", &cookie)),
        401,
        "a copy of the cookie"
    );
    let again = post("/session/sign-in", "", "alice");
    drop(program.open(&with("/events/alice", &again)));
    let elsewhere = Request::new("POST", "/session/sign-in").body("text/plain", "alice");
    let elsewhere = elsewhere.header("Origin", "https://evil.example");
    assert_eq!(status(elsewhere), 403);
}

#[test]
fn behind_nginx() {
    let program = program!("behind_nginx");
    let from = |address| {
        Request::stream("/events")
            .header("Host", "stream.example.com")
            .header("X-Forwarded-For", address)
    };
    let streams = (0..6).map(|_| program.open(&from("198.51.100.7")));
    let mut streams = streams.collect::<Vec<_>>();
    assert_eq!(streams[0].next_event().data(), Some("198.51.100.7"));
    let one_more = from("198.51.100.7").header("Authorization", "Bearer x");
    assert_eq!(one_more.send(program.address).status(), 429);
    program.open(&from("203.0.113.9"));
}

#[test]
fn openapi() {
    let program = program!("openapi");
    let document = Request::new("GET", "/openapi.json");
    let document = document.send(program.address).json();
    let content = &document["paths"]["/quotes"]["get"]["responses"]["200"]["content"];
    let item = &content["text/event-stream"]["itemSchema"]["properties"];
    let schema = item["data"]["contentSchema"]["$ref"].as_str().unwrap();
    let quote = document.pointer(schema.trim_start_matches('#')).unwrap();
    let event = program.open(&Request::stream("/quotes")).next_event();
    assert_eq!(item["event"]["enum"][0].as_str(), event.event());
    let data: serde_json::Value = serde_json::from_str(event.data().unwrap()).unwrap();
    for (name, property) in quote["properties"].as_object().unwrap() {
        match property["type"].as_str().unwrap() {
            "string" => assert!(data[name].is_string(), "{name}"),
            "integer" => assert!(data[name].is_u64(), "{name}"),
            other => panic!("{name} is {other}"),
        }
    }
    assert_eq!(data.as_object().unwrap().len(), 2);
}

/// In a browser: through a proxy that cuts the connection once.
#[cfg(feature = "e2e")]
#[test]
fn htmx() {
    use actix_web_sse_tests::{Browser, BrowserKind, Relay};

    const SCRIPTS: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/clients/node_modules/htmx.org/dist"
    );
    let program = program!("htmx", ("HTMX", SCRIPTS));
    let relay = Relay::to(program.address);
    let browser = Browser::launch(BrowserKind::Chromium);
    let page = browser.open(&format!("http://{}/", relay.address()));
    let sign = |text: &str| {
        page.evaluate(&format!("document.querySelector('input').value = '{text}'"));
        page.evaluate("document.querySelector('form').requestSubmit()");
    };
    let shown = |count: usize| {
        page.wait(&format!(
            "document.querySelectorAll('li').length === {count}"
        ));
        page.evaluate("[...document.querySelectorAll('li')].map((li) => li.textContent).join()")
    };
    page.wait("document.querySelector('ul')._htmx?.sse?.reader");
    sign("<img src=x>");
    assert_eq!(shown(1), "<img src=x>");
    relay.cut();
    let missed = Request::new("POST", "/sign");
    let missed = missed.body("application/x-www-form-urlencoded", "text=missed");
    assert_eq!(missed.send(program.address).status(), 204);
    assert_eq!(shown(2), "<img src=x>,missed");
}

#[cfg(feature = "e2e")]
#[test]
fn nodes() {
    let redis = actix_web_sse_tests::Redis::start();
    let url = format!("redis://{}", redis.address());
    let one = program!("nodes", ("REDIS", &url));
    let other = program!("nodes", ("REDIS", &url));
    let mut stream = one.open(&Request::stream("/events/news"));
    other.send("POST", "/publish/news", "hello");
    let hello = stream.next_event();
    assert_eq!(hello.data(), Some("hello"));
    one.send("POST", "/publish/news", "missed");
    let back = Request::stream("/events/news").header("Last-Event-ID", hello.id().unwrap());
    assert_eq!(other.open(&back).next_event().data(), Some("missed"));
}
