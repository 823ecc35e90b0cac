//! One stream of the list.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use actix_web::http::header;
use actix_web_sse::observe::{
    AuthMethod, ConnectionId, CorsVerdict, End, Lane, Opened, OriginClass, Resume,
};

use crate::{
    log::{escape::client_value, http_version},
    probe::is_probe,
};

/// What is known of a stream since it opened, and what became of it. How much it was sent is asked of
/// its hub.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) connection: ConnectionId,
    pub(crate) opened: SystemTime,
    pub(crate) route: Arc<str>,
    /// What the client sent, escaped, or the class.
    pub(crate) origin: Arc<str>,
    pub(crate) class: OriginClass,
    /// As the authenticator says: to end this user's streams.
    pub(crate) user: Option<Box<str>>,
    pub(crate) address: Option<IpAddr>,
    pub(crate) auth: AuthMethod,
    pub(crate) version: &'static str,
    pub(crate) agent: Option<Box<str>>,
    /// When its credentials end.
    pub(crate) expires: Option<SystemTime>,
    pub(crate) by_probe: bool,
    progress: Mutex<Progress>,
}

/// What becomes known of a stream after it opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    pub(crate) verdict: Option<CorsVerdict>,
    pub(crate) lane: Option<Lane>,
    pub(crate) resume: Resume,
    /// Events that it skipped because it was too slow.
    pub(crate) skipped: u64,
    pub(crate) ended: Option<Ended>,
}

/// The end of a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) at: SystemTime,
    pub(crate) end: End,
}

impl Listed {
    pub(super) fn new(opened: &Opened<'_>, route: Arc<str>, origin: Arc<str>) -> Self {
        let visitor = opened.visitor;
        let agent = visitor
            .request
            .and_then(|request| request.headers().get(header::USER_AGENT));
        let now = SystemTime::now();
        Self {
            connection: opened.connection,
            opened: now,
            route,
            origin,
            class: visitor.origin.clone(),
            user: visitor.user.map(Into::into),
            address: visitor.address,
            auth: visitor.auth,
            version: http_version(visitor.version),
            agent: agent.map(|agent| client_value(agent.as_bytes()).into()),
            expires: visitor.token_ttl.and_then(|ttl| now.checked_add(ttl)),
            by_probe: visitor.request.is_some_and(is_probe),
            progress: Mutex::new(Progress {
                verdict: None,
                lane: None,
                resume: opened.resume,
                skipped: 0,
                ended: None,
            }),
        }
    }

    /// The user as it is shown.
    pub(crate) fn shown_user(&self) -> Option<String> {
        let user = self.user.as_ref()?;
        Some(client_value(user.as_bytes()))
    }

    pub(crate) fn progress(&self) -> Progress {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut Progress)) {
        let mut progress = self.progress.lock();
        change(progress.as_mut().unwrap_or_else(|poison| poison.get_mut()));
    }

    pub(super) fn judged(&self, verdict: CorsVerdict) {
        self.update(|progress| progress.verdict = Some(verdict));
    }

    pub(super) fn ended(&self, end: &End) {
        let at = SystemTime::now();
        self.update(|progress| progress.ended = Some(Ended { at, end: *end }));
    }

    pub(crate) fn carried(&self, lane: Lane) {
        self.update(|progress| progress.lane = Some(lane));
    }

    pub(crate) fn resumed(&self, resume: Resume) {
        self.update(|progress| progress.resume = resume);
    }

    pub(crate) fn skipped(&self, events: u64) {
        self.update(|progress| progress.skipped += events);
    }
}
