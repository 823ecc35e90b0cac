//! Random runs against a model: whatever is published, cut, delayed and forgotten meanwhile, a client
//! that starts with a snapshot has each event of its topics exactly once, in order.

use std::{cell::RefCell, collections::VecDeque, rc::Rc, time::Duration};

use actix_web_sse::{Event, Hub, Position, Snapshot};
use fastrand::Rng;
use futures_util::stream;
use tokio::time::{self, advance};

use crate::client::{Client, Gate, Recorder, Seen, hub};

const TOPICS: [&str; 4] = ["a", "b", "c", "d"];

/// Everything that was published, in order.
#[derive(Default)]
struct Model {
    published: Vec<(Position, &'static str, usize)>,
    /// A state that is kept from before.
    kept: Option<Position>,
}

impl Model {
    /// The numbers of these topics up to a position.
    fn state(&self, topics: &[&str], at: &Position) -> Vec<usize> {
        let known = self.published.iter();
        let known = known.filter(|(position, topic, _)| position <= at && topics.contains(topic));
        known.map(|(.., number)| *number).collect()
    }
}

/// What a page makes of a stream.
#[derive(Debug, Default)]
struct Page {
    numbers: Vec<usize>,
    id: Option<String>,
    /// A snapshot has begun and has not ended.
    partial: bool,
    snapshots: usize,
    resets: usize,
}

impl Page {
    fn take(&mut self, seen: Seen, expected: &[usize], trace: &str) {
        if seen.id.is_some() {
            self.id = seen.id;
        }
        let numbers = || {
            let numbers = seen.data.split(' ').filter(|text| !text.is_empty());
            numbers.map(|text| text.parse::<usize>().unwrap())
        };
        match seen.name.as_str() {
            "reset" => {
                self.numbers.clear();
                self.resets += 1;
                self.partial = true;
            }
            "begin" => {
                self.numbers.clear();
                self.partial = true;
            }
            "state" => self.numbers.extend(numbers()),
            "anchor" => {
                self.partial = false;
                self.snapshots += 1;
            }
            "" => {
                assert!(!self.partial, "{trace}: an event before the snapshot's end");
                self.numbers.extend(numbers());
            }
            other => panic!("{trace}: {other}"),
        }
        if !self.partial {
            let len = self.numbers.len();
            assert!(len <= expected.len(), "{trace}: more than was published");
            assert_eq!(self.numbers, expected[..len], "{trace}");
        }
    }
}

struct Run {
    random: Rng,
    hub: Hub,
    model: Rc<RefCell<Model>>,
    gate: Gate,
    topics: Vec<&'static str>,
    number: usize,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let events = random.usize(1..40);
        let resume = random.u8(..8) > 0;
        let last_value = random.u8(..4) == 0;
        let hub = hub(&Recorder::default(), |hub| {
            hub.replay_events = events;
            hub.replay_age = Duration::from_secs(20);
            hub.resume = resume;
            hub.last_value = last_value;
            hub.snapshot_time = Duration::from_secs(60);
        });
        let topics = TOPICS[..random.usize(1..4)].to_vec();
        Self {
            random,
            hub,
            model: Rc::default(),
            gate: Gate::default(),
            topics,
            number: 0,
        }
    }

    fn publish(&mut self, count: usize) {
        for _ in 0..count {
            let topic = TOPICS[self.random.usize(..TOPICS.len())];
            let event = Event::data(self.number.to_string());
            self.hub.publish(topic, event).unwrap();
            let position = self.hub.position();
            let mut model = self.model.borrow_mut();
            model.published.push((position, topic, self.number));
            self.number += 1;
        }
    }

    fn open(&mut self, id: Option<&str>) -> Client {
        let (model, gate, hub) = (Rc::clone(&self.model), self.gate.clone(), self.hub.clone());
        let topics = self.topics.clone();
        let (way, waits) = (self.random.u8(..6), self.random.bool());
        // It is called anew with the same choices; a state from before may be gone by then.
        let calls = RefCell::new(0);
        Client::open(id, |subscriber| {
            self.hub
                .subscribe(self.topics.clone(), subscriber)
                .snapshot(async move |at| {
                    let call = calls.replace_with(|calls| *calls + 1);
                    if waits {
                        gate.pass().await;
                    }
                    let mut model = model.borrow_mut();
                    let kept = model.kept.clone().filter(|_| way == 5 && call == 0);
                    let position = match way {
                        0..=2 => at.clone(),
                        _ => kept.unwrap_or_else(|| hub.position()),
                    };
                    let state = model.state(&topics, &position);
                    model.kept = Some(position.clone());
                    let begin = || Event::data("").name("begin").unwrap();
                    let part = |part: &[usize]| {
                        let part = part.iter().map(usize::to_string).collect::<Vec<_>>();
                        Event::data(part.join(" ")).name("state").unwrap()
                    };
                    let events = std::iter::once(begin()).chain(state.chunks(7).map(part));
                    let events = events.collect::<Vec<_>>();
                    let snapshot = match way % 2 {
                        0 => Snapshot::list(events),
                        _ => {
                            let events = stream::unfold(
                                VecDeque::from(events),
                                move |mut left| async move {
                                    let event = left.pop_front()?;
                                    if waits && left.len() % 3 == 1 {
                                        time::sleep(Duration::from_millis(300)).await;
                                    }
                                    Some((event, left))
                                },
                            );
                            Snapshot::stream(Box::pin(events))
                        }
                    };
                    match way {
                        0 | 1 => snapshot,
                        _ => snapshot.at(position),
                    }
                })
        })
    }

    /// The numbers that the client is to have in the end.
    fn expected(&self) -> Vec<usize> {
        let model = self.model.borrow();
        model.state(&self.topics, &self.hub.position())
    }
}

async fn run(seed: u64) -> (usize, usize) {
    let mut run = Run::new(seed);
    let mut page = Page::default();
    let mut client = run.open(None);
    for step in 0..60 {
        let trace = format!("seed {seed}, step {step}");
        match run.random.u8(..12) {
            0..=2 => {
                let count = run.random.usize(1..6);
                run.publish(count);
            }
            3 => {
                let count = run.random.usize(1..60);
                run.publish(count);
            }
            4 => run.gate.open(),
            5 => {
                let id = page.id.clone().filter(|_| run.random.u8(..10) > 0);
                if id.is_none() {
                    page = Page::default();
                }
                client = run.open(id.as_deref());
            }
            6 => advance(Duration::from_millis(run.random.u64(1..30_000))).await,
            7 => {
                // As a worker does now and then.
                client
                    .read_for(Duration::from_secs(2))
                    .await
                    .into_iter()
                    .for_each(|seen| page.take(seen, &run.expected(), &trace));
            }
            8..=9 => {
                for seen in client.some().await {
                    page.take(seen, &run.expected(), &trace);
                }
            }
            _ => {
                for seen in client.drain().await {
                    page.take(seen, &run.expected(), &trace);
                }
            }
        }
        if client.ended {
            client = run.open(page.id.as_deref());
        }
    }
    // In the end there is peace, and the client has everything.
    let trace = format!("seed {seed}, the end");
    for attempt in 0.. {
        assert!(attempt < 40, "{trace}: {page:?}");
        run.gate.open();
        for seen in client.read_for(Duration::from_secs(3)).await {
            page.take(seen, &run.expected(), &trace);
        }
        if client.ended {
            client = run.open(page.id.as_deref());
        } else if !page.partial && page.numbers == run.expected() && page.snapshots > 0 {
            break;
        }
    }
    (page.snapshots, page.resets)
}

#[actix_rt::test]
async fn d15_r15_a_client_has_every_event_exactly_once_whatever_comes_between() {
    time::pause();
    let (mut snapshots, mut resets) = (0, 0);
    for seed in 0..120 {
        let (taken, reset) = run(seed).await;
        snapshots += taken;
        resets += reset;
    }
    // The runs are not of one kind.
    assert!(snapshots > 120 && resets > 20, "{snapshots} {resets}");
}
