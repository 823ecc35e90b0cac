//! What the hop does: headers that it took away, brought in, doubled or changed; stored replies, lost origins, preflights;
//! bytes that are held back, compressed or cut off.

use std::time::Duration;

use super::{Difference, Kind, Side};
use crate::{
    browser::{Credentials, Headers, cors_check, headers::printable},
    checks::{Text, served_from_cache, texts},
    http::{End, Recording},
    observe::{Attempt, USUAL_HEADERS, seen},
    report::shown_url,
    stream::{SeenEvent, timing::show},
};

/// Later than at the application by this is held back.
const LATE: Duration = Duration::from_millis(700);

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
    let seen = format!("the public URL answers {status} to {to}");
    let cause = "a redirect in the proxy: http to https, a trailing slash, a rewritten host";
    Some(Kind::Redirected.by(cause, text.seen(seen)))
}

/// The hop answers with another status.
pub(super) fn status(app: &Recording, edge: &Recording) -> Option<Difference> {
    let (direct, public) = (app.head.status, edge.head.status);
    #[rustfmt::skip]
    let cause = match public {
        _ if public == direct => return None,
        401 => "Authorization or Cookie is not forwarded",
        403 => "the Host or the client's address that the proxy forwards is not the one that the application allows, or the proxy itself refuses",
        404 => "the proxy changes the path",
        406 => "the proxy changes Accept",
        429 => "the application counts all clients as one: the proxy's address is not trusted, or it sends no X-Forwarded-For",
        502..=504 => "the proxy does not reach the application",
        _ => "the proxy answers itself",
    };
    let seen = format!("status {public} in public, {direct} at the application");
    Some(Kind::Status.by(cause, texts::DIFF_STATUS.seen(seen)))
}

/// The names on either side, each once.
fn names<'a>(app: &'a Headers, edge: &'a Headers) -> impl Iterator<Item = &'a str> {
    let added = edge.names().into_iter().filter(|name| !app.has(name));
    app.names().into_iter().chain(added)
}

/// The names of all other headers that differ.
pub(super) fn others(app: &Headers, edge: &Headers) -> Vec<String> {
    let minor = |n: &&str| !IGNORED.contains(n) && meaning(n).is_none();
    let differ = names(app, edge).filter(|n| minor(n) && app.get(n) != edge.get(n));
    differ.map(|n| printable(n.as_bytes())).collect()
}

/// Compares two header lists. CORS headers are left out if the hop does not forward the origin: they follow from that.
pub(super) fn compare(app: &Headers, edge: &Headers, origin_forwarded: bool) -> Vec<Difference> {
    let counts = |name: &&str| origin_forwarded || !name.starts_with("access-control-");
    let names = names(app, edge).filter(counts);
    names
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
        let kind = if left.is_empty() {
            Kind::Stripped
        } else {
            Kind::Changed
        };
        let (gone, public) = (gone.join(", "), edge.text(name).unwrap_or_default());
        let seen = format!("{name} has lost {gone}; in public it is `{public}`");
        let cause = "the proxy overwrites or deletes this header";
        (kind, text, seen, cause)
    } else if before == 0 {
        let text = text.advice_if(name != ALLOW_ORIGIN);
        let seen = format!("{name}: `{public}` comes from the proxy");
        (Kind::Added, text, seen, "the proxy adds this header")
    } else if after == 0 {
        let seen = format!("{name} is gone (the application sends `{direct}`)");
        let cause = "the proxy hides or deletes this header";
        (Kind::Stripped, text, seen, cause)
    } else if after > before {
        let doubled = (name == ALLOW_ORIGIN).then_some(texts::DIFF_ALLOW_ORIGINS);
        let seen = format!("{name} stands {after} times: `{public}`");
        let cause = "the proxy adds what the application has sent already";
        (Kind::Doubled, doubled.unwrap_or(text), seen, cause)
    } else if app.get(name) != edge.get(name) {
        let cause = "the proxy overwrites this header";
        (Kind::Changed, text, other, cause)
    } else {
        return None;
    };
    Some(kind.by(cause, text.seen(seen)))
}

/// A reply out of a store.
pub(super) fn cached(app: &Side, edge: &Side) -> Option<Difference> {
    let again = edge.again.as_ref().ok();
    let sign = served_from_cache(&edge.main.head.headers)
        .or_else(|| again.and_then(|r| served_from_cache(&r.head.headers)))
        .or_else(|| same_twice(&edge.main, again?, app))
        .or_else(|| length(&app.main, &edge.main))?;
    let seen = format!("the public reply comes out of a store: {sign}");
    let cause = "a cache on the way stores the stream, against its Cache-Control";
    Some(Kind::Cached.by(cause, texts::CACHED.seen(seen)))
}

/// The same bytes twice, the second time all at once: no live stream does that. The application must not do it itself.
fn same_twice(first: &Recording, second: &Recording, app: &Side) -> Option<String> {
    let at_once = |r: &Recording| r.end == End::Clean && r.lasted < Duration::from_millis(700);
    let same = |a: &Recording, b: &Recording| !b.beginning.is_empty() && a.beginning == b.beginning;
    let replayed = at_once(second) && same(first, second);
    let again = app.again.as_ref();
    let itself = again.is_ok_and(|again| at_once(again) && same(&app.main, again));
    (replayed && !itself)
        .then(|| "asked again, the very same bytes came at once, to their end".to_owned())
}

fn length(app: &Recording, edge: &Recording) -> Option<String> {
    let length = edge.head.headers.text("content-length")?;
    (!app.head.headers.has("content-length"))
        .then(|| format!("it has a Content-Length ({length}), which a stream cannot have"))
}

/// Compares how the application answers with and without an origin to how it answers through the hop.
pub(super) fn not_forwarded(app: &Side, edge: &Side) -> Option<Difference> {
    let origin = app.origin.as_ref()?;
    let headers = &edge.main.head.headers;
    let allowed = cors_check(&app.main.head.headers, origin, Credentials::Omit).is_ok();
    if !allowed || headers.has(ALLOW_ORIGIN) {
        return None;
    }
    let status = |attempt: &Option<Attempt>| Some(seen(attempt)?.head.status);
    let public = edge.main.head.status;
    let without = status(&app.originless);
    let (foreign_at_app, foreign_in_public) = (status(&app.foreign), status(&edge.foreign));
    let opens = public == 200 && without == Some(200);
    let bare = || {
        !headers
            .lines()
            .any(|(n, _)| n.starts_with("access-control-"))
    };
    let seen = if public != app.main.head.status && Some(public) == without {
        // The application answers a request that has lost its origin otherwise than one that has it: that is the sign.
        "the public URL answers as the application does to a request without `Origin`"
    } else if opens && foreign_in_public == Some(200) && foreign_at_app != Some(200) {
        // If it opens for both, foreign origins show it: it refuses them, unless it does not see who they are.
        "through the proxy every origin opens the stream, and none gets CORS headers"
    } else if opens && foreign_at_app == Some(200) && bare() {
        // If it opens for foreign origins as well, only the other CORS headers tell.
        "through the proxy no CORS header comes back at all"
    } else {
        return None;
    };
    let cause = "the proxy does not forward the `Origin` header, so the application takes every page for one of its own";
    Some(Kind::OriginNotForwarded.by(cause, texts::DIFF_ORIGIN.seen(seen)))
}

/// A preflight that the hop answers otherwise than the application.
pub(super) fn preflight(app: &Side, edge: &Side) -> Option<Difference> {
    let origin = app.origin.as_ref()?;
    let passes =
        |reply: &Recording| reply.permits(origin, Credentials::Omit, "GET", &USUAL_HEADERS);
    passes(seen(&app.preflight)?).ok()?;
    let (seen, cause) = match edge.preflight.as_ref()? {
        Err(why) => {
            let seen = format!("no answer: {why}");
            (seen, "the proxy does not let OPTIONS through")
        }
        Ok(at_edge) => {
            let seen = format!("status {}: {}", at_edge.head.status, passes(at_edge).err()?);
            let cause = "the proxy answers OPTIONS itself, asks for authentication first, or changes CORS headers";
            (seen, cause)
        }
    };
    let seen = format!("the preflight passes at the application and fails in public ({seen})");
    Some(Kind::Preflight.by(cause, texts::DIFF_PREFLIGHT.seen(seen)))
}

/// The head did not come at all.
pub(super) fn head_held_back(after: Duration) -> Difference {
    let seen = format!("not even the head of the reply came within {}", show(after));
    let cause = "the proxy waits for the end of the body before it sends anything";
    Kind::Buffered.by(cause, texts::BUFFERED.seen(seen))
}

pub(super) fn compressed(app: &Recording, edge: &Recording) -> Option<Difference> {
    if !edge.head.is_compressed() || app.head.is_compressed() {
        return None;
    }
    let coding = edge.head.headers.text("content-encoding")?;
    let seen = format!("the body is compressed ({coding}); the application sends it plain");
    let cause = "the proxy compresses text/event-stream, or everything";
    Some(Kind::Compressed.by(cause, texts::DIFF_COMPRESSED.seen(seen)))
}

pub(super) fn buffered(app: &Side, edge: &Side) -> Option<Difference> {
    let (direct, public) = (app.readable(), edge.readable());
    // Bytes that come together in public, and not at the application.
    let lump = public.held_back().filter(|_| direct.held_back().is_none());
    let seen = lump
        .or_else(|| silent(direct, public))
        .or_else(|| late_first_byte(direct, public))
        .or_else(|| late_events(direct, public))?;
    let cause = "the proxy collects the reply in a buffer before it passes it on";
    Some(Kind::Buffered.by(cause, texts::BUFFERED.seen(seen)))
}

fn silent(direct: &Recording, public: &Recording) -> Option<String> {
    (public.bytes == 0 && direct.bytes > 0).then(|| {
        let (lasted, bytes) = (show(public.lasted), direct.bytes);
        format!("no byte came within {lasted}; at the application {bytes} bytes did")
    })
}

fn late_first_byte(direct: &Recording, public: &Recording) -> Option<String> {
    let (at_app, in_public) = (direct.first_byte()?, public.first_byte()?);
    (in_public > at_app + LATE).then(|| {
        let (at_app, in_public) = (show(at_app), show(in_public));
        format!("the first byte came after {in_public}; at the application after {at_app}")
    })
}

/// The same events, compared by their times of arrival.
fn late_events(direct: &Recording, public: &Recording) -> Option<String> {
    let delays = public.stream.events().filter_map(|(at, event)| {
        let same = |(_, e): &(Duration, &SeenEvent)| (&e.id, &e.data) == (&event.id, &event.data);
        let (sent, _) = direct.stream.events().find(same)?;
        Some(at.saturating_sub(sent))
    });
    let mut delays: Vec<Duration> = delays.collect();
    delays.sort();
    let median = delays.get(delays.len() / 2)?;
    let later = show(*median);
    (delays.len() >= 2 && *median > LATE)
        .then(|| format!("events come {later} later than at the application"))
}

pub(super) fn cut(app: &Recording, edge: &Recording) -> Option<Difference> {
    let how = match &edge.end {
        End::Cut(_) => "cut",
        End::Clean => "ended",
        End::Open | End::TooMuch => return None,
    };
    // An application that ends its streams itself, at about the same time, is not the proxy's fault.
    if app.end != End::Open && app.lasted < edge.lasted + LATE {
        return None;
    }
    let silence = edge.last_silence();
    let heartbeat = app.longest_interval();
    let idle = silence > Duration::from_millis(400)
        && heartbeat.is_none_or(|h| h + Duration::from_millis(200) > silence);
    let (lasted, shown) = (show(edge.lasted), show(silence));
    let of = heartbeat.map_or(String::new(), |h| format!(" of {}", show(h)));
    let other = "a reload, or a worker that ended";
    let cause = match idle {
        true => format!("an idle timeout of about {shown}, below the heartbeat{of}"),
        false => format!("a limit of about {lasted} on the whole reply, {other}"),
    };
    let when = format!("{how} after {lasted}, after {shown} of silence");
    let seen = format!("{when}; at the application it lives on");
    Some(Kind::Cut.by(cause, texts::DIFF_CUT.seen(seen)))
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
