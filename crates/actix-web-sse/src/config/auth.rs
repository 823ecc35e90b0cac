use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Faults, jwks::JwksConfig, secret::Secret};

/// Who the client is, and how it proves it. Section `[auth]`.
///
/// It is no part of [`PolicyConfig`](super::PolicyConfig), because it holds secrets, which may
/// come from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct AuthConfig {
    /// Whether a client without credentials is refused. Default false. Credentials that do not
    /// hold are refused in any case: nobody goes on as anonymous after a token has expired.
    pub required: bool,
    /// The key of JSON Web Tokens signed with HS256; needs the feature `jwt`. Read are the claims
    /// `sub` and `exp`, which must be there, `nbf`, `iat`, `aud`, `iss`, `publish`, and `topics`: the
    /// rights, in the grammar of [`TopicRights`](crate::TopicRights); without it all topics.
    pub jwt_hs256_secret: Option<Secret>,
    /// The published keys of an issuer, for tokens signed with RS256, ES256 or EdDSA, instead of a
    /// shared one; needs the feature `jwks`. Read are the same claims.
    pub jwks: Option<JwksConfig>,
    /// Which `aud` a token must have, one of them. Default empty: a token that names an audience
    /// is refused (RFC 7519 § 4.1.3).
    pub jwt_audience: Vec<String>,
    /// Which `iss` a token must have, one of them. Default empty: any or none.
    pub jwt_issuer: Vec<String>,
    /// Which application a token must be issued to, one of them: its `azp` or `client_id`, or both
    /// where it has both. Default empty: any or none.
    pub jwt_client: Vec<String>,
    /// How far the issuer's clock may be ahead of this one: so much may `nbf` and `iat` lie in the
    /// future. Default 30 s, at most 5 min. There is none for `exp`: a stream ends when its token
    /// does.
    #[serde(with = "humantime_serde")]
    pub jwt_leeway: Duration,
    /// The cookie that holds a token. Default none.
    ///
    /// A browser sends several cookies of one name if they were set for different paths or domains.
    /// At most eight are tried, in their order, and the first that holds counts. A neighbouring
    /// domain can set one that comes first: a name that begins with `__Host-` keeps it out.
    pub cookie: Option<String>,
    /// Stream tickets. Default none.
    pub ticket: Option<TicketConfig>,
    /// How long the authenticator may take before the request is refused with 503. Default 3 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Whether validated tokens are remembered. Default not: a check of a signature costs less
    /// than the memory. For authenticators that ask somebody else, and that say what their answer
    /// depends on: [`Authenticator::cache_key`](crate::protect::Authenticator::cache_key).
    pub cache: Option<CacheConfig>,
    /// How long a revocation is remembered: at least as long as any token can live, for after that
    /// it says nothing any more. Default 24 h.
    #[serde(with = "humantime_serde")]
    pub revocation_memory: Duration,
    /// How far the clocks of nodes and of whoever issues tokens may be apart: a revocation covers
    /// what is issued up to so long after it by the revoking node's clock. Default 5 s, which is
    /// far more than NTP leaves; at most 15 s. A clock that is further behind leaves tokens of its
    /// last seconds valid.
    ///
    /// The price: who signs in again elsewhere within this time is refused, and has to sign in once
    /// more. An application that issues the tokens itself asks
    /// [`Policy::credentials_hold_from`](crate::Policy::credentials_hold_from) and pays nothing.
    #[serde(with = "humantime_serde")]
    pub revocation_skew: Duration,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            required: false,
            jwt_hs256_secret: None,
            jwks: None,
            jwt_audience: Vec::new(),
            jwt_issuer: Vec::new(),
            jwt_client: Vec::new(),
            jwt_leeway: Duration::from_secs(30),
            cookie: None,
            ticket: None,
            timeout: Duration::from_secs(3),
            cache: None,
            revocation_memory: Duration::from_secs(24 * 3600),
            revocation_skew: Duration::from_secs(5),
        }
    }
}

/// A ticket may be issued as of so much ahead, and two nodes may differ by as much: together that is
/// what a ticket may come from the future.
const MAX_REVOCATION_SKEW: Duration = Duration::from_secs(15);

const YEAR: Duration = Duration::from_secs(366 * 24 * 3600);

/// A clock that is further ahead is wrong.
const MAX_JWT_LEEWAY: Duration = Duration::from_secs(300);

/// Remembered tokens. Section `[auth.cache]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CacheConfig {
    /// How many. Default 10 000.
    pub entries: usize,
    /// For how long, and never for longer than the token holds. Default 30 s, which is also how
    /// long a token may outlive its revocation elsewhere.
    #[serde(with = "humantime_serde")]
    pub ttl: Duration,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            entries: 10_000,
            ttl: Duration::from_secs(30),
        }
    }
}

/// Tickets for the URL of a stream. Section `[auth.ticket]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TicketConfig {
    /// The key that signs them; the same on every node. At least 32 bytes.
    pub secret: Secret,
    /// How long after its issue a ticket opens a stream. Default 60 s, at most 5 min.
    #[serde(with = "humantime_serde", default = "default_ttl")]
    pub ttl: Duration,
    /// How often it does. Default `single-use`.
    #[serde(default)]
    pub mode: TicketMode,
    /// Whether it holds only from the address (or IPv6 prefix) that fetched it. Default false: a
    /// mobile client changes its address, and dual-stack clients have two.
    #[serde(default)]
    pub bind_address: bool,
}

impl TicketConfig {
    /// Single-use tickets for a minute.
    #[must_use]
    pub fn new(secret: impl Into<Secret>) -> Self {
        Self {
            secret: secret.into(),
            ttl: default_ttl(),
            mode: TicketMode::default(),
            bind_address: false,
        }
    }
}

const fn default_ttl() -> Duration {
    Duration::from_secs(60)
}

/// How often a ticket opens a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TicketMode {
    /// Once. An `EventSource` that reconnects by itself is refused with 401, which ends it for
    /// good: the page has to fetch a new ticket and make a new `EventSource`.
    #[default]
    SingleUse,
    /// Again and again while its stream is open, and for `ttl` after the end: an `EventSource`
    /// reconnects by itself, and a URL from an old log opens nothing.
    Resumable,
}

impl AuthConfig {
    pub(crate) fn check(&self, has_authenticator: bool, faults: &mut Faults) {
        if let Some(secret) = &self.jwt_hs256_secret {
            secret.check("auth.jwt_hs256_secret", faults);
            if cfg!(not(feature = "jwt")) {
                faults.add_secret(
                    "auth.jwt_hs256_secret",
                    "needs the feature `jwt` of actix-web-sse",
                );
            }
            if has_authenticator {
                faults.add_secret(
                    "auth.jwt_hs256_secret",
                    "stands beside an authenticator of your own: leave one of them out",
                );
            }
        }
        if let Some(jwks) = &self.jwks {
            jwks.check(faults);
            self.check_keys_of_others(has_authenticator, faults);
        }
        for (key, names) in [
            ("auth.jwt_audience", &self.jwt_audience),
            ("auth.jwt_issuer", &self.jwt_issuer),
            ("auth.jwt_client", &self.jwt_client),
        ] {
            if !names.is_empty() && self.jwt_hs256_secret.is_none() && self.jwks.is_none() {
                faults.add(
                    key,
                    names,
                    "means nothing without jwt_hs256_secret or [auth.jwks]",
                );
            }
        }
        if self.jwt_leeway > MAX_JWT_LEEWAY {
            faults.add(
                "auth.jwt_leeway",
                self.jwt_leeway,
                "must be at most 5min: set the issuer's clock by NTP",
            );
        }
        let checks_tokens =
            has_authenticator || self.jwt_hs256_secret.is_some() || self.jwks.is_some();
        if self.required && !checks_tokens && self.ticket.is_none() {
            faults.add(
                "auth.required",
                true,
                "lets nobody in without a way to authenticate: set jwt_hs256_secret or [auth.jwks], or give an authenticator",
            );
        }
        if let Some(cookie) = &self.cookie {
            let is_token = !cookie.is_empty()
                && cookie
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte));
            if !is_token {
                faults.add("auth.cookie", cookie, "is no name of a cookie");
            }
            if !checks_tokens {
                faults.add(
                    "auth.cookie",
                    cookie,
                    "holds a token that nobody checks: set jwt_hs256_secret or [auth.jwks], or give an authenticator",
                );
            }
        }
        if self.timeout.is_zero() || self.timeout > Duration::from_secs(60) {
            faults.add(
                "auth.timeout",
                self.timeout,
                "must be above 0 and at most 60s",
            );
        }
        if self.revocation_memory.is_zero() || self.revocation_memory > YEAR {
            faults.add(
                "auth.revocation_memory",
                self.revocation_memory,
                "must be above 0 and at most 366 days",
            );
        }
        if self.revocation_skew > MAX_REVOCATION_SKEW {
            faults.add(
                "auth.revocation_skew",
                self.revocation_skew,
                "must be at most 15s: set the clocks of nodes and issuers by NTP",
            );
        }
        if let Some(cache) = &self.cache {
            if cache.entries == 0 {
                faults.add(
                    "auth.cache.entries",
                    0,
                    "must be at least 1, or leave auth.cache out",
                );
            }
            if cache.ttl.is_zero() || cache.ttl > Duration::from_secs(3600) {
                faults.add(
                    "auth.cache.ttl",
                    cache.ttl,
                    "must be above 0 and at most 1h",
                );
            }
        }
        if let Some(ticket) = &self.ticket {
            ticket.secret.check("auth.ticket.secret", faults);
            if ticket.ttl < Duration::from_secs(1) || ticket.ttl > Duration::from_secs(300) {
                faults.add(
                    "auth.ticket.ttl",
                    ticket.ttl,
                    "must be from 1s to 5min: what stands in a URL is soon in a log",
                );
            }
        }
    }

    /// Whoever publishes keys signs tokens for others with them, too.
    fn check_keys_of_others(&self, has_authenticator: bool, faults: &mut Faults) {
        if has_authenticator || self.jwt_hs256_secret.is_some() {
            faults.add(
                "auth.jwks",
                "",
                "stands beside another way to check tokens, jwt_hs256_secret or an authenticator \
                 of your own: leave one of them out",
            );
        }
        if self.jwt_issuer.is_empty() {
            faults.add(
                "auth.jwt_issuer",
                &self.jwt_issuer,
                "must name the issuer whose keys [auth.jwks] has: the `iss` of its tokens",
            );
        }
        if self.jwt_audience.is_empty() && self.jwt_client.is_empty() {
            faults.add(
                "auth.jwt_audience",
                &self.jwt_audience,
                "must name these streams, or jwt_client the application: the issuer of \
                 [auth.jwks] signs tokens for others with the same keys",
            );
        }
    }
}
