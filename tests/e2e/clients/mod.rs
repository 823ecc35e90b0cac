//! Clients that people really use: npm's, Python's, Rust's.

mod heartbeats;
mod overload;
mod parsers;
mod program;
mod reconnect;
mod rust;
mod server;
pub(crate) mod under_test;
