//! End to end: real browsers, a real Prometheus, real proxies. `tests/run` runs it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

/// Makes two tests of each function that takes a [`BrowserKind`](actix_web_sse_tests::BrowserKind):
/// `the_function::chromium` and `the_function::firefox`.
macro_rules! in_each_browser {
    ($($test:ident),+ $(,)?) => {$(
        mod $test {
            use actix_web_sse_tests::BrowserKind;

            #[test]
            fn chromium() {
                super::$test(BrowserKind::Chromium);
            }

            #[test]
            fn firefox() {
                super::$test(BrowserKind::Firefox);
            }
        }
    )+};
}
pub(crate) use in_each_browser;

mod alerts;
mod application;
mod back_forward;
mod blocked;
mod certificate;
mod clients;
mod closes;
mod content_policy;
mod cookies;
mod counts;
mod credentials;
mod dashboards;
mod demo_page;
mod facts;
mod frameworks;
mod guarded;
mod lifetime;
mod limits;
mod nodes;
mod operations_page;
mod operators;
mod probe_alerts;
mod probe_verdicts;
mod proxies;
mod real_browsers;
mod reconnect;
mod reports;
mod shared_guards;
mod signing_in;
mod tickets;
mod tools;
mod tour;
mod verdicts;
mod watched_page;

/// The demo, as a program.
const DEMO: &str = env!("CARGO_BIN_EXE_demo-under-test");
