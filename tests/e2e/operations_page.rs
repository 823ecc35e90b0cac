//! The operations page, used as an operator uses it: with the keyboard alone.

use actix_web_sse_tests::{
    Browser, BrowserKind, Claims, Demo, EventStream, LIMIT, Page, Request, Settings,
};

use crate::DEMO;

/// A user who tries to be markup.
const HOSTILE: &str = "<script>document.title='owned'</script>";
const ORIGIN: &str = "https://app.example.com";

/// A demo with its page, and the token that it printed.
struct Watched {
    demo: Demo,
    token: String,
}

impl Watched {
    fn start() -> Self {
        let settings = Settings::reference()
            .without_limits()
            .set("metrics.operators", "token")
            .set("server.tick", "100ms");
        let demo = Demo::start(DEMO, &settings);
        let token = demo.process().wait_for_line("the token", LIMIT, |line| {
            let token = line.strip_prefix("token")?.trim();
            (!token.is_empty()).then(|| token.to_owned())
        });
        Self { demo, token }
    }

    fn stream(&self, user: &str) -> EventStream {
        let token = self.demo.token(&Claims::of(user));
        Request::event_source("/events?topic=demo", ORIGIN)
            .bearer(&token)
            .open(self.demo.app)
    }

    /// The page, which notes what its content policy stops.
    fn open<'b>(&self, browser: &'b Browser) -> Page<'b> {
        let page = browser.open(&format!("http://{}/operations", self.demo.metrics));
        page.evaluate(
            "window.stopped = []; document.addEventListener('securitypolicyviolation', \
             (event) => window.stopped.push(event.violatedDirective + ' ' + event.blockedURI))",
        );
        page
    }

    /// Signs in as a person does.
    fn sign_in<'b>(&self, browser: &'b Browser) -> Page<'b> {
        let page = self.open(browser);
        page.wait("document.activeElement.id === 'token'");
        page.type_text(&self.token);
        page.press("Enter");
        page.wait("!document.getElementById('content').hidden");
        page
    }
}

/// Presses Tab until this is true of the element that has the focus.
#[track_caller]
fn tab_to(page: &Page<'_>, wanted: &str) {
    for _ in 0..60 {
        page.press("Tab");
        let script = format!("((focused) => Boolean({wanted}))(document.activeElement)");
        if page.evaluate(&script) == true {
            return;
        }
    }
    let focused = page.evaluate("document.activeElement.outerHTML");
    panic!("the focus does not come to {wanted}; it is on {focused}");
}

fn text(id: &str) -> String {
    format!("document.getElementById('{id}').textContent")
}

#[track_caller]
fn nothing_was_stopped_or_failed(browser: &Browser, page: &Page<'_>) {
    assert_eq!(page.evaluate("window.stopped.join()"), "");
    let console = browser.console();
    let bad = |line: &&String| line.starts_with("uncaught") || line.contains("Content Security");
    assert_eq!(console.iter().filter(bad).count(), 0, "{console:#?}");
}

fn a_stream_is_seen_and_ended_with_the_keyboard(kind: BrowserKind) {
    let watched = Watched::start();
    let mut stream = watched.stream(HOSTILE);
    let _other = watched.stream("ada");
    let browser = Browser::launch(kind);
    let page = watched.sign_in(&browser);
    page.wait("document.querySelectorAll('#rows tr').length === 2");
    // Its name is text, and so it stays.
    page.wait("[...document.querySelectorAll('#rows .who b')].some((b) => b.textContent.startsWith('<script>'))");
    assert_eq!(
        page.evaluate("document.querySelectorAll('#rows script').length"),
        0
    );
    page.wait("document.title === '2 event streams on ' + document.getElementById('node-name').textContent");
    page.wait("[...document.querySelectorAll('#rows .number')].some((cell) => cell.dataset.label === 'Events' && Number(cell.textContent) > 0)");

    // Its life.
    tab_to(
        &page,
        "focused.textContent.startsWith('<script>') && focused.closest('#rows')",
    );
    page.press("Enter");
    page.wait("document.getElementById('life').open");
    page.wait(&format!("{}.includes({ORIGIN:?})", text("life-facts")));
    page.wait(&format!("{} === 'open'", text("life-state")));
    let events = "Number(document.querySelector('#life-figures [data-key=events] b').textContent)";
    let before = page.wait(events).as_u64().unwrap();
    page.wait(&format!("{events} > {before}"));

    // Its end. The first choice is to let it be.
    tab_to(&page, "focused.id === 'life-end'");
    page.press("Enter");
    page.wait(
        "document.getElementById('confirm').open && document.activeElement.id === 'confirm-no'",
    );
    page.press("Tab");
    page.press("Enter");
    page.wait(&format!(
        "{}.startsWith('ended: revoked')",
        text("life-state")
    ));
    page.wait(&format!("{}.includes('has ended')", text("said")));
    stream.until_end(LIMIT);
    let count = |action| {
        watched
            .demo
            .wait_for_metric("sse_operator_actions_total", &[("action", action)], 1.0)
    };
    count("end_stream");
    watched
        .demo
        .process()
        .wait_for_line("the action", LIMIT, |line| {
            let ours = line.contains("\"event\":\"sse_operator_action\"");
            (ours && line.contains("\"ended\":1") && line.contains("document.title=")).then_some(())
        });
    page.press("Escape");
    page.wait("!document.getElementById('life').open");
    page.wait("document.querySelectorAll('#rows tr').length === 1");

    // All streams of a user.
    tab_to(
        &page,
        "focused.closest('#by-user') && focused.textContent.startsWith('ada')",
    );
    page.press("Enter");
    page.wait("document.getElementById('end-user') !== null");
    page.evaluate("document.getElementById('streams-title').focus()");
    tab_to(&page, "focused.id === 'end-user'");
    page.press("Enter");
    page.wait("document.activeElement.id === 'confirm-no'");
    page.press("Tab");
    page.press("Enter");
    page.wait(&format!(
        "{} === '1 stream of ada on this node ended.'",
        text("said")
    ));
    count("end_user");
    page.wait("document.querySelectorAll('#rows tr').length === 0");
    assert_eq!(page.evaluate("document.title.includes('owned')"), false);
    nothing_was_stopped_or_failed(&browser, &page);
}

fn the_token_stays_in_the_tab_and_a_wrong_one_is_said(kind: BrowserKind) {
    let watched = Watched::start();
    let browser = Browser::launch(kind);
    let page = watched.open(&browser);
    page.wait("document.activeElement.id === 'token'");
    page.type_text("not-the-operators-token");
    page.press("Enter");
    page.wait(&format!(
        "{}.includes('does not take')",
        text("sign-in-error")
    ));
    assert_eq!(
        page.evaluate("document.getElementById('content').hidden"),
        true
    );
    page.wait("document.activeElement.id === 'token'");
    page.type_text(&watched.token);
    page.press("Enter");
    page.wait("!document.getElementById('content').hidden");
    assert_eq!(
        page.evaluate("location.href.endsWith('/operations/')"),
        true
    );
    // After a reload as well, and in no other tab.
    page.goto(&format!("http://{}/operations/", watched.demo.metrics));
    page.wait("!document.getElementById('content').hidden");
    let other = watched.open(&browser);
    other.wait("document.activeElement.id === 'token'");
    page.evaluate("document.getElementById('sign-out').click()");
    page.wait("document.activeElement.id === 'token'");
    page.goto(&format!("http://{}/operations/", watched.demo.metrics));
    page.wait("document.activeElement.id === 'token'");
    nothing_was_stopped_or_failed(&browser, &other);
}

fn it_fits_a_narrow_window_and_has_two_themes(kind: BrowserKind) {
    let watched = Watched::start();
    let _streams = [watched.stream(HOSTILE), watched.stream(&"long".repeat(40))];
    let long = format!("https://{}.example", "long".repeat(40));
    for origin in ["https://evil.example", &long] {
        let refused = Request::event_source("/events?topic=demo", origin).send(watched.demo.app);
        assert_eq!(refused.status(), 403);
    }
    let browser = Browser::launch(kind);
    let page = watched.sign_in(&browser);
    page.wait("document.querySelectorAll('#rows tr').length === 2");
    page.wait(&format!(
        "{}.includes('policy.origins.allow')",
        text("reasons")
    ));
    page.wait("[...document.querySelectorAll('#origins tr')].some((row) => row.textContent.includes('evil') && row.querySelector('.chip').textContent === 'denied')");
    page.evaluate("document.getElementById('latest-refusals').open = true");
    page.evaluate("document.querySelector('#by-user button').click()");
    page.wait("!document.getElementById('filters').hidden");
    for width in [400, 800, 1320] {
        page.viewport(width, 800);
        page.wait(&format!("innerWidth === {width}"));
        let wide = "[...document.querySelectorAll('main *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80)).join()";
        assert_eq!(page.evaluate(wide), "", "at {width}");
        assert_eq!(
            page.evaluate("document.documentElement.scrollWidth <= innerWidth"),
            true,
            "at {width}"
        );
    }
    // Narrow rows are cards; for a screen reader they are still the rows of a table.
    page.viewport(400, 800);
    page.wait("getComputedStyle(document.querySelector('#rows tr')).display === 'grid'");
    let roles = "[...new Set([...document.querySelectorAll('#streams :is(table, thead, tbody, tr, th, td)')].map((e) => e.getAttribute('role')))].sort().join()";
    assert_eq!(page.evaluate(roles), "cell,columnheader,row,rowgroup,table");
    page.evaluate("document.querySelector('#rows .who button').click()");
    page.wait("document.getElementById('life').open");
    page.wait("document.getElementById('life').getBoundingClientRect().right <= innerWidth");

    let colours = "((style) => style.color + style.backgroundColor)(getComputedStyle(document.querySelector('.card')))";
    let first = page.evaluate(colours);
    page.evaluate("document.getElementById('theme').click()");
    let second = page.evaluate(colours);
    assert_ne!(first, second);
    page.evaluate("document.getElementById('theme').click()");
    assert_eq!(page.evaluate(colours), first);
    // Text is readable in both: a contrast of 4.5 with the card behind it (WCAG 2.2, 1.4.3).
    for _ in 0..2 {
        let faint = page.evaluate(FAINT);
        assert_eq!(faint, "");
        page.evaluate("document.getElementById('theme').click()");
    }
    nothing_was_stopped_or_failed(&browser, &page);
}

/// The texts whose contrast with the colour of the cards is too small.
const FAINT: &str = "(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const light = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const parts = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((part) => part / 255);
    const [r, g, b] = parts.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = light(getComputedStyle(document.querySelector('.card')).backgroundColor);
  const texts = document.querySelectorAll('.card :is(h2, small, code, b, td, th, .note, .reasons span, .chip)');
  return [...texts].filter((text) => {
    const own = light(getComputedStyle(text).color);
    return (Math.max(own, behind) + 0.05) / (Math.min(own, behind) + 0.05) < 4.5;
  }).map((text) => text.outerHTML.slice(0, 80)).join();
})()";

crate::in_each_browser! {
    a_stream_is_seen_and_ended_with_the_keyboard,
    the_token_stays_in_the_tab_and_a_wrong_one_is_said,
    it_fits_a_narrow_window_and_has_two_themes,
}
