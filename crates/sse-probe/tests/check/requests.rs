//! What each request carries, and what it keeps back.

use sse_probe::{Credentials, FindingKind, Target};

use super::{
    checked, found,
    support::{APP, Reply, Request, Server, bytes, good},
};

#[tokio::test]
async fn a_header_of_the_user_replaces_what_a_browser_sends() {
    let server = Server::start(good).await;
    let target = server.target().header(
        "user-agent".parse().unwrap(),
        "Mozilla/5.0".parse().unwrap(),
    );
    checked(target).await;
    for request in server.requests() {
        let named = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("user-agent");
        let agents: Vec<_> = request.headers.iter().filter(named).collect();
        assert_eq!(agents.len(), 1, "{request:?}");
        assert_eq!(agents[0].1, "Mozilla/5.0");
    }
}

/// The good stream, for clients with the right key in a header of their own.
fn keyed(request: &Request) -> Reply {
    let mut as_bearer = request.clone();
    if request.get("x-api-key") == Some("k") {
        let pair = ("authorization".to_owned(), "Bearer token".to_owned());
        as_bearer.headers.push(pair);
    }
    good(&as_bearer).set("Access-Control-Allow-Headers", "last-event-id, x-api-key")
}

#[tokio::test]
async fn custom_headers_are_asked_for_in_the_preflight_and_not_sent_on_it() {
    let server = Server::start(keyed).await;
    let target = Target::new(&server.url())
        .unwrap()
        .origin(APP)
        .unwrap()
        .credentials(Credentials::Include)
        .header("X-Api-Key".parse().unwrap(), "k".parse().unwrap())
        .hold(std::time::Duration::from_millis(900));
    checked(target.clone()).await.assert_clean();
    let preflights: Vec<_> = server
        .requests()
        .into_iter()
        .filter(|r| r.method == "OPTIONS")
        .collect();
    assert!(!preflights.is_empty());
    assert_eq!(
        preflights[0].get("access-control-request-headers"),
        Some("last-event-id,x-api-key")
    );
    assert!(preflights.iter().all(|r| r.get("x-api-key").is_none()));
    // A server that does not allow it stops the page.
    let server = Server::start(|r| keyed(r).without("Access-Control-Allow-Headers")).await;
    let target = Target::new(&server.url())
        .unwrap()
        .origin(APP)
        .unwrap()
        .credentials(Credentials::Include)
        .header("X-Api-Key".parse().unwrap(), "k".parse().unwrap())
        .only("preflight")
        .unwrap()
        .hold(std::time::Duration::from_millis(300));
    let report = checked(target).await;
    found(
        &report,
        "preflight",
        FindingKind::Blocked,
        "not in Access-Control-Allow-Headers",
    );
    assert!(!report.facts.browser_opens);
}

#[tokio::test]
async fn an_anonymous_request_carries_no_credentials_of_any_kind() {
    let server = Server::start(keyed).await;
    let target = Target::new(&server.url())
        .unwrap()
        .header("X-Api-Key".parse().unwrap(), "k".parse().unwrap())
        .only("auth")
        .unwrap()
        .hold(std::time::Duration::from_millis(300));
    let report = checked(target).await;
    report.assert_passed("auth");
    let anonymous = server.requests();
    let anonymous = anonymous.iter().filter(|r| r.get("x-api-key").is_none());
    assert_eq!(anonymous.count(), 1);
}

#[tokio::test]
async fn a_post_sends_its_body_and_asks_for_the_right_to_send_json() {
    let server = Server::start(|request| {
        if request.method == "OPTIONS" {
            return good(request).set(
                "Access-Control-Allow-Headers",
                "authorization, content-type",
            );
        }
        let reply = good(request);
        if reply.is_stream() {
            return reply.body(vec![bytes("data: {\"delta\":\"a\"}\n\ndata: [DONE]\n\n")]);
        }
        reply
    })
    .await;
    let target = server.target().post("{\"stream\":true}");
    let report = checked(target).await;
    report.assert_clean();
    assert_eq!(
        report.facts.first_event.is_some(),
        report.facts.browser_opens
    );
    let requests = server.requests();
    let post = requests.iter().find(|r| r.method == "POST").unwrap();
    assert_eq!(post.get("content-type"), Some("application/json"));
    assert_eq!(post.get("content-length"), Some("15"));
    let asked = requests.iter().find(|r| r.method == "OPTIONS").unwrap();
    assert_eq!(asked.get("access-control-request-method"), Some("POST"));
    assert_eq!(
        asked.get("access-control-request-headers"),
        Some("authorization,content-type")
    );
}

#[tokio::test]
async fn an_answer_that_does_not_begin_with_data_is_advice() {
    let server = Server::start(good).await;
    let target = server.target().post("{}").only("format").unwrap();
    let report = checked(target).await;
    found(
        &report,
        "format",
        FindingKind::Advice,
        "begins with a comment or `retry`",
    );
}
