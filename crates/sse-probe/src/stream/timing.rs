//! Arrival times: bursts, silences, and what they say about buffers on the way. Pure.

use std::time::Duration;

use super::{Item, Report};

/// Bytes that came at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arrival {
    /// When, counted from the request.
    pub at: Duration,
    /// How many.
    pub bytes: u64,
    /// Whether an event ended with them, so that nothing of the next one had come.
    pub whole: bool,
}

/// Bytes that come closer together than this count as one burst.
const TOGETHER: Duration = Duration::from_millis(30);

/// Bytes that came together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Burst {
    /// When the first came.
    pub at: Duration,
    /// When the last came.
    pub until: Duration,
    /// How many.
    pub bytes: u64,
    /// Whether an event ended with them.
    pub whole: bool,
}

/// Groups arrivals.
#[must_use]
pub(crate) fn bursts(arrivals: &[Arrival]) -> Vec<Burst> {
    let mut bursts: Vec<Burst> = Vec::new();
    for arrival in arrivals {
        match bursts.last_mut() {
            Some(burst) if arrival.at.saturating_sub(burst.until) < TOGETHER => {
                burst.until = arrival.at;
                burst.bytes += arrival.bytes;
                burst.whole = arrival.whole;
            }
            _ => bursts.push(Burst {
                at: arrival.at,
                until: arrival.at,
                bytes: arrival.bytes,
                whole: arrival.whole,
            }),
        }
    }
    bursts
}

/// A sign that something between the application and here holds bytes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Held {
    /// Several heartbeats came at one moment; they are sent apart by their nature.
    Heartbeats {
        /// How many.
        count: usize,
        /// When.
        at: Duration,
    },
    /// Events whose own timestamps lie apart came at one moment.
    Clock {
        /// How many.
        count: usize,
        /// The time between the first and the last of them by the application's clock.
        span: Duration,
        /// When they came.
        at: Duration,
    },
    /// Bursts of a buffer's size, with silence between them.
    Blocks {
        /// The size that they share.
        size: u64,
        /// How many.
        count: usize,
    },
}

/// Sizes of the buffers that proxies have.
const BUFFERS: [u64; 5] = [65_536, 32_768, 16_384, 8_192, 4_096];

/// Looks for such a sign in one recording.
#[must_use]
pub(crate) fn held_back(arrivals: &[Arrival], stream: &Report) -> Option<Held> {
    heartbeats_together(stream)
        .or_else(|| clock(stream))
        .or_else(|| blocks(arrivals))
}

/// Events that the application stamped a second or more apart, and that arrived together after a silence in which they
/// could have come. A replay of older events is none.
fn clock(stream: &Report) -> Option<Held> {
    let mut stamps: Vec<Duration> = Vec::new();
    let (mut last, mut silence) = (Duration::ZERO, Duration::ZERO);
    for item in stream.items() {
        let at = item.at();
        let pause = at.saturating_sub(last);
        if pause >= TOGETHER {
            stamps.clear();
            silence = pause;
        }
        last = at;
        let Item::Event(_, event) = item else {
            continue;
        };
        let own_id = event.id.as_deref().filter(|_| event.own_id);
        let Some(stamp) = own_id
            .and_then(timestamp)
            .or_else(|| timestamp(&event.data))
        else {
            stamps.clear();
            continue;
        };
        stamps.push(stamp);
        let count = stamps.len();
        let span = stamps.iter().max()?.saturating_sub(*stamps.iter().min()?);
        if count >= 3 && (Duration::from_secs(1)..=silence).contains(&span) {
            return Some(Held::Clock { count, span, at });
        }
    }
    None
}

/// The first point in time that a text names, since 1970: milliseconds, seconds, or RFC 3339.
fn timestamp(text: &str) -> Option<Duration> {
    const LOOKED_AT: usize = 512;
    let bytes = text.as_bytes();
    let bytes = bytes.get(..LOOKED_AT).unwrap_or(bytes);
    let mut at = 0;
    while let Some(begin) = bytes.get(at..)?.iter().position(u8::is_ascii_digit) {
        let begin = at + begin;
        let digits = |from: usize| {
            let rest = bytes.get(from..).unwrap_or_default();
            rest.iter().take_while(|b| b.is_ascii_digit()).count()
        };
        let run = digits(begin);
        let number = || text.get(begin..begin + run)?.parse::<u64>().ok();
        match run {
            // 2001 to 2033 in both units.
            13 if bytes.get(begin) == Some(&b'1') => return number().map(Duration::from_millis),
            10 if bytes.get(begin) == Some(&b'1') => {
                let fraction = digits(begin + run + 1);
                let has_fraction = bytes.get(begin + run) == Some(&b'.') && fraction > 0;
                let end = begin + run + if has_fraction { 1 + fraction } else { 0 };
                let seconds: f64 = text.get(begin..end)?.parse().ok()?;
                return Duration::try_from_secs_f64(seconds).ok();
            }
            4 => {
                let rest = bytes.get(begin..)?;
                let end = rest
                    .iter()
                    .position(|b| !(b.is_ascii_digit() || b"-T:. ".contains(b)))
                    .unwrap_or(rest.len());
                let time = text.get(begin..begin + end)?;
                if let Ok(time) = humantime::parse_rfc3339_weak(time.trim_end()) {
                    return time.duration_since(std::time::SystemTime::UNIX_EPOCH).ok();
                }
            }
            _ => {}
        }
        at = begin + run;
    }
    None
}

/// Three comments or more in a row that came together, with nothing between, after a silence in which they could have come.
/// Shorter silences do no harm, and a probe on a busy machine makes some itself. A first block may hold several (padding for
/// old clients), and a server that sends as many at each beat does so on purpose.
fn heartbeats_together(stream: &Report) -> Option<Held> {
    const SILENCE: Duration = Duration::from_secs(1);
    // When the first of them came, how many there are, and the silence before.
    let mut lumps: Vec<(Duration, usize, Duration)> = Vec::new();
    let (mut last, mut in_a_row) = (Duration::ZERO, false);
    for item in stream.items() {
        let at = item.at();
        let is_comment = matches!(item, Item::Comment(..));
        match lumps.last_mut() {
            Some((first, count, _))
                if is_comment && in_a_row && at.saturating_sub(*first) < TOGETHER =>
            {
                *count += 1;
            }
            _ if is_comment => lumps.push((at, 1, at.saturating_sub(last))),
            _ => {}
        }
        (last, in_a_row) = (at, is_comment);
    }
    let alike = lumps
        .windows(2)
        .all(|pair| matches!(pair, [a, b] if a.1 == b.1));
    if lumps.len() > 1 && alike {
        return None;
    }
    let mut lumps = lumps.into_iter();
    let (at, count, _) = lumps.find(|(_, count, silence)| *count >= 3 && *silence >= SILENCE)?;
    Some(Held::Heartbeats { count, at })
}

fn blocks(arrivals: &[Arrival]) -> Option<Held> {
    let bursts = bursts(arrivals);
    // The first burst may be a replay and the last one may have been cut off by the end of the recording.
    let inner: Vec<_> = bursts.iter().skip(1).rev().skip(1).collect();
    if inner.len() < 2 {
        return None;
    }
    // An application may send events of just that size; a buffer ends in the middle of one.
    if inner.iter().all(|burst| burst.whole) {
        return None;
    }
    let apart = bursts.windows(2).all(
        |pair| matches!(pair, [a, b] if b.at.saturating_sub(a.until) >= Duration::from_millis(200)),
    );
    let size = BUFFERS
        .into_iter()
        .find(|size| inner.iter().all(|burst| burst.bytes % size == 0))?;
    apart.then_some(Held::Blocks {
        size,
        count: inner.len(),
    })
}

/// The times between signs of life that the server sends on purpose: comments and events, taken by their bursts.
#[must_use]
pub(crate) fn intervals(stream: &Report) -> Vec<Duration> {
    let mut last: Option<Duration> = None;
    let mut intervals = Vec::new();
    for at in stream.items().iter().map(Item::at) {
        if let Some(before) = last
            && at.saturating_sub(before) >= TOGETHER
        {
            intervals.push(at.saturating_sub(before));
        }
        last = Some(at);
    }
    intervals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Reader;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn arrivals(list: &[(u64, u64)]) -> Vec<Arrival> {
        list.iter()
            .map(|&(at, bytes)| Arrival {
                at: ms(at),
                bytes,
                whole: false,
            })
            .collect()
    }

    fn heartbeats(times: &[u64]) -> Report {
        let mut reader = Reader::default();
        for &at in times {
            reader.feed(b":\n", ms(at));
        }
        reader.finish(false)
    }

    #[test]
    fn bytes_close_together_are_one_burst() {
        let seen = bursts(&arrivals(&[(0, 10), (5, 10), (500, 1), (510, 1)]));
        assert_eq!(seen.iter().map(|b| b.bytes).collect::<Vec<_>>(), [20, 2]);
    }

    #[test]
    fn heartbeats_that_come_together_were_held_back() {
        assert!(matches!(
            held_back(&[], &heartbeats(&[5000, 5000, 5001, 5001])),
            Some(Held::Heartbeats { .. })
        ));
        assert_eq!(held_back(&[], &heartbeats(&[1000, 2000, 3000, 4000])), None);
        assert_eq!(
            held_back(&[], &heartbeats(&[1, 1, 1, 1000])),
            None,
            "padding at the start"
        );
        let busy = heartbeats(&[100, 200, 500, 500, 501, 600]);
        assert_eq!(held_back(&[], &busy), None, "the probe was not running");
        let beats = [2000, 2000, 2001, 4000, 4000, 4001, 6000, 6000, 6001];
        assert_eq!(held_back(&[], &heartbeats(&beats)), None, "three a beat");
    }

    #[test]
    fn timestamps_are_found_in_the_usual_forms() {
        for text in [
            "{\"n\":7,\"at\":1700000000500}",
            "1700000000500-0",
            "t=1700000000.5",
            "{\"at\":\"2023-11-14T22:13:20.500Z\"}",
            "2023-11-14 22:13:20.5",
        ] {
            assert_eq!(timestamp(text), Some(ms(1_700_000_000_500)), "{text}");
        }
        for text in ["", "42", "12345678901", "2023", "room 1234-56"] {
            assert_eq!(timestamp(text), None, "{text}");
        }
    }

    fn stamped(times: &[(u64, u64)]) -> Report {
        let mut reader = Reader::default();
        for (at, stamp) in times {
            let text = format!("data: {}\n\n", 1_700_000_000_000 + stamp);
            reader.feed(text.as_bytes(), ms(*at));
        }
        reader.finish(false)
    }

    #[test]
    fn events_stamped_apart_that_come_together_were_held_back() {
        let held = stamped(&[(0, 0), (5000, 1000), (5000, 2000), (5001, 3000)]);
        assert!(matches!(held_back(&[], &held), Some(Held::Clock { .. })));
        let late = stamped(&[(9000, 0), (9000, 4000), (9001, 8000)]);
        assert!(matches!(held_back(&[], &late), Some(Held::Clock { .. })));
        let replay = stamped(&[(1, 0), (1, 60_000), (1, 120_000), (1000, 121_000)]);
        assert_eq!(held_back(&[], &replay), None);
        let pages = stamped(&[(1, 0), (200, 60_000), (200, 120_000), (201, 180_000)]);
        assert_eq!(held_back(&[], &pages), None, "a replay in two parts");
        let jitter = stamped(&[(1000, 5000), (1100, 2000), (1100, 6000), (1101, 3000)]);
        assert_eq!(held_back(&[], &jitter), None, "late at the source");
        let batch = stamped(&[(0, 0), (1000, 1000), (1000, 1000), (1000, 1001)]);
        assert_eq!(held_back(&[], &batch), None);
    }

    #[test]
    fn blocks_of_a_buffers_size_were_held_back() {
        let stream = Report::default();
        let blocks = arrivals(&[
            (0, 300),
            (1000, 8192),
            (2000, 4096),
            (2001, 4096),
            (3000, 100),
        ]);
        assert_eq!(
            held_back(&blocks, &stream),
            Some(Held::Blocks {
                size: 8192,
                count: 2
            })
        );
        let mut frames = blocks;
        frames.iter_mut().for_each(|arrival| arrival.whole = true);
        assert_eq!(held_back(&frames, &stream), None, "events of that size");
        let events = arrivals(&[(0, 300), (1000, 120), (2000, 118), (3000, 121)]);
        assert_eq!(held_back(&events, &stream), None);
    }

    #[test]
    fn intervals_are_taken_between_bursts() {
        assert_eq!(
            intervals(&heartbeats(&[0, 10, 1000, 2500])),
            [ms(990), ms(1500)]
        );
    }
}
