//! Headers that the hop took away, brought in, doubled or changed.

use super::{Difference, Kind};
use crate::{
    browser::{Headers, headers::printable},
    checks::{FindingKind, Text, texts},
    http::Recording,
    report::shown_url,
};

/// Headers that belong to a hop, or differ from reply to reply.
#[rustfmt::skip]
const IGNORED: [&str; 25] = [
    "age", "alt-svc", "cf-ray", "connection", "content-encoding", "content-length", "date", "expires", "keep-alive",
    "nel", "report-to", "server", "server-timing", "set-cookie", "strict-transport-security", "trailer",
    "transfer-encoding", "upgrade", "via", "x-cache", "x-powered-by", "x-request-id", "x-served-by", "x-varnish",
    // nginx takes this one out itself, after it has done what it says.
    "x-accel-buffering",
];

/// Headers whose lists are compared member by member: more members do no harm.
const LISTS: [&str; 2] = ["vary", "cache-control"];

const ALLOW_ORIGIN: &str = "access-control-allow-origin";

/// What a difference in that header means; nothing if it does not matter to streams.
fn meaning(name: &str) -> Option<Text> {
    Some(match name {
        ALLOW_ORIGIN => texts::DIFF_ALLOW_ORIGIN,
        "access-control-allow-credentials" => texts::DIFF_ALLOW_CREDENTIALS,
        "access-control-expose-headers" => texts::DIFF_EXPOSE_HEADERS,
        _ if name.starts_with("access-control-") => texts::DIFF_HEADER,
        "content-type" => texts::DIFF_CONTENT_TYPE,
        "vary" => texts::DIFF_VARY,
        "cache-control" => texts::DIFF_CACHE_CONTROL,
        "x-content-type-options" | "content-security-policy" => texts::DIFF_SECURITY,
        _ => return None,
    })
}

/// The hop redirects, and the application does not.
pub(super) fn redirect(app: &Recording, edge: &Recording) -> Option<Difference> {
    let last = edge.head.redirects();
    let followed = edge.route.redirects.first();
    if !last && (followed.is_none() || !app.route.redirects.is_empty()) {
        return None;
    }
    let (status, to) = match followed {
        Some(redirect) => (redirect.status, Some(shown_url(&redirect.to))),
        None => (edge.head.status, edge.head.headers.text("location")),
    };
    let to = to.as_deref().unwrap_or("nowhere");
    let text = match last {
        true => texts::DIFF_NOT_FOLLOWED,
        false => texts::DIFF_REDIRECTED,
    };
    let finding = text.seen(format!("the public URL answers {status} to {to}"));
    let cause = "a redirect in the proxy: http to https, a trailing slash, a rewritten host";
    Some(Difference::new(Kind::Redirected, finding, cause))
}

/// The hop answers with another status.
pub(super) fn status(app: &Recording, edge: &Recording) -> Option<Difference> {
    let (direct, public) = (app.head.status, edge.head.status);
    if direct == public {
        return None;
    }
    #[rustfmt::skip]
    let cause = match public {
        401 => "Authorization or Cookie is not forwarded",
        403 => "the Host or the client's address that the proxy forwards is not the one that the application allows, or the proxy itself refuses",
        404 => "the proxy changes the path",
        406 => "the proxy changes Accept",
        429 => "the application counts all clients as one: the proxy's address is not trusted, or it sends no X-Forwarded-For",
        502..=504 => "the proxy does not reach the application",
        _ => "the proxy answers itself",
    };
    let seen = format!("status {public} in public, {direct} at the application");
    Some(Difference::new(
        Kind::Status,
        texts::DIFF_STATUS.seen(seen),
        cause,
    ))
}

/// The names on either side, each once.
fn names<'a>(app: &'a Headers, edge: &'a Headers) -> impl Iterator<Item = &'a str> {
    let added = edge.names().into_iter().filter(|name| !app.has(name));
    app.names().into_iter().chain(added)
}

/// The names of all other headers that differ.
pub(super) fn others(app: &Headers, edge: &Headers) -> Vec<String> {
    names(app, edge)
        .filter(|n| !IGNORED.contains(n) && meaning(n).is_none() && app.get(n) != edge.get(n))
        .map(|n| printable(n.as_bytes()))
        .collect()
}

/// Compares two header lists. CORS headers are left out if the hop does not forward the origin: they follow from that.
pub(super) fn compare(app: &Headers, edge: &Headers, origin_forwarded: bool) -> Vec<Difference> {
    names(app, edge)
        .filter(|name| origin_forwarded || !name.starts_with("access-control-"))
        .filter_map(|name| one(name, meaning(name)?, app, edge))
        .collect()
}

fn one(name: &str, text: Text, app: &Headers, edge: &Headers) -> Option<Difference> {
    let (before, after) = (app.count(name), edge.count(name));
    let shown = |headers: &Headers| headers.text(name).unwrap_or("nothing".to_owned());
    let (direct, public) = (shown(app), shown(edge));
    let star = |headers: &Headers| headers.members(name).iter().any(|m| m == "*");
    let other = format!("{name} is `{public}`, but the application sends `{direct}`");
    let (kind, text, seen, cause) = if name == ALLOW_ORIGIN && star(edge) && !star(app) {
        let cause = match after > 1 || edge.members(name).len() > 1 {
            true => "the proxy adds `*` beside the application's own header",
            false => "the proxy writes `*` over the application's own header",
        };
        (Kind::Wildcard, texts::DIFF_WILDCARD, other, cause)
    } else if LISTS.contains(&name) {
        let left = edge.tokens(name);
        let mut gone = app.tokens(name);
        gone.retain(|token| !left.contains(token));
        if gone.is_empty() {
            return None;
        }
        let kind = match left.is_empty() {
            true => Kind::Stripped,
            false => Kind::Changed,
        };
        let (gone, public) = (gone.join(", "), edge.text(name).unwrap_or_default());
        let seen = format!("{name} has lost {gone}; in public it is `{public}`");
        (
            kind,
            text,
            seen,
            "the proxy overwrites or deletes this header",
        )
    } else if before == 0 {
        let text = text.of_kind(FindingKind::Blocked.unless(name != ALLOW_ORIGIN));
        let seen = format!("{name}: `{public}` comes from the proxy");
        (Kind::Added, text, seen, "the proxy adds this header")
    } else if after == 0 {
        let seen = format!("{name} is gone (the application sends `{direct}`)");
        (
            Kind::Stripped,
            text,
            seen,
            "the proxy hides or deletes this header",
        )
    } else if after > before {
        let text = match name {
            ALLOW_ORIGIN => texts::DIFF_ALLOW_ORIGINS,
            _ => text,
        };
        let seen = format!("{name} stands {after} times: `{public}`");
        (
            Kind::Doubled,
            text,
            seen,
            "the proxy adds what the application has sent already",
        )
    } else if app.get(name) != edge.get(name) {
        (
            Kind::Changed,
            text,
            other,
            "the proxy overwrites this header",
        )
    } else {
        return None;
    };
    Some(Difference::new(kind, text.seen(seen), cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_its_name_and_what_a_proxy_may_do_has_none() {
        const APP: (&str, &str) = (ALLOW_ORIGIN, "https://app.example.com");
        const STAR: (&str, &str) = (ALLOW_ORIGIN, "*");
        type Lines<'a> = &'a [(&'a str, &'a str)];
        let harmless: (Lines<'_>, Lines<'_>) = (
            &[
                ("Date", "a"),
                ("Vary", "Origin"),
                ("X-Accel-Buffering", "no"),
                ("Cache-Control", "no-store"),
            ],
            &[
                ("Date", "b"),
                ("Vary", "accept-encoding, origin"),
                ("Via", "1.1 x"),
                ("Server", "nginx"),
                ("Cache-Control", "no-store, no-transform"),
            ],
        );
        let cases: &[(Lines<'_>, Lines<'_>, &[Kind])] = &[
            (harmless.0, harmless.1, &[]),
            (&[APP], &[], &[Kind::Stripped]),
            (&[APP], &[APP, APP], &[Kind::Doubled]),
            (&[APP], &[APP, STAR], &[Kind::Wildcard]),
            (&[APP], &[STAR], &[Kind::Wildcard]),
            (&[APP], &[(ALLOW_ORIGIN, "null")], &[Kind::Changed]),
            (&[], &[APP], &[Kind::Added]),
            (
                &[("Vary", "Origin, Accept")],
                &[("Vary", "Accept")],
                &[Kind::Changed],
            ),
        ];
        for (app, edge, kinds) in cases {
            let headers = |lines: Lines<'_>| Headers::from_lines(lines.iter().copied());
            let found = compare(&headers(app), &headers(edge), true);
            let found: Vec<_> = found.iter().map(|d| d.kind).collect();
            assert_eq!(found, *kinds, "{app:?} {edge:?}");
        }
    }
}
