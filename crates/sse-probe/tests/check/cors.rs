//! What the browser judges: origins, credentials, preflights.

use std::time::Duration;

use sse_probe::{Credentials, Expectation, FindingKind, Target};

use super::{
    checked, found, only, stream,
    support::{APP, Reply, Request, Server, Step, bytes, good},
};

#[tokio::test]
async fn a_reply_that_a_browser_keeps_from_the_page_is_a_fault() {
    const ORIGIN: &str = "Access-Control-Allow-Origin";
    const CREDENTIALS: &str = "Access-Control-Allow-Credentials";
    let bare = stream("cors", |r| r.without(ORIGIN)).await;
    let star = stream("cors", |r| r.set(ORIGIN, "*")).await;
    let without = stream("cors", |r| r.without(CREDENTIALS)).await;
    for (report, text) in [
        (bare, "no Access-Control-Allow-Origin"),
        (star, "never counts with credentials"),
        (without, "no Access-Control-Allow-Credentials"),
    ] {
        found(&report, "cors", FindingKind::Blocked, text);
    }
}

/// The same request, made by a page of the allowed origin.
fn by_app(request: &Request) -> Request {
    let mut request = request.clone();
    let others = |(name, _): &(String, String)| !name.eq_ignore_ascii_case("origin");
    request.headers.retain(others);
    request.headers.push(("origin".into(), APP.into()));
    request
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
    found(
        &report,
        "allow_origin_once",
        FindingKind::Blocked,
        "2 lines",
    );
    found(&report, "cors", FindingKind::Blocked, "several values");
}

#[tokio::test]
async fn a_server_that_reflects_every_origin_is_an_open_door() {
    let report = only("origins", |request, _| match request.get("origin") {
        Some(origin) => good(&by_app(request)).set("Access-Control-Allow-Origin", origin),
        None => good(request),
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
        found(&report, "origins", FindingKind::Insecure, text);
    }
    assert!(report.facts.cors.iter().all(|c| c.allowed));
}

#[tokio::test]
async fn a_suffix_matcher_is_caught_by_its_look_alike_only() {
    let report = only("origins", |request, reply| {
        let origin = request.get("origin").unwrap_or_default();
        if origin != APP && origin.starts_with(APP) {
            return good(&by_app(request)).set("Access-Control-Allow-Origin", origin);
        }
        reply
    })
    .await;
    // The other port begins with the allowed origin as well.
    let faults = report.outcome("origins").unwrap().findings.len();
    assert_eq!(faults, 2);
    found(
        &report,
        "origins",
        FindingKind::Insecure,
        "https://app.example.com.evil.example",
    );
}

#[tokio::test]
async fn a_denied_origin_that_opens_without_being_readable_is_a_warning() {
    let report = only("origins", |request, _| good(&by_app(request))).await;
    found(&report, "origins", FindingKind::Advice, "opened for");
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
        FindingKind::Insecure,
        "https://other.example, which is to be kept out",
    );
}

/// A server without any access control that answers every origin alike.
async fn open_to(allowed: &'static str) -> Server {
    Server::start(move |_| {
        Reply::new(200)
            .with("Content-Type", "text/event-stream")
            .with("Access-Control-Allow-Origin", allowed)
            .body(vec![bytes("data: x\n\n"), Step::Hold])
    })
    .await
}

fn page_of(server: &Server) -> Target {
    Target::new(&server.url())
        .unwrap()
        .origin(APP)
        .unwrap()
        .hold(Duration::from_millis(300))
}

#[tokio::test]
async fn a_wildcard_is_insecure_unless_the_stream_is_declared_public() {
    let server = open_to("*").await;
    let report = checked(page_of(&server)).await;
    found(
        &report,
        "cors",
        FindingKind::Insecure,
        "`Access-Control-Allow-Origin: *`",
    );
    assert!(
        report.facts.browser_opens,
        "a browser opens it all the same"
    );
    assert_eq!(
        report.outcome("origins").unwrap().findings.len(),
        0,
        "once for all"
    );
    checked(page_of(&server).expect(Expectation::Public))
        .await
        .assert_clean();
}

#[tokio::test]
async fn a_static_allow_origin_needs_no_vary() {
    let server = open_to(APP).await;
    let report = checked(page_of(&server).only("vary").unwrap()).await;
    assert_eq!(report.outcome("vary").unwrap().findings.len(), 0);
    report.assert_passed("vary");
}

#[tokio::test]
async fn every_further_origin_is_tried_and_no_look_alike_of_it_is() {
    let server = Server::start(good).await;
    let sub = "https://evil.app.example.com";
    let target = server.target().allow_origin(sub).unwrap();
    let report = checked(target).await;
    found(&report, "allowed_origins", FindingKind::Blocked, sub);
    let asked = |origin: &str| {
        let requests = server.requests();
        requests
            .iter()
            .filter(|r| r.get("origin") == Some(origin))
            .count()
    };
    // The sub-domain is one of the look-alikes: asked once as an allowed origin, with its preflight.
    assert_eq!(asked(sub), 2);
    assert!(
        !report.facts.cors[0].allowed,
        "one of the allowed is not let in"
    );
}

#[tokio::test]
async fn the_servers_own_policy_says_what_is_tried() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.toml");
    let policy = |text: &str| {
        std::fs::write(&file, text).unwrap();
        sse_probe::ServerPolicy::read(&file).unwrap()
    };
    let lists = format!(
        "[policy.origins]\nallow = [\"{APP}\"]\ncredentials = true\n\
         request_headers = [\"authorization\", \"last-event-id\"]\n"
    );
    let server = Server::start(good).await;
    let target = Target::new(&server.url())
        .unwrap()
        .policy(policy(&lists))
        .credentials(Credentials::Include)
        .bearer("token")
        .hold(Duration::from_millis(900));
    let report = checked(target.clone()).await;
    report.assert_clean();
    report.assert_passed("preflight");
    let more = lists.replace("\"]\ncred", "\", \"https://*.tenant.example.net\"]\ncred");
    let report = checked(target.policy(policy(&more))).await;
    found(
        &report,
        "allowed_origins",
        FindingKind::Blocked,
        "https://sse-probe.tenant.example.net",
    );
}

#[tokio::test]
async fn a_policy_is_tried_in_both_credentials_modes_by_its_only_origin() {
    let policy = |credentials: bool| {
        let file = tempfile::NamedTempFile::new().unwrap();
        let allow = format!("[policy.origins]\nallow = [\"{APP}\"]\n");
        std::fs::write(file.path(), format!("{allow}credentials = {credentials}\n")).unwrap();
        sse_probe::ServerPolicy::read(file.path()).unwrap()
    };
    let only = |server: &Server, credentials| {
        let target = Target::new(&server.url()).unwrap();
        let target = target.policy(policy(credentials));
        target
            .only("allowed_origins")
            .unwrap()
            .hold(Duration::from_millis(300))
    };
    let without = open_to(APP).await;
    let report = checked(only(&without, true)).await;
    let text = "no Access-Control-Allow-Credentials";
    found(&report, "allowed_origins", FindingKind::Blocked, text);
    checked(only(&without, false)).await.assert_clean();
    let with = Server::start(good).await;
    let report = checked(only(&with, false)).await;
    let text = "may read with credentials, against the policy";
    found(&report, "allowed_origins", FindingKind::Insecure, text);
    checked(only(&with, true)).await.assert_clean();
}

#[tokio::test]
async fn a_look_alike_of_a_further_origin_is_caught() {
    // The edge's pattern has no end.
    let further = "https://app.tenant.example.net";
    let server = Server::start(move |request| {
        let origin = request.get("origin").unwrap_or_default();
        let reply = good(&by_app(request));
        match origin.starts_with(further) {
            true => reply.set("Access-Control-Allow-Origin", origin),
            false => good(request),
        }
    })
    .await;
    let target = server.target().allow_origin(further).unwrap();
    let report = checked(target.only("origins").unwrap()).await;
    let text = "https://app.tenant.example.net.evil.example (only the beginning is compared)";
    found(&report, "origins", FindingKind::Insecure, text);
    // The other port begins with it as well.
    assert_eq!(report.outcome("origins").unwrap().findings.len(), 2);
}

#[tokio::test]
async fn a_refusal_that_an_outsider_may_read_opens_no_door() {
    // As nchan does it: 403, with the origin that asked.
    let server = Server::start(|request| {
        let reply = good(request);
        match request.get("origin") {
            Some(origin) if origin != APP => reply
                .set("Access-Control-Allow-Origin", origin)
                .set("Access-Control-Allow-Credentials", "true"),
            _ => reply,
        }
    })
    .await;
    let report = checked(server.target()).await;
    report.assert_clean();
    let foreign = report.facts.cors.iter().filter(|c| c.role == "foreign");
    assert!(foreign.clone().count() > 0 && foreign.clone().all(|c| !c.allowed));
    found(
        &report,
        "preflight",
        FindingKind::Advice,
        "lets the foreign origin",
    );
}

#[tokio::test]
async fn an_event_source_needs_no_preflight() {
    let server = Server::start(|r| {
        if r.method == "OPTIONS" {
            Reply::new(405)
        } else {
            good(r)
        }
    })
    .await;
    let target = Target::new(&server.url())
        .unwrap()
        .origin(APP)
        .unwrap()
        .credentials(Credentials::Include)
        .cookie("sid=1")
        .only("preflight")
        .unwrap()
        .hold(Duration::from_millis(300));
    let report = checked(target).await;
    report.assert_passed("preflight");
    assert_eq!(report.outcome("preflight").unwrap().findings.len(), 0);
}

#[tokio::test]
async fn missing_vary_is_advice() {
    let report = stream("vary", |r| r.without("Vary")).await;
    found(&report, "vary", FindingKind::Advice, "no Vary");
    let report = stream("vary", |r| r.set("Vary", "Accept-Encoding")).await;
    found(&report, "vary", FindingKind::Advice, "without Origin");
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
    found(&report, "preflight", FindingKind::Blocked, "405");
    let report = only("preflight", |r, reply| {
        if r.method == "OPTIONS" {
            reply.set("Access-Control-Allow-Headers", "*")
        } else {
            reply
        }
    })
    .await;
    found(
        &report,
        "preflight",
        FindingKind::Blocked,
        "`*` does not cover it",
    );
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
    found(&report, "preflight", FindingKind::Advice, "echoes");
}

#[tokio::test]
async fn p11_a_preflight_and_a_stream_open_to_outsiders_are_insecure() {
    let report = only("preflight", |r, reply| match r.get("origin") {
        Some(origin) if origin != APP => Reply::new(200)
            .set("Access-Control-Allow-Origin", origin)
            .set("Access-Control-Allow-Credentials", "true"),
        _ => reply,
    })
    .await;
    found(
        &report,
        "preflight",
        FindingKind::Insecure,
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
        FindingKind::Advice,
        "the 401 cannot be read",
    );
}
