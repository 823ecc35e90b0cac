//! The answer to one request, piece by piece: what large language models and long computations
//! send back to a `POST`.

use std::{
    borrow::Cow,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody};
use futures_core::Stream;
use serde::Serialize;

use super::{Heartbeats, Sse, Subscriber};
use crate::{
    config::{ConfigError, StreamConfig},
    event::{Event, EventError, EventName},
};

/// What the client gets when an answer fails half-way: the data of the `error` event is
/// `{"error":{"code":…,"message":…}}`.
///
/// It is made on purpose and not from any error that comes along, so that nothing internal
/// reaches a client by accident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AnswerError {
    code: Cow<'static, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl AnswerError {
    /// An error with a code for programs.
    pub fn new(code: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code: code.into(),
            message: None,
        }
    }

    /// Adds a sentence for people.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.code)
    }
}

impl std::error::Error for AnswerError {}

/// An answer as events: `start`, any number of `delta`, then `done` with the data `[DONE]`, or
/// `error`. An answer that ends with neither was cut, by a drain or by the network.
///
/// A fetch client reads it; `EventSource` cannot send a `POST`. The producer is dropped as soon as
/// the client is known to be gone: what it awaits is cancelled there, and a producer in a task of
/// its own finds its channel closed. A producer that panics ends the answer with the error code
/// `internal`. While the hub drains, an answer may go on to the end of the window.
///
/// ```
/// use actix_web::{Responder, post};
/// use actix_web_sse::{Answer, AnswerError, Subscriber};
/// use futures_util::stream;
///
/// #[post("/chat")]
/// async fn chat(prompt: String, subscriber: Subscriber) -> impl Responder {
///     let words = prompt.split(' ').map(str::to_owned).collect::<Vec<_>>();
///     Answer::new(stream::iter(words.into_iter().map(Ok::<_, AnswerError>)), subscriber)
/// }
/// ```
#[must_use = "a response does nothing until it is returned from a handler"]
pub struct Answer {
    deltas: Deltas,
    start: Option<Event>,
    plain: bool,
    heartbeats: Option<Heartbeats>,
    subscriber: Subscriber,
    config: Option<StreamConfig>,
}

type Deltas = Pin<Box<dyn Stream<Item = Result<Event, AnswerError>>>>;

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("subscriber", &self.subscriber)
            .finish_non_exhaustive()
    }
}

impl Answer {
    /// Answers with these pieces, each as JSON.
    pub fn new<S, D>(deltas: S, subscriber: Subscriber) -> Self
    where
        S: Stream<Item = Result<D, AnswerError>> + 'static,
        D: Serialize,
    {
        use futures_util::StreamExt as _;
        let events = deltas.map(|delta| {
            let delta = delta?;
            Event::json(&delta).map_err(|_| AnswerError::new("internal"))
        });
        Self {
            deltas: Box::pin(events),
            start: None,
            plain: false,
            heartbeats: None,
            subscriber,
            config: None,
        }
    }

    /// Says something before the first piece: the model, an ID of the answer.
    ///
    /// # Errors
    /// [`EventError::Json`] when the value has no JSON form.
    pub fn start<T: Serialize + ?Sized>(mut self, value: &T) -> Result<Self, EventError> {
        self.start = Some(Event::json(value)?);
        Ok(self)
    }

    /// Sends the data and nothing else: for clients of the OpenAI API, which read `data:` from the
    /// first byte on, up to `[DONE]`. There are no event names, no comment lines and no `retry:`, and
    /// no heartbeats unless [`heartbeats`](Self::heartbeats) asks for some. Credentials that expire
    /// meanwhile end it with `data: {"error":{"code":"auth_expired"}}`.
    pub fn plain(mut self) -> Self {
        self.plain = true;
        self
    }

    /// What fills the silences, while the next piece is computed. Default
    /// [`Heartbeats::Comments`]; [`Heartbeats::Off`] for a [`plain`](Self::plain) answer.
    pub fn heartbeats(mut self, heartbeats: Heartbeats) -> Self {
        self.heartbeats = Some(heartbeats);
        self
    }

    /// Another configuration than the hub's.
    ///
    /// # Errors
    /// [`ConfigError`] with all faults at once.
    pub fn config(mut self, config: StreamConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        self.config = Some(config);
        Ok(self)
    }
}

impl Responder for Answer {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let pieces = Pieces {
            deltas: self.deltas,
            phase: Phase::Start(self.start),
            plain: self.plain,
        };
        let mut answer = Sse::from_stream(pieces, self.subscriber).whole(self.config.map(Arc::new));
        if self.plain {
            answer = answer.plain();
        }
        if let Some(heartbeats) = self.heartbeats {
            answer = answer.heartbeats(heartbeats);
        }
        answer.respond_to(request)
    }
}

enum Phase {
    Start(Option<Event>),
    Deltas,
    Failed,
    Over,
}

/// The events of an answer.
struct Pieces {
    deltas: Deltas,
    phase: Phase,
    plain: bool,
}

impl Pieces {
    fn named(&self, event: Event, name: &'static str) -> Event {
        if self.plain {
            return event;
        }
        event.with_name(EventName::from_static(name))
    }

    fn failure(&self, error: &AnswerError) -> Event {
        #[derive(Serialize)]
        struct Failure<'a> {
            error: &'a AnswerError,
        }
        let event = Event::json(&Failure { error })
            .unwrap_or_else(|_| Event::data(r#"{"error":{"code":"internal"}}"#));
        self.named(event, "error")
    }
}

impl Stream for Pieces {
    type Item = Result<Event, AnswerError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match &mut self.phase {
                Phase::Start(start) => {
                    let start = start.take();
                    self.phase = Phase::Deltas;
                    if let Some(start) = start {
                        return Poll::Ready(Some(Ok(self.named(start, "start"))));
                    }
                }
                Phase::Deltas => {
                    let deltas = &mut self.deltas;
                    let next = catch_unwind(AssertUnwindSafe(|| deltas.as_mut().poll_next(cx)))
                        .unwrap_or_else(|_| Poll::Ready(Some(Err(AnswerError::new("internal")))));
                    let Poll::Ready(next) = next else {
                        return Poll::Pending;
                    };
                    let event = match next {
                        Some(Ok(delta)) => self.named(delta, "delta"),
                        Some(Err(error)) => {
                            self.phase = Phase::Failed;
                            self.failure(&error)
                        }
                        None => {
                            self.phase = Phase::Over;
                            self.named(Event::data("[DONE]"), "done")
                        }
                    };
                    return Poll::Ready(Some(Ok(event)));
                }
                Phase::Failed => {
                    self.phase = Phase::Over;
                    return Poll::Ready(Some(Err(AnswerError::new("failed"))));
                }
                Phase::Over => return Poll::Ready(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt as _, stream};

    async fn events(
        deltas: impl Stream<Item = Result<&'static str, AnswerError>> + 'static,
        plain: bool,
    ) -> String {
        let pieces = Pieces {
            deltas: Box::pin(deltas.map(|delta| Ok(Event::json(delta?).unwrap()))),
            phase: Phase::Start(Some(Event::data("{}"))),
            plain,
        };
        let events = pieces
            .filter_map(async |event| event.ok())
            .collect::<Vec<_>>()
            .await;
        let bytes = events
            .iter()
            .flat_map(crate::event::encode::encode)
            .collect::<Vec<_>>();
        String::from_utf8(bytes).unwrap()
    }

    #[actix_web::test]
    async fn an_answer_has_a_start_pieces_and_an_end() {
        assert_eq!(
            events(stream::iter([Ok("a"), Ok("b")]), false).await,
            "event: start\ndata: {}\n\nevent: delta\ndata: \"a\"\n\nevent: delta\ndata: \"b\"\n\n\
             event: done\ndata: [DONE]\n\n"
        );
    }

    #[actix_web::test]
    async fn a_plain_answer_has_no_names() {
        assert_eq!(
            events(stream::iter([Ok("a")]), true).await,
            "data: {}\n\ndata: \"a\"\n\ndata: [DONE]\n\n"
        );
    }

    #[actix_web::test]
    async fn an_answer_that_fails_says_so_and_is_not_done() {
        let error = AnswerError::new("overloaded").message("try later");
        assert_eq!(
            events(stream::iter([Ok("a"), Err(error), Ok("b")]), true).await,
            "data: {}\n\ndata: \"a\"\n\n\
             data: {\"error\":{\"code\":\"overloaded\",\"message\":\"try later\"}}\n\n"
        );
    }

    #[actix_web::test]
    async fn a_producer_that_panics_is_an_internal_error() {
        let deltas = stream::iter([0, 1]).map(|n| if n == 0 { Ok("a") } else { panic!("no") });
        assert_eq!(
            events(deltas, true).await,
            "data: {}\n\ndata: \"a\"\n\ndata: {\"error\":{\"code\":\"internal\"}}\n\n"
        );
    }
}
