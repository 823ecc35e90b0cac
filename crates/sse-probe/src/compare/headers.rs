//! Headers that the hop took away, brought in, doubled or changed.

use super::{Difference, Kind};
use crate::{
    browser::{Headers, headers::printable},
    checks::{
        FindingKind,
        remedies::{self, Remedy},
    },
    http::Recording,
    report::shown_url,
};

/// Headers that belong to a hop, or differ from reply to reply.
const IGNORED: [&str; 25] = [
    "age",
    "alt-svc",
    "cf-ray",
    "connection",
    "content-encoding",
    "content-length",
    "date",
    "expires",
    "keep-alive",
    "nel",
    "report-to",
    "server",
    "server-timing",
    "set-cookie",
    "strict-transport-security",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    // nginx takes this one out itself, after it has done what it says.
    "x-accel-buffering",
    "x-cache",
    "x-powered-by",
    "x-request-id",
    "x-served-by",
    "x-varnish",
];

/// Headers whose lists are compared member by member: more members do no harm.
const LISTS: [&str; 2] = ["vary", "cache-control"];

const ALLOW_ORIGIN: &str = "access-control-allow-origin";

/// The hop redirects, and the application does not.
pub(super) fn redirect(app: &Recording, edge: &Recording) -> Option<Difference> {
    let last = edge.head.redirects();
    let followed = edge.route.redirects.first();
    if !last && (followed.is_none() || !app.route.redirects.is_empty()) {
        return None;
    }
    let seen = match followed {
        Some(redirect) => format!("{} to {}", redirect.status, shown_url(&redirect.to)),
        None => {
            let to = edge.head.headers.text("location");
            let to = to.unwrap_or_else(|| "nowhere".to_owned());
            format!("{} to {to}", edge.head.status)
        }
    };
    let (kind, why) = if last {
        (
            FindingKind::Blocked,
            "a browser does not follow it to a stream, and the page gets an error",
        )
    } else {
        (
            FindingKind::Advice,
            "each reconnect takes the way again, and between foreign origins `Origin` becomes `null`",
        )
    };
    Some(Difference::new(
        Kind::Redirected,
        kind,
        format!("the public URL answers {seen}"),
        "a redirect in the proxy: http to https, a trailing slash, a rewritten host",
        why,
        remedies::REDIRECT,
    ))
}

/// The hop answers with another status.
pub(super) fn status(app: &Recording, edge: &Recording) -> Option<Difference> {
    let (direct, public) = (app.head.status, edge.head.status);
    (direct != public).then(|| {
        let cause = match public {
            401 => "Authorization or Cookie is not forwarded",
            403 => "the Host or the client's address that the proxy forwards is not the one that the application allows, or the proxy itself refuses",
            404 => "the proxy changes the path",
            406 => "the proxy changes Accept",
            429 => "the application counts all clients as one: the proxy's address is not trusted, or it sends no X-Forwarded-For",
            502..=504 => "the proxy does not reach the application",
            _ => "the proxy answers itself",
        };
        Difference::new(
            Kind::Status,
            FindingKind::Blocked,
            format!("status {public} in public, {direct} at the application"),
            cause,
            "a native EventSource ends for good on every status but 200",
            remedies::STATUS,
        )
    })
}

/// Headers whose differences matter to streams.
const MATTER: [&str; 5] = [
    "cache-control",
    "content-security-policy",
    "content-type",
    "vary",
    "x-content-type-options",
];

fn matters(name: &str) -> bool {
    name.starts_with("access-control-") || MATTER.contains(&name)
}

/// The names of all other headers that differ.
pub(super) fn others(app: &Headers, edge: &Headers) -> Vec<String> {
    let mut names = app.names();
    names.extend(edge.names().into_iter().filter(|n| !app.has(n)));
    names.retain(|n| !IGNORED.contains(n) && !matters(n) && app.get(n) != edge.get(n));
    names.iter().map(|n| printable(n.as_bytes())).collect()
}

/// Compares two header lists. CORS headers are left out if the hop does not forward the origin: they follow from that.
pub(super) fn compare(app: &Headers, edge: &Headers, origin_forwarded: bool) -> Vec<Difference> {
    let mut names = app.names();
    names.extend(edge.names().into_iter().filter(|n| !app.has(n)));
    names
        .retain(|name| matters(name) && (origin_forwarded || !name.starts_with("access-control-")));
    names
        .into_iter()
        .filter_map(|name| one(name, app, edge))
        .collect()
}

fn one(name: &str, app: &Headers, edge: &Headers) -> Option<Difference> {
    let (before, after) = (app.count(name), edge.count(name));
    if name == ALLOW_ORIGIN
        && edge.members(name).iter().any(|m| m == "*")
        && !app.members(name).iter().any(|m| m == "*")
    {
        return Some(wildcard(app, edge));
    }
    if LISTS.contains(&name) {
        return list(name, app, edge);
    }
    let text = |headers: &Headers| printable(&headers.get(name).unwrap_or_default());
    let (level, remedies) = weight(name);
    if before > 0 && after == 0 {
        return Some(Difference::new(
            Kind::Stripped,
            level,
            format!("{name} is gone (the application sends `{}`)", text(app)),
            "the proxy hides or deletes this header",
            why(name),
            remedies,
        ));
    }
    if after > before && before > 0 {
        return Some(Difference::new(
            Kind::Doubled,
            level,
            format!("{name} stands {after} times: `{}`", text(edge)),
            "the proxy adds what the application has sent already",
            why(name),
            if name == ALLOW_ORIGIN {
                remedies::SINGLE_ALLOW_ORIGIN
            } else {
                remedies
            },
        ));
    }
    if before == 0 {
        let level = if name == ALLOW_ORIGIN {
            FindingKind::Blocked
        } else {
            FindingKind::Advice
        };
        return Some(Difference::new(
            Kind::Added,
            level,
            format!("{name}: `{}` comes from the proxy", text(edge)),
            "the proxy adds this header",
            why(name),
            remedies,
        ));
    }
    (app.get(name) != edge.get(name)).then(|| {
        Difference::new(
            Kind::Changed,
            level,
            format!(
                "{name} is `{}`, but the application sends `{}`",
                text(edge),
                text(app)
            ),
            "the proxy overwrites this header",
            why(name),
            remedies,
        )
    })
}

fn wildcard(app: &Headers, edge: &Headers) -> Difference {
    let text = |headers: &Headers| {
        headers
            .text(ALLOW_ORIGIN)
            .unwrap_or_else(|| "nothing".to_owned())
    };
    let doubled = edge.count(ALLOW_ORIGIN) > 1 || edge.members(ALLOW_ORIGIN).len() > 1;
    Difference::new(
        Kind::Wildcard,
        FindingKind::Blocked,
        format!(
            "{ALLOW_ORIGIN} is `{}`, but the application sends `{}`",
            text(edge),
            text(app)
        ),
        if doubled {
            "the proxy adds `*` beside the application's own header"
        } else {
            "the proxy writes `*` over the application's own header"
        },
        "`*` never works with credentials, two values never work at all, and alone it opens the stream to every page",
        remedies::NO_WILDCARD,
    )
}

/// Members that the application sent and that are gone.
fn list(name: &str, app: &Headers, edge: &Headers) -> Option<Difference> {
    let after = edge.tokens(name);
    let gone: Vec<_> = app
        .tokens(name)
        .into_iter()
        .filter(|t| !after.contains(t))
        .collect();
    let (level, remedies) = weight(name);
    (!gone.is_empty()).then(|| {
        let kind = if after.is_empty() {
            Kind::Stripped
        } else {
            Kind::Changed
        };
        Difference::new(
            kind,
            level,
            format!(
                "{name} has lost {}; in public it is `{}`",
                gone.join(", "),
                edge.text(name).unwrap_or_default()
            ),
            "the proxy overwrites or deletes this header",
            why(name),
            remedies,
        )
    })
}

fn weight(name: &str) -> (FindingKind, &'static [Remedy]) {
    match name {
        ALLOW_ORIGIN => (FindingKind::Blocked, remedies::ALLOW_ORIGIN),
        "access-control-allow-credentials" => (FindingKind::Blocked, remedies::ALLOW_CREDENTIALS),
        "content-type" => (FindingKind::Blocked, remedies::CONTENT_TYPE),
        "vary" => (FindingKind::Advice, remedies::VARY),
        "cache-control" => (FindingKind::Advice, remedies::NO_TRANSFORM),
        "access-control-expose-headers" => (FindingKind::Advice, remedies::ERROR_CORS),
        "x-content-type-options" | "content-security-policy" => {
            (FindingKind::Advice, remedies::SECURITY)
        }
        _ => (FindingKind::Advice, remedies::SECURITY),
    }
}

fn why(name: &str) -> &'static str {
    match name {
        ALLOW_ORIGIN => "a browser wants exactly one line with exactly the page's origin",
        "access-control-allow-credentials" => "pages that send cookies need `true` there, once",
        "content-type" => "an EventSource opens on text/event-stream only",
        "vary" => "a cache may hand the reply for one origin to a page of another",
        "cache-control" => "caches and compressors further on do as it says",
        "access-control-expose-headers" => "fetch clients cannot read Retry-After and the like",
        "x-content-type-options" | "content-security-policy" => {
            "it keeps the stream from being run as a script or page"
        }
        _ => "the application's header does not reach clients as it was sent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "https://app.example.com";

    fn kinds(app: &[(&str, &str)], edge: &[(&str, &str)]) -> Vec<Kind> {
        let (app, edge) = (
            Headers::from_lines(app.iter().copied()),
            Headers::from_lines(edge.iter().copied()),
        );
        compare(&app, &edge, true).iter().map(|d| d.kind).collect()
    }

    #[test]
    fn what_a_proxy_may_do_is_no_difference() {
        let app = [
            ("Date", "a"),
            ("Vary", "Origin"),
            ("X-Accel-Buffering", "no"),
            ("Cache-Control", "no-store"),
        ];
        let edge = [
            ("Date", "b"),
            ("Vary", "accept-encoding, origin"),
            ("Via", "1.1 x"),
            ("Server", "nginx"),
            ("Cache-Control", "no-store, no-transform"),
        ];
        assert_eq!(kinds(&app, &edge), []);
    }

    #[test]
    fn each_fault_has_its_name() {
        let app = [("Access-Control-Allow-Origin", APP)];
        assert_eq!(kinds(&app, &[]), [Kind::Stripped]);
        assert_eq!(kinds(&app, &[app[0], app[0]]), [Kind::Doubled]);
        assert_eq!(
            kinds(&app, &[app[0], ("Access-Control-Allow-Origin", "*")]),
            [Kind::Wildcard]
        );
        assert_eq!(
            kinds(&app, &[("Access-Control-Allow-Origin", "*")]),
            [Kind::Wildcard]
        );
        assert_eq!(
            kinds(&app, &[("Access-Control-Allow-Origin", "null")]),
            [Kind::Changed]
        );
        assert_eq!(kinds(&[], &app), [Kind::Added]);
        assert_eq!(
            kinds(&[("Vary", "Origin, Accept")], &[("Vary", "Accept")]),
            [Kind::Changed]
        );
    }
}
