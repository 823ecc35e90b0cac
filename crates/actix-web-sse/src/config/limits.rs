use serde::{Deserialize, Serialize};

/// How many streams, and how fast. Section `[policy.limits]`. Each limit is a number, or
/// `"unlimited"`.
///
/// All limits hold for this process; several nodes behind a balancer each count their own.
///
/// Many users may share one address (an office, a mobile carrier): for them the limit per user
/// is the one that is fair, and `overrides` raises the one per address where it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LimitsConfig {
    /// Streams at a time from one address, or from one IPv6 prefix. Default 100.
    #[serde(with = "limit")]
    pub per_ip: Option<u32>,
    /// Streams at a time of one authenticated user. Default 20.
    #[serde(with = "limit")]
    pub per_user: Option<u32>,
    /// Streams at a time altogether. Default 10 000: below the usual limit of file descriptors
    /// of a service.
    #[serde(with = "limit")]
    pub total: Option<u32>,
    /// Streams opened per second altogether; as many may open at once after a quiet second.
    /// Default 500.
    #[serde(with = "limit")]
    pub connects_per_second: Option<u32>,
    /// How many leading bits of an IPv6 address stand for one client. Default 64, which is what
    /// a household is given.
    pub ipv6_prefix: u8,
    /// Other limits per address for some networks; the narrowest network that holds the address
    /// decides.
    pub overrides: Vec<LimitOverride>,
    /// The networks of the proxies that may say who the client is. Default empty: the peer is the
    /// client. **Behind a proxy that is not listed all clients share the proxy's address.**
    pub trusted_proxies: Vec<String>,
    /// Which header trusted proxies write. Default `x-forwarded-for` if there are trusted
    /// proxies. Only this one is read: a proxy passes the other on as the client sent it.
    pub forwarded: Option<ForwardedHeader>,
    /// Allows `trusted_proxies` to hold everybody: every client can then name its own address.
    pub dangerous_trust_any_proxy: bool,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            per_ip: Some(100),
            per_user: Some(20),
            total: Some(10_000),
            connects_per_second: Some(500),
            ipv6_prefix: 64,
            overrides: Vec::new(),
            trusted_proxies: Vec::new(),
            forwarded: None,
            dangerous_trust_any_proxy: false,
        }
    }
}

/// Another limit per address for one network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitOverride {
    /// The network: `203.0.113.0/24`, or a single address.
    pub network: String,
    /// Streams at a time from one address of it.
    #[serde(with = "limit")]
    pub per_ip: Option<u32>,
}

/// The header in which a proxy says for whom it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`.
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// A number, or `"unlimited"`: a missing key means the default, so that none at all needs a word.
mod limit {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const UNLIMITED: &str = "unlimited";

    #[expect(clippy::ref_option, reason = "the signature that serde asks for")]
    pub(super) fn serialize<S: Serializer>(
        limit: &Option<u32>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match limit {
            Some(limit) => serializer.serialize_u32(*limit),
            None => serializer.serialize_str(UNLIMITED),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<u32>, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a number, or \"unlimited\"")]
        enum Form {
            Number(u32),
            Word(String),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(limit) => Ok(Some(limit)),
            Form::Word(word) if word == UNLIMITED => Ok(None),
            Form::Word(word) => Err(D::Error::custom(format!(
                "expected a number or \"unlimited\", found {word:?}"
            ))),
        }
    }
}
