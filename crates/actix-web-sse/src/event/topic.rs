//! What a topic may be called.

use std::{error::Error, fmt};

/// Why a name cannot be a topic's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidTopic {
    /// Longer than [`HubConfig::max_topic_bytes`](crate::config::HubConfig::max_topic_bytes).
    TooLong {
        /// Bytes of the name.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// It has a control character: those of Unicode's category Cc, among them line ends.
    ControlCharacter,
}

impl fmt::Display for InvalidTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len, max } => write!(
                f,
                "the topic has {len} bytes; max_topic_bytes is {max}: use a shorter name"
            ),
            Self::ControlCharacter => f.write_str(
                "the topic has a control character: use letters, digits and punctuation",
            ),
        }
    }
}

impl Error for InvalidTopic {}

/// Whether a topic may have this name.
///
/// # Errors
/// It is too long, or has a control character. The length is checked first: nobody reads 60 KB.
pub(crate) fn check(name: &str, max: usize) -> Result<(), InvalidTopic> {
    if name.len() > max {
        return Err(InvalidTopic::TooLong {
            len: name.len(),
            max,
        });
    }
    if name.chars().any(char::is_control) {
        return Err(InvalidTopic::ControlCharacter);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h07_a_name_is_bounded_and_has_no_control_characters() {
        for name in ["prices", "a/b:c.d-é日本", &"x".repeat(256)] {
            assert_eq!(check(name, 256), Ok(()), "{name}");
        }
        let long = "é".repeat(129);
        let too_long = InvalidTopic::TooLong { len: 258, max: 256 };
        assert_eq!(check(&long, 256), Err(too_long));
        for control in ["a\0", "a\nb", "\r", "\u{7f}", "\u{85}", "\t"] {
            assert_eq!(
                check(control, 256),
                Err(InvalidTopic::ControlCharacter),
                "{control:?}"
            );
        }
    }
}
