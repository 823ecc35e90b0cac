//! On a real `redis-server`: `cargo test -p actix-web-sse-redis --features e2e`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod cut;
mod faults;
mod figures;
mod limits;
mod node;
mod program;
mod revocation;
mod server;
mod sharing;
mod tickets;
