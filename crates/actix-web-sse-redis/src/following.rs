//! Which topics this node reads, how far, and what an entry says about what came before it.
//! Pure: no clock, no connection.

use std::{collections::HashMap, sync::Arc};

use crate::record::{Before, Entry, Record};

/// How far a topic has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    last: u64,
    /// `last` is the number of an entry that was read, and not just where reading began.
    read: bool,
}

/// How an entry follows on what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// Nothing lies between.
    Next,
    /// Something was trimmed before this node read it.
    Hole,
    /// Redis no longer has what it once gave to this node: it has lost what it acknowledged.
    Past,
    /// Read already, or of a topic that is no longer followed.
    Known,
}

#[derive(Debug, Default)]
pub(crate) struct Following {
    topics: HashMap<Arc<str>, Place>,
    /// The highest number that was read.
    highest: u64,
    /// The newest entry of this numbering that was read or acknowledged, and its topic.
    newest: Option<(Arc<str>, u64)>,
}

impl Following {
    /// Reads a topic from here on.
    pub(crate) fn join(&mut self, topic: Arc<str>, last: u64) {
        self.topics.insert(topic, Place { last, read: false });
    }

    /// Reads a topic no more; says how far it had been read.
    pub(crate) fn leave(&mut self, topic: &str) -> Option<u64> {
        self.topics.remove(topic).map(|place| place.last)
    }

    pub(crate) fn has(&self, topic: &str) -> bool {
        self.topics.contains_key(topic)
    }

    pub(crate) fn len(&self) -> usize {
        self.topics.len()
    }

    pub(crate) const fn highest(&self) -> u64 {
        self.highest
    }

    pub(crate) fn saw(&mut self, number: u64) {
        self.highest = self.highest.max(number);
    }

    /// The newest entry that Redis must have, unless it has lost something.
    pub(crate) const fn newest(&self) -> Option<&(Arc<str>, u64)> {
        self.newest.as_ref()
    }

    /// Redis has this entry: it gave it out, or acknowledged it.
    pub(crate) fn saw_entry(&mut self, topic: &Arc<str>, number: u64) {
        self.saw(number);
        if self
            .newest
            .as_ref()
            .is_none_or(|(_, known)| *known < number)
        {
            self.newest = Some((Arc::clone(topic), number));
        }
    }

    /// Each topic, and the number after which to read.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&Arc<str>, u64)> {
        self.topics.iter().map(|(topic, place)| (topic, place.last))
    }

    /// As [`places`](Self::places), for who changes them meanwhile.
    pub(crate) fn places_owned(&self) -> Vec<(Arc<str>, u64)> {
        self.places()
            .map(|(topic, last)| (Arc::clone(topic), last))
            .collect()
    }

    /// A new numbering has begun: what was read before it proves nothing about what is there.
    pub(crate) fn forget_read(&mut self) {
        self.newest = None;
        self.topics
            .values_mut()
            .for_each(|place| place.read = false);
    }

    /// Goes past an entry that is none of ours.
    pub(crate) fn skip(&mut self, topic: &str, number: u64) {
        if let Some(place) = self.topics.get_mut(topic) {
            place.last = place.last.max(number);
        }
    }

    /// Takes note of an entry that has been read, in the order of the numbers.
    pub(crate) fn advance(&mut self, topic: &Arc<str>, record: &Record) -> Link {
        let Some(place) = self.topics.get_mut(topic) else {
            return Link::Known;
        };
        let link = match record.before {
            _ if record.number <= place.last => return Link::Known,
            Before::Entry(before) if before > place.last => Link::Hole,
            Before::Entry(before) if place.read && before < place.last => Link::Past,
            _ => Link::Next,
        };
        *place = Place {
            last: record.number,
            read: true,
        };
        self.saw_entry(topic, record.number);
        link
    }
}

/// Puts what was read of several topics into the order of the numbers. An answer to one `XREAD`
/// is a snapshot; but of a topic with `limit` entries there may be more, so that nothing beyond
/// its last one may be handed on yet: it is read again.
pub(crate) fn in_order<T: Clone>(read: Vec<(T, Vec<Entry>)>, limit: usize) -> Vec<(T, Entry)> {
    let horizon = read
        .iter()
        .filter(|(_, entries)| entries.len() >= limit)
        .filter_map(|(_, entries)| entries.last())
        .map(|last| last.number)
        .min()
        .unwrap_or(u64::MAX);
    let mut all = Vec::new();
    for (topic, entries) in read {
        let within = entries
            .into_iter()
            .take_while(|entry| entry.number <= horizon);
        all.extend(within.map(|entry| (topic.clone(), entry)));
    }
    all.sort_by_key(|(_, entry)| entry.number);
    all
}

#[cfg(test)]
mod tests {
    use actix_web_sse::Event;
    use proptest::prelude::*;

    use super::*;

    fn record(number: u64, before: Before) -> Record {
        Record {
            number,
            epoch: "epoch000".to_owned(),
            before,
            event: Event::data("x"),
        }
    }

    fn following(last: u64) -> Following {
        let mut following = Following::default();
        following.join("t".into(), last);
        following
    }

    #[test]
    fn an_entry_whose_predecessor_was_read_follows() {
        let mut following = following(10);
        let first = record(12, Before::Entry(5));
        assert_eq!(following.advance(&"t".into(), &first), Link::Next);
        let second = record(15, Before::Entry(12));
        assert_eq!(following.advance(&"t".into(), &second), Link::Next);
        assert_eq!(following.highest(), 15);
    }

    #[test]
    fn an_entry_whose_predecessor_was_trimmed_unread_shows_the_hole() {
        let mut following = following(10);
        let late = record(20, Before::Entry(19));
        assert_eq!(following.advance(&"t".into(), &late), Link::Hole);
    }

    #[test]
    fn a_redis_that_forgot_what_it_gave_out_is_found_out() {
        let mut following = following(10);
        following.advance(&"t".into(), &record(12, Before::Entry(5)));
        let after_loss = record(30, Before::Entry(5));
        assert_eq!(following.advance(&"t".into(), &after_loss), Link::Past);
    }

    #[test]
    fn expiry_is_no_hole_and_repetition_no_news() {
        let mut following = following(10);
        following.advance(&"t".into(), &record(12, Before::Entry(5)));
        let later = record(500, Before::Expired(400));
        assert_eq!(following.advance(&"t".into(), &later), Link::Next);
        assert_eq!(following.advance(&"t".into(), &later), Link::Known);
        assert_eq!(following.advance(&"other".into(), &later), Link::Known);
    }

    proptest! {
        /// However the entries are spread over topics and however few are read at a time, they
        /// come out once each and in order.
        #[test]
        fn reading_in_pieces_is_reading_in_order(
            topics in proptest::collection::vec(0_usize..4, 0..60),
            limit in 1_usize..8,
        ) {
            let log: Vec<(usize, u64)> = topics.into_iter().zip(1..).collect();
            let mut last = [0_u64; 4];
            let mut out = Vec::new();
            loop {
                let read: Vec<_> = (0..4).filter_map(|topic| {
                    let entries: Vec<_> = log.iter()
                        .filter(|(t, number)| *t == topic && *number > last[topic])
                        .take(limit)
                        .map(|(_, number)| Entry { number: *number, record: None })
                        .collect();
                    (!entries.is_empty()).then_some((topic, entries))
                }).collect();
                if read.is_empty() {
                    break;
                }
                let ordered = in_order(read, limit);
                prop_assert!(!ordered.is_empty(), "each answer moves on");
                for (topic, entry) in ordered {
                    last[topic] = entry.number;
                    out.push(entry.number);
                }
            }
            prop_assert_eq!(out, (1..=log.len() as u64).collect::<Vec<_>>());
        }
    }
}
