//! Nothing on the way may store a stream.

use super::{Check, NOT_OPEN, Verdict};
use crate::{advice, finding::Finding, headers::Headers, survey::Survey};

#[derive(Debug)]
pub(super) struct Caching;

impl Check for Caching {
    fn name(&self) -> &'static str {
        "caching"
    }

    fn title(&self) -> &'static str {
        "No cache stores the stream"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
        if !survey.opened() {
            return Verdict::skipped(NOT_OPEN);
        }
        let headers = &survey.main.head.headers;
        let mut findings = Vec::new();
        if let Some(sign) = served_from_cache(headers) {
            findings.push(Finding::fault(
                format!("served from a cache: {sign}"),
                "clients get an old stream, or the stream of somebody else",
                advice::CACHED,
            ));
        }
        if let Some(length) = headers.text("content-length") {
            findings.push(Finding::fault(
                format!("Content-Length: {length}"),
                "a stream has no length: something has stored it, or cut it to a fixed answer",
                advice::LENGTH,
            ));
        }
        let control = headers.text("cache-control");
        let no_store = headers.lists("cache-control", "no-store");
        let kept_out = no_store
            || headers.lists("cache-control", "no-cache")
            || headers.lists("cache-control", "private");
        if !kept_out {
            let seen = control.as_deref().map_or_else(
                || "no Cache-Control".to_owned(),
                |c| format!("`Cache-Control: {c}`"),
            );
            findings.push(Finding::warning(
                seen,
                "a shared cache may store the stream and hand it to others",
                advice::CACHED,
            ));
        } else if !no_store {
            findings.push(Finding::note(
                format!(
                    "`Cache-Control: {}` without no-store",
                    control.as_deref().unwrap_or_default()
                ),
                "a cache may still write the stream down",
                advice::CACHED,
            ));
        }
        let ages = ["max-age", "s-maxage", "public"]
            .iter()
            .any(|d| headers.lists("cache-control", d))
            && !no_store;
        if ages && kept_out {
            findings.push(Finding::warning(
                format!(
                    "`Cache-Control: {}` contradicts itself",
                    control.as_deref().unwrap_or_default()
                ),
                "two layers write it, and caches choose differently",
                advice::CACHED,
            ));
        }
        if headers.has("etag") || headers.has("last-modified") {
            findings.push(Finding::note(
                "a validator (ETag or Last-Modified)",
                "a stream has no version; conditional requests might be answered by 304",
                advice::CACHED,
            ));
        }
        let seen = control.unwrap_or_else(|| "no Cache-Control".to_owned());
        Verdict::with(seen, findings)
    }
}

/// What shows that a reply came out of a store.
pub(crate) fn served_from_cache(headers: &Headers) -> Option<String> {
    let age = headers.text("age").filter(|age| age.trim() != "0");
    if let Some(age) = age {
        return Some(format!("Age: {age}"));
    }
    for name in [
        "x-cache",
        "cf-cache-status",
        "x-proxy-cache",
        "x-cache-status",
        "x-cache-lookup",
        "cdn-cache",
        "cache-status",
    ] {
        let Some(value) = headers.text(name) else {
            continue;
        };
        if value
            .to_ascii_lowercase()
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| word == "hit")
        {
            return Some(format!("{name}: {value}"));
        }
    }
    // Varnish writes two transaction numbers on a hit.
    let varnish = headers.text("x-varnish")?;
    (varnish.split_whitespace().count() > 1).then(|| format!("X-Varnish: {varnish}"))
}
