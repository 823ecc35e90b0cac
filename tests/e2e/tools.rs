//! The tools that the other tests stand on, tried against a server of a few lines.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use actix_web_sse_tests::{
    Answer, Block, Browser, BrowserKind, LIMIT, Nginx, Prometheus, Redis, Relay, Request, Site,
    check_metrics, until,
};

/// Sends one numbered event per connection and holds the stream open.
fn stream_site(origin: String) -> Site {
    let opened = Arc::new(AtomicUsize::new(0));
    Site::serve(move |_| {
        let number = opened.fetch_add(1, Ordering::SeqCst) + 1;
        Answer::stream(move |socket| {
            write!(
                socket,
                "retry: 200\n\nid: {number}\ndata: number {number}\n\n"
            )?;
            // Up to the client's end of the connection.
            std::io::copy(&mut &*socket, &mut std::io::sink()).map(drop)
        })
        .header("Access-Control-Allow-Origin", &origin)
        .header("Access-Control-Allow-Credentials", "true")
    })
}

fn a_browser_reads_a_stream_and_comes_back_after_a_cut(kind: BrowserKind) {
    let page_site = Site::empty();
    let streams = stream_site(page_site.origin());
    let relay = Relay::to(streams.address());
    let browser = Browser::launch(kind);
    let page = browser.open(&page_site.origin());
    page.evaluate(&format!(
        "globalThis.seen = [];
         globalThis.source = new EventSource('http://{}/', {{ withCredentials: true }});
         source.onmessage = (event) => seen.push(event.lastEventId + ' ' + event.data);
         console.log('opened');",
        relay.address()
    ));
    page.wait("seen.length === 1");
    relay.cut();
    page.wait("seen.length === 2");
    let seen = page.evaluate("seen.join(', ')");
    assert_eq!(seen, "1 number 1, 2 number 2");
    assert!(browser.console().contains(&"log: opened".to_owned()));
    let requests = relay.requests_for("/");
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert_eq!(requests[0].get("last-event-id"), None);
    assert_eq!(requests[1].get("last-event-id"), Some("1"));
    // A browser may open a connection more, and send nothing on it.
    let second = || {
        let mut used = relay.passages().into_iter();
        used.rfind(|passage| !passage.sent.is_empty())
            .expect("the second stream")
    };
    assert!(second().client_left.is_none());
    page.close();
    until("the relay sees the closed tab", LIMIT, || {
        second().client_left
    });
}

crate::in_each_browser!(a_browser_reads_a_stream_and_comes_back_after_a_cut);

#[test]
fn the_client_reads_a_stream_through_nginx() {
    let streams = stream_site("http://nobody".to_owned());
    let nginx = Nginx::start(&format!(
        "server {{ listen {{listen}}; location / {{ proxy_pass http://{}; proxy_buffering off; }} }}",
        streams.address()
    ));
    let mut stream = Request::stream("/").open(nginx.address());
    let retry = stream.block(LIMIT).unwrap().unwrap();
    assert_eq!(retry.retry(), Some(200));
    assert_eq!(
        stream.next_event(),
        Block::Event {
            id: Some("1".to_owned()),
            event: None,
            data: Some("number 1".to_owned()),
        }
    );
}

#[test]
fn prometheus_scrapes_a_target_and_promtool_finds_its_faults() {
    let target = Site::serve(|_| {
        let text =
            "# HELP tools_total Tools.\n# TYPE tools_total counter\ntools_total{kind=\"real\"} 7\n";
        Answer::page(text).header("X-Content-Type-Options", "nosniff")
    });
    let prometheus = Prometheus::scraping(&[("tools", target.address())], &[]);
    prometheus.wait_for("tools_total{kind='real', job='tools'}", 7.0);
    let good = check_metrics("# HELP good_total Good.\n# TYPE good_total counter\ngood_total 1\n");
    assert_eq!((good.code, good.stderr.len()), (Some(0), 0), "{good:?}");
    let bad = check_metrics("# TYPE bad counter\nbad 1\n");
    assert_ne!(bad.code, Some(0), "{bad:?}");
}

#[test]
fn redis_answers() {
    let redis = Redis::start();
    let mut connection = actix_web_sse_tests::Connection::open(redis.address());
    connection.send(b"PING\r\n").unwrap();
    assert_eq!(connection.line(LIMIT).unwrap(), "+PONG");
}
