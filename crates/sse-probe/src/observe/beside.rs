//! The exchanges beside the stream itself: those that are made while it is held, and the reconnects after it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, header};
use tokio::time::{Instant, sleep};

use super::{
    Allowed, Attempt, AttemptError, Denied, Listener, Need, Others, Outsider, Page, Progress,
    Published,
};
use crate::{
    browser::Origin,
    http::{Ask, Protocol},
    stream::{Report, SeenEvent},
    target::{Publish, Secret, Target, USER_AGENT, body_type},
};

/// The headers that fetch clients of event streams send and a browser asks permission for.
pub(crate) const USUAL_HEADERS: [&str; 2] = ["authorization", "last-event-id"];

/// A header that no server can have meant to allow.
pub(crate) const UNKNOWN_HEADER: &str = "x-sse-probe-unknown";

/// All exchanges that can be made while the stream is held, the most telling ones first.
pub(super) async fn others(
    page: &Page<'_>,
    needs: &[Need],
    opened: bool,
    version: http::Version,
    tell: Listener<'_>,
) -> Others {
    let mut others = Others::default();
    let target = page.target;
    let needs = |need| needs.contains(&need);
    let as_page_of = |origin: &Origin| page.clone().origin(Some(origin.clone()));
    if let Some(url) = target.page.as_ref().filter(|_| needs(Need::Page)) {
        tell(Progress::Asking("the page"));
        others.page = Some(page.visit(url).await);
    }
    if needs(Need::Anonymous) && target.is_secured() {
        tell(Progress::Asking("without credentials"));
        others.anonymous = Some(page.clone().authenticated(false).glance().await);
    }
    if !opened {
        return others;
    }
    // Each POST may cost something at the other end, so few are made.
    let cheap = target.method == Method::GET;
    if needs(Need::Allowed) {
        for origin in further_origins(target) {
            tell(Progress::Asking(origin.as_str()));
            let attempt = as_page_of(&origin).glance().await;
            let names = preflight_headers(target);
            let preflight = match names.is_empty() {
                true => None,
                false => Some(page.preflight(&origin, &names).await),
            };
            others.allowed.push(Allowed {
                origin,
                attempt,
                preflight,
            });
        }
    }
    if let Some(origin) = target.origin.clone().filter(|_| !target.is_same_origin()) {
        if needs(Need::Denied) {
            for (who, origin) in outsiders(target, &origin) {
                if !cheap && !matches!(who, Outsider::Foreign | Outsider::Named) {
                    continue;
                }
                tell(Progress::Asking(origin.as_str()));
                let attempt = as_page_of(&origin).glance().await;
                others.denied.push(Denied {
                    who,
                    origin,
                    attempt,
                });
            }
        }
        if needs(Need::Preflight) {
            tell(Progress::Asking("by preflight"));
            let names = asked_headers(target);
            others.preflight = Some(page.preflight(&origin, &names).await);
            others.preflight_denied = Some(page.preflight(&foreign(), &names).await);
            let unknown = [UNKNOWN_HEADER.to_owned()];
            others.preflight_unknown = Some(page.preflight(&origin, &unknown).await);
        }
    }
    let encrypted = target.url.scheme() == "https";
    if cheap && needs(Need::Protocol) && encrypted && target.protocol == Protocol::Auto {
        tell(Progress::Asking("by the other version of HTTP"));
        let other = match version {
            http::Version::HTTP_2 => Protocol::Http1,
            _ => Protocol::Http2,
        };
        others.other_protocol = Some(page.clone().protocol(other).glance().await);
    }
    if cheap && needs(Need::Accept) {
        tell(Progress::Asking("for JSON"));
        others.not_acceptable = Some(page.clone().accept("application/json").glance().await);
    }
    others
}

/// The request headers that a browser asks permission for. There are none if an `EventSource` opens the stream, which never
/// asks; unless the server's policy says what pages may send.
pub(crate) fn preflight_headers(target: &Target) -> Vec<String> {
    let mut names = Vec::new();
    if target.is_for_fetch() {
        names = target.unsafe_headers();
        if target.method == Method::GET {
            names.push("last-event-id".to_owned());
        }
    }
    let policy = target.policy.iter().flat_map(|p| p.request_headers.iter());
    names.extend(policy.map(|name| name.to_ascii_lowercase()));
    names.sort();
    names.dedup();
    names
}

/// The same for a preflight that is tried in any case: those that fetch clients usually send, if there are none.
pub(crate) fn asked_headers(target: &Target) -> Vec<String> {
    match preflight_headers(target) {
        none if none.is_empty() => USUAL_HEADERS.map(str::to_owned).into(),
        names => names,
    }
}

/// The origins besides the first one that are to be let in.
fn further_origins(target: &Target) -> Vec<Origin> {
    let policy = target.policy.iter().flat_map(|policy| policy.origins());
    let mut list: Vec<Origin> = Vec::new();
    for origin in target.allow.iter().cloned().chain(policy) {
        let own = origin.is_origin_of(&target.url);
        if target.origin.as_ref() != Some(&origin) && !own && !list.contains(&origin) {
            list.push(origin);
        }
    }
    list
}

/// Who must not be let in: the look-alikes of the target's origin first, those of further ones last.
fn outsiders(target: &Target, origin: &Origin) -> Vec<(Outsider, Origin)> {
    let look_alikes = |of: &Origin| {
        let list = of.look_alikes().into_iter();
        list.map(|l| (Outsider::LookAlike(l.mistake), l.origin))
    };
    let mut all = vec![(Outsider::Foreign, foreign())];
    all.extend(target.deny.iter().map(|o| (Outsider::Named, o.clone())));
    all.extend(look_alikes(origin));
    all.push((Outsider::Null, Origin::null()));
    all.extend(further_origins(target).iter().flat_map(look_alikes));
    let mut list: Vec<(Outsider, Origin)> = Vec::new();
    for (who, origin) in all {
        let again = list.iter().any(|(_, before)| *before == origin);
        if !again && !target.allows(&origin) && !origin.is_origin_of(&target.url) {
            list.push((who, origin));
        }
    }
    list
}

/// An origin that nobody allows: `.example` is reserved by RFC 2606.
pub(crate) fn foreign() -> Origin {
    let origin = "https://sse-probe.example".parse();
    origin.unwrap_or_else(|_| Origin::null())
}

/// Publishes an event once the stream has been open for a while.
pub(super) async fn published(
    target: &Target,
    how: &Publish,
    after: Duration,
    sent: Instant,
) -> Published {
    sleep(after.min(Duration::from_secs(1))).await;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let marker = format!("probe-{:x}", since.unwrap_or_default().as_nanos());
    let secret = target.access.authorization();
    let lines = [
        (header::CONTENT_TYPE, Some(body_type(how.body.as_bytes()))),
        (header::USER_AGENT, Some(USER_AGENT)),
        (header::AUTHORIZATION, secret.as_ref().map(Secret::expose)),
        (header::COOKIE, target.access.cookie().map(Secret::expose)),
    ];
    let post = async {
        let mut ask = Ask::new(Method::POST, how.url.clone()).headers(lines)?;
        ask.body = Bytes::from(how.body.replace("{marker}", &marker));
        target.dialer.open(&ask).await
    };
    let taken = match post.await.map(|exchange| exchange.head.status) {
        Ok(200..300) => Ok(sent.elapsed()),
        Ok(status) => Err(format!("status {status}")),
        Err(why) => Err(why.to_string()),
    };
    Published { marker, taken }
}

/// How far back the reconnect goes: far enough to prove replay, near enough for short replay buffers.
const BACK: usize = 5;

/// How long a replay may take to begin.
const PATIENCE: Duration = Duration::from_secs(3);

/// A reconnect with an id that the server has given.
#[derive(Debug)]
pub(crate) struct Resumption {
    /// The id that was sent.
    pub(crate) from: String,
    /// The ids that followed it in the first stream.
    pub(crate) missed: Vec<String>,
    /// What came.
    pub(crate) attempt: Attempt,
}

/// What a reconnect showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Resumed {
    /// The missed events came again, in order.
    Replayed,
    /// Nothing was missed when the reconnect was made, and nothing was repeated.
    NothingMissed,
    /// Events that the client already had came again.
    Repeated(String),
    /// Another event came first, so something is lost silently.
    Gap(String),
    /// The server said that it cannot: an event without or with a foreign id came first.
    Announced(String),
    /// Nothing came.
    Nothing,
    /// The reconnect was refused with this status.
    Refused(u16),
}

/// Reconnects, if an event with an id was seen.
pub(super) async fn try_resume(page: &Page<'_>, first: &Report) -> Option<Resumption> {
    let ids = first.with_anchors().filter_map(SeenEvent::carried_id);
    let mut missed: Vec<String> = ids.map(str::to_owned).collect();
    missed.drain(..missed.len().checked_sub(1)?.saturating_sub(BACK));
    let from = missed.remove(0);
    let enough = missed.len().max(1);
    let going = |report: &Report| report.events().count() < enough;
    let again = page.clone().last_event_id(Some(from.clone()));
    let attempt = async {
        let (exchange, route) = again.open().await?;
        let time = page.at_most(PATIENCE);
        Ok(exchange.record_while(route, time, going).await)
    };
    let attempt = attempt.await;
    Some(Resumption {
        from,
        missed,
        attempt,
    })
}

impl Resumption {
    /// What it showed.
    ///
    /// # Errors
    ///
    /// There was no reply.
    pub(crate) fn result(&self) -> Result<Resumed, &AttemptError> {
        let recording = self.attempt.as_ref()?;
        if recording.head.status != 200 {
            return Ok(Resumed::Refused(recording.head.status));
        }
        let events = || recording.stream.events().map(|(_, event)| event);
        let missed_any = !self.missed.is_empty();
        let Some(first) = events().next() else {
            return Ok(match missed_any {
                true => Resumed::Nothing,
                false => Resumed::NothingMissed,
            });
        };
        let Some(id) = first.carried_id() else {
            return Ok(Resumed::Announced(first.name.clone()));
        };
        let got = events().filter_map(SeenEvent::carried_id);
        let in_order = self.missed.iter().zip(got).all(|pair| pair.0 == pair.1);
        Ok(if id == self.from {
            Resumed::Repeated(id.to_owned())
        } else if !missed_any {
            Resumed::NothingMissed
        } else if in_order {
            Resumed::Replayed
        } else if first.name.is_empty() || self.missed.iter().any(|m| m == id) {
            Resumed::Gap(id.to_owned())
        } else {
            Resumed::Announced(first.name.clone())
        })
    }
}
