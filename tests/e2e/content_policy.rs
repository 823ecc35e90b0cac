//! The `connect-src` that a policy gives is what a page needs to open its streams.

use actix_web_sse::Policy;
use actix_web_sse_tests::{Answer, Browser, BrowserKind, Demo, Settings, Site};

use crate::{DEMO, watched_page::WatchedPage};

fn pages(connect_src: String) -> Site {
    Site::serve(move |_| Answer::empty_page().header("Content-Security-Policy", &connect_src))
}

fn a_page_opens_the_streams_that_its_content_policy_names(kind: BrowserKind) {
    let policy = |hosts: &[&str]| {
        let policy = hosts
            .iter()
            .fold(Policy::builder(), |policy, host| policy.host(*host));
        policy.build().unwrap().connect_src()
    };
    let named = pages(policy(&["api.example.com", "127.0.0.1"]));
    let unnamed = pages(policy(&["api.example.com"]));
    let settings = Settings::open().allow(&[&named.origin(), &unnamed.origin()]);
    let demo = Demo::start(DEMO, &settings);
    let browser = Browser::launch(kind);
    let url = format!("{}/events?topic=named", demo.origin());

    let page = WatchedPage::open(&browser, &named.origin(), &url);
    page.wait_for_opened(1);
    demo.publish("named", "x");
    page.wait_for_data(1);

    let page = WatchedPage::open(&browser, &unnamed.origin(), &url);
    page.page().wait("source.readyState === 2");
    assert_eq!(page.page().evaluate("opened"), 0);
    // The browser did not even ask.
    demo.wait_for_metric("sse_connections_opened_total", &[], 1.0);
    demo.wait_for_metric("sse_connections_rejected_total", &[], 0.0);
}

crate::in_each_browser!(a_page_opens_the_streams_that_its_content_policy_names);
