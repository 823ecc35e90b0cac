//! For the tests of applications: reads a stream of an [`actix_web::test`](mod@actix_web::test) application, with a
//! bound on time and events, and checks its head in one call.
//!
//! ```
//! use std::time::Duration;
//! use actix_web::{App, get, Responder, test::{TestRequest, call_service, init_service}};
//! use actix_web_sse::{Event, Hub, Subscriber, test::{assert_event_stream, read_events}};
//!
//! #[get("/events")]
//! async fn events(hub: Hub, subscriber: Subscriber) -> impl Responder {
//!     hub.subscribe("prices", subscriber)
//! }
//!
//! # #[actix_web::main]
//! # async fn main() {
//! let hub = Hub::builder().build().unwrap();
//! let app = init_service(App::new().app_data(hub.clone()).service(events)).await;
//! let response = call_service(&app, TestRequest::get().uri("/events").to_request()).await;
//! assert_event_stream(&response);
//!
//! hub.publish("prices", Event::data("1.5")).unwrap();
//! let reading = read_events(response, 1, Duration::from_secs(5)).await;
//! assert_eq!(reading.events[0].data, "1.5");
//! # }
//! ```

use std::{fmt::Write as _, pin::pin, time::Duration};

use actix_web::{body::MessageBody, dev::ServiceResponse, http::StatusCode};
use tokio::time::{Instant, timeout_at};

use crate::respond::headers;

/// An event as a client sees it (WHATWG HTML § 9.2.6).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceivedEvent {
    /// The event type; `message` if the stream names none.
    pub event: String,
    /// The data.
    pub data: String,
    /// The last event ID as it stands after this event.
    pub last_event_id: String,
}

/// What was read of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// The events, in order.
    pub events: Vec<ReceivedEvent>,
    /// How many comments there were, heartbeats among them.
    pub comments: usize,
    /// The last `retry:`.
    pub retry: Option<Duration>,
    /// The stream ended by itself, before the bounds were reached.
    pub ended: bool,
    /// The ID of the event named `anchor`, which a hub sends to a client without a last event ID. It
    /// is not among the events.
    pub anchor: Option<String>,
}

/// Reads until so many events have come, the time is over, or the stream ends; then drops the
/// response, as a client that goes away.
///
/// # Panics
/// If the body fails or is no UTF-8.
pub async fn read_events<B: MessageBody>(
    response: ServiceResponse<B>,
    at_most: usize,
    within: Duration,
) -> Reading {
    // No longer than a timer of tokio's can be.
    let until = Instant::now() + within.min(Duration::from_secs(365 * 86_400));
    let mut body = pin!(response.into_body());
    let mut parser = Parser::default();
    while parser.reading.events.len() < at_most {
        let next = std::future::poll_fn(|cx| body.as_mut().poll_next(cx));
        match timeout_at(until, next).await {
            Err(_) => break,
            Ok(None) => {
                parser.reading.ended = true;
                break;
            }
            Ok(Some(bytes)) => match bytes {
                Ok(bytes) => parser.feed(&bytes),
                Err(error) => fail(&format!("the stream failed: {}", error.into())),
            },
        }
    }
    parser.reading
}

/// Checks that a response is an event stream with the whole header set: status, content type,
/// everything that keeps caches, proxies and browsers from spoiling it, and a `Vary` that names
/// `Origin` once.
///
/// # Panics
/// If it is not, naming every header that is missing, doubled or different.
pub fn assert_event_stream<B>(response: &ServiceResponse<B>) {
    let mut faults = String::new();
    if response.status() != StatusCode::OK {
        let _ = writeln!(faults, "status {} instead of 200", response.status());
    }
    for (name, value) in headers::STREAM {
        let found = response.headers().get_all(&name).collect::<Vec<_>>();
        // The policy is the application's to change; its presence is not.
        let configurable = name == "content-security-policy";
        if found.len() != 1 || (!configurable && found.first() != Some(&&value)) {
            let _ = writeln!(faults, "{name}: {found:?} instead of {value:?}");
        }
    }
    if response.headers().contains_key("content-length") {
        let _ = writeln!(faults, "content-length is set");
    }
    let vary = response
        .headers()
        .get_all("vary")
        .filter_map(|line| line.to_str().ok());
    let origins = vary
        .flat_map(|line| line.split(','))
        .filter(|name| name.trim().eq_ignore_ascii_case("origin"))
        .count();
    if origins != 1 {
        let _ = writeln!(faults, "vary names Origin {origins} times instead of once");
    }
    if !faults.is_empty() {
        fail(&format!("not the head of an event stream:\n{faults}"));
    }
}

#[allow(clippy::panic, reason = "an assertion for tests fails by panicking")]
#[track_caller]
fn fail(why: &str) -> ! {
    panic!("{why}")
}

/// Reads the format line by line; chunks may cut anywhere.
#[derive(Default)]
struct Parser {
    rest: Vec<u8>,
    event: String,
    data: Option<String>,
    id: String,
    reading: Reading,
}

impl Parser {
    fn feed(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        // The library ends lines with LF only.
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line = self.rest.drain(..=end).collect::<Vec<_>>();
            match std::str::from_utf8(&line) {
                Ok(line) => self.line(line.trim_end_matches('\n')),
                Err(error) => fail(&format!("the stream is no UTF-8: {error}")),
            }
        }
    }

    fn line(&mut self, line: &str) {
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" => self.reading.comments += 1,
            "event" => value.clone_into(&mut self.event),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                none => *none = Some(value.to_owned()),
            },
            "id" => value.clone_into(&mut self.id),
            "retry" => self.reading.retry = value.parse().ok().map(Duration::from_millis),
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        let event = std::mem::take(&mut self.event);
        let Some(data) = self.data.take() else {
            return;
        };
        if event == "anchor" && data == "{}" {
            self.reading.anchor = Some(self.id.clone());
        } else {
            self.reading.events.push(ReceivedEvent {
                event: if event.is_empty() {
                    "message".to_owned()
                } else {
                    event
                },
                data,
                last_event_id: self.id.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Event, Hub, Sse, Subscriber};
    use actix_web::{
        App, HttpResponse, Responder,
        test::{TestRequest, call_service, init_service},
        web,
    };
    use futures_util::stream;

    async fn three(subscriber: Subscriber) -> impl Responder {
        let events = ["a\nb", "", " c"].map(Event::data);
        Sse::from_stream(stream::iter(events), subscriber)
    }

    #[actix_web::test]
    async fn a_stream_is_read_to_its_end() {
        let app = init_service(App::new().route("/", web::get().to(three))).await;
        let response = call_service(&app, TestRequest::get().to_request()).await;
        assert_event_stream(&response);
        let reading = read_events(response, 9, Duration::from_secs(5)).await;
        assert!(reading.ended);
        assert!(reading.retry.is_some());
        let data = reading.events.iter().map(|event| event.data.as_str());
        assert_eq!(data.collect::<Vec<_>>(), ["a\nb", "", " c"]);
    }

    #[actix_web::test]
    async fn reading_stops_at_the_bound() {
        let app = init_service(App::new().route("/", web::get().to(three))).await;
        let response = call_service(&app, TestRequest::get().to_request()).await;
        let reading = read_events(response, 0, Duration::from_secs(5)).await;
        assert_eq!(reading, Reading::default());
    }

    #[actix_web::test]
    async fn a_gap_is_read_as_a_reset() {
        async fn topic(hub: Hub, subscriber: Subscriber) -> impl Responder {
            hub.subscribe("t", subscriber)
        }
        let hub = Hub::builder().build().unwrap();
        let app = App::new().app_data(hub).route("/", web::get().to(topic));
        let app = init_service(app).await;
        let request = TestRequest::get().insert_header(("last-event-id", "nobody's"));
        let response = call_service(&app, request.to_request()).await;
        let reading = read_events(response, 1, Duration::from_secs(5)).await;
        assert_eq!(reading.events.len(), 1);
        assert_eq!(reading.events[0].event, "reset");
        assert_eq!(reading.events[0].data, r#"{"reason":"unknown"}"#);
    }

    #[actix_web::test]
    #[should_panic(expected = "content-type")]
    async fn a_response_that_is_no_stream_is_named() {
        let plain = App::new().route("/", web::get().to(HttpResponse::Ok));
        let response =
            call_service(&init_service(plain).await, TestRequest::get().to_request()).await;
        assert_event_stream(&response);
    }
}
