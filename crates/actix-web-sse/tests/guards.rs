//! The wire contract's rows about the guards, over raw sockets: a client library would repair
//! the very input that matters.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "test code: a failure is to be loud"
)]

#[path = "guards/reply.rs"]
mod reply;
#[path = "guards/support.rs"]
mod support;

#[path = "guards/accept_and_method.rs"]
mod accept_and_method;
#[path = "guards/auth.rs"]
mod auth;
#[path = "guards/budgets.rs"]
mod budgets;
#[path = "guards/configuration.rs"]
mod configuration;
#[path = "guards/cors.rs"]
mod cors;
#[path = "guards/extraction.rs"]
mod extraction;
#[path = "guards/http2.rs"]
mod http2;
#[path = "guards/hub.rs"]
mod hub;
#[path = "guards/in_between.rs"]
mod in_between;
#[cfg(feature = "jwt")]
#[path = "guards/jwt.rs"]
mod jwt;
#[path = "guards/limits.rs"]
mod limits;
#[path = "guards/mcp.rs"]
mod mcp;
#[path = "guards/origin.rs"]
mod origin;
#[path = "guards/outbound.rs"]
mod outbound;
#[path = "guards/preflight.rs"]
mod preflight;
#[path = "guards/remembered.rs"]
mod remembered;
#[path = "guards/revocation.rs"]
mod revocation;
#[path = "guards/storm.rs"]
mod storm;
#[path = "guards/tickets.rs"]
mod tickets;
#[path = "guards/user_limits.rs"]
mod user_limits;
