//! The contestants' programs, all with the same routes on one worker:
//!
//! - `GET /events`: the stream;
//! - `POST /publish?n=16`: so many events at once, from the server's own thread;
//! - `POST /foreign`: one event from a thread that has nothing to do with the server;
//! - `GET /foreign`: how often that was, and its CPU time in nanoseconds;
//! - `POST /wake`, `GET /wake`: the same for a bare wake of a task of the server's thread, by this crate's servers.

mod axum;
mod floor;
mod foreign;
mod lab;
mod ours;

use std::error::Error;

use serde::Deserialize;

use crate::contestant::{Contestant, Settings};

/// Is this contestant until it is killed.
pub(crate) fn serve(contestant: Contestant, settings: &Settings) -> Result<(), Box<dyn Error>> {
    match contestant {
        Contestant::Floor => floor::serve(settings),
        Contestant::Ours => ours::serve(settings, ours::Front::EventServer),
        Contestant::Http => ours::serve(settings, ours::Front::HttpServer),
        Contestant::Lab => lab::serve(settings),
        Contestant::Axum => axum::serve(settings),
        Contestant::Nchan => Err("nchan is nginx, not this program".into()),
    }
}

#[derive(Debug, Deserialize)]
struct Batch {
    n: u64,
}

/// The data of every event. With an ID of twelve characters that makes 108 bytes, and 114 on the
/// wire when the event has a chunk of its own.
pub(crate) const DATA: &str =
    r#"{"symbol":"EURUSD","bid":1.08423,"ask":1.08425,"time":"2026-11-20T12:00:00.00000Z"}"#;

/// The key of the tokens that the guards check.
pub(crate) const SECRET: &str = "benchmark-secret-of-at-least-32-bytes!!";

/// The ID of the nth event, as long as those of the hub.
fn id(number: u64) -> String {
    format!("bench000-{number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_108_bytes() {
        let event = format!("id: {}\ndata: {DATA}\n\n", id(100));
        assert_eq!(event.len(), 108, "{event}");
    }
}
