//! The verdict of `sse-probe` is the browser's, case by case: the same replies, judged by both.

use actix_web_sse_tests::{Answer, Browser, BrowserKind, Page, Site, Visit};
use sse_probe::{
    Credentials, Origin, PreflightBlock, Refusal, event_source_opens,
    http::{Ask, Dialer},
    preflight_check,
};

/// A reply, and how the page asks for it.
#[derive(Debug, Clone)]
struct Case {
    status: u16,
    lines: Vec<(&'static str, String)>,
    credentials: Credentials,
}

impl Case {
    fn new(credentials: Credentials) -> Self {
        Self {
            status: 200,
            lines: Vec::new(),
            credentials,
        }
    }

    fn with(mut self, name: &'static str, values: &[String]) -> Self {
        self.lines.extend(values.iter().map(|v| (name, v.clone())));
        self
    }

    fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    fn answer(&self) -> Answer {
        let answer = Answer::status(self.status);
        self.lines
            .iter()
            .fold(answer, |a, (name, value)| a.header(name, value))
    }
}

const ALLOW_ORIGIN: &str = "Access-Control-Allow-Origin";
const ALLOW_CREDENTIALS: &str = "Access-Control-Allow-Credentials";
const CONTENT_TYPE: &str = "Content-Type";

/// All lines that a header can consist of, from a few letters: `O` is the page's origin.
fn lines(origin: &str, text: &[&str]) -> Vec<String> {
    text.iter().map(|t| t.replace('O', origin)).collect()
}

/// Replies for a page of `origin`.
fn cases(origin: &str) -> Vec<Case> {
    let stream = ["text/event-stream".to_owned()];
    let yes = ["true".to_owned()];
    let allow_origins: [&[&str]; 22] = [
        &[],
        &["O"],
        &["*"],
        &["null"],
        &[""],
        &["O/"],
        &["O:80"],
        &["O.evil.example"],
        &["  O  "],
        &["https://other.example"],
        &["O", "O"],
        &["O", "*"],
        &["*", "O"],
        &["*", "*"],
        &["O", ""],
        &["", "O"],
        &["O, O"],
        &["O,"],
        &["O O"],
        &["\"O\""],
        &["* "],
        &["HTTP://127.0.0.1"],
    ];
    let allow_credentials: [&[&str]; 10] = [
        &[],
        &["true"],
        &["True"],
        &["TRUE"],
        &["false"],
        &[""],
        &["1"],
        &[" true "],
        &["true", "true"],
        &["true, true"],
    ];
    let content_types: [&[&str]; 24] = [
        &[],
        &["text/event-stream"],
        &["text/event-stream; charset=utf-8"],
        &["text/event-stream;charset=UTF-8"],
        &["text/event-stream; charset=\"utf-8\""],
        &["Text/Event-Stream"],
        &[" text/event-stream "],
        &["text/event-stream; x=y"],
        &["text/event-stream;"],
        &["text/event-stream ; charset=utf-8"],
        &["text/plain"],
        &["application/json"],
        &["text/event-streams"],
        &["text/event-stream/x"],
        &["text event-stream"],
        &["text/html", "text/event-stream"],
        &["text/event-stream", "text/html"],
        &["text/event-stream", "text/event-stream"],
        &["text/html, text/event-stream"],
        &["text/event-stream;a=\";charset=latin1\""],
        &["text/event-stream;a=\"x,y\""],
        &["text/event-stream; charset=latin1"],
        &["text/event-stream;charset=utf8"],
        &["*/*"],
    ];
    let mut cases = Vec::new();
    for &mode in Credentials::ALL {
        for allowed in allow_origins {
            for with in [&[][..], &yes[..]] {
                cases.push(
                    Case::new(mode)
                        .with(CONTENT_TYPE, &stream)
                        .with(ALLOW_ORIGIN, &lines(origin, allowed))
                        .with(ALLOW_CREDENTIALS, with),
                );
            }
        }
        for with in allow_credentials {
            cases.push(
                Case::new(mode)
                    .with(CONTENT_TYPE, &stream)
                    .with(ALLOW_ORIGIN, &lines(origin, &["O"]))
                    .with(ALLOW_CREDENTIALS, &lines(origin, with)),
            );
        }
    }
    let good = |status| {
        Case::new(Credentials::Include)
            .status(status)
            .with(ALLOW_ORIGIN, &lines(origin, &["O"]))
            .with(ALLOW_CREDENTIALS, &yes)
    };
    for status in [
        201, 202, 204, 205, 206, 226, 400, 401, 403, 404, 406, 429, 500, 503,
    ] {
        cases.push(good(status).with(CONTENT_TYPE, &stream));
    }
    for kind in content_types {
        cases.push(good(200).with(CONTENT_TYPE, &lines(origin, kind)));
    }
    cases
}

/// What the program says, from a reply on the wire.
fn verdicts(kind: BrowserKind, site: &Site, cases: &[Case], origin: &Origin) -> Vec<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let dialer = Dialer::default();
        let mut verdicts = Vec::new();
        for (number, case) in cases.iter().enumerate() {
            let url = format!("{}/{number}", site.origin()).parse().unwrap();
            let exchange = dialer.open(&Ask::get(url)).await.unwrap();
            let head = &exchange.head;
            let opens =
                event_source_opens(head.status, &head.headers, origin, case.credentials, false);
            // The one thing that Firefox takes and Chromium does not. Every browser counts.
            let lenient = kind == BrowserKind::Firefox && matches!(opens, Err(Refusal::Charset(_)));
            verdicts.push(opens.is_ok() || lenient);
        }
        verdicts
    })
}

/// What the browser does: opens each stream in turn, with the script's `source(url, withCredentials)`.
fn opened_by(page: &Page<'_>, site: &Site, cases: &[Case]) -> Vec<bool> {
    let modes: Vec<bool> = cases
        .iter()
        .map(|c| c.credentials == Credentials::Include)
        .collect();
    page.evaluate(&format!(
        "globalThis.opened = [];
         globalThis.finished = false;
         const modes = {modes:?};
         const one = (url, withCredentials) => new Promise((done) => {{
           const source = new EventSource(url, {{ withCredentials }});
           source.onopen = () => {{ source.close(); done(true); }};
           source.onerror = () => {{ const closed = source.readyState === 2; source.close(); done(closed ? false : 'retries'); }};
         }});
         (async () => {{
           for (const [number, mode] of modes.entries()) opened.push(await one('{}/' + number, mode));
           finished = true;
         }})();",
        site.origin()
    ));
    page.wait_at_most(std::time::Duration::from_secs(120), "finished");
    let opened = page.evaluate("opened");
    opened
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
        .map(|(number, seen)| {
            seen.as_bool().unwrap_or_else(|| {
                panic!(
                    "case {number}, {:?}: neither opened nor closed",
                    cases[number]
                )
            })
        })
        .collect()
}

fn serving(cases: &[Case]) -> Site {
    let cases = cases.to_vec();
    Site::serve(move |visit: &Visit| {
        let number: usize = visit
            .target
            .trim_start_matches('/')
            .parse()
            .unwrap_or(usize::MAX);
        cases
            .get(number)
            .map_or_else(|| Answer::status(404), Case::answer)
    })
}

#[track_caller]
fn agree(kind: BrowserKind, cases: &[Case], ours: &[bool], theirs: &[bool]) {
    let differ: Vec<_> = cases
        .iter()
        .zip(ours.iter().zip(theirs))
        .filter(|(_, (ours, theirs))| ours != theirs)
        .map(|(case, (ours, theirs))| format!("sse-probe {ours}, {kind} {theirs}: {case:?}"))
        .collect();
    assert!(
        differ.is_empty(),
        "{} of {}:\n{}",
        differ.len(),
        cases.len(),
        differ.join("\n")
    );
    let opened = ours.iter().filter(|o| **o).count();
    assert!(
        opened > 0 && opened < ours.len(),
        "{opened} of {} open",
        ours.len()
    );
}

/// S60: what `sse-probe` says of a reply is what the browser does with it.
fn s60_the_verdict_is_the_browsers(kind: BrowserKind) {
    let pages = Site::empty();
    let cases = cases(&pages.origin());
    assert!(cases.len() >= 60, "{} cases", cases.len());
    let site = serving(&cases);
    let ours = verdicts(kind, &site, &cases, &pages.origin().parse().unwrap());
    let browser = Browser::launch(kind);
    let page = browser.open(&pages.origin());
    let theirs = opened_by(&page, &site, &cases);
    agree(kind, &cases, &ours, &theirs);
}

/// The same for a page whose origin is `null`: a sandboxed frame.
fn s60_the_verdict_for_null_is_the_browsers(kind: BrowserKind) {
    let pages = Site::serve(|_| {
        Answer::empty_page().header("Content-Security-Policy", "sandbox allow-scripts")
    });
    let cases = cases("null");
    let site = serving(&cases);
    let ours = verdicts(kind, &site, &cases, &Origin::null());
    let browser = Browser::launch(kind);
    let page = browser.open(&pages.origin());
    assert_eq!(page.evaluate("self.origin"), "null");
    let theirs = opened_by(&page, &site, &cases);
    agree(kind, &cases, &ours, &theirs);
}

/// Answers to preflights.
fn preflights(origin: &str) -> Vec<Case> {
    let headers: [&[&str]; 12] = [
        &[],
        &["authorization, last-event-id"],
        &["Authorization,LAST-EVENT-ID"],
        &["authorization", "last-event-id"],
        &["authorization"],
        &["last-event-id"],
        &["*"],
        &["*, authorization"],
        &["authorization last-event-id"],
        &["authorization; last-event-id"],
        &[", authorization,, last-event-id,"],
        &["x-other, authorization, last-event-id"],
    ];
    let mut cases = Vec::new();
    for &mode in Credentials::ALL {
        let good = |status| {
            Case::new(mode)
                .status(status)
                .with(ALLOW_ORIGIN, &lines(origin, &["O"]))
                .with(ALLOW_CREDENTIALS, &["true".to_owned()])
        };
        let named = ["authorization, last-event-id".to_owned()];
        for allowed in headers {
            cases.push(good(204).with("Access-Control-Allow-Headers", &lines(origin, allowed)));
        }
        for status in [200, 201, 299, 302, 401, 403, 404, 405, 500] {
            cases.push(good(status).with("Access-Control-Allow-Headers", &named));
        }
        for allowed in ["*", "null", "https://other.example"] {
            cases.push(
                Case::new(mode)
                    .status(204)
                    .with(ALLOW_ORIGIN, &[allowed.to_owned()])
                    .with(ALLOW_CREDENTIALS, &["true".to_owned()])
                    .with("Access-Control-Allow-Headers", &named),
            );
        }
    }
    cases
}

/// P01 and its relatives: whether a fetch with `Authorization` and `Last-Event-ID` gets past the preflight.
fn p01_the_verdict_on_preflights_is_the_browsers(kind: BrowserKind) {
    let pages = Site::empty();
    let origin = pages.origin();
    let cases = preflights(&origin);
    let (served, own) = (cases.clone(), origin.clone());
    let site = Site::serve(move |visit| {
        let number: usize = visit
            .target
            .trim_start_matches('/')
            .parse()
            .unwrap_or(usize::MAX);
        match served.get(number) {
            Some(case) if visit.method == "OPTIONS" => case.answer(),
            Some(_) => Answer::page("in")
                .header(ALLOW_ORIGIN, &own)
                .header(ALLOW_CREDENTIALS, "true"),
            None => Answer::status(404),
        }
    });
    let parsed: Origin = origin.parse().unwrap();
    let ours: Vec<bool> = cases
        .iter()
        .map(|case| {
            let headers = sse_probe::Headers::from_lines(case.lines.iter().map(|(n, v)| (*n, v)));
            let names = ["authorization", "last-event-id"];
            let verdict = preflight_check(
                case.status,
                &headers,
                &parsed,
                case.credentials,
                "GET",
                &names,
            );
            // The one place where both browsers are more lenient than the standard: without
            // credentials they let `*` cover `Authorization`. `sse-probe` warns of it.
            let star = case
                .lines
                .contains(&("Access-Control-Allow-Headers", "*".to_owned()));
            let lenient = star && verdict == Err(PreflightBlock::AuthorizationByName);
            verdict.is_ok() || (lenient && case.credentials == Credentials::Omit)
        })
        .collect();
    let browser = Browser::launch(kind);
    let page = browser.open(&pages.origin());
    let modes: Vec<&str> = cases.iter().map(|c| c.credentials.as_str()).collect();
    let theirs = page.evaluate(&format!(
        "(async () => {{
           const passed = [];
           for (const [number, credentials] of {modes:?}.entries()) {{
             const headers = {{ Authorization: 'Bearer x', 'Last-Event-ID': '1' }};
             passed.push(await fetch('{}/' + number, {{ headers, credentials }}).then(() => true, () => false));
           }}
           return passed;
         }})()",
        site.origin()
    ));
    let theirs: Vec<bool> = theirs
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_bool().unwrap())
        .collect();
    agree(kind, &cases, &ours, &theirs);
}

crate::in_each_browser!(
    s60_the_verdict_is_the_browsers,
    s60_the_verdict_for_null_is_the_browsers,
    p01_the_verdict_on_preflights_is_the_browsers,
);
