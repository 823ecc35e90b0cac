use serde::{Deserialize, Serialize};

/// How many streams, and how fast. Section `[policy.limits]`. Each limit is a number, or
/// `"unlimited"`.
///
/// All limits hold for this process; several nodes behind a balancer each count their own.
///
/// Whatever all clients share is divided by address first: one address takes at most `per_ip` of
/// `total`, and its `connects_per_ip` of `connects_per_second`. What is refused costs the address
/// that asked, and nobody else.
///
/// Many users may share one address (an office, a mobile carrier). They wait longer after a
/// restart: what is refused with `rate_limit` comes back by itself a few seconds later. For them
/// the limit per user is the one that is fair, and `overrides` raises all limits per address where
/// the network is known. Behind a proxy, `trusted_proxies` gives each client its own address back.
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
    /// Streams opened per second altogether; as many may open at once after a quiet second. Only
    /// what opens counts: it is the last check. Default 500.
    #[serde(with = "limit")]
    pub connects_per_second: Option<u32>,
    /// Streams opened per second from one address, or from one IPv6 prefix. Default `"share"`:
    /// half of `connects_per_second`, so that one address leaves the other half to all others.
    pub connects_per_ip: RatePerIp,
    /// Requests per second from one address, or from one IPv6 prefix, that get as far as
    /// authentication; as many may come at once after a quiet second. Those above it are refused
    /// before anybody authenticates them. On companions of the streams only those count whose
    /// credentials do not hold. Default `"share"`: a fifth of `connects_per_second`, at least 50.
    pub attempts_per_ip: RatePerIp,
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
    /// proxies, and with it `X-Forwarded-Proto` and `X-Forwarded-Host`. Only these are read: a proxy
    /// passes the others on as the client sent them. **A proxy that is listed must set or remove
    /// each of them.** Of several trusted proxies in a row the outermost one's word counts, for the
    /// address, the scheme and the host alike; the host that it names counts as `Host`, for the own
    /// origin and for [`hosts`](super::PolicyConfig::hosts).
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
            connects_per_ip: RatePerIp::Share,
            attempts_per_ip: RatePerIp::Share,
            ipv6_prefix: 64,
            overrides: Vec::new(),
            trusted_proxies: Vec::new(),
            forwarded: None,
            dangerous_trust_any_proxy: false,
        }
    }
}

/// Other limits per address for one network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LimitOverride {
    /// The network: `203.0.113.0/24`, or a single address.
    pub network: String,
    /// Streams at a time from one address of it.
    #[serde(with = "limit")]
    pub per_ip: Option<u32>,
    /// As [`LimitsConfig::connects_per_ip`]. Default: as there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connects_per_ip: Option<RatePerIp>,
    /// As [`LimitsConfig::attempts_per_ip`]. Default: as there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts_per_ip: Option<RatePerIp>,
}

impl LimitOverride {
    /// Another limit on the streams at a time from one address of this network; `None` is no
    /// limit. Rates are as elsewhere.
    #[must_use]
    pub fn new(network: impl Into<String>, per_ip: Option<u32>) -> Self {
        Self {
            network: network.into(),
            per_ip,
            connects_per_ip: None,
            attempts_per_ip: None,
        }
    }
}

/// How much one address may do per second: a number, `"share"`, or `"unlimited"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "RateForm", into = "RateForm")]
#[non_exhaustive]
pub enum RatePerIp {
    /// A fixed part of [`LimitsConfig::connects_per_second`]; without limit if that has none.
    #[default]
    Share,
    /// So many per second.
    PerSecond(u32),
    /// No limit.
    Unlimited,
}

impl From<u32> for RatePerIp {
    fn from(per_second: u32) -> Self {
        Self::PerSecond(per_second)
    }
}

/// As it stands in a configuration.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "a number, \"share\" or \"unlimited\"")]
enum RateForm {
    Number(u32),
    Word(String),
}

impl TryFrom<RateForm> for RatePerIp {
    type Error = String;

    fn try_from(form: RateForm) -> Result<Self, String> {
        match form {
            RateForm::Number(per_second) => Ok(Self::PerSecond(per_second)),
            RateForm::Word(word) if word == "share" => Ok(Self::Share),
            RateForm::Word(word) if word == "unlimited" => Ok(Self::Unlimited),
            RateForm::Word(word) => Err(format!(
                "expected a number, \"share\" or \"unlimited\", found {word:?}"
            )),
        }
    }
}

impl From<RatePerIp> for RateForm {
    fn from(rate: RatePerIp) -> Self {
        match rate {
            RatePerIp::Share => Self::Word("share".to_owned()),
            RatePerIp::PerSecond(per_second) => Self::Number(per_second),
            RatePerIp::Unlimited => Self::Word("unlimited".to_owned()),
        }
    }
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
