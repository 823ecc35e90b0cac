//! The ends of a stream that look like a failed CORS check of a browser: pure rules.
//!
//! A browser does not report to the server that it blocked a stream. It closes the connection, and how
//! soon the server sees that depends on the browser and on the protocol:
//!
//! 1. Firefox, and Chromium over HTTP/2, close when the response head arrives: a round trip after
//!    it was sent.
//! 2. Chromium over HTTP/1.1 first reads the body on, hoping to use the connection again, for five
//!    seconds or 16 KiB, whichever comes first. Both are sharp: what comes on top is the round trip,
//!    after the five seconds or after the write that fills the 16 KiB.
//! 3. A page that closes its own stream does so at once in both, at a time of its choosing.
//! 4. Where only a failing write shows the end to the server, the close is known as an interval
//!    between two writes: over HTTP/2, on half-closed connections, and behind a proxy that writes
//!    on to a client that has gone (HAProxy with HTTP/1.1 in front). Such an end is in a class of
//!    its own if its interval contains a moment of the first two rules.

use std::time::Duration;

use actix_web_sse::observe::{CloseReason, End};

/// How a stream ended that was never used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ImmediateClose {
    /// Closed as soon as the response head had arrived.
    Instant,
    /// Read on for the five seconds, or the 16 KiB, that Chromium gives an HTTP/1.1 connection.
    Drain,
    /// Closed between two writes, perhaps at such a moment and perhaps not.
    Interval,
}

impl ImmediateClose {
    /// Every class, in label order.
    pub const ALL: &'static [Self] = &[Self::Instant, Self::Drain, Self::Interval];

    /// The value of the `class` label and of the log field.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Instant => "instant",
            Self::Drain => "drain",
            Self::Interval => "interval",
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
    /// The longest round trip to a client: one that leaves within it cannot have used the stream.
    /// Default 400 ms: a slow mobile network.
    pub instant: Duration,
    /// From when to when Chromium gives up reading a blocked body. Default 4.98 s to 5.4 s: five
    /// seconds and a round trip.
    pub drain: (Duration, Duration),
    /// The longest delay of noticing an instant close where only a failing write shows it, for each
    /// write that it takes. Default 1.2 s: the first early heartbeat.
    pub detection: Duration,
    /// The same for the five-second close, which happens on HTTP/1.1 only. Default 10 s.
    pub drain_detection: Duration,
    /// Whether HTTP/1.1 connections may be half-closed, as actix-web allows by default and
    /// `for_event_streams` does not. Default false.
    pub half_closed: bool,
    /// An end on HTTP/1.1 that comes this soon after a write was noticed by that write: a proxy in
    /// front writes on to a client that has gone, and closes when that fails. Default 50 ms, so that
    /// with an event a second one drain in twenty is taken for such an end. Zero if there is no such
    /// proxy: then each end is taken to be seen when it happens.
    pub noticed_by_write: Duration,
}

impl Default for CloseThresholds {
    fn default() -> Self {
        Self {
            instant: Duration::from_millis(400),
            drain: (Duration::from_millis(4980), Duration::from_millis(5400)),
            detection: Duration::from_millis(1200),
            drain_detection: Duration::from_secs(10),
            half_closed: false,
            noticed_by_write: Duration::from_millis(50),
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
        let Departure {
            duration,
            bytes,
            detection,
            filled_after,
            ..
        } = *departure;
        let (from, to) = self.drain;
        // A stream that got 16 KiB and was read on was not blocked.
        let read_on = filled_after.is_some_and(|at| duration.saturating_sub(at) > self.instant);
        let failing = match detection {
            Detection::AtOnce => {
                if duration <= self.instant {
                    return Some(ImmediateClose::Instant);
                }
                let since_write = duration.saturating_sub(departure.latest_writes[0]);
                let late = since_write <= self.noticed_by_write && bytes > 0;
                let full = filled_after.is_some() && !read_on;
                let timed = duration >= from && !read_on && !late;
                if duration <= to && (full || timed) {
                    return Some(ImmediateClose::Drain);
                }
                if !late {
                    return None;
                }
                2
            }
            Detection::OnWrite { failing } => failing,
        };
        let (alive, gone) = departure.interval(failing);
        let contains = |moment: Duration, late: Duration| {
            alive <= moment && duration <= moment.saturating_add(late)
        };
        let detection = self.detection * u32::from(failing);
        // Over HTTP/2 Chromium resets the stream at once: there is nothing to drain.
        let drains = failing > 1;
        let timed = gone >= from && filled_after.is_none_or(|at| alive <= at);
        let interval = contains(self.instant, detection)
            || drains && timed && contains(to, self.drain_detection)
            || drains && filled_after.is_some_and(|at| at <= to && contains(at, detection));
        interval.then_some(ImmediateClose::Interval)
    }
}

/// The facts about a stream's end that decide its class.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Departure {
    pub(crate) reason: CloseReason,
    /// From the request to the end as it was seen.
    pub(crate) duration: Duration,
    /// From the request to the latest writes, the latest first.
    pub(crate) latest_writes: [Duration; 3],
    pub(crate) bytes: u64,
    /// From the request to the write that filled what Chromium reads of a blocked body.
    pub(crate) filled_after: Option<Duration>,
    pub(crate) detection: Detection,
    /// The client is a probe, not a browser: it opens and closes streams all the time.
    pub(crate) by_probe: bool,
}

impl Departure {
    pub(crate) const fn of(end: &End, detection: Detection, by_probe: bool) -> Self {
        Self {
            reason: end.reason,
            duration: end.duration,
            latest_writes: end.latest_writes,
            bytes: end.bytes,
            filled_after: end.filled_after,
            detection,
            by_probe,
        }
    }

    /// Between which writes the client went, if so many of the latest seem to have succeeded or
    /// failed because it was gone.
    const fn interval(&self, failing: u8) -> (Duration, Duration) {
        let [latest, second, third] = self.latest_writes;
        match failing {
            1 => (second, latest),
            _ => (third, second),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTP2: Detection = Detection::OnWrite { failing: 1 };
    const HALF_CLOSED: Detection = Detection::OnWrite { failing: 2 };

    const INSTANT: Option<ImmediateClose> = Some(ImmediateClose::Instant);
    const DRAIN: Option<ImmediateClose> = Some(ImmediateClose::Drain);
    const INTERVAL: Option<ImmediateClose> = Some(ImmediateClose::Interval);

    fn class(
        millis: u64,
        latest_writes: [u64; 3],
        bytes: u64,
        detection: Detection,
    ) -> Option<ImmediateClose> {
        filled_class(millis, latest_writes, bytes, detection, None)
    }

    fn filled_class(
        millis: u64,
        latest_writes: [u64; 3],
        bytes: u64,
        detection: Detection,
        filled_after: Option<u64>,
    ) -> Option<ImmediateClose> {
        CloseThresholds::default().classify(&Departure {
            reason: CloseReason::ClientGone,
            duration: Duration::from_millis(millis),
            latest_writes: latest_writes.map(Duration::from_millis),
            bytes,
            filled_after: filled_after.map(Duration::from_millis),
            detection,
            by_probe: false,
        })
    }

    #[test]
    fn b01_firefox_and_chromium_over_http2_close_in_an_instant() {
        assert_eq!(class(4, [0; 3], 20, Detection::AtOnce), INSTANT);
        assert_eq!(class(300, [0; 3], 20, Detection::AtOnce), INSTANT);
        // Found by the first heartbeat, and on a half-closed connection by the second: the page may
        // have closed the stream as well, a second later.
        assert_eq!(class(1100, [1100, 0, 0], 20, HTTP2), INTERVAL);
        assert_eq!(class(2700, [2700, 1100, 0], 20, HALF_CLOSED), INTERVAL);
    }

    #[test]
    fn b18_chromium_over_http1_drains_for_five_seconds_and_a_round_trip() {
        for millis in [4999, 5003, 5015, 5316] {
            assert_eq!(
                class(millis, [3300, 1100, 0], 20, Detection::AtOnce),
                DRAIN,
                "{millis}"
            );
        }
        for millis in [4500, 4900, 5450, 5900] {
            assert_eq!(
                class(millis, [3300, 1100, 0], 20, Detection::AtOnce),
                None,
                "{millis}"
            );
        }
        assert_eq!(
            class(15_000, [15_000, 9000, 3000], 20, HALF_CLOSED),
            INTERVAL
        );
    }

    #[test]
    fn b15_chromium_over_http1_drains_16_kib_and_no_more() {
        let class = |millis, latest_writes, bytes, filled| {
            filled_class(millis, latest_writes, bytes, Detection::AtOnce, filled)
        };
        // 8 KiB a second, and 4 KiB; and a single event that is larger than all that is read.
        let filled = Some(2000);
        assert_eq!(class(2004, [2000, 1000, 0], 16_384, filled), DRAIN);
        assert_eq!(class(4010, [4000, 3000, 2000], 16_600, Some(4000)), DRAIN);
        assert_eq!(class(2004, [2000, 0, 0], 200_000, filled), DRAIN);
        // One more write while the close is on its way.
        assert_eq!(class(2254, [2250, 2000, 1750], 18_432, filled), DRAIN);
        let read_on = class(2900, [2750, 2500, 2250], 22_528, filled);
        assert_eq!(read_on, None, "read on for a second");
        assert_eq!(class(5003, [5000, 4000, 3000], 100_000, filled), None);
        assert_eq!(class(3900, [3800, 3700, 3600], 16_000, None), None);
        assert_eq!(
            class(6200, [6000, 5000, 4000], 16_384, Some(6000)),
            None,
            "it would have been gone after five seconds"
        );
    }

    #[test]
    fn b15_a_full_drain_that_a_write_told_of_is_an_interval() {
        let class = |millis, latest_writes, filled| {
            filled_class(
                millis,
                latest_writes,
                24_576,
                Detection::AtOnce,
                Some(filled),
            )
        };
        // HAProxy, 8 KiB in one event a second: gone at two, told at four.
        assert_eq!(class(4002, [4000, 3000, 2000], 2000), INTERVAL);
        assert_eq!(class(6002, [6000, 5000, 4000], 2000), None, "read on");
    }

    /// HAProxy 2.6 with HTTP/1.1 in front, an event a second: facts B18.
    #[test]
    fn b18_an_end_that_a_write_told_of_is_an_interval() {
        let after = |millis: u64| {
            class(
                millis,
                [millis - 2, millis - 1002, millis - 2002],
                600,
                Detection::AtOnce,
            )
        };
        assert_eq!(
            after(6500),
            INTERVAL,
            "blocked, drained, noticed by the second write after it"
        );
        // Between 2.4 s and 4.4 s, whatever it looked like when it was told.
        assert_eq!(after(4400), None, "a page that read for two seconds");
        assert_eq!(after(5000), None, "another that read for three");
        // By itself it is a drain only if it was seen when it happened.
        assert_eq!(
            class(6500, [5900, 4900, 3900], 600, Detection::AtOnce),
            None
        );
    }

    #[test]
    fn a_stream_that_was_used_is_no_immediate_close() {
        for millis in [450, 1001, 2500, 60_000] {
            assert_eq!(
                class(millis, [0; 3], 20, Detection::AtOnce),
                None,
                "{millis} ms"
            );
        }
        assert_eq!(
            class(3000, [3000, 1500, 0], 20, HTTP2),
            None,
            "a write reached it after 1.5 s"
        );
        assert_eq!(
            class(3000, [3000, 1000, 0], 20, HTTP2),
            None,
            "it went between 1 s and 3 s"
        );
        assert_eq!(
            class(7000, [7000, 3000, 1000], 20, HTTP2),
            None,
            "nothing drains over HTTP/2"
        );
        assert_eq!(class(15_000, [15_000, 9000, 7000], 20, HALF_CLOSED), None);
    }

    #[test]
    fn only_the_clients_own_close_counts() {
        for reason in CloseReason::ALL {
            let class = CloseThresholds::default().classify(&Departure {
                reason: *reason,
                duration: Duration::from_millis(1),
                latest_writes: [Duration::ZERO; 3],
                bytes: 0,
                filled_after: None,
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
        let end = Departure {
            reason: CloseReason::ClientGone,
            duration: Duration::from_secs(4),
            latest_writes: [3, 2, 1].map(Duration::from_secs),
            bytes: 0,
            filled_after: None,
            detection: HTTP2,
            by_probe: false,
        };
        let interval = |failing| {
            let (alive, gone) = end.interval(failing);
            (alive.as_secs(), gone.as_secs())
        };
        assert_eq!([1, 2].map(interval), [(2, 3), (1, 2)]);
    }
}
