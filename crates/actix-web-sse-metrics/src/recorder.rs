//! The observer that counts.

use std::{rc::Rc, sync::Arc};

use actix_web::http::{Method, Version, header};
use actix_web_sse::{
    BackplaneWatch, HubWatch,
    observe::{
        CloseReason, CorsVerdict, Destination, End, Lane, Meter, Misconfiguration, Observer,
        Opened, PolicyInfo, Publication, RefusalMode, RefusalReason, Refused, Relayed, Resume,
        StreamObserver, Visitor,
    },
};

use crate::{
    clients::Client,
    closes::{Departure, Detection},
    core::Core,
    counters::RESUMES,
    probe::is_probe,
    trace::TraceContext,
    worker::{Local, Traced},
};

/// The observer of the metrics, made by [`Metrics::observer`](crate::Metrics::observer). Cheap to
/// clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    pub(crate) core: Arc<Core>,
}

fn is_head(visitor: &Visitor<'_>) -> bool {
    visitor
        .request
        .is_some_and(|request| request.method() == Method::HEAD)
}

impl Observer for Recorder {
    fn attempted(&self, visitor: &Visitor<'_>) {
        let route = self.core.route(visitor.route);
        self.core.counters.attempts.inc(&[&route]);
        if is_head(visitor) {
            let client = Client::of(visitor.address, self.core.ipv6_prefix);
            self.core.head_requests.note(client, self.core.clock.now());
        }
    }

    fn refused(&self, refused: &Refused<'_>) {
        let visitor = refused.visitor;
        let for_origin = matches!(
            refused.reason,
            RefusalReason::OriginDenied | RefusalReason::OriginMalformed
        );
        // A page whose stream was refused sends one or two HEAD requests to find the reason: that is
        // one refusal, not three. HEAD hides nothing: it opens no stream, its other refusals count,
        // and origins tried with it are in the distinct count and shown to operators.
        let for_where_it_is_from =
            for_origin || refused.reason == RefusalReason::FetchMetadataDenied;
        let counted = !(for_where_it_is_from && is_head(visitor));
        if counted {
            let route = self.core.route(visitor.route);
            let labels = [&*route, refused.reason.as_str(), refused.mode.as_str()];
            self.core.counters.rejected.inc(&labels);
            let origin = self.core.origin(visitor.origin);
            let (verdict, mode) = (visitor.cors.as_str(), refused.mode.as_str());
            let rejected_cors = &self.core.counters.rejected_cors;
            rejected_cors.inc(&[&route, &origin, verdict, mode]);
        }
        #[cfg(feature = "operations")]
        if counted && let Some(live) = self.core.live() {
            let client = Client::of(visitor.address, self.core.ipv6_prefix);
            live.refused(refused, self.core.route(visitor.route), client);
        }
        if for_origin {
            let origin = visitor
                .request
                .and_then(|request| request.headers().get(header::ORIGIN));
            let raw = origin.map_or(&b""[..], |origin| origin.as_bytes());
            let rejected = &self.core.rejected;
            let client = Client::of(visitor.address, self.core.ipv6_prefix);
            rejected.note(raw, refused.reason, refused.mode, client);
            // A probe sends foreign origins to check that they are refused.
            let is_counted = counted && !visitor.request.is_some_and(is_probe);
            if is_counted && refused.mode != RefusalMode::ReportOnly {
                rejected.count(raw, &self.core.route(visitor.route), client);
            }
        }
    }

    fn opened(&self, opened: &Opened<'_>) -> Box<dyn StreamObserver> {
        let (core, visitor) = (&self.core, opened.visitor);
        // The application may say which it is, before anything is counted.
        let trace = core.traces.of(visitor.request);
        let route = core.route(visitor.route);
        let origin = core.origin(visitor.origin);
        let threads = core.threads(&route);
        let counters = &core.counters;
        counters
            .opened
            .inc(&[&route, &origin, visitor.auth.as_str()]);
        if let Some(ttl) = visitor.token_ttl {
            counters.token_ttl.observe(ttl.as_secs_f64());
        }
        let client = Client::of(visitor.address, core.ipv6_prefix);
        let streams = core.clients.open(client);
        counters.client_streams.observe(streams as f64);

        #[cfg(feature = "operations")]
        let listed = core
            .live()
            .and_then(|live| live.opened(opened, Arc::clone(&route), client));
        let detection = core.closes.detection(visitor.version == Version::HTTP_2);
        let now = core.clock.now();
        let local = Local::of(&threads);
        let traced = trace.filter(TraceContext::is_sampled).map(|trace| {
            let local = Rc::clone(&local);
            Rc::new(Traced { local, trace })
        });
        let mut stream = Box::new(Stream {
            age: local.open(now),
            opened_millis: u64::try_from(now.as_millis()).unwrap_or(u64::MAX),
            detection,
            core: Arc::clone(core),
            origin,
            client,
            route,
            local,
            traced,
            by_probe: visitor.request.is_some_and(is_probe),
            ended: false,
            #[cfg(feature = "operations")]
            listed,
        });
        stream.resumed(opened.resume);
        stream
    }

    fn published(&self, publication: &Publication<'_>) {
        self.core.counters.published.inc(&[]);
        if let Some(topics) = publication.class {
            self.core.counters.topics_published.inc(&[topics]);
        }
    }

    fn policy(&self, policy: &PolicyInfo) {
        self.core.learn_origins(policy);
        self.core.levels.policy(policy);
    }

    fn policy_changed(&self, before: &PolicyInfo, after: &PolicyInfo) {
        self.core.learn_origins(after);
        self.core.levels.policy_changed(before, after);
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
    route: Arc<str>,
    local: Rc<Local>,
    /// Counts its writes, if it belongs to a sampled trace.
    traced: Option<Rc<Traced>>,
    client: Client,
    origin: Arc<str>,
    age: u64,
    opened_millis: u64,
    detection: Detection,
    by_probe: bool,
    ended: bool,
    /// Its entry on the operations page.
    #[cfg(feature = "operations")]
    listed: Option<Arc<crate::live::Listed>>,
}

impl StreamObserver for Stream {
    fn meter(&self) -> Option<Rc<dyn Meter>> {
        Some(match &self.traced {
            Some(traced) => Rc::clone(traced) as Rc<dyn Meter>,
            None => Rc::clone(&self.local) as Rc<dyn Meter>,
        })
    }

    fn lagged(&mut self, events: u64) {
        self.local.cells.lagged(events);
        #[cfg(feature = "operations")]
        if let Some(listed) = &self.listed {
            listed.skipped(events);
        }
    }

    fn resumed(&mut self, resume: Resume) {
        #[cfg(feature = "operations")]
        if let Some(listed) = &self.listed {
            listed.resumed(resume);
        }
        // A probe sends an unknown ID to check the answer to it.
        if self.by_probe {
            return;
        }
        if RESUMES.contains(&resume) {
            let resumes = &self.core.counters.resumes;
            resumes.inc(&[&self.route, resume.as_str()]);
        }
    }

    fn judged(&mut self, verdict: CorsVerdict) {
        let opened = &self.core.counters.opened_cors;
        opened.inc(&[&self.route, verdict.as_str()]);
        #[cfg(feature = "operations")]
        if let (Some(listed), Some(live)) = (&self.listed, self.core.live()) {
            live.judged(listed, verdict);
        }
        if verdict == CorsVerdict::Denied {
            // The page cannot read this reply. Where a guard is missing, no HEAD is reported.
            let now = self.core.clock.now();
            self.core.head_requests.note(self.client, now);
        }
    }

    fn carried(&mut self, lane: Lane) {
        self.core.counters.carried(lane);
        #[cfg(feature = "operations")]
        if let Some(listed) = &self.listed {
            listed.carried(lane);
        }
    }

    fn closed(mut self: Box<Self>, end: &End) {
        self.end(end);
    }
}

impl Stream {
    fn end(&mut self, end: &End) {
        self.ended = true;
        let Self { core, route, .. } = &*self;
        let departure = Departure::of(end, self.detection, self.by_probe);
        if let Some(class) = core.closes.classify(&departure) {
            let immediate = &core.counters.immediate_close;
            immediate.inc(&[route, &self.origin, class.as_str()]);
        }
        if self.by_probe {
            core.counters.probe_closes.inc(&[route]);
        }
        #[cfg(feature = "operations")]
        if let (Some(listed), Some(live)) = (&self.listed, core.live()) {
            live.closed(listed, self.client, end);
        }
        self.local.close(self.age);
        core.clients.close(self.client);
        let seconds = end.duration.as_secs_f64();
        core.counters.close(route, end.reason, seconds);
    }
}

impl Drop for Stream {
    /// A stream that is dropped without `closed`, after a panic for example, ended by an error. It is
    /// counted, so that the number of open streams does not stay too high.
    fn drop(&mut self) {
        if !self.ended {
            let opened = std::time::Duration::from_millis(self.opened_millis);
            let duration = self.core.clock.now().saturating_sub(opened);
            self.end(&End::new(CloseReason::Error, duration));
        }
    }
}
