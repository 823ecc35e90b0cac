//! A place in the numbering of a hub.

use std::{cmp::Ordering, error::Error, fmt, str::FromStr};

use super::id::Epoch;

/// A place in the numbering of a hub's events: those up to it, and those after it.
///
/// A hub numbers the events of all its topics in one sequence, and the ID of an event is its
/// position. As a text it looks like one, and is read from one:
///
/// ```
/// # use actix_web_sse::{Event, Hub, Position};
/// # let hub = Hub::builder().build().unwrap();
/// let before = hub.position();
/// let published = hub.publish("prices", Event::data("1.5")).unwrap();
/// let position: Position = published.id.unwrap().parse().unwrap();
/// assert!(before < position);
/// assert_eq!(position, hub.position());
/// ```
///
/// Positions of different numberings (of another hub, or from before a restart) are neither before nor
/// after each other: every comparison of them is false.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub(super) epoch: Epoch,
    pub(super) number: u64,
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.epoch == other.epoch).then(|| self.number.cmp(&other.number))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.epoch.id(self.number))
    }
}

/// A text is no [`Position`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct InvalidPosition;

impl fmt::Display for InvalidPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is no position: that is the ID of a hub's event, as `0d8jw2kx-17`")
    }
}

impl Error for InvalidPosition {}

impl FromStr for Position {
    type Err = InvalidPosition;

    /// Reads what `Display` writes, which is the ID of an event.
    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let (epoch, number) = text.split_once('-').ok_or(InvalidPosition)?;
        let epoch = Epoch::named(epoch).ok_or(InvalidPosition)?;
        // A hub without an event is at zero, which is no event's number.
        let number = match number {
            "0" => 0,
            _ => epoch.position(text).ok_or(InvalidPosition)?,
        };
        Ok(Self { epoch, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_is_written() {
        for text in ["0d8jw2kx-0", "0d8jw2kx-17", "0d8jw2kx-18446744073709551615"] {
            let position: Position = text.parse().unwrap();
            assert_eq!(position.to_string(), text);
        }
        for bad in [
            "",
            "17",
            "-17",
            "0d8jw2kx",
            "0d8jw2kx-",
            "0d8jw2kx-017",
            "0d8jw2kx-+1",
            "0d8jw2kx-00",
            "0D8JW2KX-17",
            "0d8jw2kx-18446744073709551616",
            "0d8jw2kx.17.abcdef",
        ] {
            assert_eq!(bad.parse::<Position>(), Err(InvalidPosition), "{bad}");
        }
    }

    #[test]
    fn positions_of_two_numberings_are_in_no_order() {
        let [one, two, other] = ["0d8jw2kx-1", "0d8jw2kx-2", "aaaaaaaa-2"]
            .map(|text| text.parse::<Position>().unwrap());
        assert!(one < two);
        assert!(two.partial_cmp(&other).is_none() && one.partial_cmp(&other).is_none());
    }
}
