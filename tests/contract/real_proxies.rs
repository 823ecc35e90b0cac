//! Group W: what proxies in use say, and where they stand.

use std::{
    io::{ErrorKind, Read, Write},
    time::{Duration, Instant},
};

use actix_web::{App, HttpRequest, Responder, web};
use actix_web_sse::{EventServer, Hub, Policy, Subscriber};
use actix_web_sse_tests::{
    Connection, Demo, InProcess, LIMIT, Request, Settings, no_signals, until,
};

use crate::{DEMO, expect};

/// The page whose server this is.
const OWN: &str = "https://api.example.com";

/// A demo behind this machine and 10.0.0.0/8, which also sends HSTS.
fn behind(forwarded: &str) -> Demo {
    let settings = Settings::open()
        .set("policy.methods", "get-and-post")
        .set(
            "policy.limits.trusted_proxies",
            vec!["127.0.0.1", "10.0.0.0/8"],
        )
        .set("policy.limits.forwarded", forwarded)
        .set("policy.hsts.max_age", "365d");
    Demo::start(DEMO, &settings)
}

fn post() -> Request {
    Request::new("POST", "/events").header("Accept", "text/event-stream")
}

/// What two proxies say, the outer one of a client by https.
fn through_two(forwarded: &str) -> Vec<Request> {
    let hosts = |request: Request| request.header("Host", "inner.internal:8080");
    match forwarded {
        "forwarded" => vec![
            hosts(post()).header(
                "Forwarded",
                "for=198.51.100.7;proto=https;host=api.example.com, for=10.0.0.9;proto=http;host=inner",
            ),
            hosts(post())
                .header("Forwarded", "for=6.6.6.6;proto=http;host=evil.com")
                .header("Forwarded", "for=198.51.100.7;proto=https;host=\"api.example.com:443\"")
                .header("Forwarded", "for=10.0.0.9;proto=http;host=inner"),
        ],
        _ => vec![
            hosts(post())
                .header("X-Forwarded-For", "198.51.100.7, 10.0.0.9")
                .header("X-Forwarded-Proto", "https, http")
                .header("X-Forwarded-Host", "api.example.com, inner"),
            hosts(post())
                .header("X-Forwarded-For", "6.6.6.6, 198.51.100.7")
                .header("X-Forwarded-For", "10.0.0.9")
                .header("X-Forwarded-Proto", "http, https, http")
                .header("X-Forwarded-Host", "evil.com, api.example.com, inner"),
            // The inner one passes on what the outer one has written.
            hosts(post())
                .header("X-Forwarded-For", "198.51.100.7, 10.0.0.9")
                .header("X-Forwarded-Proto", "https")
                .header("X-Forwarded-Host", "api.example.com"),
        ],
    }
}

#[test]
fn w07_scheme_and_host_are_the_outermost_trusted_proxys_word() {
    for forwarded in ["forwarded", "x-forwarded-for"] {
        let demo = behind(forwarded);
        for request in through_two(forwarded) {
            let request = request.header("Origin", OWN);
            let response = request.send(demo.app);
            assert_eq!(response.status(), 200, "own origin: {request:?}");
            let hsts = response.header("strict-transport-security");
            assert!(hsts.is_some(), "https: {request:?}");
            let foreign = request.header("Origin", "x");
            assert_ne!(foreign.send(demo.app).status(), 200);
        }
    }
}

#[test]
fn w07_what_the_client_claims_of_itself_is_not_believed() {
    let demo = behind("x-forwarded-for");
    // One proxy; what stands left of its words is the client's.
    let request = post()
        .header("Host", "inner.internal:8080")
        .header("X-Forwarded-For", "10.0.0.9, 198.51.100.7")
        .header("X-Forwarded-Proto", "https, http")
        .header("X-Forwarded-Host", "api.example.com, evil.com");
    expect::refused(&request, &demo, (421, "host_denied"), None);
    let request = post()
        .header("X-Forwarded-For", "10.0.0.9, 198.51.100.7")
        .header("X-Forwarded-Proto", "https, http")
        .header("X-Forwarded-Host", "evil.com, api.example.com");
    let response = request.send(demo.app);
    assert_eq!(response.status(), 200);
    assert_eq!(response.header("strict-transport-security"), None);
    // Nobody is trusted.
    let demo = Demo::start(DEMO, &Settings::open());
    let request = Request::stream("/events")
        .header("Host", "inner.internal:8080")
        .header("X-Forwarded-Host", "api.example.com");
    expect::refused(&request, &demo, (421, "host_denied"), None);
}

#[test]
fn w08_the_browsers_word_that_a_page_is_the_servers_own_is_believed() {
    let demo = behind("x-forwarded-for");
    let page = "https://www.example.org";
    let request = |site: &str| {
        post()
            // As the proxy has rewritten it.
            .header("Host", "127.0.0.1:8080")
            .header("Origin", page)
            .header("Sec-Fetch-Site", site)
            .header("Sec-Fetch-Mode", "cors")
            .header("Sec-Fetch-Dest", "empty")
    };
    let by = |request: Request, scheme: &str| {
        request
            .header("X-Forwarded-For", "198.51.100.7")
            .header("X-Forwarded-Proto", scheme)
    };
    // From this machine, and by https.
    for own in [request("same-origin"), by(request("same-origin"), "https")] {
        let response = own.send(demo.app);
        assert_eq!(response.status(), 200, "{own:?}");
        expect::readable_from_nowhere(&response.head);
    }
    // A browser does not say it over plain http to another machine: somebody else does.
    let denied = (403, "origin_denied");
    for other in [
        by(request("same-origin"), "http"),
        request("same-site"),
        by(request("cross-site"), "https"),
        by(request("none"), "https"),
    ] {
        expect::refused(&other, &demo, denied, None);
    }
    let extension = post()
        .header("Origin", "chrome-extension://abcd")
        .header("Sec-Fetch-Site", "same-origin");
    expect::refused(&extension, &demo, denied, None);
}

/// A server that takes the PROXY protocol from this peer, with one stream for each address. So long a header may
/// take.
fn behind_a_balancer(balancer: &'static str, timeout: Duration) -> InProcess {
    InProcess::start(move |listener| {
        let hub = Hub::builder().build().expect("a hub");
        let policy = Policy::builder()
            .streams_per_ip(1)
            .build()
            .expect("a policy");
        let streams = hub.clone();
        let application = move || {
            App::new()
                .app_data(streams.clone())
                .route("/who", web::get().to(who))
                .service(
                    web::resource("/events")
                        .wrap(policy.clone())
                        .route(web::get().to(events)),
                )
        };
        let server = EventServer::new(application)
            .workers(1)
            .hub(&hub)
            .client_request_timeout(timeout)
            .shutdown_signal(no_signals())
            .proxy_protocol([balancer])
            .expect("a network")
            .listen(listener)?;
        Ok(server.run())
    })
}

/// Where it is about the time that a header may take.
const SHORT: Duration = Duration::from_secs(1);

/// Where it is not: the most there is. On a busy machine a second may pass between any two lines.
const PATIENT: Duration = Duration::from_secs(5);

async fn who(request: HttpRequest) -> String {
    request
        .peer_addr()
        .map_or_else(String::new, |peer| peer.to_string())
}

async fn events(hub: Hub, subscriber: Subscriber) -> impl Responder {
    hub.subscribe("t", subscriber)
}

const ONE: &[u8] = b"PROXY TCP4 198.51.100.7 10.0.0.1 4711 80\r\n";
const SIX: &[u8] = b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n";
const TWO: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc6\x33\x64\x08\x0a\x00\x00\x01\x12\x67\x00\x50";
const ITSELF: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";

/// Sends this in front of a request.
fn ask(server: &InProcess, header: &[u8], request: &Request) -> Connection {
    let mut connection = Connection::open(server.address());
    let bytes = [header, &request.bytes(server.address())].concat();
    connection.send(&bytes).expect("the request leaves");
    connection
}

/// Everything that comes in answer to these pieces, and how long it took to the end of the
/// connection.
fn everything(server: &InProcess, pieces: &[&[u8]], pause: Duration) -> (Vec<u8>, Duration) {
    let start = Instant::now();
    let mut socket = Connection::open(server.address()).into_socket();
    socket.set_read_timeout(Some(LIMIT)).expect("a limit");
    for piece in pieces {
        // The server may have closed already.
        if socket.write_all(piece).is_err() || start.elapsed() > LIMIT {
            break;
        }
        std::thread::sleep(pause);
    }
    let mut all = Vec::new();
    let end = socket.read_to_end(&mut all);
    let timed_out = end.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    assert!(!timed_out, "the connection is still open");
    (all, start.elapsed())
}

#[test]
fn w_11_the_address_that_a_balancer_names_is_the_peers() {
    let server = behind_a_balancer("127.0.0.1", PATIENT);
    let request = Request::new("GET", "/who");
    for (header, client) in [
        (ONE, "198.51.100.7:4711"),
        (SIX, "[2001:db8::7]:4711"),
        (TWO, "198.51.100.8:4711"),
        (ITSELF, "127.0.0.1:"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1:"),
    ] {
        let who = ask(&server, header, &request).response(false).text();
        assert!(who.starts_with(client), "{who} is not {client}");
    }
}

#[test]
fn w_11_streams_count_on_the_address_that_is_named() {
    let server = behind_a_balancer("127.0.0.1", PATIENT);
    let stream = Request::stream("/events").header("Authorization", "Bearer x");
    let mut open = Vec::new();
    for (header, status) in [(ONE, 200), (TWO, 200), (SIX, 200), (ONE, 429), (TWO, 429)] {
        let response = ask(&server, header, &stream).response(false);
        assert_eq!(response.status(), status, "{}", header.escape_ascii());
        open.push(response);
    }
}

#[test]
fn w_11_a_header_may_come_in_pieces() {
    let server = behind_a_balancer("127.0.0.1", PATIENT);
    let request = b"GET /who HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    for header in [ONE, TWO] {
        let bytes = [header, request].concat();
        let pieces = bytes.chunks(5).collect::<Vec<_>>();
        let (answer, _) = everything(&server, &pieces, Duration::from_millis(2));
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains("198.51.100."), "{answer}");
    }
}

#[test]
fn w_11_a_balancer_that_sends_no_header_or_too_much_of_one_is_cut_off() {
    let server = behind_a_balancer("127.0.0.1", PATIENT);
    let long = [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 4096]].concat();
    let far = [&TWO[..14], b"\xff\xff", &[0; 70_000]].concat();
    for junk in [
        b"GET /who HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(),
        b"PROXY TCP4 1.2.3.4\r\n",
        b"PROXY TCP4 a b c d\r\n",
        b"\r\n\r\n\0\r\nQUIX",
        b"\x16\x03\x01\x02\x00",
        &long,
        &far,
    ] {
        let (answer, after) = everything(&server, &[junk], Duration::ZERO);
        assert_eq!(answer, b"", "{}", junk[..junk.len().min(40)].escape_ascii());
        assert!(after < PATIENT, "at once: {after:?}");
    }
    let who = Request::new("GET", "/who");
    let others = ask(&server, ONE, &who).response(false).text();
    assert!(others.starts_with("198.51.100.7"), "others go on: {others}");
    // Nothing at all, a piece, and a byte now and then, for two minutes if it may: until the time is over.
    let server = behind_a_balancer("127.0.0.1", SHORT);
    let whole = [&TWO[..14], b"\x07\xf0", &[0; 2032]].concat();
    let drip = whole.chunks(1).collect::<Vec<_>>();
    for (pieces, pause) in [
        (&[b"".as_slice()] as &[&[u8]], 0),
        (&[b"PROXY TCP4 1"], 0),
        (&[&TWO[..20]], 0),
        (&drip, 60),
    ] {
        let (answer, after) = everything(&server, pieces, Duration::from_millis(pause));
        assert_eq!(answer, b"");
        assert!(after >= SHORT && after < LIMIT, "{after:?}");
    }
    until("others go on", LIMIT, || {
        // It may be too slow as well.
        let head = ask(&server, ONE, &who).head(LIMIT).ok()?;
        (head.status == 200).then_some(())
    });
}

#[test]
fn w_11_nobody_else_may_name_an_address() {
    let server = behind_a_balancer("10.0.0.0/8", PATIENT);
    let who = Request::new("GET", "/who").header("Connection", "close");
    let text = ask(&server, b"", &who).response(false).text();
    assert!(
        text.starts_with("127.0.0.1:"),
        "it speaks for itself: {text}"
    );
    for header in [ONE, SIX, TWO, ITSELF] {
        let bytes = [header, &who.bytes(server.address())].concat();
        let (answer, _) = everything(&server, &[&bytes], Duration::ZERO);
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.contains(" 200 "), "{answer}");
        assert!(!answer.contains("198.51.100"), "{answer}");
    }
}
