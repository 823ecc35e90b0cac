//! What the contract and end-to-end tests stand on: processes that end with the test, a client
//! that shows the wire as it is, a wire that can be cut, real browsers, a real Prometheus.
//!
//! Everything listens on loopback and on free ports, waits for conditions with a limit, and is
//! stopped by its own process ID when dropped. Nothing here needs an asynchronous runtime: a test
//! reads top-down.
//!
//! # Panics
//! Everywhere: what cannot be set up fails the test with a sentence.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a support library for tests: a failure here is the test's failure"
)]

mod alertmanager;
mod app;
mod browser;
mod certificate;
mod connection;
mod demo;
mod event_stream;
mod exposition;
mod head;
mod hostile;
mod in_process;
mod nginx;
mod port;
mod process;
mod prometheus;
mod recorder;
mod redis;
mod relay;
mod request;
mod response;
mod settings;
mod site;
mod token;
mod traffic;
mod wait;
mod wire;

pub use alertmanager::Alertmanager;
pub use app::{Account, App, Front, reference_hub, reference_stream};
pub use browser::{Browser, BrowserKind, Page};
pub use certificate::write_certificate;
pub use connection::Connection;
pub use demo::Demo;
pub use event_stream::{Block, EventStream};
pub use exposition::{Exposition, Sample};
pub use head::{Head, Headers};
pub use hostile::{Hostile, Parsed, chunkings, pieces};
pub use in_process::{InProcess, no_signals};
pub use nginx::Nginx;
pub use port::{connections_held, free_port};
pub use process::{Outcome, Process, Signal};
pub use prometheus::{Prometheus, check_metrics};
pub use recorder::{Recorded, Recorder};
pub use redis::Redis;
pub use relay::{Passage, Relay};
pub use request::Request;
pub use response::Response;
pub use settings::Settings;
pub use site::{Answer, Site, Visit};
pub use token::Claims;
pub use traffic::Traffic;
pub use wait::{LIMIT, until};
pub use wire::{body_of, first_retry};

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
