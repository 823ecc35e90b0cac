//! Requests as a page in a browser makes them.

use std::time::Duration;

use http::{HeaderName, Method, header};
use tokio::time::{Instant, sleep, timeout_at};

use super::{Attempt, AttemptError};
use crate::{
    browser::{Origin, Redirect, Route, cors::request_headers},
    http::{Ask, Exchange, Protocol, Recording, YEAR},
    stream::{Item, Report},
    target::{Access, Secret, Target, USER_AGENT, is_credential},
};

/// How long a reply that is only glanced at may take to show whether it is a stream.
pub(super) const GLANCE: Duration = Duration::from_millis(400);

/// How often a server that says "full" is asked.
const TRIES: u32 = 4;

/// The longest time between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A page that opens the stream; each setter varies one thing.
#[derive(Debug, Clone)]
pub(crate) struct Page<'a> {
    pub(crate) target: &'a Target,
    origin: Option<Origin>,
    authenticated: bool,
    /// Whether a hop is imitated that takes `Origin` away.
    origin_lost: bool,
    accept: &'static str,
    encodings: &'static str,
    protocol: Protocol,
    last_event_id: Option<String>,
    /// Nothing goes on beyond it.
    deadline: Instant,
}

impl<'a> Page<'a> {
    /// The page that the target is meant for.
    pub(crate) fn of(target: &'a Target) -> Self {
        Self {
            target,
            origin: target.origin.clone(),
            authenticated: true,
            origin_lost: false,
            accept: "text/event-stream",
            encodings: "gzip, deflate, br, zstd",
            protocol: target.protocol,
            last_event_id: None,
            deadline: Instant::now() + YEAR,
        }
    }

    setters! {
        pub(crate) origin: Option<Origin>,
        pub(crate) authenticated: bool,
        pub(crate) origin_lost: bool,
        pub(crate) accept: &'static str,
        pub(crate) encodings: &'static str,
        pub(crate) protocol: Protocol,
        pub(crate) last_event_id: Option<String>,
        pub(crate) deadline: Instant,
    }

    /// Opens the stream as a browser does: redirects are followed, each after its CORS check.
    pub(crate) async fn open(&self) -> Result<(Exchange, Route), AttemptError> {
        self.in_time(self.follow()).await
    }

    /// Opens and reads for `time`.
    pub(crate) async fn record(&self, time: Duration) -> Attempt {
        let (exchange, route) = self.open().await?;
        Ok(exchange.record(route, self.at_most(time)).await)
    }

    /// Opens and reads just so much that the kind of answer is known. A server that says that it is full is asked again.
    pub(crate) async fn glance(&self) -> Attempt {
        self.in_time(async {
            let mut tried = 0;
            loop {
                let (exchange, route) = self.follow().await?;
                // A `retry` alone may be all that a full server says, or the beginning of a stream.
                let only_retry = |seen: &Report| {
                    let mut items = seen.items.iter();
                    items.all(|item| matches!(item, Item::Retry(..)))
                };
                let recording = exchange.record_while(route, GLANCE, only_retry).await;
                let status = recording.head.status;
                let full = matches!(status, 429 | 503);
                if !full && !recording.is_come_back() {
                    return Ok(recording);
                }
                tried += 1;
                if tried == TRIES {
                    return Err(AttemptError::Full(status));
                }
                let asked = recording.head.headers.text("retry-after");
                let asked = asked.and_then(|v| v.parse().ok()).map(Duration::from_secs);
                let wait = asked.or(recording.stream.retry);
                sleep(wait.unwrap_or(Duration::from_secs(1)).min(LONGEST_WAIT)).await;
            }
        })
        .await
    }

    /// Asks for permission, as a browser does before a fetch with headers of its own. It carries nothing of the
    /// request that it is made for.
    pub(crate) async fn preflight(&self, origin: &Origin, names: &[String]) -> Attempt {
        let target = self.target;
        let route = Route::new(Some(origin), target.url.clone());
        let (method, asked) = (target.method.as_str(), request_headers(names));
        let mut ask = Ask::new(Method::OPTIONS, target.url.clone()).headers([
            (header::ACCEPT, "*/*"),
            (header::ACCESS_CONTROL_REQUEST_METHOD, method),
            (header::ACCESS_CONTROL_REQUEST_HEADERS, &asked),
            (header::ORIGIN, origin.as_str()),
            (header::USER_AGENT, USER_AGENT),
            (FETCH_MODE, "cors"),
            (FETCH_SITE, route.site()),
            (FETCH_DEST, "empty"),
        ])?;
        ask.protocol = self.protocol;
        ask.anonymous = true;
        for (name, value) in &target.headers {
            if *name == header::HOST || *name == header::USER_AGENT {
                ask.replace(name, value);
            }
        }
        self.in_time(async {
            let exchange = target.dialer.open(&ask).await?;
            Ok(exchange.record(route, GLANCE).await)
        })
        .await
    }

    /// The page itself, as a browser navigates to it.
    pub(crate) async fn visit(&self, url: &url::Url) -> Attempt {
        let mut ask = Ask::get(url.clone()).headers([
            (header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8"),
            (header::ACCEPT_ENCODING, "identity"),
            (header::USER_AGENT, USER_AGENT),
            (FETCH_MODE, "navigate"),
            (FETCH_SITE, "none"),
            (FETCH_DEST, "document"),
        ])?;
        ask.anonymous = true;
        let mut route = Route::new(None, url.clone());
        self.in_time(async {
            loop {
                ask.url = route.url().clone();
                let exchange = self.target.dialer.open(&ask).await?;
                let head = &exchange.head;
                // A navigation needs no CORS: each step begins a route of its own.
                let to = head.headers.text("location").filter(|_| head.redirects());
                match to.and_then(|to| route.url().join(&to).ok()) {
                    Some(to) if route.redirects.len() < 20 => {
                        let mut next = Route::new(None, to.clone());
                        next.redirects = std::mem::take(&mut route.redirects);
                        let (status, from) = (head.status, route.url().clone());
                        next.redirects.push(Redirect { status, from, to });
                        route = next;
                    }
                    _ => return Ok(exchange.record(route, Duration::from_secs(2)).await),
                }
            }
        })
        .await
    }

    async fn in_time<T>(
        &self,
        what: impl Future<Output = Result<T, AttemptError>>,
    ) -> Result<T, AttemptError> {
        let in_time = timeout_at(self.deadline, what).await;
        in_time.unwrap_or(Err(AttemptError::OutOfTime))
    }

    /// The time that may still be used, at most `time`.
    pub(super) fn at_most(&self, time: Duration) -> Duration {
        time.min(self.deadline.saturating_duration_since(Instant::now()))
    }

    async fn follow(&self) -> Result<(Exchange, Route), AttemptError> {
        let target = self.target;
        let mut route = Route::new(self.origin.as_ref(), target.url.clone());
        let ticket = match &target.access {
            Access::Ticket(source) if self.authenticated => {
                let origin = target.origin.as_ref().map(Origin::as_str);
                let ticket = source.fetch(&target.dialer, origin).await;
                Some((&source.parameter, ticket.map_err(AttemptError::Ticket)?))
            }
            _ => None,
        };
        let ticket = ticket
            .as_ref()
            .map(|(name, ticket)| (name.as_str(), ticket.as_str()));
        let mut method = target.method.clone();
        let keep_to = &target.keep_to;
        let allowed = |url: &url::Url| keep_to.is_empty() || keep_to.contains(&Origin::of(url));
        loop {
            let ask = self.ask(&route, method.clone(), ticket)?;
            let exchange = target.dialer.open(&ask).await?;
            let head = &exchange.head;
            let status = head.status;
            let follows = head.redirects()
                && target.follow_redirects
                && head.headers.has("location")
                && route.follow(status, &head.headers, target.credentials, &allowed);
            if !follows {
                return Ok((exchange, route));
            }
            let to_get = matches!(status, 301 | 302) && method == Method::POST;
            if status == 303 || to_get {
                method = Method::GET;
            }
        }
    }

    fn ask(
        &self,
        route: &Route,
        method: Method,
        ticket: Option<(&str, &str)>,
    ) -> Result<Ask, AttemptError> {
        let target = self.target;
        // What the user gave belongs to the origin that it was given for; a client certificate does as well.
        let own = self.authenticated && route.at_first_origin();
        let origin = route.origin().filter(|_| !self.origin_lost);
        let authorization = target.access.authorization();
        let authorization = authorization.filter(|_| own && route.keeps_authorization());
        let token = authorization.as_ref().map(Secret::expose);
        let cookie = target.access.cookie().filter(|_| own);
        let lines = [
            (header::ACCEPT, Some(self.accept)),
            (header::ACCEPT_ENCODING, Some(self.encodings)),
            (header::CACHE_CONTROL, Some("no-cache")),
            (header::USER_AGENT, Some(USER_AGENT)),
            (FETCH_MODE, Some("cors")),
            (FETCH_SITE, Some(route.site())),
            (FETCH_DEST, Some("empty")),
            (header::ORIGIN, origin.as_ref().map(Origin::as_str)),
            (LAST_EVENT_ID, self.last_event_id.as_deref()),
            (header::AUTHORIZATION, token),
            (header::COOKIE, cookie.map(Secret::expose)),
        ];
        let mut ask = Ask::get(route.url().clone()).headers(lines)?;
        ask.protocol = self.protocol;
        ask.anonymous = !own;
        if method == target.method {
            ask.body = target.body.clone();
        }
        ask.method = method;
        if let Some((parameter, ticket)) = ticket.filter(|_| own && route.redirects.is_empty()) {
            let mut query = ask.url.query_pairs_mut();
            query.append_pair(parameter, ticket);
        }
        for (name, value) in &target.headers {
            let varied = *name == header::ACCEPT && self.accept != "text/event-stream";
            if (own || !is_credential(name)) && !varied {
                ask.replace(name, value);
            }
        }
        Ok(ask)
    }
}

/// What a glance at a reply showed, if there was one.
pub(crate) fn seen(attempt: &Option<Attempt>) -> Option<&Recording> {
    attempt.as_ref()?.as_ref().ok()
}
