//! What browsers do, pinned: the design rests on it. When one of these fails after an update of a
//! browser, the design wants another look, not the test.

use std::{io::Write, net::TcpStream, ops::Range, time::Instant};

use actix_web_sse_tests::{Answer, Browser, BrowserKind, LIMIT, Page, Relay, Site, Visit, until};

/// Opens `source` on the page and notes what becomes of it in `log`.
fn open_source(page: &Page<'_>, url: &str) {
    page.evaluate(&format!(
        "globalThis.source?.close();
         globalThis.log = [];
         globalThis.source = new EventSource('{url}', {{ withCredentials: true }});
         source.onopen = () => log.push('open');
         source.onmessage = (event) => log.push('data ' + event.data);
         source.onerror = () => log.push('error ' + source.readyState);"
    ));
}

fn log(page: &Page<'_>) -> String {
    page.evaluate("log.join(', ')")
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// Lets pages of this origin read, with credentials.
fn readable(answer: Answer, visit: &Visit) -> Answer {
    let origin = visit.headers.get("origin").unwrap_or("null").to_owned();
    answer
        .header("Access-Control-Allow-Origin", &origin)
        .header("Access-Control-Allow-Credentials", "true")
}

/// Writes to the stream and holds it until the client leaves.
fn hold(socket: &mut TcpStream, text: &str) -> std::io::Result<()> {
    socket.write_all(text.as_bytes())?;
    std::io::copy(socket, &mut std::io::sink()).map(drop)
}

/// B3: any status but 200, and a wrong or missing content type, is final.
fn b3_any_other_answer_than_200_is_final(kind: BrowserKind) {
    let streams = Site::serve(|visit| {
        let answer = match visit.target.trim_start_matches('/') {
            "html" => Answer::page("data: x\n\n"),
            "untyped" => Answer::status(200),
            status => Answer::status(status.parse().unwrap()).header("Retry-After", "0"),
        };
        readable(answer, visit)
    });
    let pages = Site::empty();
    let browser = Browser::launch(kind);
    let page = browser.open(&pages.origin());
    let cases = [
        "204", "401", "403", "429", "500", "502", "503", "html", "untyped",
    ];
    for case in cases {
        open_source(&page, &format!("{}/{case}", streams.origin()));
        page.wait("log.length > 0");
        assert_eq!(log(&page), "error 2", "{case}");
    }
    assert_eq!(
        streams.visits().len(),
        cases.len(),
        "nothing was tried twice"
    );
}

/// B4: after a 200, a clean end and a cut are the same: the browser comes back by itself.
fn b4_a_clean_end_and_a_cut_are_followed_by_a_reconnect(kind: BrowserKind) {
    let streams = Site::serve(|visit| {
        let first = visit.headers.get("last-event-id").is_none();
        readable(
            Answer::stream(move |socket| match first {
                true => socket.write_all(b"retry: 300\nid: 1\ndata: first\n\n"),
                false => hold(socket, "id: 2\ndata: second\n\n"),
            }),
            visit,
        )
    });
    let relay = Relay::to(streams.address());
    let pages = Site::empty();
    let browser = Browser::launch(kind);
    let page = browser.open(&pages.origin());
    open_source(&page, &format!("http://{}/", relay.address()));
    page.wait("log.includes('data second')");
    relay.cut();
    page.wait("log.filter((entry) => entry === 'data second').length === 2");
    assert_eq!(
        log(&page),
        "open, data first, error 0, open, data second, error 0, open, data second"
    );
    let requests = relay
        .passages()
        .into_iter()
        .flat_map(|passage| passage.requests());
    let methods: Vec<_> = requests.map(|(line, _)| line).collect();
    assert_eq!(
        methods, ["GET / HTTP/1.1"; 3],
        "B5: no preflight for Last-Event-ID"
    );
}

/// B6: two lines are too many, even equal ones.
fn b6_two_equal_allow_origin_lines_are_blocked(kind: BrowserKind) {
    let streams = Site::serve(|visit| {
        let answer = readable(Answer::stream(|socket| hold(socket, "data: x\n\n")), visit);
        match visit.target.as_str() {
            "/twice" => readable(answer, visit),
            _ => answer,
        }
    });
    let pages = Site::empty();
    let browser = Browser::launch(kind);
    let page = browser.open(&pages.origin());
    open_source(&page, &format!("{}/once", streams.origin()));
    page.wait("log.includes('data x')");
    open_source(&page, &format!("{}/twice", streams.origin()));
    page.wait("log.length > 0");
    assert_eq!(log(&page), "error 2");
}

/// B7: what an `EventSource` says of itself, to another origin and to its own.
fn b7_an_event_source_names_itself_by_fetch_metadata(kind: BrowserKind) {
    let streams = Site::serve(|visit| match visit.target.as_str() {
        "/stream" => readable(Answer::stream(|socket| hold(socket, "data: x\n\n")), visit),
        _ => Answer::empty_page(),
    });
    let pages = Site::empty();
    let browser = Browser::launch(kind);
    let page = browser.open(&pages.origin());
    open_source(&page, &format!("{}/stream", streams.origin()));
    page.wait("log.includes('data x')");
    page.goto(&streams.origin());
    open_source(&page, "/stream");
    page.wait("log.includes('data x')");

    let visits = streams.visits().into_iter();
    let asked: Vec<_> = visits.filter(|visit| visit.target == "/stream").collect();
    assert_eq!(asked.len(), 2);
    for visit in &asked {
        let get = |name| visit.headers.get(name);
        assert_eq!(get("accept"), Some("text/event-stream"));
        assert_eq!(get("cache-control"), Some("no-cache"));
        assert_eq!(get("sec-fetch-mode"), Some("cors"));
        assert_eq!(get("sec-fetch-dest"), Some("empty"));
    }
    let [cross, same] = [&asked[0].headers, &asked[1].headers];
    // The site is the host; another port is another origin of the same site.
    assert_eq!(cross.get("sec-fetch-site"), Some("same-site"));
    assert_eq!(cross.get("origin"), Some(pages.origin().as_str()));
    assert_eq!(same.get("sec-fetch-site"), Some("same-origin"));
    assert_eq!(
        same.get("origin"),
        None,
        "a same-origin EventSource sends no Origin"
    );
}

/// B1: for so many seconds the server sees the connection of a stream that the browser keeps from its page,
/// and the script hears of it at once. A browser that has to wait for a core takes longer, so it may try again.
fn blocked_stream_is_held_for(kind: BrowserKind, connection: &str, expected: &Range<f64>) {
    let connection = connection.to_owned();
    let streams = Site::serve(move |_| {
        Answer::stream(|socket| hold(socket, "4\r\n:hi\n\r\n"))
            .header("Transfer-Encoding", "chunked")
            .header("Connection", &connection)
    });
    let relay = Relay::to(streams.address());
    let pages = Site::empty();
    let browser = Browser::launch(kind);
    let page = browser.open(&pages.origin());
    let mut seen = Vec::new();
    for attempt in 0..5 {
        let start = Instant::now();
        let path = format!("/blocked/{attempt}");
        open_source(&page, &format!("http://{}{path}", relay.address()));
        page.wait("log.length > 0");
        assert_eq!(log(&page), "error 2");
        let heard = start.elapsed().as_secs_f64();
        let request = format!("GET {path} ");
        let held = until("the browser lets go of the connection", LIMIT, || {
            let mut asked = relay.passages().into_iter();
            let passage = asked.find(|passage| passage.sent.starts_with(request.as_bytes()))?;
            Some(passage.client_left? - passage.opened)
        });
        let held = held.as_secs_f64();
        assert!(held >= expected.start, "{held} s");
        if heard < 4.0 && expected.contains(&held) {
            return;
        }
        seen.push((heard, held));
    }
    panic!("heard of, and held for, in seconds: {seen:?}");
}

#[test]
fn b1_chromium_holds_a_blocked_stream_for_five_seconds() {
    blocked_stream_is_held_for(BrowserKind::Chromium, "keep-alive", &(4.5..7.0));
}

#[test]
fn b1_chromium_lets_go_at_once_if_the_connection_is_to_close_anyway() {
    blocked_stream_is_held_for(BrowserKind::Chromium, "close", &(0.0..3.0));
}

#[test]
fn b1_firefox_lets_go_of_a_blocked_stream_at_once() {
    blocked_stream_is_held_for(BrowserKind::Firefox, "keep-alive", &(0.0..3.0));
}

crate::in_each_browser! {
    b3_any_other_answer_than_200_is_final,
    b4_a_clean_end_and_a_cut_are_followed_by_a_reconnect,
    b6_two_equal_allow_origin_lines_are_blocked,
    b7_an_event_source_names_itself_by_fetch_metadata,
}
