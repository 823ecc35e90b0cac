//! Who follows topics on this node, and what of it Redis does not have yet.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
};

use actix_web_sse::backplane::{Reader, ReaderCount};

/// The most attendees that are remembered to be sent. With more, all is compared with what Redis has.
const MAX_DIRTY: usize = 100_000;

/// A reader of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Attendee {
    pub(crate) topic: Arc<str>,
    pub(crate) reader: Reader,
    /// The topic of its joins and leaves; empty if there is none.
    pub(crate) announced_in: Arc<str>,
}

impl Attendee {
    /// The reader, as it stands in a field of Redis.
    pub(crate) fn who(&self) -> String {
        match &self.reader {
            Reader::User(user) => format!("u{user}"),
            Reader::Anonymous => "a".to_owned(),
            // And what a newer version may count.
            _ => "x".to_owned(),
        }
    }

    /// All of it, as a member of a set of Redis.
    pub(crate) fn member(&self) -> String {
        let (topic, announced_in) = (&self.topic, &self.announced_in);
        let lengths = format!("{}:{}:", topic.len(), announced_in.len());
        format!("{lengths}{topic}{announced_in}{}", self.who())
    }

    /// Reads a member of a set.
    pub(crate) fn read(member: &str) -> Option<Self> {
        let (topic, rest) = member.split_once(':')?;
        let (announced_in, rest) = rest.split_once(':')?;
        let (topic, rest) = rest.split_at_checked(topic.parse().ok()?)?;
        let (announced_in, who) = rest.split_at_checked(announced_in.parse().ok()?)?;
        Some(Self {
            topic: topic.into(),
            reader: reader(who)?,
            announced_in: announced_in.into(),
        })
    }
}

/// The reader in a field of Redis.
pub(crate) fn reader(who: &str) -> Option<Reader> {
    match who.split_at_checked(1)? {
        ("u", user) => Some(Reader::User(user.into())),
        ("a", "") => Some(Reader::Anonymous),
        ("x", "") => Some(Reader::Unlisted),
        _ => None,
    }
}

/// The readers of this node.
#[derive(Debug, Default)]
pub(crate) struct Attendance {
    /// The open streams of each; a user without one may still come back.
    counts: HashMap<Attendee, usize>,
    /// What is to be sent, in the order in which it changed.
    dirty: VecDeque<Attendee>,
    is_dirty: HashSet<Attendee>,
    /// Redis may have more of this node, or less.
    unsure: bool,
}

impl Attendance {
    /// Takes a count of the hub's.
    pub(crate) fn counted(&mut self, count: &ReaderCount<'_>) {
        let attendee = Attendee {
            topic: Arc::clone(count.topic),
            reader: count.reader.clone(),
            announced_in: count.announced_in.unwrap_or_default().into(),
        };
        match count.streams {
            Some(streams) => drop(self.counts.insert(attendee.clone(), streams)),
            None => drop(self.counts.remove(&attendee)),
        }
        self.mark_dirty(attendee);
    }

    /// The open streams of a reader; `None` if it is not there.
    pub(crate) fn count(&self, attendee: &Attendee) -> Option<usize> {
        self.counts.get(attendee).copied()
    }

    /// Marks a attendee to be sent.
    pub(crate) fn mark_dirty(&mut self, attendee: Attendee) {
        if self.is_dirty.len() >= MAX_DIRTY {
            self.unsure = true;
        } else if self.is_dirty.insert(attendee.clone()) {
            self.dirty.push_back(attendee);
        }
    }

    /// Redis may have something else of this node.
    pub(crate) const fn doubt(&mut self) {
        self.unsure = true;
    }

    /// Whether what Redis has is to be compared; it is asked once.
    pub(crate) const fn take_doubt(&mut self) -> bool {
        std::mem::replace(&mut self.unsure, false)
    }

    /// Marks all attendees to be sent, and those that Redis has and this node has not.
    pub(crate) fn compare(&mut self, known: impl IntoIterator<Item = Attendee>) {
        let all = self.counts.keys().cloned().collect::<Vec<_>>();
        // Whoever is there first: nobody is to leave for a moment.
        for attendee in all.into_iter().chain(known) {
            if self.is_dirty.insert(attendee.clone()) {
                self.dirty.push_back(attendee);
            }
        }
    }

    /// Takes the attendees that are to be sent next, so many at the most.
    pub(crate) fn take_dirty(&mut self, most: usize) -> Vec<Attendee> {
        let most = most.min(self.dirty.len());
        let taken: Vec<_> = self.dirty.drain(..most).collect();
        for attendee in &taken {
            self.is_dirty.remove(attendee);
        }
        taken
    }

    /// Marks attendees to be sent before all others that could not be sent.
    pub(crate) fn put_back(&mut self, attendees: Vec<Attendee>) {
        for attendee in attendees.into_iter().rev() {
            if self.is_dirty.insert(attendee.clone()) {
                self.dirty.push_front(attendee);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attendee(topic: &str, user: &str) -> Attendee {
        Attendee {
            topic: topic.into(),
            reader: Reader::User(user.into()),
            announced_in: format!("presence/{topic}").into(),
        }
    }

    #[test]
    fn a_member_is_read_as_it_was_written() {
        let odd = [
            attendee("room/7", "alice"),
            attendee("3:4:é", ":"),
            attendee("", ""),
        ];
        let others = [Reader::Anonymous, Reader::Unlisted].map(|reader| Attendee {
            reader,
            announced_in: "".into(),
            ..attendee("t", "")
        });
        for attendee in odd.into_iter().chain(others) {
            assert_eq!(Attendee::read(&attendee.member()), Some(attendee));
        }
        for foreign in [
            "", "1", "1:1:", "9:0:tu", "1:0:é", "1:0:t", "1:0:tz", "x:0:tu",
        ] {
            assert_eq!(Attendee::read(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn changes_are_sent_in_their_order_and_what_could_not_be_sent_comes_first() {
        let mut attendance = Attendance::default();
        for user in ["a", "b", "c", "a"] {
            attendance.mark_dirty(attendee("t", user));
        }
        let taken = attendance.take_dirty(2);
        assert_eq!(taken, [attendee("t", "a"), attendee("t", "b")]);
        attendance.mark_dirty(attendee("t", "b"));
        attendance.put_back(taken);
        let all = ["a", "c", "b"].map(|user| attendee("t", user));
        assert_eq!(attendance.take_dirty(9), all);
        assert_eq!(attendance.take_dirty(9), []);
    }

    #[test]
    fn more_changes_than_are_remembered_are_found_by_a_comparison() {
        let mut attendance = Attendance::default();
        for user in 0..=MAX_DIRTY {
            attendance.mark_dirty(attendee("t", &user.to_string()));
        }
        assert_eq!(attendance.take_dirty(usize::MAX).len(), MAX_DIRTY);
        assert!(attendance.take_doubt() && !attendance.take_doubt());
        attendance.compare([attendee("t", "gone")]);
        assert_eq!(attendance.take_dirty(9), [attendee("t", "gone")]);
    }
}
