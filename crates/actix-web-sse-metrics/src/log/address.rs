//! The form of client addresses in logs.

use std::{
    fmt::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How a client's address is logged. The limits always see the whole address.
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressMode {
    /// As it is.
    #[default]
    Full,
    /// The /24 of an IPv4 address, the /48 of an IPv6 address.
    Truncated,
    /// The first 16 hexadecimal digits of its HMAC-SHA-256 under this key: the same client has
    /// the same value, and without the key the address cannot be found. Change the key to make old
    /// values unlinkable.
    Hashed(Vec<u8>),
    /// Not at all.
    Off,
}

impl AddressMode {
    pub(crate) fn show(&self, address: Option<IpAddr>) -> Option<String> {
        let address = address?.to_canonical();
        match self {
            Self::Full => Some(address.to_string()),
            Self::Truncated => Some(truncate(address).to_string()),
            Self::Hashed(key) => hash(key, address),
            Self::Off => None,
        }
    }
}

fn truncate(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            Ipv4Addr::new(a, b, c, 0).into()
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0).into()
        }
    }
}

fn hash(key: &[u8], address: IpAddr) -> Option<String> {
    // HMAC accepts a key of any length, so this cannot fail.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    match address {
        IpAddr::V4(address) => mac.update(&address.octets()),
        IpAddr::V6(address) => mac.update(&address.octets()),
    }
    let mut text = String::with_capacity(16);
    for byte in mac.finalize().into_bytes().iter().take(8) {
        let _ = write!(text, "{byte:02x}");
    }
    Some(text)
}

impl fmt::Debug for AddressMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "Full",
            Self::Truncated => "Truncated",
            Self::Hashed(_) => "Hashed(..)",
            Self::Off => "Off",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(mode: &AddressMode, address: &str) -> Option<String> {
        mode.show(Some(address.parse().unwrap()))
    }

    #[test]
    fn m14_addresses_are_cut_to_24_and_48_bits() {
        let mode = AddressMode::Truncated;
        assert_eq!(show(&mode, "203.0.113.45").unwrap(), "203.0.113.0");
        assert_eq!(show(&mode, "2001:db8:1:2::3").unwrap(), "2001:db8:1::");
        assert_eq!(show(&mode, "::ffff:203.0.113.45").unwrap(), "203.0.113.0");
    }

    #[test]
    fn a_hash_is_the_same_for_the_same_client_and_key_only() {
        let key = AddressMode::Hashed(b"one".to_vec());
        let other = AddressMode::Hashed(b"two".to_vec());
        let hashed = show(&key, "203.0.113.45").unwrap();
        assert_eq!(hashed.len(), 16);
        assert_eq!(Some(&hashed), show(&key, "203.0.113.45").as_ref());
        assert_ne!(Some(&hashed), show(&key, "203.0.113.46").as_ref());
        assert_ne!(Some(&hashed), show(&other, "203.0.113.45").as_ref());
        assert!(!format!("{key:?}").contains("one"));
    }

    #[test]
    fn off_and_unknown_are_absent() {
        assert_eq!(show(&AddressMode::Off, "203.0.113.45"), None);
        assert_eq!(AddressMode::Full.show(None), None);
    }
}
