//! The observer that counts.

use std::{rc::Rc, sync::Arc};

use actix_web::http::{Method, Version, header};
use actix_web_sse::{
    BackplaneWatch, HubWatch,
    observe::{
        AuthMethod, CloseReason, CorsVerdict, Destination, End, Meter, Misconfiguration, Observer,
        Opened, OriginClass, PolicyInfo, Publication, RefusalMode, RefusalReason, Refused, Relayed,
        Resume, StreamObserver, Visitor,
    },
};

use crate::{
    cells::micros,
    clients::Client,
    closes::{Departure, Detection, ImmediateClose},
    core::Core,
    probe::is_probe,
    route::{RESUMES, Route, Streams},
    worker::Local,
};

/// Feeds the metrics. Made by [`Metrics::observer`](crate::Metrics::observer); cheap to clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    pub(crate) core: Arc<Core>,
}

impl Observer for Recorder {
    fn attempted(&self, visitor: &Visitor<'_>) {
        self.core.route(visitor.route).attempts.inc();
        let client = Client::of(visitor.address, self.core.ipv6_prefix);
        self.core.attempts.note(client, self.core.clock.now());
    }

    fn refused(&self, refused: &Refused<'_>) {
        let visitor = refused.visitor;
        let for_origin = matches!(
            refused.reason,
            RefusalReason::OriginDenied | RefusalReason::OriginMalformed
        );
        // A page whose stream was refused looks for the reason with HEAD, once or twice, once as a page
        // that would not read the answer: one refusal, not three. Nobody hides behind HEAD: it
        // opens nothing, what else it is refused for counts, and whoever tries origins with it is
        // seen among the distinct ones and by operators.
        let for_where_it_is_from =
            for_origin || refused.reason == RefusalReason::FetchMetadataDenied;
        let is_head = visitor
            .request
            .is_some_and(|request| request.method() == Method::HEAD);
        let counted = !(for_where_it_is_from && is_head);
        if counted {
            let route = self.core.route(visitor.route);
            route.reject(refused.reason, refused.mode);
            let origin = self.core.origin(visitor.origin);
            let verdict = visitor.cors;
            route.refuse(origin, verdict, refused.mode, self.core.origins.max());
        }
        if for_origin {
            let origin = visitor
                .request
                .and_then(|request| request.headers().get(header::ORIGIN));
            let raw = origin.map_or(&b""[..], |origin| origin.as_bytes());
            let rejected = &self.core.rejected;
            let client = Client::of(visitor.address, self.core.ipv6_prefix);
            rejected.note(raw, refused.reason, refused.mode, client);
            // A probe sends foreign origins to have them refused.
            let meant = counted && !visitor.request.is_some_and(is_probe);
            if meant && refused.mode != RefusalMode::ReportOnly {
                let route = self.core.route_names.number(visitor.route);
                rejected.count(raw, route, client);
            }
        }
    }

    fn opened(&self, opened: &Opened<'_>) -> Box<dyn StreamObserver> {
        let (core, visitor) = (&self.core, opened.visitor);
        let route = core.route(visitor.route);
        let streams = route.streams(core.origins.max());
        let origin = core.origin(visitor.origin);
        if let Some(per_origin) = streams.per_origin.get(origin)
            && let Some(count) = per_origin.opened.at(AuthMethod::ALL, &visitor.auth)
        {
            count.inc();
        }
        if let Some(ttl) = visitor.token_ttl {
            core.token_ttl.observe(micros(ttl));
        }
        let client = Client::of(visitor.address, core.ipv6_prefix);
        let held = core.clients.open(client);
        core.client_streams
            .observe((held as u64).saturating_mul(1_000_000));

        let detection = core.closes.detection(visitor.version == Version::HTTP_2);
        let now = core.clock.now();
        // Again, for streams without a policy: nobody has told of their attempt.
        core.attempts.note(client, now);
        let local = Local::of(&streams.threads);
        let mut stream = Box::new(Stream {
            age: local.open(now),
            opened_millis: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            detection,
            core: Arc::clone(core),
            origin,
            client,
            route,
            local,
            by_probe: visitor.request.is_some_and(is_probe),
            ended: false,
        });
        stream.resumed(opened.resume);
        stream
    }

    fn published(&self, _: &Publication<'_>) {
        self.core.published.inc();
    }

    fn policy(&self, policy: &PolicyInfo) {
        // The allow-list's entries stand at zero before the first stream of theirs opens.
        for origin in &policy.origins {
            self.core.origin(&OriginClass::Allowed(Arc::clone(origin)));
        }
        self.core.levels.policy(policy);
    }

    fn hub(&self, watch: &HubWatch) {
        self.core.hubs.watch(watch);
    }

    fn backplane(&self, watch: &BackplaneWatch) {
        self.core.backplanes.watch(watch);
    }

    fn relayed(&self, relayed: &Relayed<'_>) {
        self.core.backplanes.relayed(relayed.lag);
    }

    fn draining(&self) {
        self.core.levels.drain();
    }

    fn misconfigured(&self, mistake: Misconfiguration) {
        self.core.mistakes.note(mistake);
    }

    fn destination(&self) -> Destination {
        Destination::of(&*self.core)
    }
}

/// One open stream.
struct Stream {
    core: Arc<Core>,
    route: Arc<Route>,
    local: Rc<Local>,
    client: Client,
    origin: usize,
    age: u64,
    opened_millis: u64,
    detection: Detection,
    by_probe: bool,
    ended: bool,
}

impl StreamObserver for Stream {
    fn meter(&self) -> Option<Rc<dyn Meter>> {
        Some(Rc::clone(&self.local) as Rc<dyn Meter>)
    }

    fn lagged(&mut self, events: u64) {
        self.local.cells.lagged(events);
    }

    fn resumed(&mut self, resume: Resume) {
        // A probe asks for what nobody has, to see whether it is told so.
        if self.by_probe {
            return;
        }
        let streams = self.route.streams(self.core.origins.max());
        if let Some(count) = streams.resumes.at(RESUMES, &resume) {
            count.inc();
        }
    }

    fn judged(&mut self, verdict: CorsVerdict) {
        let streams = self.route.streams(self.core.origins.max());
        if let Some(count) = streams.verdicts.at(CorsVerdict::ALL, &verdict) {
            count.inc();
        }
    }

    fn closed(mut self: Box<Self>, end: &End) {
        self.end(end);
    }
}

impl Stream {
    fn end(&mut self, end: &End) {
        self.ended = true;
        let streams: &Streams = self.route.streams(self.core.origins.max());
        streams.duration.observe(micros(end.duration));
        if let Some(class) =
            self.core
                .closes
                .classify(&Departure::of(end, self.detection, self.by_probe))
            && let Some(per_origin) = streams.per_origin.get(self.origin)
            && let Some(count) = per_origin.immediate.at(ImmediateClose::ALL, &class)
        {
            count.inc();
        }
        self.local.close(self.age);
        self.core.clients.close(self.client);
        if let Some(count) = streams.closed.at(CloseReason::ALL, &end.reason) {
            count.inc();
        }
    }
}

impl Drop for Stream {
    /// Whoever lost the stream without telling its end, by a panic say, made an error; the level
    /// of open streams must not stay up for it.
    fn drop(&mut self) {
        if !self.ended {
            let opened = std::time::Duration::from_millis(self.opened_millis);
            let duration = self.core.clock.now().saturating_sub(opened);
            self.end(&End::new(CloseReason::Error, duration));
        }
    }
}
