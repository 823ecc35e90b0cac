//! From events to bytes (WHATWG HTML § 9.2.5): pure, one allocation, and nothing to fail.

use bytes::Bytes;

use super::{Event, Retry};
use crate::observe::Resume;

/// A comment line, and nothing else: a blank line after it would make phantom empty messages in
/// clients that act on every blank line (httpx-sse, fetch-event-source), and an ID would move the
/// last event ID in some browsers and not in others.
pub(crate) const HEARTBEAT: &[u8] = b":\n";

/// The first bytes of every stream. No blank line, for the reason above: the block is closed by
/// the first event.
///
/// If there is a `start`, that is the anchor: the ID that a client may come back with that has had no
/// event yet. It is an event of its own name, for an ID without data moves the last event ID in
/// Chromium and Firefox, and neither in WebKit nor in npm `eventsource`.
pub(crate) fn first_block(retry: Retry, start: Option<&str>) -> Bytes {
    let millis = retry.as_millis();
    Bytes::from(match start {
        None => format!(":\nretry: {millis}\n"),
        Some(id) => format!(":\nretry: {millis}\nid: {id}\nevent: anchor\ndata: {{}}\n\n"),
    })
}

/// The anchor behind a snapshot: the client has all of it, and comes back with this ID.
pub(crate) fn anchor(id: Option<&str>) -> Bytes {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    Bytes::from(format!("{id}event: anchor\ndata: {{}}\n\n"))
}

/// The event that says what could not be replayed, with the ID of the topic's own newest event if it
/// has one. The ID that was asked for is not in it: it may be another tenant's.
pub(crate) fn reset(why: Resume, newest: Option<&str>) -> Bytes {
    let id = newest.map(|id| format!("id: {id}\n")).unwrap_or_default();
    Bytes::from(format!(
        "{id}event: reset\ndata: {{\"reason\":\"{why}\"}}\n\n"
    ))
}

/// The last line of a stream that the server ends.
pub(crate) fn closing_block(retry: Retry) -> Bytes {
    Bytes::from(format!("retry: {}\n", retry.as_millis()))
}

/// The credentials have expired.
pub(crate) const AUTH_EXPIRED: &[u8] = b"event: auth_expired\ndata: {}\n\n";

/// The same where there are no names.
pub(crate) const PLAIN_AUTH_EXPIRED: &[u8] = b"data: {\"error\":{\"code\":\"auth_expired\"}}\n\n";

/// The last event ID of a client that has had everything.
pub(crate) const END_ID: &str = "sse-end";

/// The last event of a stream that has come to its end for good. The ID comes back with the next
/// request, which is answered with 204. It needs an event with data: WebKit and npm `eventsource`
/// keep no ID without.
pub(crate) fn end(retry: Retry) -> Bytes {
    let millis = retry.as_millis();
    Bytes::from(format!(
        "retry: {millis}\nid: {END_ID}\nevent: end\ndata: {{}}\n\n"
    ))
}

/// The lines of a text, by all three line ends of the format: CR LF, LF, CR.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(end) = text.bytes().position(|byte| byte == b'\n' || byte == b'\r') else {
            rest = None;
            return Some(text);
        };
        let (line, tail) = text.split_at(end);
        rest = tail
            .strip_prefix("\r\n")
            .or_else(|| tail.strip_prefix(['\r', '\n']));
        Some(line)
    })
}

/// An event as bytes, with the ID it carries itself.
pub(crate) fn encode(event: &Event) -> Bytes {
    let id = event.id.as_ref().map(|id| id.as_str());
    let mut bytes = Vec::with_capacity(encoded_len(event) + id.map_or(0, |id| id.len() + 5));
    if let Some(id) = id {
        // An empty ID is a field without a value: it resets the client's last event ID.
        bytes.extend_from_slice(if id.is_empty() { b"id:" } else { b"id: " });
        bytes.extend_from_slice(id.as_bytes());
        bytes.push(b'\n');
    }
    write(event, &mut bytes);
    bytes.into()
}

/// An encoded event that still lacks its ID: the number is known only under the hub's lock, and
/// the bytes are written before it is taken.
pub(crate) struct Unnumbered(Vec<u8>);

/// Room for `id: `, an epoch of 8, a hyphen, 20 digits and LF.
const HEADROOM: usize = 34;

impl Unnumbered {
    pub(crate) fn new(event: &Event) -> Self {
        let mut bytes = Vec::with_capacity(HEADROOM + encoded_len(event));
        bytes.resize(HEADROOM, 0);
        write(event, &mut bytes);
        Self(bytes)
    }

    /// Writes the ID line into the room before the event.
    pub(crate) fn number(mut self, id: &str) -> Bytes {
        let start = HEADROOM.saturating_sub(id.len() + 5);
        if let Some(room) = self.0.get_mut(start..HEADROOM)
            && let Some((head, tail)) = room.split_at_mut_checked(4)
            && let Some((end, middle)) = tail.split_last_mut()
            && middle.len() == id.len()
        {
            head.copy_from_slice(b"id: ");
            middle.copy_from_slice(id.as_bytes());
            *end = b'\n';
            return Bytes::from(self.0).slice(start..);
        }
        // An ID longer than the room: no ID of this crate is.
        self.transient()
    }

    /// The event without an ID.
    pub(crate) fn transient(self) -> Bytes {
        Bytes::from(self.0).slice(HEADROOM..)
    }
}

/// The length of all but the ID line.
fn encoded_len(event: &Event) -> usize {
    let folded = |text: &str, prefix: usize| lines(text).map(|line| prefix + line.len() + 1).sum();
    let comment = event.comment.as_deref().map_or(0, |text| folded(text, 2));
    let name = event
        .name
        .as_ref()
        .map_or(0, |name| "event: \n".len() + name.as_str().len());
    let retry = event.retry.map_or(0, |_| "retry: 3600000\n".len());
    let data: usize = event.data.as_deref().map_or(0, |text| folded(text, 6));
    comment + name + retry + data + usize::from(event.data.is_some())
}

fn write(event: &Event, out: &mut Vec<u8>) {
    if let Some(comment) = event.comment.as_deref() {
        for line in lines(comment) {
            field(out, b": ", line);
        }
    }
    if let Some(name) = &event.name {
        field(out, b"event: ", name.as_str());
    }
    if let Some(retry) = event.retry {
        field(out, b"retry: ", &retry.as_millis().to_string());
    }
    if let Some(data) = event.data.as_deref() {
        // The space is always written, or a leading one of the data would be lost.
        for line in lines(data) {
            field(out, b"data: ", line);
        }
        out.push(b'\n');
    }
}

fn field(out: &mut Vec<u8>, prefix: &[u8], value: &str) {
    out.extend_from_slice(prefix);
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventError, EventId, EventName};
    use std::time::Duration;

    fn text(event: &Event) -> String {
        String::from_utf8(encode(event).to_vec()).unwrap()
    }

    #[test]
    fn e01_lf_and_crlf_end_a_line() {
        assert_eq!(text(&Event::data("a\nb")), "data: a\ndata: b\n\n");
        assert_eq!(text(&Event::data("a\r\nb")), "data: a\ndata: b\n\n");
    }

    #[test]
    fn e02_a_lone_cr_ends_a_line() {
        assert_eq!(
            text(&Event::data("a\rdata: pwn\r\rb")),
            "data: a\ndata: data: pwn\ndata: \ndata: b\n\n"
        );
    }

    #[test]
    fn e03_empty_lines_stay() {
        assert_eq!(text(&Event::data("")), "data: \n\n");
        assert_eq!(text(&Event::data("\n")), "data: \ndata: \n\n");
        assert_eq!(text(&Event::data("a\n")), "data: a\ndata: \n\n");
        assert_eq!(text(&Event::data("\n\n")), "data: \ndata: \ndata: \n\n");
    }

    #[test]
    fn e04_leading_spaces_and_field_names_are_data() {
        assert_eq!(text(&Event::data(" x")), "data:  x\n\n");
        assert_eq!(text(&Event::data(":x")), "data: :x\n\n");
        assert_eq!(text(&Event::data("id: 9")), "data: id: 9\n\n");
    }

    #[test]
    fn e05_line_ends_and_nul_in_id_and_name_are_refused_with_their_place() {
        for (bad, offset) in [("a\nb", 1), ("a\rb", 1), ("\r\n", 0), ("ab\0", 2)] {
            let Err(EventError::Forbidden {
                field: "id",
                offset: at,
                ..
            }) = EventId::new(bad)
            else {
                panic!("{bad:?} was accepted");
            };
            assert_eq!(at, offset);
            let error = EventName::new(bad).unwrap_err().to_string();
            assert!(
                error.contains("`event`") && error.contains(&format!("byte {offset}")),
                "{error}"
            );
        }
    }

    #[test]
    fn e06_every_line_of_a_comment_starts_with_a_colon() {
        assert_eq!(
            text(&Event::comment("c\n\ndata: x")),
            ": c\n: \n: data: x\n"
        );
        assert_eq!(text(&Event::comment("c\rdata: x")), ": c\n: data: x\n");
    }

    #[test]
    fn e08_a_byte_order_mark_in_the_data_stays_behind_the_field_name() {
        assert_eq!(text(&Event::data("\u{FEFF}x")), "data: \u{FEFF}x\n\n");
    }

    #[test]
    fn e09_ids_that_do_not_survive_as_a_header_are_refused() {
        let long = "x".repeat(129);
        for bad in [" 5", "5 ", "a\tb", "日本", "e5p3n<3k", long.as_str()] {
            assert!(EventId::new(bad).is_err(), "{bad:?}");
        }
        assert!(EventId::new("x".repeat(128)).is_ok());
    }

    #[test]
    fn e10_the_empty_id_is_a_field_without_a_value() {
        assert_eq!(text(&Event::data("x").id("").unwrap()), "id:\ndata: x\n\n");
    }

    #[test]
    fn e12_the_empty_name_is_message() {
        assert_eq!(
            text(&Event::data("x").name("").unwrap()),
            "event: \ndata: x\n\n"
        );
    }

    #[test]
    fn e13_a_name_cannot_inject_a_field() {
        assert!(Event::data("x").name("message\nevent: admin").is_err());
    }

    #[test]
    fn r14_a_block_without_data_cannot_have_an_id() {
        assert_eq!(
            Event::comment("x").id("5"),
            Err(EventError::NoData { field: "id" })
        );
    }

    #[test]
    fn a_number_goes_before_the_event_and_costs_no_copy() {
        let event = Event::data("x").name("n").unwrap();
        let bytes = Unnumbered::new(&event).number("k3x9qz00-18446744073709551615");
        assert_eq!(
            bytes,
            "id: k3x9qz00-18446744073709551615\nevent: n\ndata: x\n\n"
        );
        assert_eq!(
            Unnumbered::new(&event).number("a-1"),
            "id: a-1\nevent: n\ndata: x\n\n"
        );
        assert_eq!(Unnumbered::new(&event).transient(), "event: n\ndata: x\n\n");
    }

    #[test]
    fn the_length_is_known_before() {
        for event in [
            Event::data("a\r\n\rb\n").name("n").unwrap(),
            Event::comment("x\ny"),
            Event::data("").retry(Retry::new(Duration::from_secs(3600)).unwrap()),
        ] {
            assert_eq!(encoded_len(&event), encode(&event).len());
        }
    }
}
