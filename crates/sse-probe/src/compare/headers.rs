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
    let seen = match followed {
        Some(redirect) => format!("{} to {}", redirect.status, shown_url(&redirect.to)),
        None => {
            let to = edge.head.headers.text("location");
            format!(
                "{} to {}",
                edge.head.status,
                to.as_deref().unwrap_or("nowhere")
            )
        }
    };
    let text = if last {
        texts::DIFF_NOT_FOLLOWED
    } else {
        texts::DIFF_REDIRECTED
    };
    Some(Difference {
        kind: Kind::Redirected,
        finding: text.seen(format!("the public URL answers {seen}")),
        cause: "a redirect in the proxy: http to https, a trailing slash, a rewritten host".into(),
    })
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
    Some(Difference {
        kind: Kind::Status,
        finding: texts::DIFF_STATUS.seen(seen),
        cause: cause.to_owned(),
    })
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
    let found = |kind, text: Text, seen: String, cause: &str| {
        Some(Difference {
            kind,
            finding: text.seen(seen),
            cause: cause.to_owned(),
        })
    };
    let other = format!("{name} is `{public}`, but the application sends `{direct}`");
    if name == ALLOW_ORIGIN && star(edge) && !star(app) {
        let cause = if after > 1 || edge.members(name).len() > 1 {
            "the proxy adds `*` beside the application's own header"
        } else {
            "the proxy writes `*` over the application's own header"
        };
        return found(Kind::Wildcard, texts::DIFF_WILDCARD, other, cause);
    }
    if LISTS.contains(&name) {
        let left = edge.tokens(name);
        let mut gone = app.tokens(name);
        gone.retain(|token| !left.contains(token));
        let kind = if left.is_empty() {
            Kind::Stripped
        } else {
            Kind::Changed
        };
        let public = edge.text(name).unwrap_or_default();
        let seen = format!(
            "{name} has lost {}; in public it is `{public}`",
            gone.join(", ")
        );
        let cause = "the proxy overwrites or deletes this header";
        return if gone.is_empty() {
            None
        } else {
            found(kind, text, seen, cause)
        };
    }
    if before == 0 {
        let blocked = name == ALLOW_ORIGIN;
        let kind = if blocked {
            FindingKind::Blocked
        } else {
            FindingKind::Advice
        };
        let seen = format!("{name}: `{public}` comes from the proxy");
        found(
            Kind::Added,
            text.of_kind(kind),
            seen,
            "the proxy adds this header",
        )
    } else if after == 0 {
        let seen = format!("{name} is gone (the application sends `{direct}`)");
        found(
            Kind::Stripped,
            text,
            seen,
            "the proxy hides or deletes this header",
        )
    } else if after > before {
        let text = if name == ALLOW_ORIGIN {
            texts::DIFF_ALLOW_ORIGINS
        } else {
            text
        };
        let seen = format!("{name} stands {after} times: `{public}`");
        found(
            Kind::Doubled,
            text,
            seen,
            "the proxy adds what the application has sent already",
        )
    } else if app.get(name) != edge.get(name) {
        found(
            Kind::Changed,
            text,
            other,
            "the proxy overwrites this header",
        )
    } else {
        None
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
