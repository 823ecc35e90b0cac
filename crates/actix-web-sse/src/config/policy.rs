use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{accept::AcceptMode, hints::Hints, limits::LimitsConfig, overload::Overload};

/// What the guards let through. Section `[policy]`.
///
/// The default admits same-origin pages and clients that are no browsers; a list of origins is
/// all that a cross-origin page needs beside it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PolicyConfig {
    /// The names under which the streams are served: `Host`, or `:authority` in HTTP/2. A name
    /// without a port stands for every port. Default empty: any name. List them wherever a
    /// browser can reach the server directly: it is the defence against DNS rebinding.
    pub hosts: Vec<String>,
    /// The methods that open a stream; `HEAD` goes with `GET`, and `OPTIONS` is always answered.
    /// Default `GET`. With `POST` a preflight may ask for `content-type` as well.
    pub methods: Methods,
    /// What the client must say to be given a stream. Default `explicit`.
    pub accept: AcceptMode,
    /// How a want of capacity is answered. Default `auto`.
    pub overload: Overload,
    /// Whether a refusal says what to do, in the field `hint` of its body. Default `send`.
    pub hints: Hints,
    /// Which pages may read the replies.
    pub origins: OriginsConfig,
    /// A list of origins that is tried, not enforced: what it would refuse is reported with the
    /// mode `report_only`, beside what the enforced one does.
    pub candidate: Option<CandidateConfig>,
    /// How many streams, and how fast.
    pub limits: LimitsConfig,
    /// `Strict-Transport-Security`, sent on https only. Default: not sent.
    pub hsts: Option<HstsConfig>,
    /// Headers to be set on every stream, over the library's own: an own
    /// `content-security-policy`, for example.
    pub headers: BTreeMap<String, String>,
}

/// The methods that open a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Methods {
    /// `GET`: what an `EventSource` sends.
    #[default]
    Get,
    /// `POST`: answers that stream.
    Post,
    /// Both.
    GetAndPost,
    /// `GET`, `POST` and `DELETE` on one path: the Model Context Protocol over streamable HTTP.
    /// `HEAD` is refused, because a `GET` attaches to a session.
    ///
    /// Only a `GET` must name `text/event-stream`: what answers a `POST`, JSON or events, is the
    /// handler's choice. A cross-origin page may also send `content-type`, `mcp-session-id`,
    /// `mcp-protocol-version`, `mcp-method` and `mcp-name`, and read `mcp-session-id`. A server
    /// that offers no `GET` is guarded with [`Post`](Self::Post), which answers 405 to the others.
    Mcp,
}

/// Which pages may read the replies. Section `[policy.origins]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a key of a configuration file, and any may be set with any"
)]
pub struct OriginsConfig {
    /// Exact origins (`https://app.example.com`), sub-domain patterns
    /// (`https://*.example.com`: one or more labels, not the domain itself), loopback origins on
    /// any port (`http://localhost:*`), or `*` alone and without credentials. Written as browsers
    /// write them, for they are compared byte by byte. Other schemes are written out
    /// (`capacitor://localhost`, `chrome-extension://abcd…`). Default empty.
    ///
    /// Behind a flag: a part of the first label (`https://name-*.example.app`, see
    /// [`dangerous_label_wildcards`](Self::dangerous_label_wildcards)), and a scheme
    /// (`moz-extension://*`, see [`dangerous_whole_schemes`](Self::dangerous_whole_schemes)).
    pub allow: Vec<String>,
    /// Whether cookies and HTTP authentication may come along. Default false.
    pub credentials: bool,
    /// Which request headers a `fetch` client may set. Default `authorization`, `last-event-id`,
    /// `cache-control`.
    pub request_headers: Vec<String>,
    /// Which response headers a script may read. Default `retry-after`, `x-request-id`.
    pub expose_headers: Vec<String>,
    /// For how long a browser may keep the answer to a preflight. Default and maximum 24 h, which
    /// is the longest that any browser honours.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
    /// Whether a foreign origin is refused. Default `enforce`.
    pub mode: Enforcement,
    /// Allows patterns below a public suffix (`https://*.github.io`) with credentials: anybody
    /// can have a name there.
    pub dangerous_public_suffixes: bool,
    /// Allows a wildcard for a part of the first label: `https://*--name.netlify.app` (previews of
    /// a site), `https://name-*-team.vercel.app`. It stands for one or more of `a-z`, `0-9`, `-` and
    /// `_`. Whoever can have a name of that form is let in: on a platform that gives out names,
    /// other customers may. Below a public suffix, with credentials,
    /// [`dangerous_public_suffixes`](Self::dangerous_public_suffixes) is needed as well; below one
    /// where anybody registers names (`https://*example.com`) nothing allows it.
    pub dangerous_label_wildcards: bool,
    /// Allows a wildcard for all origins of a scheme: `moz-extension://*`, `vscode-webview://*`,
    /// whose names differ on each machine. Every extension or webview that the user has is let in.
    pub dangerous_whole_schemes: bool,
    /// Allows `http` origins that are not loopback, with credentials: anybody on the way can
    /// speak for them.
    pub dangerous_plain_http: bool,
}

impl Default for OriginsConfig {
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Self {
            allow: Vec::new(),
            credentials: false,
            request_headers: names(&["authorization", "last-event-id", "cache-control"]),
            expose_headers: names(&["retry-after", "x-request-id"]),
            max_age: Duration::from_secs(86_400),
            mode: Enforcement::Enforce,
            dangerous_public_suffixes: false,
            dangerous_label_wildcards: false,
            dangerous_whole_schemes: false,
            dangerous_plain_http: false,
        }
    }
}

/// Whether a foreign origin is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Enforcement {
    /// With 403, before a stream byte.
    #[default]
    Enforce,
    /// Not at all, only reported. The reply still has no CORS headers, so the browser keeps it
    /// from the page; and cookies from such an origin do not authenticate.
    ReportOnly,
}

/// A list of origins on trial. Section `[policy.candidate]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CandidateConfig {
    /// As [`OriginsConfig::allow`].
    pub allow: Vec<String>,
}

/// `Strict-Transport-Security` (RFC 6797). Section `[policy.hsts]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HstsConfig {
    /// For how long a browser keeps to https. Default one year.
    #[serde(with = "humantime_serde")]
    pub max_age: Duration,
    /// Sub-domains too. Default false.
    pub include_subdomains: bool,
    /// Consent to the browsers' preload lists. Default false.
    pub preload: bool,
}

impl Default for HstsConfig {
    fn default() -> Self {
        Self {
            max_age: Duration::from_secs(31_536_000),
            include_subdomains: false,
            preload: false,
        }
    }
}
