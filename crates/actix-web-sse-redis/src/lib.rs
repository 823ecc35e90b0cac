#![doc = include_str!("../README.md")]

mod address;
mod backoff;
mod backplane;
mod config;
mod engine;
mod error;
mod following;
mod hello;
mod keys;
mod node;
mod reader;
mod record;
mod reply;
mod request;
mod script;
mod sentinel;
mod session;
mod stats;
mod tickets;
mod tls;

pub use backplane::RedisBackplane;
pub use config::{RedisConfig, RedisUrl};
pub use engine::LinkChange;
pub use error::StartError;
pub use stats::BackplaneStats;
pub use tickets::RedisTickets;
pub use tls::RedisTls;
