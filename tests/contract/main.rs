//! The wire contract over plain sockets, row by row: what `cargo test` proves with nothing but
//! Rust. The rows assume the reference set-up, `tests/src/reference.toml`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod accept;
mod behind;
mod behind_tls;
mod budgets;
mod cors;
mod counts;
mod crowd;
mod dependencies;
mod encoding;
mod encoding_grammar;
mod event_server;
mod expect;
mod held;
mod hub_lifecycle;
mod hub_protocols;
mod hub_resume;
mod issuer_keys;
mod lanes;
mod lifecycle;
mod lifecycle_hub;
mod lifecycle_process;
mod metrics;
mod origin;
mod preflight;
mod real_clients;
mod real_proxies;
mod real_resume;
mod reload;
mod resume;
mod scrape;
mod served;
mod signing_in;
mod slow;
mod snapshot;
mod start;
mod wire;

/// The demo, as a program.
const DEMO: &str = env!("CARGO_BIN_EXE_demo-under-test");

/// An origin that the reference set-up allows.
const APP: &str = "https://app.example.com";
