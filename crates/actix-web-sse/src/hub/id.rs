//! Last event IDs of a hub: an epoch that a restart changes, and a number.

use std::{
    fmt::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

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

    fn from_number(mut number: u64) -> Self {
        let digits = (0..8).map(|_| {
            let digit = usize::try_from(number % 36).unwrap_or_default();
            number /= 36;
            char::from(Self::DIGITS.get(digit).copied().unwrap_or(b'0'))
        });
        Self(digits.collect())
    }

    /// The ID of a position of this epoch.
    pub(crate) fn id(&self, position: u64) -> String {
        let mut id = String::with_capacity(self.0.len() + 21);
        id.push_str(&self.0);
        // Writing to a string cannot fail.
        let _ = write!(id, "-{position}");
        id
    }

    /// The position that an ID of this epoch names; `None` for every other text. Only the very
    /// spelling that [`id`](Self::id) writes counts: no sign, no leading zero, no overflow.
    pub(crate) fn position(&self, id: &str) -> Option<u64> {
        let digits = id.strip_prefix(self.0.as_str())?.strip_prefix('-')?;
        let canonical =
            !digits.starts_with(['0', '+']) && digits.bytes().all(|b| b.is_ascii_digit());
        canonical.then(|| digits.parse().ok()).flatten()
    }
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

    #[test]
    fn an_id_of_another_epoch_is_unknown() {
        assert_eq!(
            Epoch::from_number(1).position(&Epoch::from_number(2).id(5)),
            None
        );
    }
}
