#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod backoff;
mod config;
mod connect;
mod control;
mod cursor;
mod entry;
mod error;
mod handle;
mod handshake;
mod history;
mod keys;
mod lease;
mod metrics;
mod node_counts;
mod publish;
mod reader;
mod revocations;
mod scripts;
mod state;
mod task;
mod tickets;
mod user_limits;

pub use config::{RedisConfig, RedisUrl, SentinelConfig, UserLimits};
pub use connect::RedisTls;
pub use error::StartError;
pub use handle::RedisBackplane;
pub use revocations::RedisRevocations;
pub use task::LinkChange;
pub use tickets::RedisTickets;
pub use user_limits::RedisUserLimits;
