//! S80, S62: the configurations of `examples/proxies` are clean, browsers stream through them, and each fault that is put
//! into them is named.

mod balancer;
mod faults;
mod front;

use std::time::Duration;

use actix_web_sse_tests::{Browser, BrowserKind, Claims, Demo, LIMIT, Settings, Site};
use faults::{Application, Fault};
use front::{Front, Software};
use sse_probe::{
    Credentials, Profile, Target, check,
    cli::closes::{AT_ONCE, seen_after},
    compare::{DiffError, DiffReport, Kind, compare, human},
    http::{Limits, Protocol, Trust},
};

use crate::DEMO;

const APP: &str = "https://app.example.com";

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// The stream as a page of `APP` asks for it.
fn target(url: &str, trust: Trust, hold: Duration) -> Target {
    let mut limits = Limits::default();
    limits.head = Duration::from_secs(6);
    Target::new(url)
        .unwrap()
        .connection(limits, trust)
        .origin(APP)
        .unwrap()
        .credentials(Credentials::Include)
        .hold(hold)
}

fn direct(demo: &Demo, hold: Duration) -> Target {
    target(&format!("{}/events", demo.origin()), Trust::System, hold)
}

fn public(front: &Front, hold: Duration) -> Target {
    target(&front.url, front.trust(), hold)
}

fn settings() -> Settings {
    Settings::reference()
        .set("policy.limits.per_ip", 100)
        .set("policy.limits.per_user", 100)
        .set("policy.limits.connects_per_second", 500)
        .set("policy.limits.attempts_per_ip", "unlimited")
        .set("policy.limits.trusted_proxies", vec!["127.0.0.0/8"])
}

/// Looks, and up to two more times if something else is seen than is there: a proxy that has to wait for a core
/// looks like one that holds bytes back. What its configuration does is seen each time.
fn looked_at<T>(mut look: impl FnMut() -> T, as_it_is: impl Fn(&T) -> bool) -> T {
    let mut seen = look();
    for _ in 0..2 {
        if as_it_is(&seen) {
            break;
        }
        seen = look();
    }
    seen
}

/// With nothing but addresses replaced, the file is clean in `check` and in `diff`.
#[track_caller]
fn is_clean(software: Software) {
    let demo = Demo::start(DEMO, &settings());
    let token = demo.token(&Claims::of("probe"));
    let front = software.start(demo.app, &[]);
    let hold = Duration::from_millis(3500);
    let (direct, public) = (
        direct(&demo, hold).bearer(&token),
        public(&front, hold).bearer(&token),
    );
    let checked = looked_at(
        || wait(check(public.clone())),
        |report| matches!(report, Ok(report) if report.passes(Profile::Strict)),
    );
    checked.unwrap().assert_passes(Profile::Strict);
    let report = looked_at(
        || wait(compare(&direct, &public)),
        |report| matches!(report, Ok(report) if report.kinds(Profile::Strict).is_empty()),
    );
    let report = report.unwrap();
    assert!(
        report.kinds(Profile::Strict).is_empty(),
        "{}",
        human(&report, &[])
    );
}

/// Chromium opens a stream through it and gets each event at once.
#[track_caller]
fn streams_to_chromium(software: Software) {
    let pages = Site::empty();
    let demo = Demo::start(DEMO, &Settings::open().allow(&[&pages.origin()]));
    let front = software.start(demo.app, &[]);
    let browser = Browser::launch_with(BrowserKind::Chromium, &["--ignore-certificate-errors"]);
    let page = browser.open(&pages.origin());
    page.evaluate(&format!(
        "globalThis.seen = [];
         globalThis.source = new EventSource('{}?topic=demo', {{ withCredentials: true }});
         source.onmessage = (event) => seen.push(event.data);",
        front.url
    ));
    page.wait("source.readyState === 1");
    for word in ["one", "two", "three"] {
        demo.publish("demo", word);
        page.wait(&format!("seen.at(-1) === '{word}'"));
    }
    assert_eq!(page.evaluate("seen.join()"), "one,two,three");
    page.close();
}

/// Every fault is named.
#[track_caller]
fn faults_are_named(software: Software) {
    let mut wrong = Vec::new();
    for application in [
        Application::Usual,
        Application::Slow,
        Application::ShortLived,
    ] {
        let settings = Settings::open().allow(&[APP]);
        let (settings, hold) = match application {
            Application::Usual => (settings, 3500),
            Application::Slow => (
                settings
                    .set("stream.heartbeat", "3s")
                    .set("stream.stall", "9s"),
                6500,
            ),
            Application::ShortLived => (settings.set("stream.max_lifetime", "2s"), 4000),
        };
        let demo = Demo::start(DEMO, &settings);
        let hold = Duration::from_millis(hold);
        for fault in faults::of(software)
            .iter()
            .filter(|f| f.application == application)
        {
            let named = |report: &DiffReport| {
                let kinds = report.kinds(Profile::Browser);
                let follows = |kind: &Kind| fault.follows().contains(kind);
                kinds.contains(&fault.kind) && kinds.iter().all(|k| *k == fault.kind || follows(k))
            };
            let report = looked_at(
                || with(software, &demo, fault, hold),
                |report| report.as_ref().is_ok_and(named),
            );
            let report = report.unwrap_or_else(|why| panic!("{software:?}, {}: {why}", fault.name));
            if !named(&report) {
                wrong.push(format!(
                    "{}, to be named {} and no more:\n{}",
                    fault.name,
                    fault.kind.as_str(),
                    human(&report, &[])
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{software:?}: {}", wrong.join("\n"));
}

fn with(
    software: Software,
    demo: &Demo,
    fault: &Fault,
    hold: Duration,
) -> Result<DiffReport, DiffError> {
    let front = software.start(demo.app, fault.patch);
    wait(compare(&direct(demo, hold), &public(&front, hold)))
}

macro_rules! for_each_proxy {
    ($($name:ident => $software:expr),+ $(,)?) => {$(
        mod $name {
            use super::{Software, faults_are_named, is_clean, streams_to_chromium};

            #[test]
            fn s80_the_configuration_is_clean() {
                is_clean($software);
            }

            #[test]
            fn s80_chromium_streams_through_it() {
                streams_to_chromium($software);
            }

            #[test]
            fn s62_each_fault_is_named() {
                faults_are_named($software);
            }
        }
    )+};
}

for_each_proxy!(
    nginx => Software::Nginx,
    haproxy => Software::HaProxy,
    caddy => Software::Caddy,
    apache => Software::Apache,
    varnish => Software::Varnish,
);

/// The file that answers preflights at the edge is clean as well, and the application sees none of them.
#[test]
fn s80_nginx_may_answer_preflights_itself() {
    is_clean(Software::NginxEdge);
}

/// The proxies pass on at once that a client has gone, but for HAProxy with HTTP/1.1 in front: facts B18.
#[test]
fn b18_a_front_that_tells_of_closed_clients_late_is_found() {
    let settings = settings()
        .set("stream.heartbeat", "5s")
        .set("stream.stall", "20s");
    let demo = Demo::start(DEMO, &settings);
    let token = demo.token(&Claims::of("probe"));
    let metrics = [format!("http://{}/metrics", demo.metrics).parse().unwrap()];
    // Past the early heartbeats: the write at which the stream is closed is the third, and the next comes in four seconds.
    let hold = Duration::from_millis(3500);
    let seen = |software: Software, protocol| {
        let front = software.start(demo.app, &[]);
        let target = public(&front, hold).bearer(&token).protocol(protocol);
        wait(seen_after(&target, &metrics, hold, LIMIT)).unwrap()
    };
    for software in [Software::Nginx, Software::HaProxy] {
        for protocol in [Protocol::Http1, Protocol::Http2] {
            let late = (software, protocol) == (Software::HaProxy, Protocol::Http1);
            let is_late = |after: &Option<Duration>| after.is_none_or(|after| after > AT_ONCE);
            let after = looked_at(|| seen(software, protocol), |after| is_late(after) == late);
            assert_eq!(
                is_late(&after),
                late,
                "{software:?}, {protocol:?}: {after:?}"
            );
        }
    }
}
