//! The demo's own page, used as a person uses it.

use actix_web_sse_tests::{Browser, BrowserKind, Demo, Page, Settings, free_port};

use crate::DEMO;

/// The demo with its page at two origins, one of them foreign, and its stream reachable by two
/// names.
fn demo_with_pages() -> (Demo, String, String) {
    let foreign = free_port();
    let settings = Settings::open()
        .set("server.foreign", format!("127.0.0.1:{foreign}"))
        .set("server.tick", "200ms")
        .set("policy.origins.mode", "enforce")
        .remove("metrics");
    // The page's origin is known once the port is: the list holds any port of loopback.
    let settings = settings.allow(&["http://localhost:*"]);
    let demo = Demo::start(DEMO, &settings);
    let own = format!("http://localhost:{}", demo.app.port());
    (demo, own, format!("http://127.0.0.1:{foreign}"))
}

#[track_caller]
fn shows(page: &Page<'_>, id: &str, text: &str) {
    page.wait(&format!(
        "document.getElementById('{id}')?.textContent.includes('{text}')"
    ));
}

fn the_page_shows_the_stream_and_what_its_headers_say(kind: BrowserKind) {
    let (demo, own, _) = demo_with_pages();
    let browser = Browser::launch(kind);
    let page = browser.open(&own);
    // Its own origin first, then the other name of the server: another origin.
    for target in ["same", "cross"] {
        page.wait(&format!("document.getElementById('target-{target}')"));
        page.evaluate(&format!(
            "document.getElementById('target-{target}').click()"
        ));
        page.evaluate("document.getElementById('open').click()");
        shows(&page, "ready-state", "1 OPEN");
        page.wait("document.querySelectorAll('#events li[data-event=\"tick\"]').length > 0");
        shows(&page, "active", "1");
        page.wait("document.querySelectorAll('#header-rows tr').length > 3");
    }
    page.evaluate("document.getElementById('publish-data').value = 'said on the page'");
    page.evaluate("document.getElementById('publish').click()");
    shows(&page, "events", "said on the page");
    page.evaluate("document.getElementById('close').click()");
    shows(&page, "ready-state", "2 CLOSED");
    demo.wait_for_metric("sse_connections_active", &[], 0.0);
    let uncaught = browser
        .console()
        .into_iter()
        .filter(|line| line.starts_with("uncaught"));
    assert_eq!(uncaught.collect::<Vec<_>>(), Vec::<String>::new());
}

fn the_page_of_a_foreign_origin_shows_the_refusal(kind: BrowserKind) {
    let (demo, _, foreign) = demo_with_pages();
    let browser = Browser::launch(kind);
    let page = browser.open(&foreign);
    page.wait("document.getElementById('target-foreign')");
    page.evaluate("document.getElementById('open').click()");
    shows(&page, "ready-state", "2 CLOSED");
    shows(&page, "explanation", "not on the allow-list");
    demo.wait_for_metric(
        "sse_connections_rejected_total",
        &[("reason", "origin_denied")],
        1.0,
    );
    assert_eq!(
        page.evaluate("document.querySelectorAll('#events li').length"),
        0
    );
}

crate::in_each_browser! {
    the_page_shows_the_stream_and_what_its_headers_say,
    the_page_of_a_foreign_origin_shows_the_refusal,
}
