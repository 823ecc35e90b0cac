//! Server-sent events for actix-web: a hub with topics and replay, and the guards in front of it.
//!
//! ```no_run
//! use actix_web::{App, HttpServer, Responder, get, web};
//! use actix_web_sse::{ForEventStreams, Hub, Policy, Subscriber};
//!
//! #[get("/events")]
//! async fn events(hub: Hub, subscriber: Subscriber) -> impl Responder {
//!     hub.subscribe("prices", subscriber)
//! }
//!
//! #[actix_web::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let hub = Hub::builder().build()?;
//!     let policy = Policy::builder().allow_origin("https://app.example.com").build()?;
//!     let streams = hub.clone();
//!     HttpServer::new(move || {
//!         App::new()
//!             .app_data(streams.clone())
//!             .service(web::scope("").wrap(policy.clone()).service(events))
//!     })
//!     .for_event_streams(&hub)
//!     .bind("127.0.0.1:8080")?
//!     .run()
//!     .await?;
//!     Ok(())
//! }
//! ```
//!
//! ```text
//! request ──► Policy ──────────► responder ─────► body ──► connection
//!             host, origin,      head and first   ▲ frames, heartbeats, an end
//!             Accept, limits,    block at once    │
//!             authentication                     Hub ◄── publish ◄── application
//!               │ refused          │ opened       │ sent, closed
//!               └──────────────────┴──────────────┴──► dyn Observer
//! ```
//!
//! - [`Policy`] decides who may open a stream, before anything is subscribed.
//! - [`Hub`] holds topics. [`Hub::subscribe`] answers a request with what the client missed, by
//!   its `Last-Event-ID`, and with what comes.
//! - [`Sse`] is an event stream from any [`Stream`](futures_core::Stream) of events, [`Answer`]
//!   the answer to a `POST`, piece by piece.
//! - [`ForEventStreams`] sets up the server: without it actix does not notice that idle clients
//!   have gone, and a stop waits 30 s for open streams and then cuts them. [`EventServer`] does the
//!   same and more: its connections can be bounded and closed by the streams on them.
//! - [`observe`] is what recorders implement; `actix-web-sse-metrics` is one.
//! - [`mod@test`] reads streams in an application's own tests.
//!
//! # Rooms
//!
//! A module uses only modules below it:
//!
//! ```text
//! server, test  settings of `HttpServer`, `EventServer`; reading streams in users' tests
//! protect       the guards: policy, limits, authentication, tickets, revocation
//! respond       from a request to an open stream, or to a refusal
//! lane          how a stream's bytes reach its connection
//! hub           topics, their logs, the streams that follow them, the backplane
//! stream        one stream, without a hub: its deadlines, its account, its end
//! identity      who the client is, and what the guards found out about a request
//! origin        whose page asks: the `Origin` header and the allow-list
//! event         events, their encoding, topic names, JSON error bodies
//! observe       what is reported to observers, and its vocabulary
//! config        sections of a configuration, and their faults
//! ```
//!
//! # What the client sees
//!
//! The head and a first block with `retry:` leave at once. Heartbeats are comments without a blank
//! line. A few events are the library's own:
//!
//! | `event:` | `data:` | when |
//! |---|---|---|
//! | `anchor` | `{}` | first, from a hub with replay, to a client without a last event ID: its ID stands for the start of this stream, so that a client that is cut before its first event misses nothing. No page need listen for it: no `onmessage` is called. With a [snapshot](Subscription::snapshot) it comes behind that, to every client that gets one |
//! | `reset` | `{"reason":"gap"}` or `{"reason":"unknown"}` | the `Last-Event-ID` is too old, or none of this topic's (another topic's, or from before a restart): what was missed cannot be had; load anew, live events follow. It carries the ID of the topic's newest event, if there is one, so that a second disconnect is no second gap. Before a snapshot it carries none, and there is nothing to load: the state follows |
//! | `lagged` | `{"missed":17}` | the client was too slow and skipped events ([`SlowConsumer::Skip`](config::SlowConsumer::Skip)) |
//! | `auth_expired` | `{}` | the credentials have expired; the stream ends |
//! | `end` | `{}` | the source of a stream with [`Sse::once`] has ended; the next request is answered with 204 |
//!
//! A client that has one callback for events of every name, as those on `fetch` do, gets these in it:
//! it looks at the name.
//!
//! A stream that the server ends closes with a `retry:` of its own, so that clients do not come
//! back together: of about a second where the end was planned and somebody is there to answer
//! ([`planned_retry`](config::StreamConfig::planned_retry),
//! [`drain_retry`](config::StreamConfig::drain_retry)), else as long as after a cut.
//!
//! # When it goes wrong
//!
//! - **The client goes away.** Over HTTP/1 with [`ForEventStreams`]: noticed at once. Over HTTP/2,
//!   and behind a proxy that keeps its connection to us: at the next heartbeat or event that
//!   cannot be written; heartbeats come early after opening for that reason.
//! - **The client reads too slowly.** It costs no memory of its own: it is a cursor in a shared
//!   log. When it stays too far behind, its stream ends, and it resumes by its ID.
//! - **The client reads nothing.** actix does not ask a body for bytes that it cannot write, so
//!   the stream cannot even be ended in order: after `stream.stall` its end is reported, and its
//!   slots are taken until its body is gone. An [`EventServer`] closes the connection `stall` later,
//!   unless other clients' HTTP/2 streams are on it; elsewhere the kernel gives it up, if it is one
//!   that acknowledges nothing.
//! - **The client sends behind its stream.** Over HTTP/1 the stream ends with the reason `protocol`
//!   and the connection is closed, on an [`EventServer`] after 8 KiB.
//! - **The application fails.** A source that returns an error or panics ends its own stream.
//! - **The process stops.** SIGTERM drains: see [`Hub::drain`].
//!
//! # Behind a proxy
//!
//! The response says in every known way that it is not to be buffered, cached or transformed, and
//! HTTP/2 between browser and proxy lifts the limit of six connections per host. What a proxy
//! needs besides is a read time-out above the heartbeat, and no compression of
//! `text/event-stream`. Who the client is, by which scheme and to which host it came, say the headers
//! of [`trusted_proxies`](config::LimitsConfig::trusted_proxies), or the
//! [PROXY protocol](EventServer::proxy_protocol).
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod config;
mod event;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
mod hub;
mod identity;
mod lane;
pub mod observe;
mod origin;
pub mod protect;
mod respond;
mod server;
mod stream;
pub mod test;

/// What a hub needs to share its topics with the hubs of other processes; `actix-web-sse-redis`
/// has an implementation.
///
/// [`Backplane`] is what an engine implements. A hub hands it a [`Sink`](backplane::Sink) when it is built
/// ([`HubBuilder::backplane`](crate::HubBuilder::backplane)).
pub mod backplane {
    pub use crate::{
        hub::{
            Backplane, BackplaneError, BackplaneFuture, History, Reader, ReaderCount, Revocation,
            Sink,
        },
        observe::{BackplaneStats, BackplaneWatch},
    };
}

pub use config::ConfigError;
pub use event::{Event, EventError, EventId, EventName, EventParts, InvalidTopic, Retry};
pub use hub::{
    Backplane, BackplaneError, BackplaneFuture, EventHead, Hub, HubBuilder, HubStats, IntoHubs,
    InvalidPosition, Position, Presence, PresentUser, PublishError, Published, StreamStats, Topic,
};
pub use identity::{Identity, TopicPattern, TopicRights};
pub use observe::{BackplaneStats, BackplaneWatch, HubInfo, HubWatch};
pub use protect::Policy;
pub use respond::{
    Answer, AnswerError, Heartbeats, IntoEvent, IntoSnapshot, IntoTopics, Snapshot, Sse,
    Subscriber, Subscription,
};
pub use server::{ConnectionSetup, EventServer, ForEventStreams, tune_socket};
