//! Entries of the log and of topics: from events to fields, and back. No shape is assumed of what is
//! read, because other programs may have written the keys.

use std::{sync::Arc, time::Duration};

use actix_web_sse::{Event, Retry, backplane::Revocation};

/// An entry as Redis returns it: its ID, its fields and their values.
pub(crate) type Raw = (String, Vec<(Vec<u8>, Vec<u8>)>);

/// Up to this size an event stands in the log itself; a larger one is read from its topic.
const INLINE: usize = 512;

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    /// `None` if another program wrote it.
    pub(crate) record: Option<Record>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) epoch: String,
    /// The number of the entry before this one, kept or not: every gap is visible.
    pub(crate) before: u64,
    pub(crate) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Event(Arc<str>, Event),
    /// An event that stands in its topic only, and its size.
    Large(Arc<str>, usize),
    /// The node that asks for it, and which streams are to end.
    End(String, Revocation),
}

/// How an event is stored: which fields its topic gets, and which the log.
pub(crate) struct Fields {
    pub(crate) all: Vec<(&'static str, String)>,
    /// Its size, if it is too large for the log.
    pub(crate) large: Option<usize>,
}

/// The fields of an event; the scripts add `e` (epoch), `q` or `p` (the entry before) and `t` (topic).
pub(crate) fn fields(event: &Event) -> Fields {
    let parts = event.parts();
    let mut all = vec![("d", parts.data.unwrap_or_default().to_owned())];
    if let Some(name) = parts.name {
        all.push(("n", name.to_owned()));
    }
    if let Some(retry) = parts.retry {
        all.push(("r", retry.as_millis().to_string()));
    }
    if let Some(tag) = parts.tag {
        all.push(("g", tag.to_owned()));
    }
    if parts.transient {
        all.push(("x", "1".to_owned()));
    }
    let size = all.iter().map(|(_, value)| value.len()).sum();
    Fields {
        // Transient events stand nowhere else.
        large: Some(size).filter(|size| *size > INLINE && !parts.transient),
        all,
    }
}

/// Finds fields by name.
struct Found<'a>(&'a [(Vec<u8>, Vec<u8>)]);

impl Found<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(field, _)| field == name.as_bytes())?;
        std::str::from_utf8(value).ok()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    fn event(&self) -> Option<Event> {
        let mut event = Event::data(self.text("d")?.to_owned());
        if let Some(name) = self.text("n") {
            event = event.name(name.to_owned()).ok()?;
        }
        if let Some(millis) = self.number("r") {
            event = event.retry(Retry::clamped(Duration::from_millis(millis)));
        }
        if let Some(tag) = self.text("g") {
            event = event.tag(tag);
        }
        if self.text("x").is_some() {
            event = event.transient();
        }
        Some(event)
    }

    fn what(&self) -> Option<What> {
        if let Some(from) = self.text("from") {
            let user = self.text("user").map(|user| Revocation::User(user.into()));
            let topic = self.text("topic");
            let end = user.or_else(|| Some(Revocation::Topic(topic?.into())))?;
            return Some(What::End(from.to_owned(), end));
        }
        let topic = self.text("t")?.into();
        match self.number("s") {
            Some(size) => Some(What::Large(topic, usize::try_from(size).ok()?)),
            None => Some(What::Event(topic, self.event()?)),
        }
    }
}

/// The number in an ID, and whether it is one of this crate's.
fn number(id: &str) -> (u64, bool) {
    let (number, rest) = id.split_once('-').unwrap_or((id, ""));
    (number.parse().unwrap_or_default(), rest == "0")
}

/// Reads an entry of the log.
pub(crate) fn entry((id, fields): &Raw) -> Entry {
    let (number, is_ours) = number(id);
    let found = Found(fields);
    let record = || {
        Some(Record {
            epoch: found.text("e")?.to_owned(),
            before: found.number("q")?,
            what: found.what()?,
        })
    };
    Entry {
        number,
        record: is_ours.then(record).flatten(),
    }
}

/// Reads an entry of a topic: its number and its event.
pub(crate) fn event((id, fields): &Raw) -> Option<(u64, Event)> {
    let (number, is_ours) = number(id);
    let event = Found(fields).event().filter(|_| is_ours)?;
    Some((number, event))
}

/// A revocation as Redis stores it; times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revoked {
    /// Names this revocation, however often it is sent.
    pub(crate) id: u64,
    pub(crate) user: Arc<str>,
    pub(crate) until: u64,
    /// When it can be forgotten, by Redis's clock.
    pub(crate) over: u64,
}

/// Reads a revocation.
pub(crate) fn revoked((_, fields): &Raw) -> Option<Revoked> {
    let found = Found(fields);
    Some(Revoked {
        id: found.number("i")?,
        user: found.text("u")?.into(),
        until: found.number("t")?,
        over: found.number("o")?,
    })
}

/// The ID of the revocation that was the newest before this one.
pub(crate) fn before_revocation((_, fields): &Raw) -> Option<String> {
    Some(Found(fields).text("p")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(id: &str, fields: &[(&str, &str)]) -> Raw {
        let bytes =
            |(field, value): &(&str, &str)| (field.as_bytes().to_vec(), value.as_bytes().to_vec());
        (id.to_owned(), fields.iter().map(bytes).collect())
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
        for written in [plain, full] {
            let stored = fields(&written);
            assert_eq!(stored.large, None);
            let mut all = vec![("e", "epoch000"), ("q", "7"), ("t", "news")];
            all.extend(
                stored
                    .all
                    .iter()
                    .map(|(field, value)| (*field, value.as_str())),
            );
            let read = entry(&raw("12-0", &all));
            let record = Record {
                epoch: "epoch000".to_owned(),
                before: 7,
                what: What::Event("news".into(), written.clone()),
            };
            assert_eq!(
                read,
                Entry {
                    number: 12,
                    record: Some(record)
                }
            );
            assert_eq!(event(&raw("12-0", &all)), Some((12, written)));
        }
    }

    #[test]
    fn a_large_event_stands_in_its_topic_unless_it_is_transient() {
        let large = Event::data("x".repeat(INLINE + 1));
        assert_eq!(fields(&large).large, Some(INLINE + 1));
        assert_eq!(fields(&large.transient()).large, None);
        let log = raw(
            "12-0",
            &[("e", "e"), ("q", "7"), ("t", "news"), ("s", "513")],
        );
        let what = entry(&log).record.unwrap().what;
        assert_eq!(what, What::Large("news".into(), 513));
    }

    #[test]
    fn what_another_program_wrote_has_a_number_and_no_record() {
        let whole = [("e", "e"), ("q", "3"), ("t", "news"), ("d", "x")];
        assert!(entry(&raw("12-0", &whole)).record.is_some());
        assert_eq!(
            entry(&raw("12-1", &whole)),
            Entry {
                number: 12,
                record: None
            }
        );
        for missing in 0..whole.len() {
            let mut part = whole.to_vec();
            part.remove(missing);
            assert_eq!(entry(&raw("12-0", &part)).record, None, "{part:?}");
        }
        let mut forged = whole.to_vec();
        forged.push(("n", "a\nevent: admin"));
        assert_eq!(entry(&raw("12-0", &forged)).record, None);
        let not_text = ("12-0".to_owned(), vec![(vec![0xff], vec![0xff])]);
        assert_eq!(entry(&not_text).record, None);
    }
}
