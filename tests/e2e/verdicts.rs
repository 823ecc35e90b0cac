//! What is counted as allowed or denied is what the browser decides, whoever set the headers.

use actix_web_sse_tests::{Browser, BrowserKind, LIMIT, Site, until};

use crate::{application::Application, watched_page::WatchedPage};

fn counted(application: &Application, verdict: &str) -> u64 {
    // Labels stand in the order of their names: route, verdict.
    let samples = application.samples("sse_connections_opened_cors_total{");
    let ours = samples.iter().filter(|sample| sample.contains(verdict));
    let values = ours.filter_map(|sample| sample.rsplit_once(' '));
    values.map(|(_, value)| value.parse::<u64>().unwrap()).sum()
}

fn a_browser_and_the_metric_agree(kind: BrowserKind) {
    let pages = Site::empty();
    let application = Application::start(&pages.origin());
    let browser = Browser::launch(kind);
    for (path, opens) in [
        ("/events", true),
        ("/actix-cors", true),
        ("/private", false),
    ] {
        let counts = || ["allowed", "denied"].map(|verdict| counted(&application, verdict));
        let before = counts();
        let page = WatchedPage::open(&browser, &pages.origin(), &application.url(path));
        let expected = if opens {
            page.wait_for_opened(1);
            [before[0] + 1, before[1]]
        } else {
            page.page().wait("errors.length > 0");
            assert_eq!(page.errors(), [2]);
            [before[0], before[1] + 1]
        };
        until(&format!("{path} counts as {expected:?}"), LIMIT, || {
            (counts() == expected).then_some(())
        });
        page.close();
    }
}

crate::in_each_browser!(a_browser_and_the_metric_agree);
