//! The head of the reply: status, redirects, type, versions, certificate, caches, security headers.

use std::time::Duration;

use super::{Verdict, expected, found, good, texts};
use crate::{
    browser::{Headers, Refusal, event_source::is_event_stream, headers::printable},
    http::AttemptError,
    observe::Survey,
    target::Expectation,
};

/// A certificate that is valid for less is too little to renew in peace.
const LEAST_VALIDITY: Duration = Duration::from_secs(14 * 86_400);

/// Anything but 200 ends an `EventSource` for good.
pub(super) fn status(survey: &Survey) -> Verdict {
    let head = &survey.main.head;
    if survey.main.is_come_back() {
        let seen = "200, but the stream only sets `retry` and ends: the server is full and asks an EventSource to come back";
        return found(texts::COME_BACK.seen(seen));
    }
    let hint = match head.status {
        200 => return good("200"),
        status if head.redirects() && survey.target.follow_redirects => {
            return Err(format!("{status}; see the check `redirect`"));
        }
        204 => " (tells clients to stop)",
        401 => " (give --bearer, --cookie or --ticket-url)",
        403 => " (the origin, or the rights of the credentials)",
        404 | 405 => " (is this the stream's URL?)",
        406 => " (the server did not accept `Accept: text/event-stream`)",
        407 => " (a proxy wants a user name and a password)",
        429 => " (too many streams or connects)",
        502..=504 => " (a proxy without its application?)",
        _ => "",
    };
    found(texts::STATUS.seen(format!("status {}{hint}", head.status)))
}

/// Browsers follow redirects, with a CORS check at each.
pub(super) fn redirect(survey: &Survey) -> Verdict {
    let main = &survey.main;
    if let Some(block) = &main.route.block {
        return found(texts::NOT_FOLLOWED.seen(block.to_string()));
    }
    if main.head.redirects() && survey.target.follow_redirects {
        let seen = format!("{} without Location", main.head.status);
        return found(texts::NO_LOCATION.seen(seen));
    }
    let Some(last) = main.route.redirects.last() else {
        return good("none");
    };
    // A query may hold a token.
    let mut to = last.to.clone();
    to.set_query(None);
    let seen = format!("{} to {to}", last.status);
    let mut findings = vec![texts::REDIRECTED.seen(seen.clone())];
    if main.route.origin().is_some_and(|o| o.as_str() == "null") {
        findings.push(texts::ORIGIN_NULL.seen("the last request carries `Origin: null`"));
    }
    Ok((seen, findings))
}

/// The type that an `EventSource` wants.
pub(super) fn content_type(survey: &Survey) -> Verdict {
    let headers = &survey.main.head.headers;
    let shown = headers.text("content-type");
    if !is_event_stream(headers) {
        let seen = shown.map_or("no Content-Type".to_owned(), |shown| format!("`{shown}`"));
        return found(texts::CONTENT_TYPE.seen(seen));
    }
    let shown = shown.unwrap_or_default();
    let mut findings = Vec::new();
    if let Err(Refusal::Charset(charset)) = survey.main.opens(survey.target.credentials) {
        findings.push(texts::CHARSET.seen(format!("charset `{charset}` in `{shown}`")));
    }
    if headers.count("content-type") > 1 {
        findings.push(texts::CONTENT_TYPES.seen(format!("several Content-Type lines: `{shown}`")));
    }
    Ok((shown, findings))
}

/// The versions of HTTP.
pub(super) fn protocol(survey: &Survey) -> Verdict {
    let head = &survey.main.head;
    let version = head.version_number();
    let mut seen = format!("HTTP/{version}");
    let mut findings = Vec::new();
    let expected = survey.target.expects(&Expectation::Http2);
    if expected && version != "2" {
        let seen = format!("{seen}, not HTTP/2");
        findings.push(texts::SIX.seen(seen).unmet_if(true));
    }
    if version == "1.0" {
        findings.push(texts::HTTP_1_0.seen("HTTP/1.0"));
    }
    match &survey.others.other_protocol {
        Some(Ok(other)) => {
            let (status, by) = (other.head.status, other.head.version_number());
            if status == 200 {
                seen = format!("{seen} and HTTP/{by}");
            } else {
                let seen = format!("status {status} by HTTP/{by}, but 200 by {seen}");
                findings.push(texts::VERSIONS.seen(seen));
            }
        }
        Some(Err(AttemptError::NoHttp2)) if version == "1.1" => {
            findings.extend((!expected).then(|| texts::SIX.seen("no HTTP/2")));
        }
        Some(Err(why)) if !why.is_inconclusive() => {
            let by = if version == "2" { "1.1" } else { "2" };
            findings.push(texts::VERSIONS.seen(format!("by HTTP/{by}: {why}")));
        }
        Some(Err(_)) | None => {}
    }
    if head.headers.has("keep-alive") && version == "2" {
        findings.push(texts::HOP_BY_HOP.seen("`Keep-Alive` over HTTP/2"));
    }
    Ok((seen, findings))
}

/// How long the certificate is valid.
pub(super) fn certificate(survey: &Survey) -> Verdict {
    let certificates = survey.main.head.certificates.ok_or("no TLS")?;
    let expected = expected!(survey, Certificate);
    let Ok(left) = certificates.earliest_expiry.duration_since(survey.at) else {
        return found(texts::EXPIRED.seen("it has expired"));
    };
    let seen = format!("valid for {} more days", left.as_secs() / 86_400);
    if left >= expected.unwrap_or(LEAST_VALIDITY) {
        return good(seen);
    }
    found(texts::CERTIFICATE.seen(seen).unmet_if(expected.is_some()))
}

/// Nothing on the way may store a stream.
pub(super) fn caching(survey: &Survey) -> Verdict {
    let headers = &survey.main.head.headers;
    let mut findings = Vec::new();
    if let Some(sign) = served_from_cache(headers) {
        findings.push(texts::CACHED.seen(format!("served from a cache: {sign}")));
    }
    if let Some(length) = headers.text("content-length") {
        findings.push(texts::LENGTH.seen(format!("Content-Length: {length}")));
    }
    let control = headers.text("cache-control");
    let seen = control.map_or("no Cache-Control".to_owned(), |c| {
        format!("`Cache-Control: {c}`")
    });
    let kept_out = ["no-store", "no-cache", "private"];
    let keeps_out = |name| headers.lists("cache-control", name);
    if !kept_out.into_iter().any(keeps_out) {
        findings.push(texts::CACHEABLE.seen(seen.clone()));
    }
    Ok((seen, findings))
}

/// What shows that a reply came out of a store.
pub(crate) fn served_from_cache(headers: &Headers) -> Option<String> {
    #[rustfmt::skip]
    const NAMES: [&str; 7] = [
        "x-cache", "cf-cache-status", "x-proxy-cache", "x-cache-status", "x-cache-lookup", "cdn-cache", "cache-status",
    ];
    if let Some(age) = headers.text("age").filter(|age| age.trim() != "0") {
        return Some(format!("Age: {age}"));
    }
    for name in NAMES {
        let value = headers.text(name).unwrap_or_default();
        let mut words = value.split(|c: char| !c.is_ascii_alphanumeric());
        if words.any(|word| word.eq_ignore_ascii_case("hit")) {
            return Some(format!("{name}: {value}"));
        }
    }
    // Varnish writes two transaction numbers on a hit.
    let varnish = headers.text("x-varnish")?;
    (varnish.split_whitespace().count() > 1).then(|| format!("X-Varnish: {varnish}"))
}

/// Compression is read by browsers, but it may hold events back.
pub(super) fn transformation(survey: &Survey) -> Verdict {
    let head = &survey.main.head;
    if !head.is_compressed() {
        return good("plain");
    }
    let coding = head.headers.text("content-encoding").unwrap_or_default();
    found(texts::COMPRESSED.seen(format!("Content-Encoding: {coding}")))
}

/// Headers that keep a stream from being taken for something else.
pub(super) fn security_headers(survey: &Survey) -> Verdict {
    let headers = &survey.main.head.headers;
    let mut findings = Vec::new();
    if !headers.lists("x-content-type-options", "nosniff") {
        findings.push(texts::NOSNIFF.seen("no `X-Content-Type-Options: nosniff`"));
    }
    let plain = survey.main.route.url().scheme() == "http";
    if let Some(value) = headers.text("strict-transport-security").filter(|_| plain) {
        findings.push(texts::HSTS.seen(format!("`Strict-Transport-Security: {value}` on http")));
    }
    let whole = findings.is_empty();
    let seen = if whole { "complete" } else { "incomplete" };
    Ok((seen.to_owned(), findings))
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
            let seen = seen.map_or("nothing".to_owned(), |v| format!("`{}`", printable(&v)));
            let seen = format!("{name}: {seen}, not `{}`", printable(value.as_bytes()));
            findings.push(texts::OTHER_VALUE.seen(seen).unmet_if(true));
        }
    }
    if count == 0 {
        return Err("none were asked for".to_owned());
    }
    Ok((format!("{count} compared"), findings))
}
