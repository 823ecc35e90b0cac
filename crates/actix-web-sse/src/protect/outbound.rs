//! What the operator adds to replies: headers of their own, and `Strict-Transport-Security`.

use std::{collections::BTreeMap, fmt::Write};

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::config::{Faults, HstsConfig};

/// Set on replies on their way out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outbound {
    streams: Vec<(HeaderName, HeaderValue)>,
    hsts: Option<HeaderValue>,
}

impl Outbound {
    pub(crate) fn new(
        headers: &BTreeMap<String, String>,
        hsts: Option<&HstsConfig>,
        faults: &mut Faults,
    ) -> Self {
        let mut streams = Vec::with_capacity(headers.len());
        for (name, value) in headers {
            match header(name, value) {
                Ok(header) => streams.push(header),
                Err(message) => faults.add("policy.headers", format!("{name}: {value}"), message),
            }
        }
        Self {
            streams,
            hsts: hsts.and_then(|hsts| strict_transport_security(hsts, faults)),
        }
    }

    /// Sets what belongs on a reply with these headers.
    pub(crate) fn add_headers(&self, headers: &mut HeaderMap, secure: bool) {
        if let (Some(hsts), true) = (&self.hsts, secure) {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, hsts.clone());
        }
        if !self.streams.is_empty() && is_stream(headers) {
            for (name, value) in &self.streams {
                headers.insert(name.clone(), value.clone());
            }
        }
    }
}

fn is_stream(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"))
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "is no name of a header")?;
    let remedy = match parsed.as_str() {
        "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer"
        | "transfer-encoding" | "upgrade" | "content-length" => {
            "belongs to the connection, which the server manages: leave it out"
        }
        "content-encoding" | "content-type" | "content-range" | "etag" | "last-modified" => {
            "describes the stream, and another value would break it: leave it out"
        }
        "vary" | "origin" => "is set from the allow-list: leave it out",
        "strict-transport-security" => "has a section of its own: policy.hsts",
        "set-cookie" | "www-authenticate" | "retry-after" | "allow" | "location" => {
            "is no header for every stream: leave it out"
        }
        name if name.starts_with("access-control-") => {
            "is set from the allow-list: see policy.origins"
        }
        "cache-control" if !value.to_ascii_lowercase().contains("no-store") => {
            "must contain no-store: a cached stream is somebody else's stream"
        }
        _ => "",
    };
    if !remedy.is_empty() {
        return Err(remedy.to_owned());
    }
    let value = HeaderValue::from_str(value)
        .map_err(|_| "has a value with a line break or another control character")?;
    Ok((parsed, value))
}

fn strict_transport_security(config: &HstsConfig, faults: &mut Faults) -> Option<HeaderValue> {
    const YEAR: u64 = 31_536_000;
    let seconds = config.max_age.as_secs();
    if config.preload && (seconds < YEAR || !config.include_subdomains) {
        faults.add(
            "policy.hsts.preload",
            true,
            "is for include_subdomains = true and a max_age of at least 365d only \
             (hstspreload.org)",
        );
    }
    let mut text = format!("max-age={seconds}");
    for (set, directive) in [
        (config.include_subdomains, "; includeSubDomains"),
        (config.preload, "; preload"),
    ] {
        if set {
            // A String takes whatever is written.
            let _ = text.write_str(directive);
        }
    }
    HeaderValue::from_str(&text).ok()
}
