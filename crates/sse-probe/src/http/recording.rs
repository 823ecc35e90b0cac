//! The body, as it arrives, within bounds.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use super::{Exchange, Head, with_causes};
use crate::{
    browser::{
        Credentials, Origin, PreflightBlock, Refusal, Route, event_source::is_event_stream,
        event_source_opens, preflight_check,
    },
    stream::{
        Arrival, Reader, Report,
        timing::{held_back, intervals},
    },
};

/// Arrivals that are kept; later ones are added to the last.
const ARRIVALS: usize = 20_000;

/// Longer than anybody reads.
pub(crate) const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// How often whoever waits for bytes looks at the clock. Looks that are later by more than this show that the process did not
/// run.
const LOOK: Duration = Duration::from_millis(50);

/// What is kept of the beginning of a body.
const BEGINNING: usize = 16 * 1024;

/// How a body ended, or that it did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Still open when the time was up.
    Open,
    /// Ended as the protocol says: last chunk, END_STREAM, or the announced length.
    Clean,
    /// Cut off without its end.
    Cut(String),
    /// It grew beyond the limit.
    TooMuch,
}

/// A whole exchange, written down.
#[derive(Debug, Clone)]
pub struct Recording {
    /// The redirects on the way, and the origin that the last request carried.
    pub route: Route,
    /// The head of the reply.
    pub head: Head,
    /// When how many bytes of the body came.
    pub arrivals: Vec<Arrival>,
    /// The bytes of the body, all together.
    pub bytes: u64,
    /// The first 16 KiB of the body.
    pub beginning: Vec<u8>,
    /// The body read as an event stream; empty if it is not one, or is compressed.
    pub stream: Report,
    /// How it ended.
    pub end: End,
    /// From the request to the end.
    pub lasted: Duration,
}

impl Exchange {
    /// The next bytes, and when they came, counted from the request; or the end, which is [`End::Open`] when `until` has come.
    pub async fn next(&mut self, until: Instant) -> Result<(Bytes, Duration), End> {
        loop {
            let look = Instant::now() + LOOK;
            let frame = timeout_at(look.min(until), self.body.frame()).await;
            let late = Instant::now().saturating_duration_since(look);
            if late > LOOK {
                self.stood_still += late;
            }
            if frame.is_err() && look < until {
                continue;
            }
            let frame = frame.map_err(|_| End::Open)?.ok_or(End::Clean)?;
            let data = frame.map_err(|why| End::Cut(cut(&why)))?.into_data();
            if let Some(data) = data.ok().filter(|data| !data.is_empty()) {
                return Ok((data, self.age()));
            }
        }
    }

    /// The whole body, which must end within `time` and have at most `limit` bytes.
    pub(crate) async fn whole(mut self, limit: usize, time: Duration) -> Result<Vec<u8>, String> {
        let until = Instant::now() + time;
        let mut body = Vec::new();
        loop {
            match self.next(until).await {
                Ok((bytes, _)) => body.extend_from_slice(&bytes),
                Err(End::Clean) => return Ok(body),
                Err(_) => return Err("the answer did not end".to_owned()),
            }
            if body.len() > limit {
                return Err("the answer is too long".to_owned());
            }
        }
    }

    /// Reads for `time`, or until the body ends.
    pub async fn record(self, route: Route, time: Duration) -> Recording {
        self.record_while(route, time, |_| true).await
    }

    /// Reads as long as `going` says so, at most for `time`.
    pub async fn record_while(
        mut self,
        route: Route,
        time: Duration,
        mut going: impl FnMut(&Report) -> bool,
    ) -> Recording {
        // What no clock holds is as good as a year.
        let until = Instant::now() + time.min(YEAR);
        let head = self.head.clone();
        let plain = is_event_stream(&head.headers) && !head.is_compressed();
        let mut reader = plain.then(Reader::default);
        let mut recording = Recording {
            route,
            head,
            arrivals: Vec::new(),
            bytes: 0,
            beginning: Vec::new(),
            stream: Report::default(),
            end: End::Open,
            lasted: Duration::ZERO,
        };
        loop {
            match self.next(until).await {
                Err(end) => {
                    recording.end = end;
                    break;
                }
                Ok((bytes, at)) => {
                    if let Some(reader) = &mut reader {
                        reader.feed(&bytes, at);
                    }
                    let whole = reader.as_ref().is_some_and(Reader::is_between_events);
                    recording.note(&bytes, at, whole);
                    if reader.as_ref().is_some_and(|r| !going(&r.report)) {
                        break;
                    }
                    if recording.bytes > self.body_bytes {
                        recording.end = End::TooMuch;
                        break;
                    }
                }
            }
        }
        recording.lasted = self.age();
        if let Some(reader) = reader {
            recording.stream = reader.finish(recording.end == End::Clean);
        }
        recording
    }
}

impl Recording {
    fn note(&mut self, bytes: &[u8], at: Duration, whole: bool) {
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.bytes += count;
        let room = BEGINNING.saturating_sub(self.beginning.len());
        self.beginning.extend(bytes.iter().take(room).copied());
        let full = self.arrivals.len() >= ARRIVALS;
        match self.arrivals.last_mut() {
            Some(last) if last.at == at || full => {
                (last.at, last.whole) = (at, whole);
                last.bytes += count;
            }
            _ => {
                let bytes = count;
                self.arrivals.push(Arrival { at, bytes, whole });
            }
        }
    }

    /// When the first byte of the body came, counted from the request.
    pub fn first_byte(&self) -> Option<Duration> {
        self.arrivals.first().map(|a| a.at)
    }

    /// The longest time without a byte, the time after the last one included.
    pub fn longest_silence(&self) -> Duration {
        let mut last = self.head.phases.processing;
        let mut longest = Duration::ZERO;
        for at in self.arrivals.iter().map(|a| a.at).chain([self.lasted]) {
            longest = longest.max(at.saturating_sub(last));
            last = at;
        }
        longest
    }

    /// The silence before the end, which is the length of an idle timeout if one struck.
    pub fn last_silence(&self) -> Duration {
        let last = self.arrivals.last().map(|a| a.at);
        let last = last.unwrap_or(self.head.phases.processing);
        self.lasted.saturating_sub(last)
    }

    /// The longest time between two comments or events.
    pub fn longest_interval(&self) -> Option<Duration> {
        intervals(&self.stream).into_iter().max()
    }

    /// What shows that something on the way held bytes back, if anything does.
    pub fn held_back(&self) -> Option<String> {
        held_back(&self.arrivals, &self.stream).map(|held| held.to_string())
    }

    /// Whether a browser lets the page read this reply.
    pub fn can_be_read(&self, credentials: Credentials) -> bool {
        let cors = || self.route.cors(&self.head.headers, credentials);
        self.route.block.is_none() && cors().is_ok()
    }

    /// Whether this reply permits a page a request by `method` with these unsafe headers.
    ///
    /// # Errors
    ///
    /// The first reason why not.
    pub fn permits(
        &self,
        origin: &Origin,
        mode: Credentials,
        method: &str,
        names: &[impl AsRef<str>],
    ) -> Result<(), PreflightBlock> {
        let (status, headers) = (self.head.status, &self.head.headers);
        preflight_check(status, headers, origin, mode, method, names)
    }

    /// Whether a browser gives this reply to an `EventSource`.
    ///
    /// # Errors
    ///
    /// The first reason why not.
    pub fn opens(&self, credentials: Credentials) -> Result<(), Refusal> {
        opens(&self.route, &self.head, credentials)
    }

    /// Whether this is the answer of a server that is full and asks an `EventSource` to come back: an event stream
    /// that says `retry` and nothing else, and ends.
    pub fn is_come_back(&self) -> bool {
        self.head.status == 200
            && self.end == End::Clean
            && self.stream.retry.is_some()
            && self.stream.event_count == 0
            && self.stream.comment_count == 0
            && self.lasted < Duration::from_secs(2)
    }
}

/// Whether a browser gives a reply with this head to an `EventSource`.
pub(crate) fn opens(route: &Route, head: &Head, credentials: Credentials) -> Result<(), Refusal> {
    if let Some(block) = &route.block {
        return Err(Refusal::Redirect(block.clone()));
    }
    let origin = route.origin();
    let same = origin.is_none();
    let origin = origin.unwrap_or_else(Origin::null);
    event_source_opens(head.status, &head.headers, &origin, credentials, same)
}

fn cut(why: &hyper::Error) -> String {
    if why.is_incomplete_message() {
        return "the connection closed before the last chunk".to_owned();
    }
    with_causes(why)
}
