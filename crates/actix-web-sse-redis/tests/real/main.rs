//! On a real `redis-server`: `cargo test -p actix-web-sse-redis --features e2e`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod account;
mod cluster;
mod cut;
mod failover;
mod faults;
mod fresh;
mod limits;
mod moving;
mod node;
mod program;
mod relay;
mod revocation;
mod sentinel;
mod sentinels;
mod server;
mod sharing;
mod signed_out;
mod snapshot;
mod tickets;
mod tls;
mod traffic;
