//! The bytes of a ticket before they are signed.

use std::net::IpAddr;

/// What a ticket says. Integers are big-endian; texts have their length before them in two bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket<'a> {
    /// Random, and different for each.
    pub(crate) id: [u8; 16],
    /// When it was issued, in milliseconds since 1970.
    pub(crate) issued: u64,
    /// When the credentials behind it end, in milliseconds since 1970; `u64::MAX`: never.
    pub(crate) until: u64,
    /// The address it is bound to, if it is.
    pub(crate) address: Option<IpAddr>,
    /// Whom it stands for.
    pub(crate) user: Option<&'a str>,
    /// The foreign origin it is for; empty for the own one.
    pub(crate) origin: &'a [u8],
    /// The topic it is for.
    pub(crate) topic: &'a str,
}

impl<'a> Ticket<'a> {
    /// The bytes to be signed; `None` if a text is too long.
    pub(crate) fn to_bytes(self) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&self.id);
        bytes.extend_from_slice(&self.issued.to_be_bytes());
        bytes.extend_from_slice(&self.until.to_be_bytes());
        match self.address {
            None => bytes.push(0),
            Some(IpAddr::V4(address)) => {
                bytes.push(4);
                bytes.extend_from_slice(&address.octets());
            }
            Some(IpAddr::V6(address)) => {
                bytes.push(6);
                bytes.extend_from_slice(&address.octets());
            }
        }
        bytes.push(u8::from(self.user.is_some()));
        for text in [
            self.user.unwrap_or_default().as_bytes(),
            self.origin,
            self.topic.as_bytes(),
        ] {
            bytes.extend_from_slice(&u16::try_from(text.len()).ok()?.to_be_bytes());
            bytes.extend_from_slice(text);
        }
        Some(bytes)
    }

    /// Reads it back; `None` for anything that [`to_bytes`](Self::to_bytes) does not write.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        let id = *array(&mut rest)?;
        let issued = u64::from_be_bytes(*array(&mut rest)?);
        let until = u64::from_be_bytes(*array(&mut rest)?);
        let address = match array(&mut rest)? {
            [0] => None,
            [4] => Some(IpAddr::from(*array::<4>(&mut rest)?)),
            [6] => Some(IpAddr::from(*array::<16>(&mut rest)?)),
            _ => return None,
        };
        let has_user = match array(&mut rest)? {
            [0] => false,
            [1] => true,
            _ => return None,
        };
        let user = std::str::from_utf8(text(&mut rest)?).ok()?;
        let origin = text(&mut rest)?;
        let topic = std::str::from_utf8(text(&mut rest)?).ok()?;
        if !rest.is_empty() || (!has_user && !user.is_empty()) {
            return None;
        }
        Some(Self {
            id,
            issued,
            until,
            address,
            user: has_user.then_some(user),
            origin,
            topic,
        })
    }
}

fn array<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(head)
}

fn text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u16::from_be_bytes(*array(rest)?);
    let (text, tail) = rest.split_at_checked(length.into())?;
    *rest = tail;
    Some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            id: [u8; 16], issued: u64, until: u64, address: Option<IpAddr>,
            user: Option<String>, origin in "[ -~]{0,40}", topic: String,
        ) {
            let ticket = Ticket {
                id, issued, until, address,
                user: user.as_deref(), origin: origin.as_bytes(), topic: &topic,
            };
            let bytes = ticket.to_bytes().unwrap();
            prop_assert_eq!(Ticket::parse(&bytes), Some(ticket));
            for end in 0..bytes.len() {
                prop_assert_eq!(Ticket::parse(&bytes[..end]), None);
            }
        }

        #[test]
        fn what_is_read_is_what_would_be_written(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            if let Some(ticket) = Ticket::parse(&bytes) {
                prop_assert_eq!(ticket.to_bytes(), Some(bytes));
            }
        }
    }

    #[test]
    fn a_text_that_has_no_length_is_not_written() {
        let topic = "t".repeat(65_536);
        let ticket = Ticket {
            id: [0; 16],
            issued: 0,
            until: 0,
            address: None,
            user: None,
            origin: b"",
            topic: &topic,
        };
        assert_eq!(ticket.to_bytes(), None);
    }
}
