//! What the browser judges: origins, credentials, preflights.

use std::time::Duration;

use sse_probe::{Expectation, Level, Target};

use super::{
    checked, found, only, stream,
    support::{APP, Reply, Request, Server, good},
};

#[tokio::test]
async fn a_missing_allow_origin_is_a_fault() {
    let report = stream("cors", |r| r.without("Access-Control-Allow-Origin")).await;
    found(
        &report,
        "cors",
        Level::Fault,
        "no Access-Control-Allow-Origin",
    );
}

#[tokio::test]
async fn a_wildcard_with_credentials_is_a_fault() {
    let report = stream("cors", |r| r.set("Access-Control-Allow-Origin", "*")).await;
    found(
        &report,
        "cors",
        Level::Fault,
        "never counts with credentials",
    );
}

#[tokio::test]
async fn missing_allow_credentials_is_a_fault() {
    let report = stream("cors", |r| r.without("Access-Control-Allow-Credentials")).await;
    found(
        &report,
        "cors",
        Level::Fault,
        "no Access-Control-Allow-Credentials",
    );
}

#[tokio::test]
async fn c05_a_doubled_allow_origin_is_named() {
    let server = Server::start(|request| {
        let reply = good(request);
        if reply.is_stream() {
            reply.with("Access-Control-Allow-Origin", APP)
        } else {
            reply
        }
    })
    .await;
    let report = checked(
        server
            .target()
            .only("allow_origin_once")
            .unwrap()
            .only("cors")
            .unwrap(),
    )
    .await;
    found(&report, "allow_origin_once", Level::Fault, "2 lines");
    found(&report, "cors", Level::Fault, "several values");
}

#[tokio::test]
async fn a_server_that_reflects_every_origin_is_an_open_door() {
    let report = only("origins", |request, _| {
        let mut reply = good(&Request {
            headers: request
                .headers
                .iter()
                .map(|(n, v)| {
                    (
                        n.clone(),
                        if n.eq_ignore_ascii_case("origin") {
                            APP.to_owned()
                        } else {
                            v.clone()
                        },
                    )
                })
                .collect(),
            ..request.clone()
        });
        if let Some(origin) = request.get("origin") {
            reply = reply.set("Access-Control-Allow-Origin", origin);
        }
        reply
    })
    .await;
    for text in [
        "the foreign origin",
        "only the beginning",
        "only the end",
        "a dot",
        "sub-domain",
        "scheme",
        "port",
        "`null`",
    ] {
        found(&report, "origins", Level::Fault, text);
    }
    assert!(report.facts.cors.iter().all(|c| c.allowed));
}

#[tokio::test]
async fn a_suffix_matcher_is_caught_by_its_look_alike_only() {
    let report = only("origins", |request, reply| {
        let origin = request.get("origin").unwrap_or_default();
        if origin != APP && origin.starts_with(APP) {
            let allowed = Request {
                headers: vec![
                    ("origin".into(), APP.into()),
                    ("accept".into(), "text/event-stream".into()),
                    ("authorization".into(), "Bearer token".into()),
                ],
                ..request.clone()
            };
            return good(&allowed).set("Access-Control-Allow-Origin", origin);
        }
        reply
    })
    .await;
    // The other port begins with the allowed origin as well.
    let faults = report.outcome("origins").unwrap().findings().len();
    assert_eq!(faults, 2);
    found(
        &report,
        "origins",
        Level::Fault,
        "https://app.example.com.evil.example",
    );
}

#[tokio::test]
async fn a_denied_origin_that_opens_without_being_readable_is_a_warning() {
    let report = only("origins", |request, _| {
        let mut as_app = request.clone();
        as_app
            .headers
            .retain(|(n, _)| !n.eq_ignore_ascii_case("origin"));
        as_app.headers.push(("origin".into(), APP.into()));
        good(&as_app)
    })
    .await;
    found(&report, "origins", Level::Warning, "opened for");
}

#[tokio::test]
async fn a_public_stream_may_be_read_by_all_but_whoever_was_named() {
    let public = |request: &Request| {
        let mut reply = good(&Request {
            headers: vec![
                ("accept".into(), "text/event-stream".into()),
                ("authorization".into(), "Bearer token".into()),
            ],
            ..request.clone()
        });
        reply = reply.with("Access-Control-Allow-Origin", "*");
        reply
    };
    let server = Server::start(public).await;
    let target = Target::new(&server.url())
        .unwrap()
        .origin(APP)
        .unwrap()
        .hold(Duration::from_millis(300));
    let target = target
        .only("origins")
        .unwrap()
        .only("cors")
        .unwrap()
        .only("vary")
        .unwrap();
    let report = checked(target.clone().expect(Expectation::Public)).await;
    report.assert_clean();
    let report = checked(target.deny_origin("https://other.example").unwrap()).await;
    found(
        &report,
        "origins",
        Level::Fault,
        "https://other.example, which is to be kept out",
    );
}

#[tokio::test]
async fn missing_vary_is_a_warning() {
    let report = stream("vary", |r| r.without("Vary")).await;
    found(&report, "vary", Level::Warning, "no Vary");
    let report = stream("vary", |r| r.set("Vary", "Accept-Encoding")).await;
    found(&report, "vary", Level::Warning, "without Origin");
}

#[tokio::test]
async fn p01_a_refused_preflight_is_a_fault_for_bearer_clients() {
    let report = only("preflight", |r, reply| {
        if r.method == "OPTIONS" {
            Reply::new(405)
        } else {
            reply
        }
    })
    .await;
    found(&report, "preflight", Level::Fault, "405");
    let report = only("preflight", |r, reply| {
        if r.method == "OPTIONS" {
            reply.set("Access-Control-Allow-Headers", "*")
        } else {
            reply
        }
    })
    .await;
    found(&report, "preflight", Level::Fault, "`*` does not cover it");
}

#[tokio::test]
async fn p04_an_echoing_preflight_is_named() {
    let report = only("preflight", |r, reply| {
        match r.get("access-control-request-headers") {
            Some(asked) if r.method == "OPTIONS" => {
                reply.set("Access-Control-Allow-Headers", asked)
            }
            _ => reply,
        }
    })
    .await;
    found(&report, "preflight", Level::Warning, "echoes");
}

#[tokio::test]
async fn p11_a_preflight_open_to_strangers_is_a_fault() {
    let report = only("preflight", |r, reply| match r.get("origin") {
        Some(origin) if r.method == "OPTIONS" => reply
            .set("Access-Control-Allow-Origin", origin)
            .set("Access-Control-Allow-Credentials", "true"),
        _ => reply,
    })
    .await;
    found(
        &report,
        "preflight",
        Level::Fault,
        "lets the foreign origin",
    );
}

#[tokio::test]
async fn c01_error_replies_without_cors_headers_are_named() {
    let report = {
        let server = Server::start(|request| {
            let reply = good(request);
            if reply.status == 401 {
                reply.without("Access-Control-Allow-Origin")
            } else {
                reply
            }
        })
        .await;
        checked(
            server
                .target()
                .only("error_cors")
                .unwrap()
                .only("auth")
                .unwrap(),
        )
        .await
    };
    found(
        &report,
        "error_cors",
        Level::Warning,
        "the 401 cannot be read",
    );
}
