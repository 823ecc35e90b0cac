//! Redirects are followed as browsers do.

use sse_probe::{FindingKind, Target};

use super::{
    checked, found, only,
    support::{Reply, Request, Server, good},
};

/// A server that redirects the stream to `to`, with CORS headers or without.
async fn redirecting(to: String, cors: bool) -> Server {
    Server::start(move |request| {
        if request.target != "/events" {
            return good(request);
        }
        let reply = Reply::new(307).with("Location", &to);
        if cors {
            reply
                .with(
                    "Access-Control-Allow-Origin",
                    request.get("origin").unwrap_or("*"),
                )
                .with("Access-Control-Allow-Credentials", "true")
        } else {
            reply
        }
    })
    .await
}

fn target(server: &Server) -> Target {
    server
        .target()
        .only("redirect")
        .unwrap()
        .only("cors")
        .unwrap()
}

#[tokio::test]
async fn a_redirect_with_cors_headers_is_followed_and_opens() {
    let server = redirecting("/v2/events".to_owned(), true).await;
    let report = checked(target(&server)).await;
    report.assert_clean();
    assert!(report.facts.browser_opens);
    assert_eq!((report.facts.status, report.facts.redirects), (200, 1));
    found(&report, "redirect", FindingKind::Advice, "307 to ");
}

#[tokio::test]
async fn a_redirect_without_cors_headers_is_blocked_at_the_redirect() {
    let server = redirecting("/v2/events".to_owned(), false).await;
    let report = checked(target(&server)).await;
    found(
        &report,
        "redirect",
        FindingKind::Blocked,
        "no Access-Control-Allow-Origin",
    );
    assert!(!report.facts.browser_opens);
    assert!(server.requests().iter().all(|r| r.target == "/events"));
}

#[tokio::test]
async fn after_a_redirect_between_foreign_origins_the_origin_is_null_and_credentials_stay_behind() {
    let second = Server::start(|_| {
        Reply::new(200)
            .with("Content-Type", "text/event-stream")
            .with("Access-Control-Allow-Origin", "null")
            .with("Access-Control-Allow-Credentials", "true")
    })
    .await;
    let first = redirecting(second.url(), true).await;
    let target = target(&first)
        .header("x-api-key".parse().unwrap(), "k".parse().unwrap())
        .header("x-colour".parse().unwrap(), "red".parse().unwrap());
    let report = checked(target).await;
    assert!(report.facts.browser_opens);
    let requests = second.requests();
    let last = requests.first().unwrap();
    assert_eq!(last.get("origin"), Some("null"));
    for secret in ["authorization", "cookie", "x-api-key"] {
        assert_eq!(last.get(secret), None, "{secret}");
    }
    assert_eq!(last.get("x-colour"), Some("red"));
    assert_eq!(last.get("sec-fetch-site"), Some("cross-site"));
}

#[tokio::test]
async fn a_redirect_from_the_pages_own_origin_keeps_the_origin() {
    let second = Server::start(good).await;
    let first = redirecting(second.url(), false).await;
    let target = Target::new(&first.url())
        .unwrap()
        .only("redirect")
        .unwrap()
        .hold(std::time::Duration::from_millis(300));
    checked(target).await;
    let own = format!("http://{}", first.address);
    let asked = second.requests();
    assert_eq!(asked.first().unwrap().get("origin"), Some(own.as_str()));
}

#[tokio::test]
async fn a_redirect_that_is_not_to_be_followed_is_a_status() {
    let server = redirecting("/v2/events".to_owned(), true).await;
    let target = server.target().only("status").unwrap();
    let report = checked(target.follow_redirects(false)).await;
    found(&report, "status", FindingKind::Blocked, "307");
}

#[tokio::test]
async fn a_redirect_without_location_is_blocked() {
    let report = only("redirect", |_: &Request, _| Reply::new(301)).await;
    found(
        &report,
        "redirect",
        FindingKind::Blocked,
        "without Location",
    );
}
