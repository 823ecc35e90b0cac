//! Models of the hub: the code itself, run by loom in every order of events.
//!
//! `RUSTFLAGS="--cfg sse_loom" cargo test -p actix-web-sse --lib loom --target-dir target/loom`
//!
//! A worker is a thread that polls its driver and its bodies, and sleeps until one of its wakers
//! is called: a wake-up that gets lost is a deadlock, and loom reports it. The clock stands still,
//! so that no timer comes to the rescue.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test helpers: a failure here is the test's failure"
)]

use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use actix_web::body::MessageBody;
use loom::{
    future::block_on,
    model::Builder,
    thread::{self, JoinHandle},
};
use tokio::time::Instant;

use super::{
    Hub,
    stream::Stream,
    worker::{Local, Taken},
};
use crate::{
    Event, Identity, Retry,
    event::encode,
    lane::body::EventBody,
    observe::{CloseReason, End, Resume, StreamObserver},
    stream::Account,
};

/// In machine words: a thread of loom's has 32 KiB by default, and tokio's timers need more.
const STACK: usize = 64 * 1024;

fn model(preemptions: usize, run: impl Fn() + Sync + Send + 'static) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let _context = runtime.enter();
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    let run = Arc::new(run);
    builder.check(move || {
        let run = Arc::clone(&run);
        spawn(move || run()).join().unwrap();
    });
}

fn spawn<T: 'static + Send>(run: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let thread = thread::Builder::new().stack_size(STACK);
    thread.spawn(run).unwrap()
}

fn hub() -> Hub {
    Hub::builder().build().unwrap()
}

fn publish(hub: &Hub, data: &'static str) -> String {
    let published = hub.publish("t", Event::data(data)).unwrap();
    published.id.unwrap()
}

/// The end that was reported, if it was.
#[derive(Clone, Default)]
struct Report(Rc<Cell<Option<CloseReason>>>);

impl StreamObserver for Report {
    fn closed(self: Box<Self>, end: &End) {
        assert_eq!(self.0.replace(Some(end.reason)), None);
    }
}

/// A worker with one stream, as the responder makes it.
struct Worker {
    driver: Pin<Box<dyn Future<Output = ()>>>,
    body: Pin<Box<EventBody>>,
    report: Report,
    /// The data of all events so far.
    seen: String,
    over: bool,
}

impl Worker {
    /// `None`: the hub drains.
    fn open(hub: &Hub, last_event_id: Option<&str>) -> Option<Self> {
        let (local, driver) = Local::start(&hub.shared);
        let slot = hub.shared.admit(&Identity::anonymous(), None).ok()?;
        let placed = local.attach(&["t".into()], last_event_id).unwrap();
        let expected = match last_event_id {
            Some(_) => Resume::Hit,
            None => Resume::Fresh,
        };
        assert_eq!(placed.resume, expected);
        let now = Instant::now();
        let report = Report::default();
        let account = Account::new(1.into(), Box::new(report.clone()), None, now);
        let config = Arc::clone(&hub.shared.stream);
        let mut stream = Stream::new(account, Some(slot), config, Some("alice".into()), now);
        let Taken {
            cursors,
            ends,
            present,
        } = placed.places.take();
        stream.follow(cursors, None, None);
        let stream = Rc::new(RefCell::new(stream));
        local.insert(&stream, &ends, present);
        let first = encode::first_block(Retry::clamped(Duration::from_secs(3)), None);
        let body = EventBody::new(local, stream, None, None, first);
        Some(Self {
            driver: Box::pin(driver),
            body: Box::pin(body),
            report,
            seen: String::new(),
            over: false,
        })
    }

    /// Polls until the events are there, or the stream is over.
    fn run(&mut self, events: usize) {
        block_on(poll_fn(|cx| {
            let _ = self.driver.as_mut().poll(cx);
            while let Poll::Ready(piece) = self.body.as_mut().poll_next(cx) {
                let Some(piece) = piece else {
                    self.over = true;
                    return Poll::Ready(());
                };
                let text = String::from_utf8(piece.unwrap().to_vec()).unwrap();
                let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
                self.seen.extend(data);
            }
            match self.seen.len() < events {
                true => Poll::Pending,
                false => Poll::Ready(()),
            }
        }));
    }

    /// The connection is gone.
    fn close(self) -> Option<CloseReason> {
        let Self {
            driver,
            body,
            report,
            ..
        } = self;
        drop(body);
        drop(driver);
        report.0.get()
    }
}

/// Runs beside the model's own thread.
fn beside(hub: &Hub, run: impl FnOnce(Hub) + Send + 'static) -> JoinHandle<()> {
    let hub = hub.clone();
    spawn(move || run(hub))
}

#[test]
fn d15_an_event_beside_the_replay_is_delivered_exactly_once() {
    model(3, || {
        let hub = hub();
        let id = publish(&hub, "0");
        let publisher = beside(&hub, |hub| {
            publish(&hub, "1");
            publish(&hub, "2");
        });
        let mut worker = Worker::open(&hub, Some(&id)).unwrap();
        worker.run(2);
        assert_eq!(worker.seen, "12");
        publisher.join().unwrap();
    });
}

#[test]
fn d16_no_wake_up_of_two_publishers_is_lost() {
    model(3, || {
        let hub = hub();
        let mut worker = Worker::open(&hub, None).unwrap();
        let one = beside(&hub, |hub| drop(publish(&hub, "1")));
        let two = beside(&hub, |hub| drop(publish(&hub, "2")));
        worker.run(2);
        assert!(["12", "21"].contains(&worker.seen.as_str()));
        assert_eq!(worker.close(), Some(CloseReason::ClientGone));
        one.join().unwrap();
        two.join().unwrap();
        assert_eq!(hub.stats().streams, 0);
    });
}

#[test]
fn d16_post_for_nobody_does_not_cost_the_next_wake_up() {
    model(3, || {
        let hub = hub();
        let mut worker = Worker::open(&hub, None).unwrap();
        let other = beside(&hub, |hub| {
            hub.disconnect("bob");
            publish(&hub, "1");
        });
        worker.run(1);
        other.join().unwrap();
    });
}

#[test]
fn d17_two_workers_see_the_same_order() {
    model(2, || {
        let hub = hub();
        let id = publish(&hub, "0");
        let seen = |hub: &Hub, id: &str| {
            let mut worker = Worker::open(hub, Some(id)).unwrap();
            worker.run(2);
            worker.seen
        };
        let publisher = beside(&hub, |hub| drop(publish(&hub, "1")));
        let other = spawn({
            let (hub, id) = (hub.clone(), id.clone());
            move || {
                publish(&hub, "2");
                seen(&hub, &id)
            }
        });
        let mine = seen(&hub, &id);
        assert!(["12", "21"].contains(&mine.as_str()));
        assert_eq!(other.join().unwrap(), mine);
        publisher.join().unwrap();
    });
}

#[test]
fn d16_publish_unsubscribe_shutdown_and_drop_in_every_order() {
    model(2, || {
        let hub = hub();
        let publisher = beside(&hub, |hub| drop(publish(&hub, "1")));
        let shutdown = beside(&hub, |hub| {
            block_on(hub.drain_within(Duration::ZERO));
            // Neither is a stream left, nor does one come.
            assert_eq!(hub.stats().streams, 0);
            assert!(hub.shared.admit(&Identity::anonymous(), None).is_err());
        });
        if let Some(mut worker) = Worker::open(&hub, None) {
            drop(hub);
            worker.run(usize::MAX);
            assert!(worker.over, "the stream ended");
            assert!(["", "1"].contains(&worker.seen.as_str()));
            assert_eq!(worker.close(), Some(CloseReason::Drain));
        }
        publisher.join().unwrap();
        shutdown.join().unwrap();
    });
}

#[test]
fn d16_a_client_that_leaves_during_a_drain_is_counted_once() {
    model(3, || {
        let hub = hub();
        let shutdown = beside(&hub, |hub| {
            block_on(hub.drain_within(Duration::ZERO));
            assert_eq!(hub.stats().streams, 0);
        });
        let worker = Worker::open(&hub, None);
        let reason = worker.map(Worker::close);
        assert!([None, Some(Some(CloseReason::ClientGone))].contains(&reason));
        assert_eq!(hub.subscribers("t"), 0);
        shutdown.join().unwrap();
    });
}

#[test]
fn t19_nothing_published_after_a_revocation_is_delivered() {
    model(3, || {
        let hub = hub();
        let mut worker = Worker::open(&hub, None).unwrap();
        let other = beside(&hub, |hub| {
            hub.disconnect("alice");
            publish(&hub, "1");
        });
        worker.run(usize::MAX);
        assert_eq!(worker.seen, "");
        assert_eq!(worker.close(), Some(CloseReason::Revoked));
        other.join().unwrap();
    });
}
