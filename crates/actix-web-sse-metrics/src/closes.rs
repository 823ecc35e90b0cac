//! The ends of a stream that look like a failed CORS check of a browser: pure rules.
//!
//! A browser does not report to the server that it blocked a stream. It closes the connection, and how
//! soon the server sees that depends on the browser and on the protocol: Firefox, and Chromium over HTTP/2,
//! close within milliseconds; Chromium over HTTP/1.1 first reads the body on for five seconds or
//! 16 KiB, hoping to use the connection again. A page that closes its own stream does so at once
//! in both, at a time of its choosing.

use std::time::Duration;

use actix_web_sse::observe::{CloseReason, End};

/// How a stream ended that was never used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImmediateClose {
    /// Closed as soon as the response head had arrived.
    Instant,
    /// Read on for the five seconds that Chromium gives an HTTP/1.1 connection.
    Drain,
}

impl ImmediateClose {
    /// Every class, in label order.
    pub const ALL: &'static [Self] = &[Self::Instant, Self::Drain];

    /// The value of the `class` label and of the log field.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Instant => "instant",
            Self::Drain => "drain",
        }
    }
}

/// How the server learns that a client has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detection {
    /// Immediately: HTTP/1.1 without half-closed connections.
    AtOnce,
    /// When the next write fails: HTTP/2, and HTTP/1.1 where half-closed connections are allowed.
    OnWrite {
        /// How many writes seem to succeed although the client has gone: the one that fails, and
        /// on a half-closed connection one more before it.
        failing: u8,
    },
}

/// The bounds of the classes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CloseThresholds {
    /// A client that leaves within this time cannot have used the stream. Default 1 s: the round
    /// trip of a slow mobile network, not the few milliseconds of a loopback.
    pub instant: Duration,
    /// From when to when Chromium gives up reading a blocked body. Default 4.5 s to 5.5 s.
    pub drain: (Duration, Duration),
    /// Chromium stops reading at this many body bytes, so a blocked stream that got more than
    /// them and was still read for five seconds is none. Default 16 KiB, with as much again for
    /// what lies in the socket's buffers.
    pub drain_bytes: u64,
    /// The longest delay of noticing an instant close where only a failing write shows it (HTTP/2),
    /// for each write that it takes. Default 1.2 s: the first early heartbeat.
    pub detection: Duration,
    /// The same for the five-second close, which happens on HTTP/1.1 only and so is seen late
    /// only where connections may be half-closed. Default 10 s.
    pub drain_detection: Duration,
    /// Whether HTTP/1.1 connections may be half-closed, as actix-web allows by default and
    /// `for_event_streams` does not. Default false.
    pub half_closed: bool,
}

impl Default for CloseThresholds {
    fn default() -> Self {
        Self {
            instant: Duration::from_secs(1),
            drain: (Duration::from_millis(4500), Duration::from_millis(5500)),
            drain_bytes: 32 * 1024,
            detection: Duration::from_millis(1200),
            drain_detection: Duration::from_secs(10),
            half_closed: false,
        }
    }
}

impl CloseThresholds {
    pub(crate) fn detection(&self, http2: bool) -> Detection {
        match (self.half_closed, http2) {
            (_, true) => Detection::OnWrite { failing: 1 },
            (true, false) => Detection::OnWrite { failing: 2 },
            (false, false) => Detection::AtOnce,
        }
    }

    /// The class of a stream that ended as `departure` says, if it is one.
    pub(crate) fn classify(&self, departure: &Departure) -> Option<ImmediateClose> {
        if departure.reason != CloseReason::ClientGone || departure.by_probe {
            return None;
        }
        let (instant_late, drain_late) = match departure.detection {
            Detection::AtOnce => (Duration::ZERO, Some(Duration::ZERO)),
            // Over HTTP/2 Chromium resets the stream at once: there is nothing to drain.
            Detection::OnWrite { failing: 1 } => (self.detection, None),
            Detection::OnWrite { failing } => (
                self.detection * u32::from(failing),
                Some(self.drain_detection),
            ),
        };
        let within = |limit: Duration, late: Duration| {
            departure.seen_alive <= limit && departure.duration <= limit.saturating_add(late)
        };
        let (from, to) = self.drain;
        if within(self.instant, instant_late) {
            Some(ImmediateClose::Instant)
        } else if departure.duration >= from
            && drain_late.is_some_and(|late| within(to, late))
            && departure.bytes <= self.drain_bytes
        {
            Some(ImmediateClose::Drain)
        } else {
            None
        }
    }
}

/// The facts about a stream's end that decide its class.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Departure {
    pub(crate) reason: CloseReason,
    /// From the request to the end as it was seen.
    pub(crate) duration: Duration,
    /// From the request to the last write that proves that the client was still there.
    pub(crate) seen_alive: Duration,
    pub(crate) bytes: u64,
    pub(crate) detection: Detection,
    /// The client is a probe, not a browser: it opens and closes streams all the time.
    pub(crate) by_probe: bool,
}

impl Departure {
    pub(crate) const fn of(end: &End, detection: Detection, by_probe: bool) -> Self {
        Self {
            reason: end.reason,
            duration: end.duration,
            seen_alive: detection.seen_alive(end.latest_writes),
            bytes: end.bytes,
            detection,
            by_probe,
        }
    }
}

impl Detection {
    /// The latest write after which the client must have been there.
    const fn seen_alive(self, latest_writes: [Duration; 3]) -> Duration {
        let [_, second, third] = latest_writes;
        match self {
            // The end was noticed when it happened: no proof is needed.
            Self::AtOnce => Duration::ZERO,
            Self::OnWrite { failing: 1 } => second,
            Self::OnWrite { .. } => third,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTP2: Detection = Detection::OnWrite { failing: 1 };
    const HALF_CLOSED: Detection = Detection::OnWrite { failing: 2 };

    fn class(millis: u64, alive: u64, bytes: u64, detection: Detection) -> Option<ImmediateClose> {
        CloseThresholds::default().classify(&Departure {
            reason: CloseReason::ClientGone,
            duration: Duration::from_millis(millis),
            seen_alive: Duration::from_millis(alive),
            bytes,
            detection,
            by_probe: false,
        })
    }

    #[test]
    fn firefox_and_chromium_over_http2_close_in_an_instant() {
        let instant = Some(ImmediateClose::Instant);
        assert_eq!(class(4, 0, 20, Detection::AtOnce), instant);
        // Found by the first heartbeat, and on a half-closed connection by the second.
        assert_eq!(class(1100, 0, 20, HTTP2), instant);
        assert_eq!(class(3300, 0, 20, HALF_CLOSED), instant);
    }

    #[test]
    fn chromium_over_http1_drains_for_five_seconds() {
        let drain = Some(ImmediateClose::Drain);
        assert_eq!(class(5003, 0, 20, Detection::AtOnce), drain);
        assert_eq!(class(15_000, 3000, 20, HALF_CLOSED), drain);
    }

    #[test]
    fn a_stream_that_was_used_is_no_immediate_close() {
        for millis in [1001, 2500, 4499, 5501, 60_000] {
            assert_eq!(class(millis, 0, 20, Detection::AtOnce), None, "{millis} ms");
        }
        assert_eq!(
            class(5000, 0, 100_000, Detection::AtOnce),
            None,
            "more than Chromium drains"
        );
        assert_eq!(
            class(2000, 1500, 20, HTTP2),
            None,
            "a write reached it after 1.5 s"
        );
        assert_eq!(
            class(3000, 1000, 20, HTTP2),
            None,
            "it went between 1 s and 3 s"
        );
        assert_eq!(
            class(7000, 3000, 20, HTTP2),
            None,
            "nothing drains over HTTP/2"
        );
        assert_eq!(
            class(15_000, 7000, 20, HALF_CLOSED),
            None,
            "a write reached it after 7 s"
        );
    }

    #[test]
    fn only_the_clients_own_close_counts() {
        for reason in CloseReason::ALL {
            let class = CloseThresholds::default().classify(&Departure {
                reason: *reason,
                duration: Duration::from_millis(1),
                seen_alive: Duration::ZERO,
                bytes: 0,
                detection: Detection::AtOnce,
                by_probe: false,
            });
            assert_eq!(
                class.is_some(),
                *reason == CloseReason::ClientGone,
                "{reason}"
            );
        }
    }

    #[test]
    fn the_write_that_fails_proves_nothing() {
        let writes = [3, 2, 1].map(Duration::from_secs);
        assert_eq!(HTTP2.seen_alive(writes), Duration::from_secs(2));
        assert_eq!(HALF_CLOSED.seen_alive(writes), Duration::from_secs(1));
        assert_eq!(Detection::AtOnce.seen_alive(writes), Duration::ZERO);
    }
}
