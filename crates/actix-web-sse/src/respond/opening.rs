//! From a request to an open stream: checks, head, first bytes.

use std::{
    cell::RefCell,
    rc::Rc,
    sync::{
        Arc, LazyLock, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::{self, BoxBody, MessageBody},
    http::{Version, header},
};
use bytes::Bytes;
use tokio::time::Instant;

use super::{Subscriber, headers::set_stream_headers, mounting, overload, refusal::Refusal};
use crate::{
    config::StreamConfig,
    event::encode,
    hub::{
        Filter, Hub, Shared, Slot,
        stream::Stream,
        worker::{Local, Places, Taken},
    },
    identity::PolicyStreams,
    lane::{
        Ahead,
        body::EventBody,
        connection::{Connection, declared},
        script::{EventSource, Extras},
    },
    observe::{
        CloseReason, ConnectionId, CorsVerdict, Lane, Misconfiguration, Opened, PendingVerdict,
        RefusalMode, RefusalReason, Refused, Resume, Route,
    },
    stream::{Account, Carrier, between, retry},
};

/// Begins anywhere: whoever names a stream from the log of before a restart, or of another node, names none of this process.
static NEXT_CONNECTION: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(fastrand::u64(..)));

/// Where a stream's events come from.
pub(crate) enum Source {
    Topics {
        places: Places,
        filter: Option<Filter>,
        /// Up to where the client has everything, if that is ahead of what has come to this node.
        has: Option<u64>,
        /// What goes before its live events.
        ahead: Option<Box<Ahead>>,
        /// The ID of the topics' newest event, for a client with a gap.
        anchor: Option<String>,
        /// What a client without a last event ID is to come back with.
        start: Option<String>,
    },
    /// The application's own.
    Events {
        events: EventSource,
        /// It has an end of its own, and a drain waits for it.
        whole: bool,
        extras: Option<Box<Extras>>,
    },
}

/// A request that is about to become a stream.
pub(crate) struct Opening<'a> {
    request: &'a HttpRequest,
    route: Route,
    pub(crate) subscriber: Subscriber,
    pub(crate) local: Rc<Local>,
    config: Arc<StreamConfig>,
    since: Instant,
    /// Absent only in those that are refused.
    slot: Option<Slot>,
}

impl<'a> Opening<'a> {
    /// Refuses while the hub drains, and whose credentials hold no more. From here to the end of
    /// [`start`](Self::start) nobody is waited for.
    pub(crate) fn new(
        request: &'a HttpRequest,
        subscriber: Subscriber,
        hub: &Hub,
    ) -> Result<Self, Box<HttpResponse>> {
        // The worker first: a drain or a revocation that comes after this stream was let in finds
        // it.
        let Ok(local) = Local::of(&hub.shared) else {
            hub.shared.report(Misconfiguration::OutsideRuntime);
            let refusal = Refusal::new(RefusalReason::Internal);
            return Err(Box::new(refusal.response(subscriber.admission.hints)));
        };
        let subscriber = subscriber.known_to(request);
        let admission = &subscriber.admission;
        let (standing, page) = (&admission.identity.standing, &admission.page);
        if standing.is_some() || page.is_some() {
            let streams: Weak<Shared> = Arc::downgrade(&hub.shared);
            let streams: Weak<dyn PolicyStreams> = streams;
            if let Some(standing) = standing {
                standing.enroll(&streams);
            }
            if let Some(page) = page {
                page.enroll(&streams);
            }
        }
        let mut opening = Self {
            request,
            route: Route::of(request),
            subscriber,
            local,
            config: Arc::clone(&hub.shared.stream),
            since: Instant::now(),
            slot: None,
        };
        let admission = &opening.subscriber.admission;
        let admitted = hub
            .shared
            .admit(&admission.identity, admission.page.as_deref());
        match admitted {
            Ok(slot) => {
                opening.slot = Some(slot);
                if opening.local.is_first_stream() && !hub.is_fallback() {
                    mounting::first_stream(&hub.shared, request);
                }
                Ok(opening)
            }
            Err(reason @ RefusalReason::Draining) => Err(Box::new(opening.overloaded(reason))),
            Err(reason) => Err(Box::new(opening.refuse(reason))),
        }
    }

    /// Whether it is only to be seen what would become of it.
    pub(crate) fn is_head_only(&self) -> bool {
        self.subscriber.admission.head_only
    }

    /// The answer to a `HEAD` that nothing has refused yet: the head of the stream, without one.
    pub(crate) fn answer_head(self, has_room: impl FnOnce(&Shared) -> bool) -> HttpResponse {
        if has_room(self.local.hub()) {
            self.head(body::None::new().boxed())
        } else {
            self.overloaded(RefusalReason::Capacity)
        }
    }

    /// Takes another configuration than the hub's.
    pub(crate) fn configure(&mut self, config: Arc<StreamConfig>) {
        self.config = config;
    }

    /// A refusal for good.
    pub(crate) fn refuse(self, reason: RefusalReason) -> HttpResponse {
        self.refuse_as(Refusal::new(reason))
    }

    /// The same, with what is wrong.
    pub(crate) fn refuse_as(self, refusal: Refusal) -> HttpResponse {
        let status = refusal.status().as_u16();
        self.report(refusal.reason, RefusalMode::Hard, status);
        refusal.response(self.subscriber.admission.hints)
    }

    /// A refusal for a time, answered by who is asking.
    pub(crate) fn overloaded(self, reason: RefusalReason) -> HttpResponse {
        let admission = &self.subscriber.admission;
        let (overload, hints, retry) = (admission.overload, admission.hints, self.config.retry);
        let (response, mode) = overload::refuse(overload, hints, self.request, reason, retry);
        self.report(reason, mode, response.status().as_u16());
        response
    }

    fn report(&self, reason: RefusalReason, mode: RefusalMode, status: u16) {
        let visitor = self.subscriber.admission.visitor(self.request, &self.route);
        let refused = Refused::new(&visitor, reason, mode, status);
        self.local.hub().observer.refused(&refused);
    }

    /// Opens the stream.
    pub(crate) fn start(mut self, source: Source, resume: Resume) -> HttpResponse {
        let hub = Arc::clone(self.local.hub());
        let connection = ConnectionId(NEXT_CONNECTION.fetch_add(1, Ordering::Relaxed));
        let visitor = self.subscriber.admission.visitor(self.request, &self.route);
        let observer = hub.observer.opened(&Opened {
            visitor: &visitor,
            connection,
            resume,
        });
        let cors = self.subscriber.admission.cors;
        let verdict = match cors {
            // No CORS check is made: whatever headers leave, they say nothing.
            CorsVerdict::SameOrigin | CorsVerdict::NoOrigin => None,
            _ => PendingVerdict::of(self.request, cors),
        };
        let permit = self.subscriber.admission.permit.clone();
        let identity = &self.subscriber.admission.identity;
        let is_known = verdict.is_none();
        let mut account = Account::new(connection, observer, verdict, self.since);
        if is_known {
            account.judged(cors);
        }
        let mut stream = Stream::new(
            account,
            self.slot.take(),
            Arc::clone(&self.config),
            identity.user.clone(),
            self.since,
        );
        stream.page.clone_from(&self.subscriber.admission.page);
        if let Some(life) = self.config.max_lifetime {
            let life = between(life, 0.8, 1.0);
            stream
                .schedule
                .end_by(self.since + life, CloseReason::Lifetime);
        }
        if let Some(deadline) = identity.deadline {
            stream.schedule.end_by(deadline, CloseReason::Expired);
        }
        // Whatever its ID is worth: it comes back with it.
        stream.named = self.subscriber.last_event_id().is_some();
        let mut taken = Taken::default();
        let (mut ahead, mut newest, mut extras) = (None, None, None);
        let mut begin = None;
        let events = match source {
            Source::Topics {
                places,
                filter,
                has,
                ahead: before,
                anchor,
                start,
            } => {
                taken = places.take();
                stream.follow(std::mem::take(&mut taken.cursors), filter, has);
                if let Some(before) = &before {
                    stream.wait(before.waiting());
                }
                ahead = before;
                newest = anchor;
                begin = start;
                None
            }
            Source::Events {
                events,
                whole,
                extras: beside,
            } => {
                stream.whole = whole;
                extras = beside;
                Some(events)
            }
        };
        let connection = Connection::of(self.request);
        if let Some(connection) = &connection {
            connection.arm(declared(self.request.headers()));
            let carrier: Rc<dyn Carrier> = Rc::clone(connection) as _;
            stream.carrier = Some(carrier);
        }
        let lane = match &connection {
            None => Lane::HttpServer,
            Some(_) if events.is_some() => Lane::OwnEvents,
            Some(connection) => connection.lane(self.request.version()),
        };
        let local = Rc::clone(&self.local);
        let stream = Rc::new(RefCell::new(stream));
        self.local.insert(&stream, &taken.ends, taken.present);
        let first = self.first_block(resume, newest.as_deref(), begin.as_deref());
        let mut body = EventBody::new(Rc::clone(&self.local), stream, events, ahead, first)
            .on(connection)
            .with_extras(extras)
            .with_permit(permit)
            .in_lane(lane);
        if self.request.version() < Version::HTTP_2 {
            body = body.over_http1();
        }
        let response = self.head(BoxBody::new(body));
        // Observers run: if one panics, the body goes, and the stream with it.
        local.announce();
        response
    }

    fn first_block(&self, resume: Resume, newest: Option<&str>, start: Option<&str>) -> Bytes {
        let block = encode::first_block(retry::usual(&self.config), start);
        match resume {
            Resume::Gap | Resume::Unknown => [block, encode::reset(resume, newest)].concat().into(),
            _ => block,
        }
    }

    fn head(&self, body: BoxBody) -> HttpResponse {
        let mut response = HttpResponse::Ok().body(body);
        set_stream_headers(response.headers_mut());
        if !self.subscriber.admission.guarded {
            response
                .headers_mut()
                .insert(header::VARY, header::HeaderValue::from_static("Origin"));
        }
        if self.request.headers().contains_key(header::ACCEPT_ENCODING) {
            // `middleware::Compress` ignores `no-transform`, but leaves alone what has an encoding.
            response.headers_mut().insert(
                header::CONTENT_ENCODING,
                header::HeaderValue::from_static("identity"),
            );
        }
        if self.request.version() < Version::HTTP_11 {
            // RFC 9112 § 6.1: no transfer coding in answer to HTTP/1.0; the end of the connection
            // is the end of the stream.
            response.head_mut().no_chunking(true);
            response
                .head_mut()
                .set_connection_type(actix_web::http::ConnectionType::Close);
        }
        response
    }
}
