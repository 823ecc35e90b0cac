//! A response from any stream of events.

use std::{fmt, sync::Arc};

use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody, http::header};
use futures_core::Stream;
use futures_util::StreamExt as _;

use super::{
    Subscriber, mounting,
    opening::{Opening, Source},
    vary,
};
use crate::{
    config::{ConfigError, StreamConfig},
    event::{Event, encode},
    hub::Hub,
    lane::script::{EventSource, Extras},
    observe::Resume,
};

/// What a stream may yield to become an event stream: an [`Event`], or a `Result` of one.
pub trait IntoEvent {
    /// The event; `None` if the source failed, which ends the stream with the reason `error`.
    fn into_event(self) -> Option<Event>;
}

impl IntoEvent for Event {
    fn into_event(self) -> Option<Event> {
        Some(self)
    }
}

impl<E> IntoEvent for Result<Event, E> {
    fn into_event(self) -> Option<Event> {
        self.ok()
    }
}

/// What fills the silences of a stream, where [`Sse::heartbeats`] or
/// [`Answer::heartbeats`](crate::Answer::heartbeats) says so.
///
/// Whatever it is, it goes out after `stream.heartbeat` of silence. Without any, a client that has
/// gone is noticed on HTTP/2, and behind proxies, only when the next event is written, and a proxy
/// may cut a stream that is silent for too long.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Heartbeats {
    /// Comment lines, which the format asks clients to ignore.
    Comments,
    /// None.
    Off,
    /// This event each time, such as the `ping` of some APIs, for clients that know it.
    Event(Event),
}

/// An event stream from any [`Stream`] of events: a responder for one client.
///
/// Head and first block leave at once, heartbeats fill the silences, and whatever ends it is
/// reported. Unlike a [`Hub`]'s, its events have the IDs that they carry, and what a
/// `Last-Event-ID` means is the application's to know
/// ([`Subscriber::last_event_id`]). A source that yields `Err` or panics ends the stream cleanly;
/// other streams go on. The source is dropped as soon as the client is known to be gone.
///
/// With a [`Hub`] in the application the stream has its configuration, its observer, and its
/// drain; without one the defaults of [`StreamConfig`], and nothing is reported.
///
/// ```
/// use actix_web::{Responder, get};
/// use actix_web_sse::{Event, Sse, Subscriber};
/// use futures_util::stream;
///
/// #[get("/countdown")]
/// async fn countdown(subscriber: Subscriber) -> impl Responder {
///     let numbers = (0..3).rev().map(|n| Event::data(n.to_string()));
///     Sse::from_stream(stream::iter(numbers), subscriber).once()
/// }
/// ```
///
/// **An `EventSource` takes the end of a stream for an accident, and asks again**: without
/// [`once`](Self::once) the countdown above would run for ever. What ends it is the status 204
/// (WHATWG HTML § 9.2.3): `once` has the library answer it, and an application that knows by itself
/// that there is no more answers `HttpResponse::NoContent()`. A page may call `close()` as well, when
/// it knows the last event.
#[must_use = "a response does nothing until it is returned from a handler"]
pub struct Sse {
    source: EventSource,
    subscriber: Subscriber,
    config: Option<Arc<StreamConfig>>,
    whole: bool,
    extras: Option<Box<Extras>>,
}

impl fmt::Debug for Sse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sse")
            .field("subscriber", &self.subscriber)
            .finish_non_exhaustive()
    }
}

impl Sse {
    /// Streams these events to this subscriber.
    pub fn from_stream<S>(stream: S, subscriber: Subscriber) -> Self
    where
        S: Stream + 'static,
        S::Item: IntoEvent,
    {
        Self {
            source: Box::pin(stream.map(|item| item.into_event().ok_or(()))),
            subscriber,
            config: None,
            whole: false,
            extras: None,
        }
    }

    /// It has an end of its own: a drain lets it go on as long as it can.
    pub(crate) fn whole(mut self, config: Option<Arc<StreamConfig>>) -> Self {
        self.whole = true;
        self.config = config;
        self
    }

    /// When the source has ended, that is the end for good: the stream says so with an event named
    /// `end`, whose ID `sse-end` a client sends when it asks again, and that request is answered with
    /// 204, which ends an `EventSource`. The source of that request is dropped unpolled. A source that
    /// fails, a drain, or a cut is no such end: the client comes back, and gets a stream.
    pub fn once(mut self) -> Self {
        self.extras().once = true;
        self
    }

    /// Sends the events and nothing else: no comment lines, no `retry:`, and when credentials
    /// expire `data: {"error":{"code":"auth_expired"}}` in place of the event of that name. For
    /// clients that are no event-stream parsers, and read `data:` from the first byte on. There are
    /// no heartbeats unless [`heartbeats`](Self::heartbeats) asks for some.
    pub fn plain(mut self) -> Self {
        let extras = self.extras();
        extras.plain = true;
        extras.heartbeat = None;
        self
    }

    /// What fills the silences. Default [`Heartbeats::Comments`]; [`Heartbeats::Off`] after
    /// [`plain`](Self::plain).
    pub fn heartbeats(mut self, heartbeats: Heartbeats) -> Self {
        self.extras().heartbeat = match heartbeats {
            Heartbeats::Comments => Extras::default().heartbeat,
            Heartbeats::Off => None,
            Heartbeats::Event(event) => Some(encode::encode(&event)),
        };
        self
    }

    fn extras(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }

    /// Whether this client has had everything.
    fn is_over(&self) -> bool {
        let once = self.extras.as_ref().is_some_and(|extras| extras.once);
        once && self.subscriber.last_event_id() == Some(encode::END_ID)
    }

    /// Another configuration than the hub's.
    ///
    /// # Errors
    /// [`ConfigError`] with all faults at once.
    pub fn config(mut self, config: StreamConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        self.config = Some(Arc::new(config));
        Ok(self)
    }
}

impl Responder for Sse {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        if self.is_over() {
            return no_more();
        }
        let hub = Hub::of(request).unwrap_or_else(|| {
            mounting::no_hub(request);
            Hub::fallback()
        });
        match Opening::new(request, self.subscriber, &hub) {
            Ok(mut opening) => {
                if let Some(config) = self.config {
                    opening.configure(config);
                }
                if opening.is_head_only() {
                    return opening.answer_head(|_| true);
                }
                let source = Source::Events {
                    events: self.source,
                    whole: self.whole,
                    extras: self.extras,
                };
                opening.start(source, Resume::Fresh)
            }
            Err(answer) => *answer,
        }
    }
}

/// The answer that ends an `EventSource`.
fn no_more() -> HttpResponse {
    let mut response = HttpResponse::NoContent().finish();
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        header::HeaderValue::from_static("no-store"),
    );
    vary::add(response.headers_mut(), vary::ORIGIN);
    response
}
