//! End to end: real browsers, a real Prometheus, real proxies. `tests/run` runs it.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod tools;
