//! The Rust of the book and of the READMEs: each page is the documentation of a module, so that
//! `cargo test --doc` compiles its blocks, and runs those that can end.
//!
//! A test in `tests/repository` holds that no page is missing here.

// What the pages use.
use actix_web as _;
use actix_web_sse as _;
use actix_web_sse_metrics as _;
use actix_web_sse_redis as _;
use futures_util as _;
use opentelemetry as _;
use opentelemetry_sdk as _;
use serde as _;
use serde_json as _;
use tokio as _;
use tracing_actix_web as _;
use tracing_opentelemetry as _;
use tracing_subscriber as _;

macro_rules! pages {
    ($($name:ident: $path:literal,)+) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!($path)]
            mod $name {}
        )+
    };
}

pages! {
    about: "../../../docs/src/about.md",
    alerts: "../../../docs/src/alerts.md",
    architecture: "../../../docs/src/architecture.md",
    authentication: "../../../docs/src/authentication.md",
    benchmark: "../../../docs/src/benchmark.md",
    clients: "../../../docs/src/clients.md",
    dashboards: "../../../docs/src/dashboards.md",
    getting_started: "../../../docs/src/getting-started.md",
    guards: "../../../docs/src/guards.md",
    kubernetes: "../../../docs/src/kubernetes.md",
    migration: "../../../docs/src/migration.md",
    nodes: "../../../docs/src/nodes.md",
    // A module of the crate's name would hide the crate.
    traces: "../../../docs/src/opentelemetry.md",
    operations: "../../../docs/src/operations.md",
    proxies: "../../../docs/src/proxies.md",
    sse_probe: "../../../docs/src/sse-probe.md",
    threat_model: "../../../docs/src/threat-model.md",
    topics: "../../../docs/src/topics.md",
    troubleshooting: "../../../docs/src/troubleshooting.md",
    readme: "../../../README.md",
    readme_of_core: "../../../crates/actix-web-sse/README.md",
    readme_of_metrics: "../../../crates/actix-web-sse-metrics/README.md",
}
