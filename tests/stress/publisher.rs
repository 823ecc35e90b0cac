//! Publishes numbered events on a few topics, in a steady pace.

use std::{
    thread,
    time::{Duration, Instant},
};

use actix_web_sse::{Event, Hub};

/// The last of them has large events; slow readers follow it.
pub(crate) const TOPICS: usize = 9;
/// The topic that slow readers follow.
pub(crate) const LARGE: usize = TOPICS - 1;
/// How many events of each topic are kept: more than a reader can miss.
pub(crate) const REPLAY: usize = 8192;

const TICK: Duration = Duration::from_millis(10);

pub(crate) fn name(topic: usize) -> String {
    format!("topic {topic}")
}

/// How many events each topic has had.
#[derive(Debug)]
pub(crate) struct Publisher {
    chance: fastrand::Rng,
    published: [u64; TOPICS],
    padding: String,
}

impl Publisher {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            chance: fastrand::Rng::with_seed(seed),
            published: [0; TOPICS],
            padding: "x".repeat(4000),
        }
    }

    pub(crate) fn published(&self, topic: usize) -> u64 {
        self.published[topic]
    }

    /// Fills every topic's replay.
    pub(crate) fn fill(&mut self, hub: &Hub) {
        for topic in 0..TOPICS {
            for _ in 0..REPLAY {
                self.publish(hub, topic);
            }
        }
    }

    /// About 100 events a second on each topic: the replay then holds more than a minute, and a
    /// reader that gets little of a busy machine still has everything.
    pub(crate) fn publish_while(&mut self, hub: &Hub, mut wanted: impl FnMut() -> bool) {
        let mut next = Instant::now();
        while wanted() {
            for topic in 0..TOPICS {
                for _ in 0..self.chance.usize(0..=2) {
                    self.publish(hub, topic);
                }
            }
            next = (next + TICK).max(Instant::now());
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }

    fn publish(&mut self, hub: &Hub, topic: usize) {
        let number = self.published[topic];
        let length = if topic == LARGE {
            self.padding.len()
        } else {
            self.chance.usize(0..100)
        };
        let event = Event::data(format!("{number} {}", &self.padding[..length]));
        hub.publish(&name(topic), event).expect("published");
        self.published[topic] += 1;
    }
}
