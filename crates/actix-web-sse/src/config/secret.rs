use std::fmt;

use serde::{Deserialize, Deserializer};

/// A secret of the configuration: shown nowhere, not in `Debug`, not in a [`Fault`](super::Fault).
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

impl Secret {
    /// How short a key for HMAC-SHA256 may be (RFC 7518 § 3.2).
    const MIN_BYTES: usize = 32;

    pub(crate) const fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }

    pub(crate) fn check(&self, key: &'static str, faults: &mut super::Faults) {
        if self.0.len() < Self::MIN_BYTES {
            faults.add_secret(
                key,
                "must have at least 32 bytes: `openssl rand -base64 32`",
            );
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl From<String> for Secret {
    fn from(secret: String) -> Self {
        Self(secret.into())
    }
}

impl From<&str> for Secret {
    fn from(secret: &str) -> Self {
        Self(secret.into())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}
