//! The section `[policy.origins]`, checked: which pages may read, and the CORS headers for them.

use std::time::Duration;

use actix_web::http::header::HeaderName;

use super::cors::CorsRules;
use crate::{
    config::{Faults, OriginsConfig},
    origin::{OriginList, OriginPattern},
};

/// The list, as far as it has no faults.
pub(super) fn origin_list(
    key: &'static str,
    allow: &[String],
    config: &OriginsConfig,
    faults: &mut Faults,
) -> OriginList {
    let mut entries = Vec::with_capacity(allow.len());
    for text in allow {
        let pattern = match OriginPattern::parse(text) {
            Ok(pattern) => pattern,
            Err(message) => {
                faults.add(key, text, message);
                continue;
            }
        };
        if pattern.is_any() && config.credentials {
            faults.add(
                key,
                text,
                "cannot go with credentials = true, for every site could read as the user: list the origins",
            );
        }
        if pattern.is_any() && allow.len() > 1 {
            faults.add(
                key,
                text,
                "makes the other entries meaningless: it must stand alone",
            );
        }
        if config.credentials && pattern.is_plain_http() && !config.dangerous_plain_http {
            faults.add(
                key,
                text,
                "with credentials = true lets whoever is on the way read as the user: use https, \
                 or set dangerous_plain_http = true",
            );
        }
        if pattern.is_inside_label() && !config.dangerous_label_wildcards {
            faults.add(
                key,
                text,
                "lets in whoever can have a name of this form: write https://*.your-domain for \
                 domains of your own, or set dangerous_label_wildcards = true if the names are \
                 given to you alone",
            );
        }
        if pattern.is_whole_scheme() && !config.dangerous_whole_schemes {
            faults.add(
                key,
                text,
                "lets in every origin of the scheme, such as every extension that is installed: \
                 list them, or set dangerous_whole_schemes = true if the browser makes their names \
                 up",
            );
        }
        if let (true, false, Some(suffix)) = (
            config.credentials,
            config.dangerous_public_suffixes,
            pattern.public_suffix(),
        ) {
            faults.add(
                key,
                text,
                format!(
                    "anybody can have a name below the public suffix {suffix}: name your own \
                     domain, or set dangerous_public_suffixes = true"
                ),
            );
        }
        entries.push(pattern);
    }
    OriginList::new(entries)
}

/// Request headers that no script can set (WHATWG Fetch § 2.2.2), so that allowing them means
/// nothing or something else.
const FORBIDDEN_REQUEST_HEADERS: [&str; 21] = [
    "accept-charset",
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "access-control-request-private-network",
    "connection",
    "content-length",
    "cookie",
    "cookie2",
    "date",
    "dnt",
    "expect",
    "host",
    "keep-alive",
    "origin",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The CORS headers for allowed origins, as far as the section has no faults.
pub(super) fn cors_rules(config: &OriginsConfig, public: bool, faults: &mut Faults) -> CorsRules {
    let mut request_headers = Vec::new();
    for text in &config.request_headers {
        match HeaderName::from_bytes(text.as_bytes()) {
            Ok(name) if name == "*" => faults.add(
                "policy.origins.request_headers",
                text,
                "does not cover Authorization, and with credentials means nothing: name the headers",
            ),
            Ok(name) if is_forbidden(name.as_str()) => faults.add(
                "policy.origins.request_headers",
                text,
                "is set by the browser, never by a script: leave it out",
            ),
            Ok(name) => request_headers.push(name),
            Err(_) => faults.add(
                "policy.origins.request_headers",
                text,
                "is no name of a header",
            ),
        }
    }
    let mut expose = Vec::new();
    for text in &config.expose_headers {
        match HeaderName::from_bytes(text.as_bytes()) {
            Ok(name) if name == "*" && config.credentials => faults.add(
                "policy.origins.expose_headers",
                text,
                "is taken by its letter when credentials = true: name the headers",
            ),
            Ok(name) if name == "set-cookie" || name == "set-cookie2" => faults.add(
                "policy.origins.expose_headers",
                text,
                "is never shown to a script: leave it out",
            ),
            Ok(name) => expose.push(name),
            Err(_) => faults.add(
                "policy.origins.expose_headers",
                text,
                "is no name of a header",
            ),
        }
    }
    if config.max_age > Duration::from_secs(86_400) {
        faults.add(
            "policy.origins.max_age",
            config.max_age,
            "must be at most 24h: no browser keeps a preflight for longer",
        );
    }
    CorsRules::new(
        config.credentials,
        public,
        request_headers,
        expose,
        config.max_age,
    )
}

fn is_forbidden(name: &str) -> bool {
    FORBIDDEN_REQUEST_HEADERS.contains(&name)
        || name == "via"
        || name.starts_with("sec-")
        || name.starts_with("proxy-")
        || name.starts_with("access-control-")
}
