//! The head of the reply: status, redirects, type, versions, certificate, caches, security headers.

use std::time::Duration;

use super::{Finding, NOT_OPEN, Verdict, remedies};
use crate::{
    browser::{Headers, Refusal, headers::printable, mime},
    http::ExchangeError,
    observe::{AttemptError, Survey},
    target::Expectation,
};

/// A certificate that is valid for less is too little to renew in peace.
const LEAST_VALIDITY: Duration = Duration::from_secs(14 * 86_400);

/// Anything but 200 ends an `EventSource` for good.
pub(super) fn status(survey: &Survey) -> Verdict {
    let status = survey.main.head.status;
    let for_good = "a native EventSource ends for good on every status but 200 and never tries again; Retry-After is not read";
    if survey.main.is_come_back() {
        return Verdict::bad(Finding::blocked(
            "200, but the stream only sets `retry` and ends: the server is full and asks an EventSource to come back",
            "pages wait for events until the server has room",
            remedies::STATUS,
        ));
    }
    if status == 200 {
        return Verdict::good("200");
    }
    if survey.main.head.redirects() && survey.target.follow_redirects {
        return Verdict::skipped(format!("{status}; see the check `redirect`"));
    }
    Verdict::bad(Finding::blocked(
        format!("status {status}{}", hint(status)),
        for_good,
        remedies::STATUS,
    ))
}

fn hint(status: u16) -> &'static str {
    match status {
        204 => " (tells clients to stop)",
        401 => " (give --bearer, --cookie or --ticket-url)",
        403 => " (the origin, or the rights of the credentials)",
        404 | 405 => " (is this the stream's URL?)",
        406 => " (the server did not accept `Accept: text/event-stream`)",
        429 => " (too many streams or connects)",
        502..=504 => " (a proxy without its application?)",
        _ => "",
    }
}

/// Browsers follow redirects, with a CORS check at each.
pub(super) fn redirect(survey: &Survey) -> Verdict {
    let main = &survey.main;
    let route = &main.route;
    if let Some(block) = &route.block {
        return Verdict::bad(Finding::blocked(
            block.to_string(),
            "the browser follows no further, and the page gets an error without a reason",
            remedies::REDIRECT,
        ));
    }
    if main.head.redirects() && survey.target.follow_redirects {
        return Verdict::bad(Finding::blocked(
            format!("{} without Location", main.head.status),
            "there is nowhere to go: an EventSource ends for good",
            remedies::REDIRECT,
        ));
    }
    let Some(last) = route.redirects.last() else {
        return Verdict::good("none");
    };
    let seen = format!("{} to {}", last.status, shown(&last.to));
    let mut findings = vec![Finding::advice(
        seen.clone(),
        "each reconnect takes the way again, or Chromium goes to the target at once",
        remedies::REDIRECT,
    )];
    if route.origin().is_some_and(|o| o.as_str() == "null") {
        findings.push(Finding::advice(
            "the last request carries `Origin: null`",
            "after a redirect between two foreign origins a browser no longer says who asks",
            remedies::REDIRECT,
        ));
    }
    Verdict::with(seen, findings)
}

/// A query may hold a token.
fn shown(url: &url::Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

/// The type that an `EventSource` wants.
pub(super) fn content_type(survey: &Survey) -> Verdict {
    if !survey.opened() {
        return Verdict::skipped(NOT_OPEN);
    }
    let headers = &survey.main.head.headers;
    let shown = headers.text("content-type");
    if !mime::is_event_stream(headers) {
        let seen = shown.map_or_else(|| "no Content-Type".to_owned(), |s| format!("`{s}`"));
        return Verdict::bad(Finding::blocked(
            seen,
            "an EventSource ends for good on any other content type",
            remedies::CONTENT_TYPE,
        ));
    }
    let shown = shown.unwrap_or_default();
    let mut findings = Vec::new();
    if let Err(Refusal::Charset(charset)) = survey.main.opens(survey.target.credentials) {
        findings.push(Finding::blocked(
            format!("charset `{charset}` in `{shown}`"),
            "event streams are always UTF-8, and Chromium refuses any other charset",
            remedies::CONTENT_TYPE,
        ));
    }
    if headers.count("content-type") > 1 {
        findings.push(Finding::advice(
            format!("several Content-Type lines: `{shown}`"),
            "browsers take the last one; other clients take different ones",
            remedies::CONTENT_TYPE,
        ));
    }
    Verdict::with(shown, findings)
}

/// The versions of HTTP.
pub(super) fn protocol(survey: &Survey) -> Verdict {
    let head = &survey.main.head;
    let version = head.version_number();
    let mut findings = Vec::new();
    let six = "browsers open six connections to a host over HTTP/1.1, for all tabs together: the seventh stream hangs";
    let expected = survey.target.expectations.contains(&Expectation::Http2);
    if expected && version != "2" {
        let seen = format!("HTTP/{version}, not HTTP/2");
        findings.push(Finding::advice(seen, six, remedies::HTTP2).unmet());
    }
    if version == "1.0" {
        findings.push(Finding::advice(
            "HTTP/1.0",
            "the end of the stream cannot be told from a cut connection; some hop speaks HTTP/1.0",
            remedies::HTTP2,
        ));
    }
    let both = "clients get whichever version they negotiate";
    let mut seen = format!("HTTP/{version}");
    match &survey.others.other_protocol {
        Some(Ok(other)) if other.head.status == 200 => {
            seen = format!("{seen} and HTTP/{}", other.head.version_number());
        }
        Some(Ok(other)) => findings.push(Finding::advice(
            format!(
                "status {} by HTTP/{}, but 200 by HTTP/{version}",
                other.head.status,
                other.head.version_number()
            ),
            both,
            remedies::UNREACHABLE_VARIANT,
        )),
        Some(Err(AttemptError::Exchange(ExchangeError::NoHttp2))) if version == "1.1" => {
            if !expected {
                findings.push(Finding::advice("no HTTP/2", six, remedies::HTTP2));
            }
        }
        Some(Err(AttemptError::Full(_) | AttemptError::OutOfTime)) | None => {}
        Some(Err(why)) => {
            let by = if version == "2" { "1.1" } else { "2" };
            findings.push(Finding::advice(
                format!("by HTTP/{by}: {why}"),
                both,
                remedies::UNREACHABLE_VARIANT,
            ));
        }
    }
    if head.headers.has("keep-alive") && version == "2" {
        findings.push(Finding::advice(
            "`Keep-Alive` over HTTP/2",
            "headers of one hop are forbidden in HTTP/2; strict clients refuse the reply",
            remedies::HOP_BY_HOP,
        ));
    }
    Verdict::with(seen, findings)
}

/// How long the certificate is valid.
pub(super) fn certificate(survey: &Survey) -> Verdict {
    let Some(certificates) = survey.main.head.certificates else {
        return Verdict::skipped("no TLS");
    };
    let expected = survey.target.expectations.iter().find_map(|e| match e {
        Expectation::Certificate(time) => Some(*time),
        _ => None,
    });
    let why = "once it has expired every client fails at once, and open streams live on, so the outage grows slowly";
    let Ok(left) = certificates.earliest_expiry.duration_since(survey.at) else {
        let finding = Finding::blocked("it has expired", why, remedies::CERTIFICATE);
        return Verdict::bad(finding);
    };
    let seen = format!("valid for {} more days", left.as_secs() / 86_400);
    match expected {
        Some(least) if left < least => {
            Verdict::bad(Finding::advice(seen, why, remedies::CERTIFICATE).unmet())
        }
        None if left < LEAST_VALIDITY => {
            Verdict::bad(Finding::advice(seen, why, remedies::CERTIFICATE))
        }
        _ => Verdict::good(seen),
    }
}

/// Nothing on the way may store a stream.
pub(super) fn caching(survey: &Survey) -> Verdict {
    if !survey.opened() {
        return Verdict::skipped(NOT_OPEN);
    }
    let headers = &survey.main.head.headers;
    let mut findings = Vec::new();
    if let Some(sign) = served_from_cache(headers) {
        findings.push(Finding::blocked(
            format!("served from a cache: {sign}"),
            "clients get an old stream, or the stream of somebody else",
            remedies::CACHED,
        ));
    }
    if let Some(length) = headers.text("content-length") {
        findings.push(Finding::advice(
            format!("Content-Length: {length}"),
            "a stream has no length: something has stored it, or it ends after that many bytes",
            remedies::LENGTH,
        ));
    }
    let control = headers.text("cache-control");
    let lists = |name: &str| headers.lists("cache-control", name);
    let seen = match &control {
        Some(control) => format!("`Cache-Control: {control}`"),
        None => "no Cache-Control".to_owned(),
    };
    let no_store = lists("no-store");
    if !no_store && !lists("no-cache") && !lists("private") {
        findings.push(Finding::advice(
            seen.clone(),
            "a shared cache may store the stream and hand it to others",
            remedies::CACHED,
        ));
    }
    Verdict::with(seen, findings)
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
        let lower = value.to_ascii_lowercase();
        let mut words = lower.split(|c: char| !c.is_ascii_alphanumeric());
        if words.any(|word| word == "hit") {
            return Some(format!("{name}: {value}"));
        }
    }
    // Varnish writes two transaction numbers on a hit.
    let varnish = headers.text("x-varnish")?;
    (varnish.split_whitespace().count() > 1).then(|| format!("X-Varnish: {varnish}"))
}

/// Compression is read by browsers, but it may hold events back.
pub(super) fn transformation(survey: &Survey) -> Verdict {
    if !survey.opened() {
        return Verdict::skipped(NOT_OPEN);
    }
    let headers = &survey.main.head.headers;
    if !survey.main.is_compressed() {
        return Verdict::good("plain");
    }
    let coding = headers.text("content-encoding").unwrap_or_default();
    Verdict::bad(Finding::advice(
        format!("Content-Encoding: {coding}"),
        "a compressor holds events back unless it flushes after each one; and secrets beside data that an attacker chooses leak by their length",
        remedies::COMPRESSION,
    ))
}

/// Headers that keep a stream from being taken for something else.
pub(super) fn security_headers(survey: &Survey) -> Verdict {
    if !survey.opened() {
        return Verdict::skipped(NOT_OPEN);
    }
    let headers = &survey.main.head.headers;
    let mut findings = Vec::new();
    if !headers.lists("x-content-type-options", "nosniff") {
        findings.push(Finding::advice(
            "no `X-Content-Type-Options: nosniff`",
            "a stream that carries what users write can be loaded as a script; EventSource itself does not look at it",
            remedies::SECURITY,
        ));
    }
    let https = survey.main.route.url().scheme() == "https";
    match headers.text("strict-transport-security") {
        Some(value) if !https => findings.push(Finding::advice(
            format!("`Strict-Transport-Security: {value}` on http"),
            "browsers ignore it there; it shows that the application takes itself to be on https",
            remedies::HSTS,
        )),
        _ => {}
    }
    let seen = if findings.is_empty() {
        "complete"
    } else {
        "incomplete"
    };
    Verdict::with(seen, findings)
}

/// Header values that the user asked for.
pub(super) fn expected_headers(survey: &Survey) -> Verdict {
    let headers = &survey.main.head.headers;
    let mut findings = Vec::new();
    let mut count = 0;
    for expectation in &survey.target.expectations {
        let Expectation::Header(name, value) = expectation else {
            continue;
        };
        count += 1;
        let seen = headers.get(name.as_str());
        if seen.as_deref() != Some(value.as_bytes()) {
            let seen =
                seen.map_or_else(|| "nothing".to_owned(), |v| format!("`{}`", printable(&v)));
            let seen = format!("{name}: {seen}, not `{}`", printable(value.as_bytes()));
            let why = "another value was expected";
            findings.push(Finding::advice(seen, why, remedies::EXPECTED).unmet());
        }
    }
    if count == 0 {
        return Verdict::skipped("none were asked for");
    }
    Verdict::with(format!("{count} compared"), findings)
}
