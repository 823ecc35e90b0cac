//! C12–C14: session cookies and embedder policies, as browsers apply them between pages and
//! streams of several origins. `*.localhost` names are loopback to both browsers.

use actix_web_sse_tests::{Answer, Browser, BrowserKind, Claims, Demo, Settings, Site};

use crate::{DEMO, guarded, watched_page::WatchedPage};

/// The name of a site's page, on the port of a server of the test.
fn named(host: &str, site: &Site) -> String {
    format!("http://{host}:{}", site.address().port())
}

/// The stream by the name of the site's interface.
fn stream_of(demo: &Demo) -> String {
    format!(
        "http://api.site.localhost:{}/events?topic=demo",
        demo.app.port()
    )
}

/// `sid` with a token of the demo and with attributes, in the form of a query.
fn cookie(demo: &Demo, attributes: &str) -> String {
    let token = demo.token(&Claims::of("ada"));
    format!("sid={token}{}", attributes.replace("; ", "%3B%20"))
}

#[track_caller]
fn opened_by_cookie(demo: &Demo, times: f64) {
    let by_cookie = [("auth_method", "cookie")];
    demo.wait_for_metric("sse_connections_opened_total", &by_cookie, times);
}

fn c14_a_strict_cookie_goes_to_another_origin_of_the_same_site_only(kind: BrowserKind) {
    let pages = guarded::pages();
    let (same_site, cross_site) = (
        named("app.site.localhost", &pages),
        named("app.other.localhost", &pages),
    );
    let demo = Demo::start(DEMO, &guarded::settings(&[&same_site, &cross_site]));
    let browser = Browser::launch(kind);
    let strict = cookie(&demo, "; SameSite=Strict");
    let _signed_in = browser.open(&format!(
        "{}/login?{strict}",
        named("api.site.localhost", &pages)
    ));

    let page = WatchedPage::open(&browser, &same_site, &stream_of(&demo));
    page.wait_for_opened(1);
    demo.publish("demo", "for ada");
    assert_eq!(page.wait_for_data(1), ["for ada"]);
    opened_by_cookie(&demo, 1.0);

    let page = WatchedPage::open(&browser, &cross_site, &stream_of(&demo));
    page.page().wait("source.readyState === 2");
    assert_eq!(page.page().evaluate("opened"), 0);
    let unauthorized = [("reason", "unauthorized")];
    demo.wait_for_metric("sse_connections_rejected_total", &unauthorized, 1.0);
    opened_by_cookie(&demo, 1.0);
}

fn c13_a_partitioned_cookie_goes_to_another_site(kind: BrowserKind) {
    let pages = guarded::pages();
    let cross_site = named("app.other.localhost", &pages);
    let demo = Demo::start(DEMO, &guarded::settings(&[&cross_site]));
    let browser = Browser::launch(kind);
    let page = WatchedPage::open(&browser, &cross_site, &stream_of(&demo));
    page.page().wait("source.readyState === 2");
    // The page itself signs in, so that the cookie belongs to this page's partition.
    let attributes = "; Secure; SameSite=None; Partitioned";
    let login = format!(
        "{}/login?{}",
        named("api.site.localhost", &pages),
        cookie(&demo, attributes)
    );
    page.page().evaluate(&format!(
        "fetch('{login}', {{ method: 'POST', credentials: 'include' }}).then(() => 0)"
    ));
    page.watch(&stream_of(&demo));
    page.wait_for_opened(1);
    opened_by_cookie(&demo, 1.0);
}

fn c12_a_page_that_requires_corp_can_open_the_stream(kind: BrowserKind) {
    let pages = Site::serve(|_| {
        Answer::empty_page()
            .header("Cross-Origin-Embedder-Policy", "require-corp")
            .header("Cross-Origin-Opener-Policy", "same-origin")
    });
    let demo = Demo::start(DEMO, &Settings::open().allow(&[&pages.origin()]));
    let browser = Browser::launch(kind);
    let url = format!("{}/events?topic=isolated", demo.origin());
    let page = WatchedPage::open(&browser, &pages.origin(), &url);
    page.wait_for_opened(1);
    assert_eq!(page.page().evaluate("crossOriginIsolated"), true);
    demo.publish("isolated", "x");
    page.wait_for_data(1);
}

crate::in_each_browser! {
    c12_a_page_that_requires_corp_can_open_the_stream,
    c13_a_partitioned_cookie_goes_to_another_site,
    c14_a_strict_cookie_goes_to_another_origin_of_the_same_site_only,
}
