//! The two kinds of answers that the contract knows, **OK** and **ERR**, asserted whole.

use actix_web_sse_tests::{Demo, EventStream, Head, LIMIT, Request, Response};

/// The headers of requirement S2, `Vary` and `Strict-Transport-Security` apart.
const STREAM_HEADERS: [(&str, &str); 7] = [
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-cache, no-store, no-transform"),
    ("x-accel-buffering", "no"),
    ("x-content-type-options", "nosniff"),
    (
        "content-security-policy",
        "default-src 'none'; connect-src 'self'",
    ),
    ("surrogate-control", "no-store"),
    ("cdn-cache-control", "no-store"),
];

/// A stream was opened, and everything about its head is as it must be; with an origin, for a
/// page of that origin.
#[track_caller]
pub(crate) fn ok(request: &Request, demo: &Demo, origin: Option<&str>) -> EventStream {
    let response = request.send(demo.app);
    assert_eq!(response.status(), 200, "{request:?}");
    stream_head(&response.head, origin);
    let mut stream = response.events();
    let first = stream.block(LIMIT).expect("a first block");
    assert!(first.is_some(), "the stream ended at once");
    stream
}

/// The head of a stream.
#[track_caller]
pub(crate) fn stream_head(head: &Head, origin: Option<&str>) {
    let headers = &head.headers;
    for (name, value) in STREAM_HEADERS {
        assert_eq!(headers.get(name), Some(value), "{name}");
    }
    assert_eq!(headers.get("content-length"), None);
    for name in [
        "strict-transport-security",
        "connection",
        "keep-alive",
        "etag",
    ] {
        assert_eq!(headers.get(name), None, "{name} on plain http");
    }
    varies_by_origin_once(head);
    match origin {
        Some(origin) => readable_from(head, origin),
        None => readable_from_nowhere(head),
    }
}

/// The request was refused with this status and code, and everything about the answer is as it
/// must be; `origin` is the one that may read it, if any may.
#[track_caller]
pub(crate) fn refused(
    request: &Request,
    demo: &Demo,
    (status, code): (u16, &str),
    origin: Option<&str>,
) -> Head {
    let before = Counts::of(demo, code);
    let response = request.send(demo.app);
    let head = response.head.clone();
    assert_eq!(response.status(), status, "{request:?}");
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    varies_by_origin_once(&head);
    match origin {
        Some(origin) => {
            readable_from(&head, origin);
            let exposed = head.headers.list("access-control-expose-headers");
            assert!(exposed.contains(&"retry-after".to_owned()), "{exposed:?}");
        }
        None => readable_from_nowhere(&head),
    }
    assert_eq!(code_of(response), code, "{request:?}");
    let after = Counts::of(demo, code);
    assert_eq!(after.refused, before.refused + 1.0, "the counter of {code}");
    assert_eq!(after.opened, before.opened, "no stream was opened");
    head
}

fn code_of(response: Response) -> String {
    let body = response.json();
    body["error"].as_str().expect("an error code").to_owned()
}

#[track_caller]
fn varies_by_origin_once(head: &Head) {
    let vary = head.headers.list("vary");
    let times = vary.iter().filter(|member| *member == "origin").count();
    assert_eq!(times, 1, "Vary: {vary:?}");
}

#[track_caller]
pub(crate) fn readable_from(head: &Head, origin: &str) {
    let headers = &head.headers;
    assert_eq!(headers.get("access-control-allow-origin"), Some(origin));
    assert_eq!(
        headers.get("access-control-allow-credentials"),
        Some("true")
    );
}

#[track_caller]
pub(crate) fn readable_from_nowhere(head: &Head) {
    let names = head.headers.names_with("access-control-");
    assert!(names.is_empty(), "{names:?}");
}

/// What a refusal moves, and what it must not.
struct Counts {
    refused: f64,
    opened: f64,
}

impl Counts {
    fn of(demo: &Demo, code: &str) -> Self {
        let exposition = demo.exposition();
        Self {
            refused: exposition.sum("sse_connections_rejected_total", &[("reason", code)]),
            opened: exposition.sum_or_zero("sse_connections_opened_total", &[]),
        }
    }
}
