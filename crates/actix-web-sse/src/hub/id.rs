//! Last event IDs of a hub: an epoch that a restart changes, and a number.
//!
//! An event's ID is `epoch-number`. A client that has no event yet has the ID of its start,
//! `epoch.number.topics`: it has missed what came after this number in these topics. It is no
//! event's, so that it says nothing about anybody's; and since no event shows whose topics it belongs
//! to, it says so itself.

use std::{
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::identity::TopicPattern;

/// What a last event ID names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// An event.
    Event(u64),
    /// The start of a stream.
    Start(u64),
}

impl Named {
    /// After which position the client has missed something.
    pub(crate) const fn position(self) -> u64 {
        match self {
            Self::Event(position) | Self::Start(position) => position,
        }
    }
}

/// Tells one run of one process from every other, so that an ID from before a restart is known as
/// such. Eight characters of base 36.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Epoch(String);

impl Epoch {
    const DIGITS: &'static [u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

    /// A new epoch: seconds and chance, so that neither a quick restart nor a second node repeats
    /// it.
    pub(crate) fn new() -> Self {
        let seconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        Self::from_number((seconds << 20) ^ fastrand::u64(..))
    }

    /// An epoch that somebody else has named: eight of `0-9` and `a-z`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let fits = name.len() == 8 && name.bytes().all(|byte| Self::DIGITS.contains(&byte));
        fits.then(|| Self(name.to_owned()))
    }

    fn from_number(number: u64) -> Self {
        Self(base36(number, 8))
    }

    /// The ID of a position of this epoch.
    pub(crate) fn id(&self, position: u64) -> String {
        let mut id = String::with_capacity(self.0.len() + 21);
        id.push_str(&self.0);
        // Writing to a string cannot fail.
        let _ = write!(id, "-{position}");
        id
    }

    /// The ID of a client that has missed nothing of these topics up to a position, and has no
    /// event of them.
    pub(crate) fn start(&self, position: u64, topics: &[TopicPattern]) -> String {
        format!("{}.{position}.{}", self.0, fingerprint(topics))
    }

    /// What an ID names; `None` for every text that neither [`id`](Self::id) nor, for these topics,
    /// [`start`](Self::start) has written.
    pub(crate) fn read(&self, id: &str, topics: &[TopicPattern]) -> Option<Named> {
        if let Some(position) = self.position(id) {
            return Some(Named::Event(position));
        }
        let rest = id.strip_prefix(self.0.as_str())?.strip_prefix('.')?;
        let (number, of) = rest.split_once('.')?;
        let position = match number {
            "0" => 0,
            number => canonical(number)?,
        };
        (of == fingerprint(topics)).then_some(Named::Start(position))
    }

    /// The position that the ID of an event of this epoch names; `None` for every other text. Only the very
    /// spelling that [`id`](Self::id) writes counts: no sign, no leading zero, no overflow.
    pub(crate) fn position(&self, id: &str) -> Option<u64> {
        let digits = id.strip_prefix(self.0.as_str())?.strip_prefix('-')?;
        canonical(digits)
    }
}

/// A number above zero in the one spelling that is written.
fn canonical(digits: &str) -> Option<u64> {
    let canonical = !digits.starts_with(['0', '+']) && digits.bytes().all(|b| b.is_ascii_digit());
    canonical.then(|| digits.parse().ok()).flatten()
}

/// The last digits of a number.
fn base36(mut number: u64, digits: usize) -> String {
    let digits = (0..digits).map(|_| {
        let digit = usize::try_from(number % 36).unwrap_or_default();
        number /= 36;
        char::from(Epoch::DIGITS.get(digit).copied().unwrap_or(b'0'))
    });
    digits.collect()
}

/// Tells sets of topics apart, the same on every node (FNV-1a). No secret: whoever makes one up gets
/// what it may read anyway.
fn fingerprint(topics: &[TopicPattern]) -> String {
    let of_one = |topic: &TopicPattern| {
        // A name has no control character: no topic is taken for a pattern.
        let (text, end) = match (topic.name(), topic.prefix()) {
            (Some(name), _) => (&**name, None),
            (None, prefix) => (prefix.unwrap_or_default(), Some(0)),
        };
        let bytes = text.bytes().chain(end);
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    };
    // In whatever order they are named.
    base36(topics.iter().map(of_one).fold(0, u64::wrapping_add), 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_its_position() {
        let epoch = Epoch::new();
        for position in [1, 9, 10, u64::MAX] {
            assert_eq!(epoch.position(&epoch.id(position)), Some(position));
        }
    }

    #[test]
    fn r06_other_spellings_of_a_number_are_no_ids() {
        let epoch = Epoch::from_number(7);
        let Epoch(name) = &epoch;
        for bad in [
            "18446744073709551616",
            "-1",
            "+5",
            "05",
            "0x5",
            "5.0",
            "",
            "5 ",
        ] {
            assert_eq!(epoch.position(&format!("{name}-{bad}")), None, "{bad}");
            assert_eq!(epoch.position(bad), None, "{bad}");
        }
    }

    fn topics(names: &[&str]) -> Vec<TopicPattern> {
        names.iter().map(|name| TopicPattern::from(*name)).collect()
    }

    #[test]
    fn w02_the_id_of_a_start_names_its_position_for_its_own_topics_only() {
        let epoch = Epoch::from_number(7);
        let own = topics(&["a", "b"]);
        for position in [0, 1, 10, u64::MAX] {
            let id = epoch.start(position, &own);
            assert!(crate::EventId::new(&id).is_ok(), "{id}");
            assert_eq!(epoch.read(&id, &own), Some(Named::Start(position)));
            let turned = topics(&["b", "a"]);
            assert_eq!(epoch.read(&id, &turned), Some(Named::Start(position)));
            for other in [
                &["a"] as &[&str],
                &["b"],
                &["ab"],
                &["a", "c"],
                &["a", "b", "c"],
                &["a/*", "b"],
                &["*"],
            ] {
                assert_eq!(epoch.read(&id, &topics(other)), None, "{other:?}");
            }
            assert_eq!(epoch.position(&id), None, "no event's");
            assert_eq!(Epoch::from_number(8).read(&id, &own), None);
        }
        let event = epoch.id(7);
        assert_eq!(epoch.read(&event, &own), Some(Named::Event(7)));
        let good = epoch.start(7, &own);
        for bad in [
            good.replace(".7.", ".07."),
            good.replace(".7.", ".+7."),
            good.replace(".7.", ".."),
            good.replace(".7.", ".18446744073709551616."),
            format!("{good}0"),
            good.trim_end_matches(char::is_alphanumeric).to_owned(),
        ] {
            assert_eq!(epoch.read(&bad, &own), None, "{bad}");
        }
    }

    #[test]
    fn an_id_of_another_epoch_is_unknown() {
        assert_eq!(
            Epoch::from_number(1).position(&Epoch::from_number(2).id(5)),
            None
        );
    }
}
