//! Where a node stands in the log, and the check that an entry follows the one before it. Pure: no
//! clock, no connection.

use std::sync::Arc;

use crate::entry::Record;

/// An epoch, and the number after which it began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Epoch {
    pub(crate) name: String,
    pub(crate) base: u64,
}

/// How an entry relates to what was read before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Link {
    /// It follows directly.
    Next,
    /// Entries up to this number were trimmed before this node read them.
    Gap(u64),
    /// Redis has lost what this node has read before.
    Lost,
    /// It is of an epoch that this node does not know.
    NewEpoch,
}

/// The place of a node in the log.
#[derive(Debug, Default)]
pub(crate) struct Cursor {
    pub(crate) epoch: Option<Epoch>,
    /// The number after which to read.
    pub(crate) read: u64,
    /// Everything of this crate up to this number has been delivered.
    pub(crate) seen: u64,
    /// The newest event that Redis returned or acknowledged and has to have: its topic and number.
    newest: Option<(Arc<str>, u64)>,
    /// The highest number that Redis returned or acknowledged.
    highest: u64,
}

impl Cursor {
    /// Takes a numbering up; whether it is another one than before. Of a new one everything after its
    /// base is read; at the first one, everything from now on.
    pub(crate) fn adopt(&mut self, name: &str, base: u64, newest: u64) -> bool {
        if self.epoch.as_ref().is_some_and(|epoch| epoch.name == name) {
            return false;
        }
        let start = if self.epoch.is_none() { newest } else { base };
        *self = Self {
            epoch: Some(Epoch {
                name: name.to_owned(),
                base,
            }),
            read: start,
            seen: start,
            newest: None,
            highest: start,
        };
        true
    }

    pub(crate) fn highest(&self) -> u64 {
        self.highest
    }

    pub(crate) fn newest(&self) -> Option<&(Arc<str>, u64)> {
        self.newest.as_ref()
    }

    /// Notes that Redis has this: it returned or acknowledged it. Only of the current epoch.
    pub(crate) fn has(&mut self, number: u64, event_of: Option<&Arc<str>>) {
        if self.epoch.as_ref().is_none_or(|epoch| number <= epoch.base) {
            return;
        }
        self.highest = self.highest.max(number);
        if let Some(topic) = event_of
            && self
                .newest
                .as_ref()
                .is_none_or(|(_, known)| *known < number)
        {
            self.newest = Some((Arc::clone(topic), number));
        }
    }

    /// How an entry follows, before the cursor moves over it.
    pub(crate) fn link(&self, record: &Record) -> Link {
        match &self.epoch {
            Some(epoch) if epoch.name == record.epoch => {}
            _ => return Link::NewEpoch,
        }
        match record.before {
            before if before > self.seen => Link::Gap(before),
            before if before < self.seen => Link::Lost,
            _ => Link::Next,
        }
    }

    /// Moves over an entry; `ours` if this crate wrote it.
    pub(crate) fn advance(&mut self, number: u64, ours: bool) {
        self.read = self.read.max(number);
        if ours {
            self.seen = number;
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web_sse::Event;

    use super::*;
    use crate::entry::What;

    fn record(epoch: &str, before: u64) -> Record {
        Record {
            epoch: epoch.to_owned(),
            before,
            what: What::Event("t".into(), Event::data("x")),
        }
    }

    fn at(seen: u64) -> Cursor {
        let mut cursor = Cursor::default();
        assert!(cursor.adopt("epoch000", 5, seen));
        cursor
    }

    #[test]
    fn an_entry_follows_the_one_before_it_or_shows_what_is_missing() {
        let mut cursor = at(10);
        assert_eq!(cursor.link(&record("epoch000", 10)), Link::Next);
        cursor.advance(12, true);
        assert_eq!(cursor.link(&record("epoch000", 12)), Link::Next);
        assert_eq!(cursor.link(&record("epoch000", 19)), Link::Gap(19));
        assert_eq!(cursor.link(&record("epoch000", 10)), Link::Lost);
        assert_eq!(cursor.link(&record("epoch001", 12)), Link::NewEpoch);
        // What another program wrote is passed over, and is nobody's predecessor.
        cursor.advance(15, false);
        assert_eq!((cursor.read, cursor.seen), (15, 12));
    }

    #[test]
    fn of_a_new_epoch_everything_is_read() {
        let mut cursor = at(10);
        cursor.has(12, Some(&"t".into()));
        assert!(!cursor.adopt("epoch000", 5, 20));
        assert!(cursor.adopt("epoch001", 30, 40));
        assert_eq!((cursor.read, cursor.seen, cursor.highest()), (30, 30, 30));
        assert_eq!(cursor.newest(), None, "it says nothing of this epoch");
    }

    #[test]
    fn what_was_acknowledged_before_a_newer_epoch_is_no_evidence() {
        let mut cursor = at(10);
        let topic: Arc<str> = "t".into();
        cursor.has(4, Some(&topic));
        assert_eq!((cursor.newest(), cursor.highest()), (None, 10));
        cursor.has(12, Some(&topic));
        cursor.has(11, Some(&topic));
        cursor.has(14, None);
        assert_eq!(cursor.newest(), Some(&(topic, 12)));
        assert_eq!(cursor.highest(), 14);
    }
}
