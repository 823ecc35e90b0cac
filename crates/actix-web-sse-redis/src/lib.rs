#![doc = include_str!("../README.md")]

mod address;
mod backoff;
mod backplane;
mod clock;
mod config;
mod control;
mod cursor;
mod entry;
mod error;
mod handshake;
mod keys;
mod known_revocations;
mod lease;
mod limits;
mod node;
mod node_counts;
mod reader;
mod reply;
mod request;
mod revocations;
mod script;
mod sentinel;
mod session;
mod stats;
mod task;
mod tickets;
mod tls;

pub use backplane::RedisBackplane;
pub use config::{RedisConfig, RedisUrl, UserLimits};
pub use error::StartError;
pub use limits::RedisUserLimits;
pub use revocations::RedisRevocations;
pub use task::LinkChange;
pub use tickets::RedisTickets;
pub use tls::RedisTls;
