//! Converts events to the fields of a stream entry, and back.

use std::time::Duration;

use actix_web_sse::{Event, Retry};

/// An entry of a topic's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    /// `None` if another program wrote it.
    pub(crate) record: Option<Record>,
}

/// The content of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) number: u64,
    /// The epoch of the number.
    pub(crate) epoch: String,
    pub(crate) before: Before,
    pub(crate) event: Event,
}

/// The newest entry of the topic when this one was added. It makes every gap visible: after
/// trimming, after expiry, and after Redis lost acknowledged entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// The entry with this number.
    Entry(u64),
    /// None: older entries have expired, and their numbers are at most this one.
    Expired(u64),
}

impl Before {
    /// `12` or `x12`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix('x') {
            Some(number) => number.parse().ok().map(Self::Expired),
            None => text.parse().ok().map(Self::Entry),
        }
    }
}

/// The fields of an event; the script adds `e` (epoch) and `p` (previous entry).
pub(crate) fn fields(event: &Event) -> Vec<(&'static str, String)> {
    let parts = event.parts();
    let mut fields = vec![("d", parts.data.unwrap_or_default().to_owned())];
    if let Some(name) = parts.name {
        fields.push(("n", name.to_owned()));
    }
    if let Some(retry) = parts.retry {
        fields.push(("r", retry.as_millis().to_string()));
    }
    if let Some(tag) = parts.tag {
        fields.push(("g", tag.to_owned()));
    }
    if parts.transient {
        fields.push(("t", "1".to_owned()));
    }
    fields
}

/// Parses the fields of an entry; `None` if they are not an event of this crate.
pub(crate) fn record(
    number: u64,
    fields: impl IntoIterator<Item = (String, String)>,
) -> Option<Record> {
    let (mut data, mut name, mut retry, mut tag) = (None, None, None, None);
    let (mut epoch, mut before, mut transient) = (None, None, false);
    for (field, value) in fields {
        match field.as_str() {
            "e" => epoch = Some(value),
            "p" => before = Before::parse(&value),
            "d" => data = Some(value),
            "n" => name = Some(value),
            "r" => retry = value.parse().ok(),
            "g" => tag = Some(value),
            "t" => transient = true,
            // A field of a newer version.
            _ => {}
        }
    }
    let mut event = Event::data(data?);
    if let Some(name) = name {
        event = event.name(name).ok()?;
    }
    if let Some(millis) = retry {
        event = event.retry(Retry::clamped(Duration::from_millis(millis)));
    }
    if let Some(tag) = tag {
        event = event.tag(tag);
    }
    if transient {
        event = event.transient();
    }
    Some(Record {
        number,
        epoch: epoch?,
        before: before?,
        event,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(event: &Event) -> Option<Record> {
        let own = [("e", "epoch000".to_owned()), ("p", "x7".to_owned())];
        let all = own.into_iter().chain(fields(event));
        record(12, all.map(|(field, value)| (field.to_owned(), value)))
    }

    #[test]
    fn an_event_comes_back_as_it_was() {
        let plain = Event::data("a\r\nb\0 \u{1f600}");
        let full = Event::data("")
            .name("price".to_owned())
            .unwrap()
            .retry(Retry::clamped(Duration::from_secs(2)))
            .tag("t")
            .transient();
        for event in [plain, full] {
            let record = there_and_back(&event).unwrap();
            assert_eq!(record.event, event);
            assert_eq!(record.number, 12);
            assert_eq!(record.before, Before::Expired(7));
            assert_eq!(record.epoch, "epoch000");
        }
    }

    #[test]
    fn fields_that_are_no_event_are_ignored() {
        let fields = |list: &[(&str, &str)]| {
            let owned = |(field, value): &(&str, &str)| ((*field).to_owned(), (*value).to_owned());
            list.iter().map(owned).collect::<Vec<_>>()
        };
        let whole = [("e", "epoch000"), ("p", "3"), ("d", "x")];
        assert!(record(12, fields(&whole)).is_some());
        for missing in 0..whole.len() {
            let mut part = whole.to_vec();
            part.remove(missing);
            assert_eq!(record(12, fields(&part)), None, "{part:?}");
        }
        let forged = [("e", "e"), ("p", "3"), ("d", "x"), ("n", "a\nevent: admin")];
        assert_eq!(record(12, fields(&forged)), None);
    }
}
