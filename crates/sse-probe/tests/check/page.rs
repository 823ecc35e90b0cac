//! What else stops a page.

use sse_probe::{FindingKind, Target};

use super::{
    checked, found,
    support::{Reply, Server, bytes, good},
};

async fn page_with(policy: &'static str) -> Server {
    Server::start(move |_| {
        Reply::new(200)
            .with("Content-Type", "text/html")
            .with("Content-Security-Policy", policy)
            .body(vec![bytes("<!doctype html><title>page</title>")])
    })
    .await
}

#[tokio::test]
async fn a_page_whose_policy_does_not_name_the_stream_is_blocked() {
    for (policy, good_policy) in [
        ("connect-src 'self'", false),
        ("default-src 'none'", false),
        ("connect-src http://127.0.0.1:*", true),
        ("connect-src *", true),
    ] {
        let page = page_with(policy).await;
        let origin = format!("http://{}", page.address);
        let allowed = origin.clone();
        let server = Server::start(move |request| {
            if request.get("origin") == Some(allowed.as_str()) {
                return Reply::new(200)
                    .with("Content-Type", "text/event-stream")
                    .with("Access-Control-Allow-Origin", &allowed)
                    .body(vec![bytes("data: x\n\n")]);
            }
            good(request)
        })
        .await;
        let target = Target::new(&server.url())
            .unwrap()
            .page(&origin)
            .unwrap()
            .only("page")
            .unwrap()
            .hold(std::time::Duration::from_millis(300));
        let report = checked(target).await;
        assert_eq!(report.facts.browser_opens, good_policy, "{policy}");
        if !good_policy {
            found(
                &report,
                "page",
                FindingKind::Blocked,
                "Content-Security-Policy blocks",
            );
        }
    }
}

#[tokio::test]
async fn a_page_on_https_may_not_open_plain_http_elsewhere() {
    let server = Server::start(good).await;
    let port = server.address.port();
    let mut target = Target::new(&format!("http://api.example.com:{port}/events")).unwrap();
    target = target.pin("api.example.com", port, server.address);
    let target = target
        .origin("https://app.example.com")
        .unwrap()
        .bearer("token")
        .only("page")
        .unwrap()
        .hold(std::time::Duration::from_millis(300));
    let report = checked(target).await;
    found(&report, "page", FindingKind::Blocked, "mixed content");
}

#[tokio::test]
async fn cookies_across_sites_are_advice() {
    let server = Server::start(good).await;
    let report = checked(server.target().cookie("sid=1").only("page").unwrap()).await;
    found(&report, "page", FindingKind::Advice, "another site");
}

#[tokio::test]
async fn http_3_is_mentioned_where_it_is_offered() {
    let server =
        Server::start(|request| good(request).with("Alt-Svc", "h3=\":443\"; ma=86400")).await;
    let report = checked(server.target().only("page").unwrap()).await;
    let seen = &report.outcome("page").unwrap().seen;
    assert!(seen.contains("HTTP/3 is offered"), "{seen}");
}
