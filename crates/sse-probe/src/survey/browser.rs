//! Requests as a page in a browser makes them.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, header};
use tokio::time::sleep;

use super::{Attempt, AttemptError, GLANCE};
use crate::{
    exchange::{Ask, Exchange, Protocol, Recording},
    origin::Origin,
    preflight,
    stream::Item,
    target::{Access, Target, USER_AGENT},
};

/// How often a server that says "full" is asked.
const TRIES: u32 = 4;

/// The longest time between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

/// A page that opens the stream; each method varies one thing.
#[derive(Debug, Clone)]
pub(crate) struct Page<'a> {
    target: &'a Target,
    origin: Option<Origin>,
    authenticated: bool,
    /// Whether a hop is imitated that takes `Origin` away.
    origin_lost: bool,
    accept: &'static str,
    encodings: &'static str,
    protocol: Protocol,
    last_event_id: Option<String>,
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
        }
    }

    pub(crate) fn target(&self) -> &'a Target {
        self.target
    }

    /// The origin of the page; the stream's own if none was given.
    pub(crate) fn origin(&self) -> Origin {
        self.origin
            .clone()
            .unwrap_or_else(|| Origin::of(&self.target.url))
    }

    /// Whether exchanges for that check are to be made.
    pub(crate) fn wants(&self, check: &str) -> bool {
        self.target.runs(check)
    }

    pub(crate) fn anonymous(mut self) -> Self {
        self.authenticated = false;
        self
    }

    pub(crate) fn accepting(mut self, accept: &'static str) -> Self {
        self.accept = accept;
        self
    }

    pub(crate) fn uncompressed(mut self) -> Self {
        self.encodings = "identity";
        self
    }

    pub(crate) fn speaking(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    pub(crate) fn from(mut self, origin: &Origin) -> Self {
        self.origin = Some(origin.clone());
        self
    }

    pub(crate) fn without_origin(mut self) -> Self {
        self.origin_lost = true;
        self
    }

    pub(crate) fn resuming(mut self, id: &str) -> Self {
        self.last_event_id = Some(id.to_owned());
        self
    }

    /// Opens the stream; asks again while the server is full.
    pub(crate) async fn open(&self) -> Result<Exchange, AttemptError> {
        let mut tried = 0;
        loop {
            let ask = self.ask().await?;
            let exchange = self
                .target
                .dialer
                .open(&ask)
                .await
                .map_err(AttemptError::Exchange)?;
            let status = exchange.head().status;
            if !matches!(status, 429 | 503) {
                return Ok(exchange);
            }
            tried += 1;
            if tried == TRIES {
                return Err(AttemptError::Full(status));
            }
            let asked = exchange.head().headers.text("retry-after");
            let wait = asked.and_then(|v| v.parse().ok()).map_or(1, |s: u64| s);
            sleep(Duration::from_secs(wait).min(LONGEST_WAIT)).await;
        }
    }

    /// Opens and reads.
    pub(crate) async fn record(&self, time: Duration) -> Attempt {
        Ok(self.open().await?.record(time).await)
    }

    /// Opens and reads just so much that the kind of answer is known.
    pub(crate) async fn glance(&self) -> Attempt {
        let mut tried = 0;
        loop {
            let exchange = self.open().await?;
            // A `retry` alone may be all that a full server says, or the beginning of a stream.
            let recording = exchange
                .record_while(GLANCE, |seen| {
                    seen.items()
                        .iter()
                        .all(|item| matches!(item, Item::Retry(..)))
                })
                .await;
            tried += 1;
            if !recording.is_come_back() {
                return Ok(recording);
            }
            if tried == TRIES {
                return Err(AttemptError::Full(200));
            }
            let wait = recording.stream.retry().unwrap_or(LONGEST_WAIT);
            sleep(wait.min(LONGEST_WAIT)).await;
        }
    }

    /// Asks for permission, as a browser does before a fetch with headers of its own.
    pub(crate) async fn preflight(&self, origin: &Origin, names: &[&str]) -> Attempt {
        let mut ask = Ask::get(self.target.url.clone());
        ask.method = Method::OPTIONS;
        ask.protocol = self.protocol;
        for (name, text) in [
            (header::ACCEPT, "*/*"),
            (header::ACCESS_CONTROL_REQUEST_METHOD, "GET"),
            (
                header::ACCESS_CONTROL_REQUEST_HEADERS,
                &preflight::request_headers(names),
            ),
            (header::ORIGIN, origin.as_str()),
            (header::USER_AGENT, USER_AGENT),
            (HeaderName::from_static("sec-fetch-mode"), "cors"),
            (
                HeaderName::from_static("sec-fetch-site"),
                origin.site_towards(&self.target.url),
            ),
            (HeaderName::from_static("sec-fetch-dest"), "empty"),
        ] {
            ask = ask.header(name, value(text)?);
        }
        ask.headers.extend(self.target.headers.iter().cloned());
        let exchange = self
            .target
            .dialer
            .open(&ask)
            .await
            .map_err(AttemptError::Exchange)?;
        let recording: Recording = exchange.record(GLANCE).await;
        Ok(recording)
    }

    async fn ask(&self) -> Result<Ask, AttemptError> {
        let target = self.target;
        let mut ask = Ask::get(target.url.clone());
        ask.protocol = self.protocol;
        let site = match &self.origin {
            Some(origin) => origin.site_towards(&target.url),
            None => "same-origin",
        };
        let mut lines = vec![
            (header::ACCEPT, self.accept),
            (header::ACCEPT_ENCODING, self.encodings),
            (header::CACHE_CONTROL, "no-cache"),
            (header::USER_AGENT, USER_AGENT),
            (HeaderName::from_static("sec-fetch-mode"), "cors"),
            (HeaderName::from_static("sec-fetch-site"), site),
            (HeaderName::from_static("sec-fetch-dest"), "empty"),
        ];
        // A same-origin GET carries no Origin.
        let origin = self
            .origin
            .as_ref()
            .filter(|o| !o.is_origin_of(&target.url) && !self.origin_lost);
        if let Some(origin) = origin {
            lines.push((header::ORIGIN, origin.as_str()));
        }
        if let Some(id) = &self.last_event_id {
            lines.push((HeaderName::from_static("last-event-id"), id));
        }
        let bearer;
        if self.authenticated {
            match &target.access {
                Access::Bearer(token) => {
                    bearer = format!("Bearer {}", token.expose());
                    lines.push((header::AUTHORIZATION, &bearer));
                }
                Access::Cookie(cookie) => lines.push((header::COOKIE, cookie.expose())),
                Access::Ticket(source) => {
                    let ticket = source
                        .fetch(&target.dialer, target.origin.as_ref().map(Origin::as_str))
                        .await
                        .map_err(AttemptError::Ticket)?;
                    ask.url
                        .query_pairs_mut()
                        .append_pair(&source.parameter, &ticket);
                }
                Access::Open => {}
            }
        }
        for (name, text) in lines {
            ask = ask.header(name, value(text)?);
        }
        ask.headers.extend(target.headers.iter().cloned());
        Ok(ask)
    }
}

fn value(text: &str) -> Result<HeaderValue, AttemptError> {
    HeaderValue::from_str(text).map_err(|why| {
        AttemptError::Exchange(crate::exchange::ExchangeError::Request(why.to_string()))
    })
}
