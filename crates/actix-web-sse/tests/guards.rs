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
#[cfg(feature = "actix-cors")]
#[path = "guards/api_cors.rs"]
mod api_cors;
#[path = "guards/auth.rs"]
mod auth;
#[path = "guards/budgets.rs"]
mod budgets;
#[path = "guards/configuration.rs"]
mod configuration;
#[path = "guards/cookies.rs"]
mod cookies;
#[path = "guards/cors.rs"]
mod cors;
#[path = "guards/extraction.rs"]
mod extraction;
#[path = "guards/hints.rs"]
mod hints;
#[path = "guards/http2.rs"]
mod http2;
#[path = "guards/hub.rs"]
mod hub;
#[path = "guards/in_between.rs"]
mod in_between;
#[cfg(feature = "jwks")]
#[path = "guards/issuer.rs"]
mod issuer;
#[cfg(feature = "jwks")]
#[path = "guards/jwks.rs"]
mod jwks;
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
#[path = "guards/reconfigure.rs"]
mod reconfigure;
#[path = "guards/remembered.rs"]
mod remembered;
#[path = "guards/revocation.rs"]
mod revocation;
#[path = "guards/storm.rs"]
mod storm;
#[path = "guards/tickets.rs"]
mod tickets;
#[cfg(feature = "jwks")]
#[path = "guards/token_shapes.rs"]
mod token_shapes;
#[path = "guards/user_limits.rs"]
mod user_limits;
#[path = "guards/wildcards.rs"]
mod wildcards;
