//! On a real `redis-server`, the first one in `PATH`: `cargo test -p actix-web-sse-redis --features e2e`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod account;
mod bounds;
mod cluster;
mod cut;
mod engine;
mod failover;
mod faults;
mod fresh;
mod limits;
mod moving;
mod node;
mod patterns;
mod presence;
mod program;
mod relay;
mod replicas;
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
