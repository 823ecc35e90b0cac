//! One kind of handle for all clients: what happened to it so far.

use std::{
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use actix_web_sse_tests::{LIMIT, Process, until};
use serde::Deserialize;

use super::{program::program, rust};

/// What a client says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Entry {
    /// A stream opened. Not every client says so.
    Open,
    /// An event was dispatched.
    Event {
        name: String,
        id: String,
        data: String,
    },
    /// The stream came to its clean end.
    Ended,
    /// The connection broke, or there was none, or the answer was refused; it comes back.
    Failed { why: String },
    /// It will not come back by itself.
    GaveUp { why: String },
}

/// The clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// npm's `eventsource`.
    Eventsource,
    /// `@microsoft/fetch-event-source`.
    FetchEventSource,
    /// The same, with an `Authorization` header.
    FetchEventSourceWithToken,
    /// `FetchStream` of this project.
    FetchStream,
    /// The same, with an `Authorization` header.
    FetchStreamWithToken,
    /// `reqwest-eventsource`.
    ReqwestEventsource,
    /// `eventsource-client`.
    EventsourceClient,
}

/// A running client. It ends when dropped.
#[derive(Debug)]
pub(crate) struct Client {
    running: Running,
}

#[derive(Debug)]
enum Running {
    Program(Process),
    Thread(
        Log,
        #[expect(dead_code, reason = "its drop ends the client")] Receiver<()>,
    ),
}

/// What a client in a thread has said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Entry>>>);

impl Log {
    pub(crate) fn say(&self, entry: Entry) {
        self.0.lock().unwrap().push(entry);
    }
}

impl Client {
    /// Starts a client on this address.
    pub(crate) fn start(kind: Kind, url: &str) -> Self {
        let log = Log::default();
        let (alive, stop) = channel();
        let running = match kind {
            Kind::Eventsource => {
                Running::Program(Process::spawn(program("eventsource.mjs").arg(url)))
            }
            Kind::FetchEventSource => {
                Running::Program(Process::spawn(program("fetch-event-source.mjs").arg(url)))
            }
            Kind::FetchEventSourceWithToken => Running::Program(Process::spawn(
                program("fetch-event-source.mjs").args([url, "Bearer token"]),
            )),
            Kind::FetchStream => {
                Running::Program(Process::spawn(program("fetch-stream.mjs").arg(url)))
            }
            Kind::FetchStreamWithToken => Running::Program(Process::spawn(
                program("fetch-stream.mjs").args([url, "Bearer token"]),
            )),
            Kind::ReqwestEventsource => {
                rust::spawn(
                    rust::reqwest_eventsource(url.to_owned(), log.clone()),
                    alive,
                );
                Running::Thread(log, stop)
            }
            Kind::EventsourceClient => {
                rust::spawn(rust::eventsource_client(url.to_owned(), log.clone()), alive);
                Running::Thread(log, stop)
            }
        };
        Self { running }
    }

    /// Reads one stream with httpx-sse, which does not come back.
    pub(crate) fn httpx_sse(url: &str) -> Self {
        let running = Running::Program(Process::spawn(program("httpx_sse_client.py").arg(url)));
        Self { running }
    }

    /// What happened so far.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        match &self.running {
            Running::Thread(log, _) => log.0.lock().unwrap().clone(),
            Running::Program(process) => {
                let lines = process.lines();
                let entries = lines.iter().filter(|line| line.starts_with("{\"kind\""));
                entries
                    .map(|line| serde_json::from_str(line).unwrap())
                    .collect()
            }
        }
    }

    /// The events so far: name, ID, data. Without the anchor, which is nobody's event.
    pub(crate) fn events(&self) -> Vec<(String, String, String)> {
        let entries = self.entries().into_iter();
        entries
            .filter_map(|entry| match entry {
                Entry::Event { name, id, data } => Some((name, id, data)),
                _ => None,
            })
            .filter(|(name, ..)| name != "anchor")
            .collect()
    }

    /// The IDs of the anchors so far.
    pub(crate) fn anchors(&self) -> Vec<String> {
        let entries = self.entries().into_iter();
        entries
            .filter_map(|entry| match entry {
                Entry::Event { name, id, data } if name == "anchor" => {
                    assert_eq!(data, "{}");
                    Some(id)
                }
                _ => None,
            })
            .collect()
    }

    /// Waits for an answer from what happened so far.
    #[track_caller]
    pub(crate) fn wait<T>(&self, what: &str, question: impl Fn(&[Entry]) -> Option<T>) -> T {
        self.wait_at_most(LIMIT, what, question)
    }

    /// As [`wait`](Self::wait), with another limit.
    #[track_caller]
    pub(crate) fn wait_at_most<T>(
        &self,
        limit: Duration,
        what: &str,
        question: impl Fn(&[Entry]) -> Option<T>,
    ) -> T {
        let what = format!("the client {what}");
        until(&what, limit, || question(&self.entries()))
    }

    /// Waits for an event with this data; its place among the entries.
    #[track_caller]
    pub(crate) fn wait_for_data(&self, wanted: &str) -> usize {
        self.wait(&format!("gets {wanted:?}"), |entries| {
            entries
                .iter()
                .position(|entry| matches!(entry, Entry::Event { data, .. } if data == wanted))
        })
    }
}

/// Makes a test per client of each function that takes a [`Kind`].
macro_rules! with_each_client {
    ($($test:ident),+ $(,)?) => {$(
        mod $test {
            use crate::clients::under_test::Kind;

            #[test]
            fn npm_eventsource() {
                super::$test(Kind::Eventsource);
            }

            #[test]
            fn fetch_event_source() {
                super::$test(Kind::FetchEventSource);
            }

            #[test]
            fn fetch_stream() {
                super::$test(Kind::FetchStream);
            }

            #[test]
            fn reqwest_eventsource() {
                super::$test(Kind::ReqwestEventsource);
            }

            #[test]
            fn eventsource_client() {
                super::$test(Kind::EventsourceClient);
            }
        }
    )+};
}
pub(crate) use with_each_client;
