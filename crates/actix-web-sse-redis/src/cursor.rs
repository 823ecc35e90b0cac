//! The topics that this node reads, the position in each, and the check that an entry follows the
//! one before it. Pure: no clock, no connection.

use std::{collections::HashMap, sync::Arc};

use crate::entry::{Before, Entry, Record};

/// The reading position in a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cursor {
    last: u64,
    /// Whether `last` is the number of an entry that was read, and not the start of reading.
    read: bool,
}

/// How an entry relates to what was read before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// It follows directly.
    Next,
    /// Entries before it were trimmed before this node read them.
    Gap,
    /// Redis has lost an entry that it returned to this node before.
    HistoryLost,
    /// It was read already, or its topic is no longer followed.
    Duplicate,
}

#[derive(Debug, Default)]
pub(crate) struct Cursors {
    topics: HashMap<Arc<str>, Cursor>,
    /// The highest number that was read or acknowledged.
    highest: u64,
    /// The newest entry of this epoch that was read or acknowledged, and its topic.
    newest: Option<(Arc<str>, u64)>,
}

impl Cursors {
    /// Starts reading a topic after this number.
    pub(crate) fn join(&mut self, topic: Arc<str>, last: u64) {
        self.topics.insert(topic, Cursor { last, read: false });
    }

    /// Stops reading a topic; returns its last position.
    pub(crate) fn leave(&mut self, topic: &str) -> Option<u64> {
        self.topics.remove(topic).map(|cursor| cursor.last)
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

    /// The newest entry that Redis must have unless it has lost data.
    pub(crate) const fn newest(&self) -> Option<&(Arc<str>, u64)> {
        self.newest.as_ref()
    }

    /// Notes that Redis has this entry: it returned or acknowledged it.
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
    pub(crate) fn positions(&self) -> impl Iterator<Item = (&Arc<str>, u64)> {
        self.topics
            .iter()
            .map(|(topic, cursor)| (topic, cursor.last))
    }

    /// Like [`positions`](Self::positions), for a caller that changes them meanwhile.
    pub(crate) fn positions_owned(&self) -> Vec<(Arc<str>, u64)> {
        self.positions()
            .map(|(topic, last)| (Arc::clone(topic), last))
            .collect()
    }

    /// Starts a new epoch: entries of the one before are no evidence of lost data.
    pub(crate) fn forget_read(&mut self) {
        self.newest = None;
        self.topics
            .values_mut()
            .for_each(|cursor| cursor.read = false);
    }

    /// Skips an entry that was not written by this crate.
    pub(crate) fn skip(&mut self, topic: &str, number: u64) {
        if let Some(cursor) = self.topics.get_mut(topic) {
            cursor.last = cursor.last.max(number);
        }
    }

    /// Advances over an entry. Entries come in the order of their numbers.
    pub(crate) fn advance(&mut self, topic: &Arc<str>, record: &Record) -> Link {
        let Some(cursor) = self.topics.get_mut(topic) else {
            return Link::Duplicate;
        };
        let link = match record.before {
            _ if record.number <= cursor.last => return Link::Duplicate,
            Before::Entry(before) if before > cursor.last => Link::Gap,
            Before::Entry(before) if cursor.read && before < cursor.last => Link::HistoryLost,
            _ => Link::Next,
        };
        *cursor = Cursor {
            last: record.number,
            read: true,
        };
        self.saw_entry(topic, record.number);
        link
    }
}

/// Merges the entries of several topics by number. The answer to one `XREAD` is a snapshot; but a
/// topic with `limit` entries may have more, so entries beyond the last one of such a topic are left
/// out and read again.
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

    fn cursors(last: u64) -> Cursors {
        let mut cursors = Cursors::default();
        cursors.join("t".into(), last);
        cursors
    }

    #[test]
    fn an_entry_whose_predecessor_was_read_follows() {
        let mut cursors = cursors(10);
        let first = record(12, Before::Entry(5));
        assert_eq!(cursors.advance(&"t".into(), &first), Link::Next);
        let second = record(15, Before::Entry(12));
        assert_eq!(cursors.advance(&"t".into(), &second), Link::Next);
        assert_eq!(cursors.highest(), 15);
    }

    #[test]
    fn an_entry_whose_predecessor_was_trimmed_unread_is_a_gap() {
        let mut cursors = cursors(10);
        let late = record(20, Before::Entry(19));
        assert_eq!(cursors.advance(&"t".into(), &late), Link::Gap);
    }

    #[test]
    fn a_redis_that_lost_an_entry_it_had_returned_is_detected() {
        let mut cursors = cursors(10);
        cursors.advance(&"t".into(), &record(12, Before::Entry(5)));
        let after_loss = record(30, Before::Entry(5));
        assert_eq!(cursors.advance(&"t".into(), &after_loss), Link::HistoryLost);
    }

    #[test]
    fn expiry_is_no_gap_and_a_repeated_entry_is_a_duplicate() {
        let mut cursors = cursors(10);
        cursors.advance(&"t".into(), &record(12, Before::Entry(5)));
        let later = record(500, Before::Expired(400));
        assert_eq!(cursors.advance(&"t".into(), &later), Link::Next);
        assert_eq!(cursors.advance(&"t".into(), &later), Link::Duplicate);
        assert_eq!(cursors.advance(&"other".into(), &later), Link::Duplicate);
    }

    proptest! {
        /// Whatever the distribution over topics and the limit of one answer, each entry is
        /// returned once and in order.
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
                prop_assert!(!ordered.is_empty(), "each answer advances");
                for (topic, entry) in ordered {
                    last[topic] = entry.number;
                    out.push(entry.number);
                }
            }
            prop_assert_eq!(out, (1..=log.len() as u64).collect::<Vec<_>>());
        }
    }
}
