//! Arrival times: bursts, silences, and what they say about buffers on the way. Pure.

use std::time::Duration;

use crate::{
    exchange::Arrival,
    stream::{Item, Report},
};

/// Bytes that come closer together than this count as one burst.
const TOGETHER: Duration = Duration::from_millis(30);

/// Bytes that came together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Burst {
    /// When the first came.
    pub at: Duration,
    /// When the last came.
    pub until: Duration,
    /// How many.
    pub bytes: u64,
}

/// Groups arrivals.
#[must_use]
pub fn bursts(arrivals: &[Arrival]) -> Vec<Burst> {
    let mut bursts: Vec<Burst> = Vec::new();
    for arrival in arrivals {
        match bursts.last_mut() {
            Some(burst) if arrival.at.saturating_sub(burst.until) < TOGETHER => {
                burst.until = arrival.at;
                burst.bytes += arrival.bytes;
            }
            _ => bursts.push(Burst {
                at: arrival.at,
                until: arrival.at,
                bytes: arrival.bytes,
            }),
        }
    }
    bursts
}

/// A sign that something between the application and here holds bytes back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Held {
    /// Several heartbeats came at one moment; they are sent apart by their nature.
    Heartbeats {
        /// How many.
        count: usize,
        /// When.
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
pub fn held_back(arrivals: &[Arrival], stream: &Report) -> Option<Held> {
    heartbeats_together(stream).or_else(|| blocks(arrivals))
}

fn heartbeats_together(stream: &Report) -> Option<Held> {
    // A first block may hold several comments (padding for old clients), and an event may carry one. So: three comments
    // in a row with nothing between, later than the first second or with more comments before.
    let mut run: Vec<Duration> = Vec::new();
    let mut comments = 0;
    for item in stream.items() {
        let Item::Comment(at, _) = item else {
            run.clear();
            continue;
        };
        comments += 1;
        if run
            .first()
            .is_some_and(|first| at.saturating_sub(*first) >= TOGETHER)
        {
            run.clear();
        }
        run.push(*at);
        let late = run
            .first()
            .is_some_and(|first| *first > Duration::from_secs(1));
        if run.len() >= 3 && (late || comments > run.len()) {
            return Some(Held::Heartbeats {
                count: run.len(),
                at: *at,
            });
        }
    }
    None
}

fn blocks(arrivals: &[Arrival]) -> Option<Held> {
    let bursts = bursts(arrivals);
    // The first burst may be a replay and the last one may have been cut off by the end of the recording.
    let inner: Vec<_> = bursts.iter().skip(1).rev().skip(1).collect();
    if inner.len() < 2 {
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
pub fn intervals(stream: &Report) -> Vec<Duration> {
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
            .map(|&(at, bytes)| Arrival { at: ms(at), bytes })
            .collect()
    }

    fn heartbeats(times: &[u64]) -> Report {
        let mut reader = Reader::new();
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
