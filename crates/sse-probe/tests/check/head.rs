//! The head of the response: status, type, what a proxy did to it.

use sse_probe::FindingKind;

use super::{
    checked, found, only, stream,
    support::{Reply, Server, Step, bytes, good},
};

#[tokio::test]
async fn status_other_than_200_is_a_fault() {
    let report = only("status", |_, mut reply| {
        reply.status = 500;
        reply
    })
    .await;
    found(&report, "status", FindingKind::Blocked, "500");
}

#[tokio::test]
async fn another_content_type_is_a_fault() {
    let report = stream("content_type", |r| r.set("Content-Type", "text/plain")).await;
    found(&report, "content_type", FindingKind::Blocked, "text/plain");
    let report = stream("content_type", |r| {
        r.set("Content-Type", "text/event-stream; charset=latin1")
    })
    .await;
    found(&report, "content_type", FindingKind::Blocked, "charset");
}

#[tokio::test]
async fn a_charset_inside_of_a_quoted_parameter_is_none() {
    let report = stream("content_type", |r| {
        r.set("Content-Type", "text/event-stream;a=\";charset=latin1\"")
    })
    .await;
    report.assert_clean();
    assert!(report.facts.browser_opens);
}

#[tokio::test]
async fn a_stream_for_json_clients_is_a_warning() {
    let report = only("accept", |request, _| {
        let mut other = request.clone();
        for (name, value) in &mut other.headers {
            if name.eq_ignore_ascii_case("accept") {
                "text/event-stream".clone_into(value);
            }
        }
        good(&other)
    })
    .await;
    found(&report, "accept", FindingKind::Advice, "application/json");
}

#[tokio::test]
async fn signs_of_a_cache_are_named() {
    for (name, value, text) in [
        ("Age", "31", "Age: 31"),
        ("X-Cache", "HIT from edge", "HIT"),
        ("CF-Cache-Status", "HIT", "HIT"),
        ("X-Varnish", "32770 3", "32770 3"),
    ] {
        let report = stream("caching", move |r| r.set(name, value)).await;
        found(&report, "caching", FindingKind::Blocked, text);
    }
    let report = stream("caching", |r| {
        r.set("X-Cache", "MISS")
            .set("Age", "0")
            .set("X-Varnish", "12")
    })
    .await;
    report.assert_clean();
    let report = stream("caching", |r| r.set("Cache-Control", "max-age=60")).await;
    found(&report, "caching", FindingKind::Advice, "max-age=60");
    let report = stream("caching", |r| r.without("Cache-Control")).await;
    found(&report, "caching", FindingKind::Advice, "no Cache-Control");
}

#[tokio::test]
async fn a_length_on_a_stream_is_a_fault() {
    let report = stream("caching", |r| {
        r.with("Content-Length", "9")
            .body(vec![bytes("data: x\n\n")])
    })
    .await;
    found(&report, "caching", FindingKind::Advice, "Content-Length: 9");
}

#[tokio::test]
async fn e17_a_compressed_stream_is_a_fault_and_is_read_again_plain() {
    let server = Server::start(|request| {
        let reply = good(request);
        let gzip = request
            .get("accept-encoding")
            .is_some_and(|e| e.contains("gzip"));
        if reply.is_stream() && gzip {
            reply
                .with("Content-Encoding", "gzip")
                .body(vec![Step::Bytes(vec![0x1f, 0x8b, 8, 0]), Step::Hold])
        } else {
            reply
        }
    })
    .await;
    let report = checked(
        server
            .target()
            .only("transformation")
            .unwrap()
            .only("format")
            .unwrap(),
    )
    .await;
    found(&report, "transformation", FindingKind::Advice, "gzip");
    report.assert_passed("format");
}

#[tokio::test]
async fn missing_nosniff_is_a_warning() {
    let report = stream("security_headers", |r| r.without("X-Content-Type-Options")).await;
    found(&report, "security_headers", FindingKind::Advice, "nosniff");
    let report = stream("security_headers", |r| {
        r.with("Strict-Transport-Security", "max-age=1")
    })
    .await;
    found(&report, "security_headers", FindingKind::Advice, "on http");
}

#[tokio::test]
async fn expected_headers_are_compared() {
    let server = Server::start(good).await;
    let target = server.target().only("expected_headers").unwrap();
    let report = checked(
        target
            .clone()
            .expect("header=X-Accel-Buffering: no".parse().unwrap()),
    )
    .await;
    report.assert_passed("expected_headers");
    let report = checked(target.expect("header=X-Region: eu".parse().unwrap())).await;
    found(
        &report,
        "expected_headers",
        FindingKind::Advice,
        "x-region: nothing",
    );
}

#[tokio::test]
async fn http_1_0_is_named() {
    let server = Server::start(|_| {
        Reply::raw("HTTP/1.0 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: x\n\n")
    })
    .await;
    let report = checked(server.target().only("protocol").unwrap()).await;
    found(&report, "protocol", FindingKind::Advice, "HTTP/1.0");
}
