//! What the operations page shows of streams and refusals: kept from the moment the page is mounted,
//! and bounded. Nothing here is touched by a delivery.

mod listed;
mod origins;
mod refusals;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use actix_web::http::header;
use actix_web_sse::observe::{
    ConnectionId, CorsVerdict, End, Opened, RefusalReason, Refused, Visitor,
};

pub(crate) use self::{
    listed::{Ended, Listed},
    origins::OriginSeen,
    refusals::Refusal,
};
use self::{origins::Origins, refusals::Refusals};
use crate::{clients::Client, log::escape::client_value, recent::Recent};

/// How many open streams are listed. An entry takes about half a kilobyte.
pub(crate) const MAX_STREAMS: usize = 10_000;
/// How many streams are remembered that have ended.
const MAX_ENDED: usize = 200;

/// What is kept for the page.
#[derive(Debug)]
pub(crate) struct Live {
    streams: Mutex<Streams>,
    refusals: Mutex<Refusals>,
    origins: Mutex<Origins>,
}

#[derive(Debug)]
struct Streams {
    open: HashMap<ConnectionId, Arc<Listed>>,
    ended: Recent<Arc<Listed>>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            streams: Mutex::new(Streams {
                open: HashMap::new(),
                ended: Recent::new(MAX_ENDED),
            }),
            refusals: Mutex::default(),
            origins: Mutex::default(),
        }
    }
}

fn lock<T>(data: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    data.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The origin of a request as it is shown: what the client sent, escaped, else its class.
fn origin(visitor: &Visitor<'_>) -> Arc<str> {
    let sent = visitor
        .request
        .and_then(|request| request.headers().get(header::ORIGIN));
    match sent {
        Some(sent) => client_value(sent.as_bytes()).into(),
        None => visitor.origin.label().into(),
    }
}

impl Live {
    /// A stream opened. `None`: there is no room for it in the list.
    pub(crate) fn opened(
        &self,
        opened: &Opened<'_>,
        route: Arc<str>,
        client: Client,
    ) -> Option<Arc<Listed>> {
        let visitor = opened.visitor;
        let origin = origin(visitor);
        lock(&self.origins).opened(&origin, visitor, client);
        if lock(&self.streams).open.len() >= MAX_STREAMS {
            return None;
        }
        // Made outside of the lock: there may be a few more than the bound, one for each thread.
        let listed = Arc::new(Listed::new(opened, route, origin));
        let entry = Arc::clone(&listed);
        lock(&self.streams).open.insert(opened.connection, entry);
        Some(listed)
    }

    /// It is known what a browser makes of the reply.
    pub(crate) fn judged(&self, listed: &Listed, verdict: CorsVerdict) {
        listed.judged(verdict);
        lock(&self.origins).judged(&listed.origin, verdict);
    }

    /// A listed stream ended.
    pub(crate) fn closed(&self, listed: &Arc<Listed>, client: Client, end: &End) {
        listed.ended(end);
        let mut streams = lock(&self.streams);
        streams.open.remove(&listed.connection);
        streams.ended.push(client, Arc::clone(listed));
        if streams.open.capacity() > 1024 && streams.open.len() < streams.open.capacity() / 8 {
            streams.open.shrink_to_fit();
        }
    }

    /// A request was refused, or would have been.
    pub(crate) fn refused(&self, refused: &Refused<'_>, route: Arc<str>, client: Client) {
        let origin = origin(refused.visitor);
        lock(&self.origins).refused(&origin, refused, client);
        lock(&self.refusals).add(client, |number| Refusal {
            number,
            at: SystemTime::now(),
            reason: refused.reason,
            mode: refused.mode,
            status: refused.status,
            route,
            origin,
            address: refused.visitor.address,
        });
    }

    /// The listed streams that are open, in no order.
    pub(crate) fn open(&self) -> Vec<Arc<Listed>> {
        lock(&self.streams).open.values().map(Arc::clone).collect()
    }

    /// The streams that ended lately, the latest first.
    pub(crate) fn ended(&self) -> Vec<Arc<Listed>> {
        lock(&self.streams).ended.iter().map(Arc::clone).collect()
    }

    /// A stream that is open or ended lately.
    pub(crate) fn stream(&self, connection: ConnectionId) -> Option<Arc<Listed>> {
        let streams = lock(&self.streams);
        let open = streams.open.get(&connection);
        let mut ended = streams.ended.iter();
        open.or_else(|| ended.find(|listed| listed.connection == connection))
            .map(Arc::clone)
    }

    /// How often requests were refused, by reason, and the latest ones.
    pub(crate) fn refusals(&self) -> (BTreeMap<&'static str, (RefusalReason, u64)>, Vec<Refusal>) {
        let refusals = lock(&self.refusals);
        (refusals.counts(), refusals.latest())
    }

    /// The origins seen lately, the latest first.
    pub(crate) fn origins(&self) -> Vec<(Arc<str>, OriginSeen)> {
        lock(&self.origins).latest()
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use actix_web_sse::observe::{CloseReason, RefusalMode, Resume};

    use super::*;

    fn with_visitor<R>(host: u32, origin: &str, f: impl FnOnce(&Visitor<'_>, Client) -> R) -> R {
        let address = std::net::IpAddr::from(host.to_be_bytes());
        let request = TestRequest::get()
            .peer_addr((address, 1).into())
            .insert_header((header::ORIGIN, origin))
            .to_http_request();
        let visitor = Visitor::unknown(&request, "/events");
        f(&visitor, Client::of(Some(address), 64))
    }

    fn open(live: &Live, n: u64, host: u32) -> Option<Arc<Listed>> {
        with_visitor(host, "https://a.example", |visitor, client| {
            let opened = Opened::new(visitor, n.into(), Resume::Fresh);
            live.opened(&opened, "/events".into(), client)
        })
    }

    fn close(live: &Live, listed: &Arc<Listed>, host: u32) {
        let client = Client::of(Some(host.to_be_bytes().into()), 64);
        let end = End::new(CloseReason::ClientGone, std::time::Duration::ZERO);
        live.closed(listed, client, &end);
    }

    fn refuse(live: &Live, host: u32, origin: &str) {
        with_visitor(host, origin, |visitor, client| {
            let (reason, mode) = (RefusalReason::OriginDenied, RefusalMode::Hard);
            let refused = Refused::new(visitor, reason, mode, 403);
            live.refused(&refused, "/events".into(), client);
        });
    }

    #[test]
    fn the_list_is_bounded_and_an_end_makes_room() {
        let live = Live::default();
        let listed: Vec<_> = (0..=MAX_STREAMS as u64)
            .filter_map(|n| open(&live, n, 1))
            .collect();
        assert_eq!(live.open().len(), MAX_STREAMS);
        assert_eq!(listed.len(), MAX_STREAMS);
        close(&live, &listed[7], 1);
        assert_eq!(live.open().len(), MAX_STREAMS - 1);
        let ended = live.stream(7.into()).unwrap();
        assert!(ended.progress().ended.is_some(), "it is remembered");
        assert!(open(&live, u64::MAX, 1).is_some());
        for stream in listed {
            close(&live, &stream, 1);
        }
        assert!(lock(&live.streams).open.capacity() <= 1024);
    }

    #[test]
    fn one_client_cannot_displace_what_others_did() {
        let live = Live::default();
        let other = open(&live, 1, 1).unwrap();
        close(&live, &other, 1);
        refuse(&live, 1, "https://other.example");
        for n in 0..1000 {
            let listed = open(&live, 1000 + n, 2).unwrap();
            close(&live, &listed, 2);
            refuse(&live, 2, &format!("https://{n}.attack"));
        }
        assert_eq!(live.ended().len(), MAX_ENDED / 5 + 1);
        assert!(live.stream(1.into()).is_some());
        let (counts, latest) = live.refusals();
        assert_eq!(counts["origin_denied"].1, 1001);
        assert_eq!(latest.len(), refusals::MAX / 5 + 1);
        assert_eq!(&*latest.last().unwrap().origin, "https://other.example");
        let origins = live.origins();
        let named = |name: &str| origins.iter().any(|(origin, _)| **origin == *name);
        assert!(named("https://other.example") && named("https://a.example"));
        assert!(named("https://999.attack"));
        assert!(origins.len() <= origins::MAX / 5 + 2, "{}", origins.len());
    }

    #[test]
    fn many_clients_with_many_origins_stay_within_the_bounds() {
        let live = Live::default();
        for n in 0..1000 {
            refuse(&live, n, &format!("https://{n}.attack"));
        }
        assert_eq!(live.refusals().1.len(), refusals::MAX);
        assert_eq!(live.origins().len(), origins::MAX);
        assert_eq!(&*live.origins()[0].0, "https://999.attack");
    }

    #[test]
    fn an_origin_has_its_latest_verdict_and_its_counts() {
        let live = Live::default();
        let listed = open(&live, 1, 1).unwrap();
        live.judged(&listed, CorsVerdict::Denied);
        refuse(&live, 2, "https://a.example");
        let (_, seen) = live.origins().remove(0);
        assert_eq!((seen.opened, seen.refused), (1, 1));
        assert_eq!(seen.reason, Some(RefusalReason::OriginDenied));
        live.judged(&listed, CorsVerdict::Allowed);
        let (_, seen) = live.origins().remove(0);
        assert_eq!(seen.verdict, CorsVerdict::Allowed);
        assert_eq!(seen.reason, None, "it was let in since");
        assert_eq!(listed.progress().verdict, Some(CorsVerdict::Allowed));
    }
}
