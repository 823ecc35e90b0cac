use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::Faults;

/// The published keys of an issuer (RFC 7517), which tokens are checked with. Section `[auth.jwks]`;
/// needs the feature `jwks`.
///
/// ```toml
/// [auth]
/// required = true
/// jwt_issuer = ["https://login.example.com/realms/shop"]
/// jwt_audience = ["streams"]
///
/// [auth.jwks]
/// url = "https://login.example.com/realms/shop/protocol/openid-connect/certs"
/// ```
///
/// | issuer | `jwt_issuer` | beside it |
/// |---|---|---|
/// | Keycloak | `https://HOST/realms/REALM` | `jwt_audience = ["account"]` and `jwt_client` (in `azp`), or an audience of its own by a mapper |
/// | Auth0 | `https://TENANT.auth0.com/`, with the slash | `jwt_audience`: the identifier of the API |
/// | Entra ID | `https://login.microsoftonline.com/TENANT/v2.0` | `jwt_audience`: the application's ID |
/// | Cognito | `https://cognito-idp.REGION.amazonaws.com/POOL` | `jwt_client` (in `client_id`): access tokens name no audience |
///
/// Who signs tokens for many applications signs those for others with the same keys: an issuer, and
/// an audience or a client, have to be configured.
///
/// Keys are read when the server starts, and again when they are older than `max_age` or a token
/// names one that is not known. While they cannot be read the old ones are used, until they are
/// older than `keep`; then tokens are answered with 503. Redirects are not followed.
/// [`Observer::keys_read`](crate::observe::Observer::keys_read) reports each reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct JwksConfig {
    /// Where the set is: the `jwks_uri` of the issuer's `/.well-known/openid-configuration`.
    pub url: Option<String>,
    /// The file that it is in, instead.
    pub file: Option<PathBuf>,
    /// Which algorithms tokens may be signed with. Default all three.
    pub algorithms: Vec<JwtAlgorithm>,
    /// From which age on the keys are read anew. Default 15 min.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
    /// Until which age keys are used where they cannot be read anew. Default 24 h.
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
    /// How long one reading may take. Default 5 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// How often at most the set is read for the sake of a key that is not known. Default 10 s.
    #[serde(with = "humantime_serde")]
    pub refetch_pause: Duration,
    /// Allows `http` where the host is not loopback: whoever is on the way can then sign tokens.
    pub dangerous_plain_http: bool,
}

impl Default for JwksConfig {
    fn default() -> Self {
        Self {
            url: None,
            file: None,
            algorithms: JwtAlgorithm::ALL.to_vec(),
            max_age: Duration::from_secs(15 * 60),
            keep: Duration::from_secs(24 * 3600),
            timeout: Duration::from_secs(5),
            refetch_pause: Duration::from_secs(10),
            dangerous_plain_http: false,
        }
    }
}

/// What a token is signed with (RFC 7518 § 3.1, RFC 8037). `none`, and those with a shared key, are
/// none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum JwtAlgorithm {
    /// RSA with SHA-256 (PKCS #1 v1.5), keys from 2048 to 8192 bits.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA with P-256 and SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519; a token may call it `EdDSA` or, after RFC 9864, `Ed25519`.
    #[serde(rename = "EdDSA", alias = "Ed25519")]
    EdDsa,
}

impl JwtAlgorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rs256, Self::Es256, Self::EdDsa];

    /// Its name in tokens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The one that a token or a key names.
    #[cfg(feature = "jwks")]
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" | "Ed25519" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

impl JwksConfig {
    /// The keys at a URL.
    #[must_use]
    pub fn url(url: impl Into<String>) -> Self {
        Self {
            url: Some(url.into()),
            ..Self::default()
        }
    }

    /// The keys in a file.
    #[must_use]
    pub fn file(file: impl Into<PathBuf>) -> Self {
        Self {
            file: Some(file.into()),
            ..Self::default()
        }
    }

    pub(crate) fn check(&self, faults: &mut Faults) {
        const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
        let second = Duration::from_secs(1);
        if cfg!(not(feature = "jwks")) {
            faults.add("auth.jwks", "", "needs the feature `jwks` of actix-web-sse");
        }
        if self.algorithms.is_empty() {
            faults.add(
                "auth.jwks.algorithms",
                &self.algorithms,
                "lets no token in: name RS256, ES256 or EdDSA, or leave it out",
            );
        }
        if self.max_age < second || self.max_age > self.keep {
            faults.add("auth.jwks.max_age", self.max_age, "must be from 1s to keep");
        }
        if self.keep > WEEK {
            faults.add(
                "auth.jwks.keep",
                self.keep,
                "must be at most 7 days: a key that the issuer takes back holds for that long",
            );
        }
        if self.timeout.is_zero() || self.timeout > Duration::from_secs(60) {
            faults.add(
                "auth.jwks.timeout",
                self.timeout,
                "must be above 0 and at most 60s",
            );
        }
        if self.refetch_pause < second {
            faults.add(
                "auth.jwks.refetch_pause",
                self.refetch_pause,
                "must be at least 1s: tokens with made-up keys would have the issuer asked each time",
            );
        }
    }
}
