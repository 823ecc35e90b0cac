//! S7, S81: tokens that expire, and tokens that a header carries.

use actix_web_sse_tests::{Browser, BrowserKind, Claims, Demo, LIMIT, Relay};

use crate::{DEMO, guarded, watched_page::WatchedPage};

fn s7_a_page_learns_that_its_token_expired_and_is_refused_afterwards(kind: BrowserKind) {
    let pages = guarded::pages();
    let demo = Demo::start(DEMO, &guarded::settings(&[&pages.origin()]));
    let browser = Browser::launch(kind);
    let url = format!("{}/events?topic=demo", demo.origin());
    let page = WatchedPage::blank(&browser, &pages.origin());
    let (mut tokens, mut expired) = (0_u32, 0.0);
    // Short enough to wait for; where it is too short for a browser that has to wait for a core, the next is longer.
    for seconds in [8, 16, 32] {
        tokens += 1;
        let token = demo.token(&Claims::of("ada").expiring_in(seconds));
        page.page()
            .goto(&format!("{}/login?sid={token}", pages.origin()));
        page.watch(&url);
        page.page().wait("opened > 0 || source.readyState === 2");
        demo.publish("demo", "before");
        page.page()
            .wait_at_most(LIMIT * 2, "data.length > 0 || source.readyState === 2");
        expired += page.page().evaluate("opened").as_f64().unwrap();
        if page.page().evaluate("data.length > 0") == true {
            break;
        }
    }
    page.page().wait_at_most(LIMIT * 2, "expired === 1");
    page.page().wait("source.readyState === 2");
    demo.publish("demo", "after");
    demo.wait_for_metric(
        "sse_connections_closed_total",
        &[("reason", "expired")],
        expired,
    );
    demo.wait_for_metric(
        "sse_connections_rejected_total",
        &[("reason", "invalid_token")],
        f64::from(tokens),
    );
    assert_eq!(
        page.page().evaluate("opened + ' ' + data.join()"),
        "1 before"
    );
}

fn s81_a_fetch_client_sends_a_token_and_resumes(kind: BrowserKind) {
    let pages = guarded::pages();
    let demo = Demo::start(DEMO, &guarded::settings(&[&pages.origin()]));
    let relay = Relay::to(demo.app);
    let browser = Browser::launch(kind);
    let page = WatchedPage::blank(&browser, &pages.origin());
    let token = demo.token(&Claims::of("ada"));
    page.watch_source(&format!(
        "new (await import('/sse-client.js')).FetchStream('http://{}/events?topic=demo', {{
           headers: () => ({{ Authorization: 'Bearer {token}' }}),
           credentials: 'omit',
         }})",
        relay.address()
    ));
    page.wait_for_opened(1);
    demo.publish("demo", "1");
    page.wait_for_data(1);
    let id = page.last_id();
    relay.sever();
    page.page().wait("source.readyState === 0");
    demo.publish("demo", "2");
    relay.mend();
    page.wait_for_opened(2);
    demo.publish("demo", "3");
    assert_eq!(page.wait_for_data(3), ["1", "2", "3"]);

    // P: its preflights are answered without the token, and then the token comes.
    let requests: Vec<_> = relay
        .passages()
        .iter()
        .flat_map(|passage| passage.requests())
        .collect();
    let bearer = format!("Bearer {token}");
    for (line, headers) in &requests {
        let authorization = headers.get("authorization");
        match line.split(' ').next() {
            Some("OPTIONS") => assert_eq!(authorization, None),
            Some("GET") => assert_eq!(authorization, Some(bearer.as_str())),
            _ => panic!("{line}"),
        }
    }
    assert!(
        requests
            .iter()
            .any(|(line, _)| line.starts_with("OPTIONS "))
    );
    let (_, last) = requests
        .iter()
        .rfind(|(line, _)| line.starts_with("GET "))
        .unwrap();
    assert_eq!(last.get("last-event-id"), Some(id.as_str()));
    let by_bearer = [("auth_method", "bearer")];
    demo.wait_for_metric("sse_connections_opened_total", &by_bearer, 2.0);
}

crate::in_each_browser! {
    s7_a_page_learns_that_its_token_expired_and_is_refused_afterwards,
    s81_a_fetch_client_sends_a_token_and_resumes,
}
