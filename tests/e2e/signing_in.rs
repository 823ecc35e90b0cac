//! The demo's page, signed in: by cookie, by bearer token over `fetch`, by ticket; and what each
//! refusal looks like on it.

use actix_web_sse_tests::{Browser, BrowserKind, Demo, Page, Settings};

use crate::DEMO;

/// A demo that signs in whoever asks, and lets nobody else read.
fn demo() -> Demo {
    let settings = Settings::reference()
        .without_limits()
        .set("server.sign_in", true)
        .set("server.tick", "200ms")
        // Browsers keep `__Host-` cookies over https only.
        .set("auth.cookie", "sid")
        .remove("metrics")
        .allow(&["http://localhost:*"]);
    Demo::start(DEMO, &settings)
}

fn open<'a>(browser: &'a Browser, demo: &Demo) -> Page<'a> {
    let page = browser.open(&format!("http://localhost:{}", demo.app.port()));
    page.wait("document.getElementById('proof-ticket')");
    page
}

#[track_caller]
fn shows(page: &Page<'_>, id: &str, text: &str) {
    page.wait(&format!(
        "document.getElementById('{id}')?.textContent.includes('{text}')"
    ));
}

fn click(page: &Page<'_>, id: &str) {
    page.evaluate(&format!("document.getElementById('{id}').click()"));
}

fn the_page_opens_the_stream_by_each_proof(kind: BrowserKind) {
    let demo = demo();
    let browser = Browser::launch(kind);
    let page = open(&browser, &demo);
    click(&page, "sign-in");
    shows(&page, "identity", "ada, until");
    // The cookie goes to the host that set it; the others to the stream's other name as well.
    for (proof, target) in [
        ("cookie", "same"),
        ("bearer", "same"),
        ("bearer", "cross"),
        ("ticket", "same"),
        ("ticket", "cross"),
    ] {
        click(&page, &format!("proof-{proof}"));
        click(&page, &format!("target-{target}"));
        click(&page, "clear");
        click(&page, "open");
        shows(&page, "ready-state", "1 OPEN");
        page.wait("document.querySelectorAll('#events li[data-event=\"tick\"]').length > 0");
        click(&page, "close");
        shows(&page, "ready-state", "2 CLOSED");
    }
    for (method, times) in [("cookie", 1.0), ("bearer", 2.0), ("ticket", 2.0)] {
        let by = [("auth_method", method)];
        demo.wait_for_metric("sse_connections_opened_total", &by, times);
    }
    demo.wait_for_metric("sse_connections_active", &[], 0.0);
    click(&page, "sign-out");
    shows(&page, "identity", "Signed out");
    click(&page, "proof-cookie");
    click(&page, "target-same");
    click(&page, "open");
    shows(&page, "ready-state", "2 CLOSED");
    shows(&page, "explanation", "401");
}

fn the_page_shows_what_each_refusal_looks_like(kind: BrowserKind) {
    let demo = demo();
    let browser = Browser::launch(kind);
    let page = open(&browser, &demo);
    for (rule, status, said) in [
        ("accept", "406", "not_acceptable"),
        ("method", "405", "Allow: GET, HEAD, OPTIONS"),
        ("anonymous", "401", "WWW-Authenticate: Bearer"),
        ("token", "401", "invalid_token"),
        ("scope", "403", "insufficient_scope"),
        ("ticket", "401", "invalid_ticket"),
    ] {
        let item = format!("document.querySelector('#refusals li[data-rule={rule}]')");
        page.evaluate(&format!("{item}.querySelector('button').click()"));
        page.wait(&format!("{item}.dataset.status === '{status}'"));
        page.wait(&format!("{item}.textContent.includes('{said}')"));
    }
}

crate::in_each_browser! {
    the_page_opens_the_stream_by_each_proof,
    the_page_shows_what_each_refusal_looks_like,
}
