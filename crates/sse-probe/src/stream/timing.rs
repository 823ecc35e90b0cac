//! Arrival times: bursts, silences, and what they say about buffers on the way. Pure.

use std::time::Duration;

use thiserror::Error;

use super::{Item, Report, SeenEvent};

/// Bytes that came at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
pub(crate) fn bursts(arrivals: &[Arrival]) -> Vec<Burst> {
    let mut bursts: Vec<Burst> = Vec::new();
    for arrival in arrivals {
        match bursts.last_mut() {
            Some(burst) if arrival.at.saturating_sub(burst.until) < TOGETHER => {
                burst.until = arrival.at;
                burst.bytes += arrival.bytes;
                burst.whole = arrival.whole;
            }
            _ => {
                let Arrival { at, bytes, whole } = *arrival;
                let until = at;
                bursts.push(Burst {
                    at,
                    until,
                    bytes,
                    whole,
                });
            }
        }
    }
    bursts
}

/// A sign that something between the application and here holds bytes back.
#[derive(Debug, Clone, PartialEq, Error)]
pub(crate) enum Held {
    /// Several heartbeats came at one moment; they are sent apart by their nature.
    #[error("{count} heartbeats came at one moment, {} after the request", show(*at))]
    Heartbeats { count: usize, at: Duration },
    /// Events whose own timestamps lie apart came at one moment.
    #[error("{} events that the application stamped {} apart came at one moment, {} after the request {COLLECTED}", .0.count, show(.0.span), show(.0.at))]
    Clock(Lump),
    /// The same by IDs that are numbers, which go on at this rate a second however the events come.
    #[error("{} events came at one moment, {} after the request; by their IDs, which go on by {rate:.1} a second, they were made {} apart {COLLECTED}", lump.count, show(lump.at), show(lump.span))]
    Numbers { lump: Lump, rate: f64 },
    /// Bursts of a buffer's size, with silence between them.
    #[error("the body came in {count} bursts of {size} bytes: a buffer's size")]
    Blocks { count: usize, size: u64 },
}

/// What a clock alone cannot tell apart.
const COLLECTED: &str = "(held on the way, or collected by the application)";

/// Events that were made apart and came together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Lump {
    count: usize,
    /// The time between the first and the last of them when they were made.
    span: Duration,
    /// When they came.
    at: Duration,
}

/// Sizes of the buffers that proxies have.
const BUFFERS: [u64; 5] = [65_536, 32_768, 16_384, 8_192, 4_096];

/// Looks for such a sign in one recording.
pub(crate) fn held_back(arrivals: &[Arrival], stream: &Report) -> Option<Held> {
    let by_clock = || {
        let stamp = |event: &SeenEvent| timestamp(event.carried_id()?);
        lump(stream, |e| stamp(e).or_else(|| timestamp(&e.data)))
    };
    let by_numbers = || {
        let rate = rate(stream)?;
        let made = |event: &SeenEvent| Duration::try_from_secs_f64(number(event)?.1 / rate).ok();
        let lump = lump(stream, made)?;
        Some(Held::Numbers { lump, rate })
    };
    heartbeats_together(stream)
        .or_else(|| by_clock().map(Held::Clock))
        .or_else(by_numbers)
        .or_else(|| blocks(arrivals))
}

/// A duration for people.
pub(crate) fn show(time: Duration) -> String {
    let ms = time.as_millis();
    match ms {
        0..=999 => format!("{ms} ms"),
        1_000..=119_999 => format!("{:.1} s", time.as_secs_f64()),
        _ => format!("{:.1} min", time.as_secs_f64() / 60.0),
    }
}

/// Events that were made a second or more apart, and that arrived together after a silence in which they could have come. A
/// replay of older events is none.
fn lump(stream: &Report, made: impl Fn(&SeenEvent) -> Option<Duration>) -> Option<Lump> {
    let mut stamps: Vec<Duration> = Vec::new();
    let (mut last, mut silence) = (Duration::ZERO, Duration::ZERO);
    for item in &stream.items {
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
        let Some(stamp) = made(event) else {
            stamps.clear();
            continue;
        };
        stamps.push(stamp);
        let count = stamps.len();
        let span = *stamps.iter().max()? - *stamps.iter().min()?;
        if count >= 3 && (Duration::from_secs(1)..=silence).contains(&span) {
            return Some(Lump { count, span, at });
        }
    }
    None
}

/// An ID as what stands before its number, and the number.
fn number(event: &SeenEvent) -> Option<(&str, f64)> {
    let id = event.carried_id()?;
    let before = id.trim_end_matches(|c: char| c.is_ascii_digit());
    let number: u32 = id.get(before.len()..)?.parse().ok()?;
    Some((before, f64::from(number)))
}

/// By how much the numbers in IDs go on in a second, if they go on evenly while the events come unevenly: then they are a
/// clock of the application. An application that sends what it has collected at a fixed interval has even intervals as well,
/// and one that sends when something happens has no even rate.
fn rate(stream: &Report) -> Option<f64> {
    const GAPS: usize = 5;
    let mut bursts: Vec<(Duration, f64)> = Vec::new();
    let (mut last, mut numbering) = (Duration::ZERO, None);
    for (at, event) in stream.events() {
        let (before, number) = number(event)?;
        if *numbering.get_or_insert(before) != before {
            return None;
        }
        match bursts.last_mut() {
            Some((_, newest)) if at.saturating_sub(last) < TOGETHER => *newest = number,
            _ => bursts.push((at, number)),
        }
        last = at;
    }
    let gaps = bursts.windows(2).filter_map(|pair| match pair {
        [a, b] => Some((b.0.saturating_sub(a.0).as_secs_f64(), b.1 - a.1)),
        _ => None,
    });
    let gaps: Vec<(f64, f64)> = gaps.collect();
    let times = || gaps.iter().map(|gap| gap.0);
    let rate = gaps.iter().map(|gap| gap.1).sum::<f64>() / times().sum::<f64>();
    let is_even = |(time, ids): &(f64, f64)| (0.6..=1.5).contains(&(ids / (time * rate)));
    let even = gaps.iter().all(is_even);
    let longest = times().fold(0.0, f64::max);
    let shortest = times().fold(f64::INFINITY, f64::min);
    (gaps.len() >= GAPS && even && longest >= 2.0 * shortest).then_some(rate)
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
                let of_time = |b: &&u8| b.is_ascii_digit() || b"-T:. ".contains(b);
                let end = rest.iter().take_while(of_time).count();
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
    for item in &stream.items {
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
    let mut counts = lumps.iter().map(|lump| lump.1);
    let first = counts.next();
    if lumps.len() > 1 && counts.all(|count| Some(count) == first) {
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
    // An application may send events of just that size; a buffer ends in the middle of one.
    if inner.len() < 2 || inner.iter().all(|burst| burst.whole) {
        return None;
    }
    let pauses = bursts.iter().zip(bursts.iter().skip(1));
    let mut pauses = pauses.map(|(a, b)| b.at.saturating_sub(a.until));
    let apart = pauses.all(|pause| pause >= Duration::from_millis(200));
    let fits = |size: &u64| inner.iter().all(|burst| burst.bytes.is_multiple_of(*size));
    let size = BUFFERS.into_iter().find(fits)?;
    let count = inner.len();
    apart.then_some(Held::Blocks { count, size })
}

/// The times between signs of life that the server sends on purpose: comments and events, taken by their bursts.
pub(crate) fn intervals(stream: &Report) -> Vec<Duration> {
    let times = || stream.items.iter().map(Item::at);
    let intervals = times()
        .skip(1)
        .zip(times())
        .map(|(at, before)| at.saturating_sub(before));
    intervals.filter(|interval| *interval >= TOGETHER).collect()
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
        assert!(matches!(held_back(&[], &held), Some(Held::Clock(_))));
        let late = stamped(&[(9000, 0), (9000, 4000), (9001, 8000)]);
        assert!(matches!(held_back(&[], &late), Some(Held::Clock(_))));
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
    fn events_that_come_together_though_their_numbers_go_on_evenly_were_held_back() {
        // When events came, and their numbers.
        let numbered = |bursts: &[(u64, std::ops::RangeInclusive<u64>)]| {
            let mut reader = Reader::default();
            for (at, numbers) in bursts {
                for number in numbers.clone() {
                    let text = format!("id: 3f-{number}\ndata: x\n\n");
                    reader.feed(text.as_bytes(), ms(*at));
                }
            }
            held_back(&[], &reader.finish(false))
        };
        let singles = |from: u64| (1..6).map(move |n| (n * 200, from + n..=from + n));
        let with = |more: &[(u64, std::ops::RangeInclusive<u64>)]| {
            let all: Vec<_> = singles(10).chain(more.iter().cloned()).collect();
            numbered(&all)
        };
        assert!(matches!(
            with(&[(3000, 16..=25)]),
            Some(Held::Numbers { .. })
        ));
        let uneven = [
            (1000, 1..=10),
            (3000, 11..=30),
            (4000, 31..=40),
            (7000, 41..=70),
            (8000, 71..=80),
            (9500, 81..=95),
        ];
        assert!(
            matches!(numbered(&uneven), Some(Held::Numbers { .. })),
            "lumps that follow no interval"
        );

        assert_eq!(
            with(&[(3000, 16..=18)]),
            None,
            "three events after a silence"
        );
        assert_eq!(with(&[(1200, 16..=16)]), None, "nothing came together");
        let batches = [1, 2, 3, 4, 5, 6, 7].map(|n| (n * 2000, n * 10..=n * 10 + 9));
        assert_eq!(
            numbered(&batches),
            None,
            "what the application sends every two seconds"
        );
        // A number that all topics share goes on evenly; what was made together has numbers close together.
        let shared = [
            (200, 20),
            (500, 50),
            (700, 70),
            (1000, 100),
            (3000, 300),
            (3500, 350),
        ]
        .map(|(at, n)| (at, n - 2..=n));
        assert_eq!(numbered(&shared), None, "made together");
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
                count: 2,
                size: 8192
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
