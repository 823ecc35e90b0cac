#![doc = include_str!("../README.md")]
//!
//! # Rooms
//!
//! A module uses only modules below it:
//!
//! ```text
//! backplane                                          what a hub and a policy get
//! task                                               the thread: one session with Redis after the other
//! control                                            streams that other nodes are to end
//! revocations                                        the store of revocations, and what Redis has of them
//! history, publish, reader, tickets, user_limits     what is asked of Redis, and what comes from it
//! handle, lease                                      the way to the thread; what a node counts
//! presence                                           who follows topics on all nodes
//! handshake                                          the numbering
//! state                                              the state of a node
//! connect, known, metrics                            addresses; revocations of a node; gauges
//! node_counts, questions, sentinels                  what a node counts; who waits; who knows the primary
//! attendance, cursor, tls                            readers of a node; where it stands in the log; certificates
//! link                                               the connections of a session
//! config                                             settings
//! backoff, entry, error, keys, replicated, scripts   small parts
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

mod attendance;
mod backoff;
mod backplane;
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
mod known;
mod lease;
mod link;
mod metrics;
mod node_counts;
mod presence;
mod publish;
mod questions;
mod reader;
mod replicated;
mod revocations;
mod scripts;
mod sentinels;
mod state;
mod task;
mod tickets;
mod tls;
mod user_limits;

pub use backplane::RedisBackplane;
pub use config::{RedisConfig, RedisTls, RedisUrl, SentinelConfig, UserLimits};
pub use error::StartError;
pub use revocations::RedisRevocations;
pub use task::LinkChange;
pub use tickets::RedisTickets;
pub use user_limits::RedisUserLimits;
