//! Which ends of a stream look like a browser's CORS check: pure rules.
//!
//! No browser tells a server that it blocked a stream. It closes the connection, and how soon the
//! server sees that depends on the browser and on the protocol:
//!
//! 1. Firefox, and Chromium over HTTP/2, close when the response head arrives: a round trip after
//!    it was sent.
//! 2. Chromium over HTTP/1.1 first reads the body on, hoping to use the connection again, for five
//!    seconds or 16 KiB, whichever comes first. The five seconds are sharp: what comes on top is the
//!    round trip.
//! 3. A page that closes its own stream does so at once in both, at a time of its choosing.
//! 4. Where only a failing write tells the server of the end, the close is known as an interval
//!    between two writes: over HTTP/2, on half-closed connections, and behind a proxy that writes
//!    on to a client that has gone (HAProxy with HTTP/1.1 in front). Such an end is in a class of
//!    its own if its interval contains a moment of the first two rules.

use std::time::Duration;

use actix_web_sse::observe::{CloseReason, End};

/// How a stream that was never used ended.
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
    /// At once: HTTP/1.1 without half-closed connections.
    AtOnce,
    /// When the next write fails: HTTP/2, and HTTP/1.1 where half-closed connections are allowed.
    OnWrite {
        /// How many writes seem to succeed although the client has gone: the one that fails, and
        /// on a half-closed connection one more before it.
        failing: u8,
    },
}

/// Where the classes begin and end.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct CloseThresholds {
    /// The longest round trip to a client: one that goes within it cannot have used the stream.
    /// Default 400 ms: a slow mobile network.
    pub instant: Duration,
    /// From when to when Chromium gives up reading a blocked body. Default 4.98 s to 5.4 s: five
    /// seconds and a round trip.
    pub drain: (Duration, Duration),
    /// From how many to how many body bytes Chromium gives up reading. Default 15 KiB to 32 KiB:
    /// 16 KiB with their framing, and as much again for what lies in the socket's buffers. A
    /// stream that got more and was still read for five seconds was not blocked.
    pub drain_bytes: (u64, u64),
    /// How much later than it happened an instant close may be seen where only a failing write
    /// tells of it, for each write that it takes. Default 1.2 s: the first early heartbeat.
    pub detection: Duration,
    /// The same for the five-second close, which happens on HTTP/1.1 only. Default 10 s.
    pub drain_detection: Duration,
    /// Whether HTTP/1.1 connections may be half-closed, as actix-web allows by default and
    /// `for_event_streams` does not. Default false.
    pub half_closed: bool,
    /// An end on HTTP/1.1 that comes this soon after a write was told by that write: a proxy in
    /// front writes on to a client that has gone, and closes when that fails. Default 50 ms, so that
    /// with an event a second one drain in twenty is taken for such an end. Zero if there is no such
    /// proxy: then each end is taken to be seen when it happens.
    pub told_by_write: Duration,
}

impl Default for CloseThresholds {
    fn default() -> Self {
        Self {
            instant: Duration::from_millis(400),
            drain: (Duration::from_millis(4980), Duration::from_millis(5400)),
            drain_bytes: (15 * 1024, 32 * 1024),
            detection: Duration::from_millis(1200),
            drain_detection: Duration::from_secs(10),
            half_closed: false,
            told_by_write: Duration::from_millis(50),
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
            ..
        } = *departure;
        let (from, to) = self.drain;
        let (least, most) = self.drain_bytes;
        let failing = match detection {
            Detection::AtOnce => {
                if duration <= self.instant {
                    return Some(ImmediateClose::Instant);
                }
                let since_write = duration.saturating_sub(departure.latest_writes[0]);
                let full = (least..=most).contains(&bytes) && since_write <= self.instant;
                let told = since_write <= self.told_by_write && bytes > 0;
                let timed = duration >= from && bytes <= most && !told;
                if duration <= to && (full || timed) {
                    return Some(ImmediateClose::Drain);
                }
                if !told {
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
        // Over HTTP/2 Chromium resets the stream at once: there is nothing to drain.
        let drains = failing > 1 && gone >= from && bytes <= most;
        let interval = contains(self.instant, self.detection * u32::from(failing))
            || drains && contains(to, self.drain_detection);
        interval.then_some(ImmediateClose::Interval)
    }
}

/// The end of a stream as the classes look at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Departure {
    pub(crate) reason: CloseReason,
    /// From the request to the end as it was seen.
    pub(crate) duration: Duration,
    /// From the request to the latest writes, the latest first.
    pub(crate) latest_writes: [Duration; 3],
    pub(crate) bytes: u64,
    pub(crate) detection: Detection,
    /// Whoever asked was no browser but a probe, which opens and closes streams all day.
    pub(crate) by_probe: bool,
}

impl Departure {
    pub(crate) const fn of(end: &End, detection: Detection, by_probe: bool) -> Self {
        Self {
            reason: end.reason,
            duration: end.duration,
            latest_writes: end.latest_writes,
            bytes: end.bytes,
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
        CloseThresholds::default().classify(&Departure {
            reason: CloseReason::ClientGone,
            duration: Duration::from_millis(millis),
            latest_writes: latest_writes.map(Duration::from_millis),
            bytes,
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
        // 8 KiB a second, and 4 KiB.
        assert_eq!(
            class(2004, [2000, 1000, 0], 16_384, Detection::AtOnce),
            DRAIN
        );
        assert_eq!(
            class(4010, [4000, 3000, 2000], 16_600, Detection::AtOnce),
            DRAIN
        );
        assert_eq!(
            class(2900, [2000, 1000, 0], 16_384, Detection::AtOnce),
            None,
            "read on"
        );
        assert_eq!(
            class(5003, [5000, 4000, 3000], 100_000, Detection::AtOnce),
            None
        );
    }

    /// HAProxy 2.6 with HTTP/1.1 in front, an event a second: facts B18.
    #[test]
    fn b18_an_end_that_a_write_told_of_is_an_interval() {
        let told = |millis: u64| {
            class(
                millis,
                [millis - 2, millis - 1002, millis - 2002],
                600,
                Detection::AtOnce,
            )
        };
        assert_eq!(
            told(6500),
            INTERVAL,
            "blocked, drained, told by the second write after it"
        );
        // Between 2.4 s and 4.4 s, whatever it looked like when it was told.
        assert_eq!(told(4400), None, "a page that read for two seconds");
        assert_eq!(told(5000), None, "another that read for three");
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
