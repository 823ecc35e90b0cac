#![doc = include_str!("../README.md")]

mod address;
mod backoff;
mod backplane;
mod clock;
mod config;
mod engine;
mod error;
mod following;
mod held;
mod hello;
mod holdings;
mod keys;
mod ledger;
mod limits;
mod node;
mod reader;
mod record;
mod reply;
mod request;
mod revocations;
mod script;
mod session;
mod stats;
mod tickets;
mod words;

pub use backplane::RedisBackplane;
pub use config::{RedisConfig, RedisUrl, UserLimits};
pub use engine::LinkChange;
pub use error::StartError;
pub use limits::RedisUserLimits;
pub use revocations::RedisRevocations;
pub use tickets::RedisTickets;
