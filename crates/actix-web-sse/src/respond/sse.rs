//! A response from any stream of events.

use std::{fmt, sync::Arc};

use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody};
use futures_core::Stream;
use futures_util::StreamExt as _;

use super::{
    Subscriber, mounting,
    opening::{Opening, Source},
};
use crate::{
    config::{ConfigError, StreamConfig},
    event::Event,
    hub::Hub,
    lane::body::EventSource,
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
///     Sse::from_stream(stream::iter(numbers), subscriber)
/// }
/// ```
#[must_use = "a response does nothing until it is returned from a handler"]
pub struct Sse {
    source: EventSource,
    subscriber: Subscriber,
    config: Option<Arc<StreamConfig>>,
    whole: bool,
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
        }
    }

    /// It has an end of its own: a drain lets it go on as long as it can.
    pub(crate) fn whole(mut self, config: Option<Arc<StreamConfig>>) -> Self {
        self.whole = true;
        self.config = config;
        self
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
                opening.start(Source::Events(self.source, self.whole), Resume::Fresh)
            }
            Err(answer) => *answer,
        }
    }
}
