//! Who may open the stream.

use std::time::Duration;

use sse_probe::{Credentials, FindingKind, Target, TicketSource};

use super::{
    checked, found, only,
    support::{APP, Reply, Server, bytes, good},
};

#[tokio::test]
async fn t01_a_stream_that_opens_without_credentials_is_a_fault() {
    let report = only("auth", |request, reply| {
        if reply.status != 401 {
            return reply;
        }
        let mut with = request.clone();
        with.headers
            .push(("authorization".into(), "Bearer token".into()));
        good(&with)
    })
    .await;
    found(
        &report,
        "auth",
        FindingKind::Insecure,
        "opens without credentials",
    );
    assert!(report.facts.auth_bypass);
}

#[tokio::test]
async fn t06_a_basic_challenge_is_named() {
    let report = only("auth", |_, r| {
        if r.status == 401 {
            r.set("WWW-Authenticate", "Basic realm=x")
        } else {
            r
        }
    })
    .await;
    found(&report, "auth", FindingKind::Advice, "basic");
    let report = only("auth", |_, r| {
        if r.status == 401 {
            r.without("WWW-Authenticate")
        } else {
            r
        }
    })
    .await;
    found(
        &report,
        "auth",
        FindingKind::Advice,
        "without WWW-Authenticate",
    );
}

#[tokio::test]
async fn tickets_are_fetched_for_each_exchange() {
    let server = Server::start(|request| {
        if request.method == "POST" {
            let good = request.get("authorization") == Some("Bearer token");
            return Reply::new(if good { 200 } else { 401 })
                .body(vec![bytes("{\"ticket\":\"t1\",\"expires_in\":60}")]);
        }
        good(request)
    })
    .await;
    let mut source =
        TicketSource::new(format!("http://{}/ticket", server.address).parse().unwrap());
    source.bearer = Some(sse_probe::Secret::new("token"));
    let target = Target::new(&server.url())
        .unwrap()
        .origin(APP)
        .unwrap()
        .credentials(Credentials::Include)
        .tickets(source.clone())
        .hold(Duration::from_millis(900));
    let report = checked(target.clone()).await;
    report.assert_clean();
    assert!(
        !format!("{report:?}").contains("t1"),
        "the ticket is not told"
    );
    let posts = server
        .requests()
        .iter()
        .filter(|r| r.method == "POST")
        .count();
    let streams = server
        .requests()
        .iter()
        .filter(|r| r.target.contains("ticket="))
        .count();
    assert_eq!(posts, streams);
    source.bearer = None;
    let error = sse_probe::check(target.tickets(source))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("401"), "{error}");
}
