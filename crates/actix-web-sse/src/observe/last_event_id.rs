//! The last event ID that a client comes back with.
//!
//! An `EventSource` sends it as a header. What cannot set headers, polyfills and links among them,
//! puts it into the query, under names that differ, and some append another one at each reconnect.

use std::borrow::Cow;

use actix_web::{HttpRequest, http::header::HeaderValue};
use url::form_urlencoded;

/// Longer than any ID: what is longer is nobody's, and is nobody's when it is cut.
const MAX_ID: usize = 256;

/// The ID of this request. The header wins over the query unless it is empty; of several the last
/// one that can be read counts. One that cannot be read is handed out all the same, with
/// replacement characters in it or cut: it is nobody's, and its client learns of that. `None` only
/// where there is no ID at all; an empty one is none.
pub(crate) fn last_event_id(request: &HttpRequest) -> Option<String> {
    let lines = request.headers().get_all("last-event-id");
    let header = lines.map(HeaderValue::as_bytes).map(text);
    newest(header).or_else(|| newest(in_query(request.query_string())))
}

/// Whether the request has one.
pub(crate) fn is_sent(request: &HttpRequest) -> bool {
    let mut lines = request.headers().get_all("last-event-id");
    lines.any(|line| !line.is_empty())
        || in_query(request.query_string()).any(|value| !value.is_empty())
}

/// The values of the parameters that stand for the header.
fn in_query(query: &str) -> impl Iterator<Item = Cow<'_, str>> {
    form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| is_named(name))
        .map(|(_, value)| value)
}

/// `lastEventId`, `lastEventID`, `last_event_id`, `Last-Event-ID`, whatever the case; and what old
/// polyfills write, `evs_last_event_id`.
fn is_named(name: &str) -> bool {
    let letters = || {
        let letters = name.bytes().filter(|byte| !matches!(byte, b'-' | b'_'));
        letters.map(|byte| byte.to_ascii_lowercase())
    };
    letters().eq(*b"lasteventid") || letters().eq(*b"evslasteventid")
}

/// The bytes of a header as text; what is no UTF-8 must not fail the request.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes.get(..=MAX_ID).unwrap_or(bytes))
}

fn newest<'a>(ids: impl Iterator<Item = Cow<'a, str>>) -> Option<String> {
    let (mut readable, mut other) = (None, None);
    for id in ids.filter(|id| !id.is_empty()) {
        if id.len() <= MAX_ID && !id.contains(char::REPLACEMENT_CHARACTER) {
            readable = Some(id);
        } else {
            other = Some(id);
        }
    }
    readable
        .or(other)
        .map(|id| id.chars().take(MAX_ID).collect())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn id(query: &str, headers: &[&[u8]]) -> Option<String> {
        let mut request = TestRequest::with_uri(&format!("/events?{query}"));
        for header in headers {
            let value = HeaderValue::from_bytes(header).unwrap();
            request = request.append_header(("last-event-id", value));
        }
        last_event_id(&request.to_http_request())
    }

    #[test]
    fn w01_every_spelling_of_the_parameter_is_read() {
        for name in [
            "lastEventId",
            "lastEventID",
            "LastEventId",
            "last_event_id",
            "Last-Event-ID",
            "last-event-id",
            "last%2Devent%2Did",
            "evs_last_event_id",
        ] {
            let query = format!("topic=t&{name}=a-7&x=1");
            assert_eq!(id(&query, &[]).as_deref(), Some("a-7"), "{name}");
        }
        for name in ["last", "eventId", "xlastEventId", "lastEventIdx", ""] {
            assert_eq!(id(&format!("{name}=a-7"), &[]), None, "{name}");
        }
    }

    #[test]
    fn w01_of_several_the_last_one_that_can_be_read_counts() {
        for (query, expected) in [
            ("lastEventId=a-1&lastEventId=a-2", "a-2"),
            ("lastEventId=a-2&last_event_id=a-1", "a-1"),
            ("last-event-id=a-1&x=2&lastEventID=a-3", "a-3"),
            ("lastEventId=a-1&lastEventId=", "a-1"),
            ("lastEventId=a-1&lastEventId=%FF", "a-1"),
            ("lastEventId=&lastEventId=a-1", "a-1"),
        ] {
            assert_eq!(id(query, &[]).as_deref(), Some(expected), "{query}");
        }
        let long = "x".repeat(1000);
        let query = format!("lastEventId=a-1&lastEventId={long}");
        assert_eq!(id(&query, &[]).as_deref(), Some("a-1"));
    }

    #[test]
    fn w01_one_that_cannot_be_read_is_not_overlooked() {
        assert_eq!(id("lastEventId=%FF", &[]).as_deref(), Some("\u{fffd}"));
        assert_eq!(id("lastEventId=%ZZ", &[]).as_deref(), Some("%ZZ"));
        let long = "ä".repeat(1000);
        let cut = id(&format!("lastEventId={}", "%C3%A4".repeat(1000)), &[]);
        assert!(cut.is_some_and(|cut| long.starts_with(&cut) && cut.len() < long.len()));
        assert_eq!(id("", &[b"\xff"]).as_deref(), Some("\u{fffd}"));
        assert!(id("", &[&[b'x'; 1000]]).is_some_and(|cut| cut.len() == MAX_ID));
    }

    #[test]
    fn w01_r12_the_header_wins_unless_it_is_empty() {
        assert_eq!(id("lastEventId=a-1", &[b"a-2"]).as_deref(), Some("a-2"));
        assert_eq!(id("lastEventId=a-1", &[b""]).as_deref(), Some("a-1"));
        assert_eq!(
            id("lastEventId=a-1", &[b"", b"a-2"]).as_deref(),
            Some("a-2")
        );
        assert_eq!(id("", &[b"a-1", b"a-2"]).as_deref(), Some("a-2"));
        assert_eq!(
            id("lastEventId=a-1", &[b"\xff"]).as_deref(),
            Some("\u{fffd}")
        );
        assert_eq!(id("lastEventId=", &[b""]), None);
        assert_eq!(id("", &[]), None);
    }
}
