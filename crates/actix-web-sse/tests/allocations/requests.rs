//! Requests that are refused, with as much in them as a client can send.

use actix_http::Request;
use actix_web::{
    http::{Method, header::HeaderValue},
    test::TestRequest,
};

use super::bare::HEADERS;

/// A request, and the code of its refusal.
#[derive(Clone)]
pub struct Case {
    pub what: &'static str,
    pub code: &'static str,
    pub method: Method,
    pub uri: String,
    pub headers: Vec<(String, String)>,
}

impl Case {
    /// A `GET` from an allowed origin, unless the headers say otherwise.
    pub fn new(what: &'static str, code: &'static str, headers: Vec<(&str, String)>) -> Self {
        let mut case = Self {
            what,
            code,
            method: Method::GET,
            uri: "/events".into(),
            headers: Vec::with_capacity(headers.len() + 3),
        };
        for (name, value) in [
            ("host", "api.example.com"),
            ("origin", "https://app.example.com"),
            ("accept", "text/event-stream"),
        ] {
            if headers.iter().all(|(known, _)| *known != name) {
                case.headers.push((name.to_owned(), value.to_owned()));
            }
        }
        let headers = headers.into_iter();
        case.headers
            .extend(headers.map(|(name, value)| (name.to_owned(), value)));
        case
    }

    pub fn request(&self) -> Request {
        let request = TestRequest::default()
            .method(self.method.clone())
            .uri(&self.uri)
            .peer_addr(([10, 0, 0, 2], 4711).into());
        self.headers
            .iter()
            .fold(request, |request, (name, value)| {
                let value = HeaderValue::from_str(value).unwrap();
                request.append_header((name.as_str(), value))
            })
            .to_request()
    }
}

/// Requests with so many bytes of headers, about, all of them in the one that is named.
pub fn cases(bytes: usize) -> Vec<Case> {
    let fill = |text: &str| text.repeat(bytes / text.len());
    let one = |name: &'static str, text: &str| vec![(name, fill(text))];
    // HTTP/2 counts 32 bytes for a line beside its name and value.
    let lines = |name: &'static str, value: &str| {
        vec![(name, value.to_owned()); bytes / (name.len() + value.len() + 32)]
    };
    let mut cases = vec![
        Case::new(
            "a long Origin",
            "origin_malformed",
            vec![("origin", format!("https://{}.com", fill("a")))],
        ),
        Case::new(
            "many Origins",
            "origin_malformed",
            lines("origin", "https://app.example.com"),
        ),
        Case::new("a long Host", "host_denied", one("host", "a")),
        Case::new("a long Accept", "not_acceptable", one("accept", "a/b,")),
        Case::new("many Accepts", "not_acceptable", lines("accept", "a/b")),
        Case::new("many empty Accepts", "not_acceptable", lines("accept", "")),
        Case::new(
            "a long Last-Event-ID",
            "unauthorized",
            one("last-event-id", "9"),
        ),
        Case::new(
            "a long X-Forwarded-For",
            "unauthorized",
            one("x-forwarded-for", "10.0.0.9, "),
        ),
        Case::new(
            "a long address in X-Forwarded-For",
            "unauthorized",
            one("x-forwarded-for", "9"),
        ),
        Case::new(
            "many X-Forwarded-Fors",
            "unauthorized",
            lines("x-forwarded-for", "10.0.0.9"),
        ),
        Case::new(
            "a long X-Forwarded-Proto",
            "unauthorized",
            one("x-forwarded-proto", "https,"),
        ),
        Case::new(
            "a long Authorization",
            "invalid_token",
            vec![("authorization", format!("Bearer {}", fill("a")))],
        ),
        Case::new(
            "a token behind much space",
            "invalid_token",
            vec![("authorization", format!("Bearer {} a", fill(" ")))],
        ),
        Case::new(
            "many Authorizations",
            "invalid_request",
            lines("authorization", "Bearer a"),
        ),
        Case::new(
            "a long Cookie",
            "invalid_request",
            one("cookie", "__Host-sid=a; "),
        ),
        Case::new(
            "a long Sec-Fetch-Mode",
            "fetch_metadata_denied",
            one("sec-fetch-mode", "a"),
        ),
        Case::new("a long User-Agent", "unauthorized", one("user-agent", "a")),
    ];
    for (what, headers) in [
        ("a long list in a preflight", fill("authorization,")),
        ("a long empty list in a preflight", fill(",")),
        ("a long name in a preflight", fill("a")),
    ] {
        let headers = vec![
            ("access-control-request-method", "GET".into()),
            ("access-control-request-headers", headers),
        ];
        let mut case = Case::new(what, "preflight_denied", headers);
        case.method = Method::OPTIONS;
        cases.push(case);
    }
    // As many headers as HTTP/1 lets in, and all that is let in, on them.
    let evil = vec![("origin", "https://evil.example".into())];
    let mut case = Case::new("everything", "origin_denied", evil);
    let more = HEADERS - case.headers.len();
    let each = (0..more).map(|n| (format!("x-{n}"), "x".repeat(bytes / more - 10)));
    case.headers.extend(each);
    cases.push(case);
    cases
}

/// What stands in the request line, which is never longer than 64 KiB, over whatever protocol.
pub fn request_lines() -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, code, query) in [
        (
            "a long ticket",
            "invalid_ticket",
            format!("ticket={}", "a".repeat(60_000)),
        ),
        (
            "a long encoded ticket",
            "invalid_ticket",
            format!("ticket={}", "%61".repeat(20_000)),
        ),
        (
            "an encoded ticket that is searched",
            "invalid_ticket",
            format!("ticket={}", "%61".repeat(5_000)),
        ),
        (
            "the longest ticket that is decoded",
            "invalid_ticket",
            format!("ticket={}", "%61".repeat(2_048)),
        ),
        ("a long query", "invalid_ticket", "%61=b&".repeat(10_000)),
        (
            "a query that is searched",
            "unauthorized",
            "%61=b&".repeat(2_500),
        ),
    ] {
        let mut case = Case::new(what, code, Vec::new());
        case.uri = format!("/events?{query}");
        cases.push(case);
    }
    let mut case = Case::new("a long method", "method_not_allowed", Vec::new());
    case.method = Method::from_bytes("A".repeat(60_000).as_bytes()).unwrap();
    cases.push(case);
    cases
}
