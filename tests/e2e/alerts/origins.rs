//! Incidents about origins and CORS.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use actix_web_sse_tests::{
    Browser, BrowserKind, Connection, Demo, LIMIT, Nginx, Request, Settings, Site, until,
};

use super::{PATIENCE, Watch};
use crate::{DEMO, application::Application, watched_page::WatchedPage};

const APP: &str = "https://app.example.com";

fn ask_as(demo: &Demo, origin: &str) {
    drop(Request::event_source("/events", origin).send(demo.app));
}

#[test]
fn an_entry_lost_from_the_allow_list_at_a_restart_is_noticed() {
    let mut demo = Demo::start(DEMO, &Settings::open().allow(&[APP]));
    let other = Demo::start(DEMO, &Settings::open().allow(&[APP]));
    let watch = Watch::over(&[("sse", demo.metrics), ("sse-other", other.metrics)]);
    ask_as(&demo, APP);
    assert!(!watch.fires("SSERejectedOriginSpike"));
    // What is lost later must have been seen.
    let past = "job_route_entry:sse_connections_opened:max_over_time1d";
    until("Prometheus has seen the origin", PATIENCE, || {
        (!watch.prometheus.query(past).is_empty()).then_some(())
    });

    demo.terminate();
    let lost = Settings::open().allow(&["https://other.example.com"]);
    demo.restart_with(&lost);
    watch.wait_firing("SSEOriginLost", || ask_as(&demo, APP));
    watch.wait_firing("SSERejectedOriginSpike", || {
        (0..5).for_each(|_| ask_as(&demo, APP));
    });

    demo.terminate();
    demo.restart_with(&Settings::open().allow(&[APP]));
    watch.wait_clear("SSERejectedOriginSpike", || ask_as(&demo, APP));
    watch.wait_clear("SSEOriginLost", || ask_as(&demo, APP));
}

#[test]
fn instances_with_different_policies_are_noticed() {
    let ours = Settings::open().allow(&[APP]);
    let theirs = Settings::open().allow(&["https://old.example.com"]);
    let demo = Demo::start(DEMO, &ours);
    let mut other = Demo::start(DEMO, &theirs);
    let watch = Watch::over(&[("sse", demo.metrics), ("sse", other.metrics)]);
    watch.wait_firing("SSECorsPolicyDrift", || ());
    other.terminate();
    other.restart_with(&ours);
    watch.wait_clear("SSECorsPolicyDrift", || ());
}

#[test]
fn a_scan_of_many_origins_is_noticed_and_so_are_the_labels_it_uses_up() {
    let demo = Demo::start(DEMO, &Settings::open().allow(&[APP]));
    let watch = Watch::over(&[("sse", demo.metrics)]);
    let mut tried = 0_u8;
    watch.wait_firing("SSEUnknownOriginScan", || {
        for _ in 0..20 {
            tried = tried.wrapping_add(1);
            // From several addresses: one alone cannot use up the labels.
            let from = Ipv4Addr::new(127, 0, 2, tried.max(1));
            let request = Request::event_source("/events", &format!("https://{tried}.example"));
            // As often as an origin has to be refused before it gets a label.
            for _ in 0..3 {
                let mut connection = Connection::try_open_from(from, demo.app).unwrap();
                connection.send(&request.bytes(demo.app)).unwrap();
                drop(connection.response(false));
            }
        }
    });
    watch.wait_firing("SSELabelOverflow", || ());
    watch.wait_clear("SSEUnknownOriginScan", || ask_as(&demo, APP));
    watch.wait_clear("SSELabelOverflow", || ());
}

/// An nginx that takes the header away, as one line too many in a configuration does, or not.
fn nginx(application: &Application, strips: bool) -> Nginx {
    let line = if strips {
        "proxy_hide_header Access-Control-Allow-Origin;"
    } else {
        ""
    };
    Nginx::start(&format!(
        "server {{ listen {{listen}}; location / {{ proxy_pass http://{}; proxy_buffering off; \
         proxy_http_version 1.1; proxy_set_header Connection ''; {line} }} }}",
        application.address
    ))
}

#[test]
fn a_header_stripped_by_nginx_is_noticed_by_closes_and_by_reports() {
    let pages = Site::empty();
    let application = Application::start(&pages.origin());
    let watch = Watch::over(&[("sse", application.address)]);
    let browser = Browser::launch(BrowserKind::Firefox);
    let broken = nginx(&application, true);
    let page = WatchedPage::open(
        &browser,
        &pages.origin(),
        &format!("http://{}/events", broken.address()),
    );
    let watched = format!(
        "(async () => {{
            const {{ watch }} = await import('{}');
            const source = new EventSource('http://{}/events', {{ withCredentials: true }});
            watch(source, '{}');
            await new Promise((done) => source.addEventListener('error', done));
        }})()",
        application.url("/sse-reports/client.js"),
        broken.address(),
        application.url("/sse-reports"),
    );
    // The reports of more than one client, of which the browser is one.
    let clients = (1..10)
        .map(|n| format!("203.0.113.{n}"))
        .collect::<Vec<_>>();
    let mut open = || {
        drop(page.page().evaluate(&watched));
        for client in &clients {
            let head = Request::new("HEAD", "/events").header("Accept", "text/event-stream");
            let report = Request::new("POST", "/sse-reports").body("text/plain", "unreadable");
            for request in [head, report] {
                let request = request.header("X-Forwarded-For", client);
                drop(
                    request
                        .header("Origin", pages.origin())
                        .send(application.address),
                );
            }
        }
    };
    watch.wait_firing("SSECorsRegression", &mut open);
    watch.wait_firing("SSEClientReportsCorsBlocked", &mut open);
    watch.wait_firing("SSEImmediateCloseRateHigh", &mut open);
    drop(broken);

    let mended = nginx(&application, false);
    let url = format!("http://{}/events", mended.address());
    let order = || {
        let open = WatchedPage::open(&browser, &pages.origin(), &url);
        open.wait_until_open_for(Duration::from_millis(1500));
        open.page().evaluate("source.close()");
    };
    watch.wait_clear("SSECorsRegression", order);
    watch.wait_clear("SSEImmediateCloseRateHigh", order);
    watch.wait_clear("SSEClientReportsCorsBlocked", || ());
}

#[test]
fn a_route_without_its_guard_is_noticed_for_authentication_and_for_cors() {
    let application = Application::start(APP);
    let watch = Watch::over(&[("sse", application.address)]);
    let open = |path: &str| {
        let stream = Request::event_source(path, APP).send(application.address);
        assert_eq!(stream.status(), 200);
    };
    open("/events");
    assert!(!watch.fires("SSEAuthBypass"));
    watch.wait_firing("SSEAuthBypass", || open("/private"));
    watch.wait_firing("SSECorsOpenedDenied", || open("/private"));
    watch.wait_clear("SSEAuthBypass", || ());
    watch.wait_clear("SSECorsOpenedDenied", || ());
}

/// A client that leaves when an event comes: its end is seen at a write, as it is behind a proxy
/// that writes on to clients that have gone.
#[test]
fn ends_that_are_known_as_intervals_only_are_noticed_when_all_streams_end_like_that() {
    let application = Application::start(APP);
    let watch = Watch::over(&[("sse", application.address)]);
    let open = || Request::event_source("/events", APP).open(application.address);
    let wait = |opened: Instant, time| {
        until("the stream has been open for a while", LIMIT, || {
            (opened.elapsed() > time).then_some(())
        });
    };
    let average = "job_route_origin:sse_interval_closes:average1d";
    until("Prometheus knows what is usual", PATIENCE, || {
        let (streams, opened) = ((0..4).map(|_| open()).collect::<Vec<_>>(), Instant::now());
        wait(opened, Duration::from_millis(700));
        drop(streams);
        (!watch.prometheus.query(average).is_empty()).then_some(())
    });
    watch.wait_firing("SSECorsRegressionLikely", || {
        let (streams, opened) = ((0..8).map(|_| open()).collect::<Vec<_>>(), Instant::now());
        wait(opened, Duration::from_millis(600));
        application.publish("an event");
        // Each leaves at once, and does not wait for the others.
        for mut stream in streams {
            stream.next_event();
        }
    });
    watch.wait_clear("SSECorsRegressionLikely", || {
        let (streams, opened) = ((0..4).map(|_| open()).collect::<Vec<_>>(), Instant::now());
        wait(opened, Duration::from_millis(700));
        drop(streams);
    });
}

#[test]
fn what_a_policy_on_trial_would_refuse_is_noticed() {
    let settings = Settings::open()
        .allow(&[APP])
        .set("policy.origins.mode", "report-only");
    let demo = Demo::start(DEMO, &settings);
    let watch = Watch::over(&[("sse", demo.metrics)]);
    watch.wait_firing("SSEReportOnlyRefusals", || {
        ask_as(&demo, "https://new.example.com")
    });
    watch.wait_clear("SSEReportOnlyRefusals", || ask_as(&demo, APP));
}
