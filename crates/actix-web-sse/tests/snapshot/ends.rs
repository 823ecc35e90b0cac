//! Snapshots that are not to be had, and streams that end before they have theirs.

use std::{cell::Cell, rc::Rc, time::Duration};

use actix_web_sse::{
    Event, Hub, IntoSnapshot, Position, Snapshot,
    observe::{CloseReason, SnapshotOutcome},
};
use futures_util::stream;
use tokio::time;

use crate::{
    client::{Client, Gate, Recorder, Seen, data, hub, names, publish},
    state,
};

/// The stream of this snapshot ends for this reason, and another one goes on. What its client got.
async fn fails<S: IntoSnapshot>(
    make: impl AsyncFn(Position) -> S + 'static,
    outcome: SnapshotOutcome,
) -> Vec<Seen> {
    let recorder = Recorder::default();
    let hub = hub(&recorder, |hub| {
        hub.snapshot_events = 3;
        hub.snapshot_bytes = 1000;
    });
    let mut other = Client::open(None, |subscriber| hub.subscribe("t", subscriber));
    let mut client = Client::open(None, |subscriber| {
        hub.subscribe("t", subscriber).snapshot(make)
    });
    let seen = client.until_end(Duration::from_secs(20)).await;
    assert_eq!(recorder.look().snapshots, [outcome]);
    assert_eq!(recorder.look().closed, [CloseReason::Error]);
    assert!(
        !names(&seen).contains(&"anchor"),
        "its client has no ID that stands behind a snapshot"
    );
    other.drain().await;
    publish(&hub, "t", "goes on");
    assert_eq!(data(&other.drain().await), ["goes on"]);
    seen
}

#[actix_rt::test]
async fn d12_a_closure_that_fails_or_panics_ends_its_own_stream() {
    time::pause();
    fails(async |_| Err::<Event, _>("no"), SnapshotOutcome::Failed).await;
    let panics = async |at: Position| -> Event { panic!("on purpose, at {at}") };
    fails(panics, SnapshotOutcome::Panicked).await;
    let late = async |_| -> Event {
        time::sleep(Duration::from_secs(1)).await;
        panic!("on purpose")
    };
    fails(late, SnapshotOutcome::Panicked).await;
}

#[actix_rt::test]
async fn d12_a_stream_of_a_snapshot_that_fails_or_panics_ends_its_own_stream() {
    time::pause();
    let breaks = async |_| Snapshot::stream(stream::iter([Ok(state(1)), Err("no"), Ok(state(2))]));
    let seen = fails(breaks, SnapshotOutcome::Failed).await;
    assert_eq!(data(&seen), [""; 0], "not even what was ready before it");
    let panics = async |_| {
        Snapshot::stream(stream::poll_fn(|_| -> std::task::Poll<Option<Event>> {
            panic!("on purpose")
        }))
    };
    fails(panics, SnapshotOutcome::Panicked).await;
}

#[actix_rt::test]
async fn the_number_and_the_bytes_of_its_events_are_bounded() {
    time::pause();
    let many = async |_| (0..4).map(state).collect::<Vec<_>>();
    fails(many, SnapshotOutcome::TooLarge).await;
    // `event: state\n`, `data: `, and two line ends.
    let large = async |_| state("x".repeat(1001 - 21));
    fails(large, SnapshotOutcome::TooLarge).await;
    let endless = async |_| Snapshot::stream(stream::repeat_with(|| state(0)));
    fails(endless, SnapshotOutcome::TooLarge).await;

    let recorder = Recorder::default();
    let hub = hub(&recorder, |hub| {
        hub.snapshot_events = 3;
        hub.snapshot_bytes = 1000;
    });
    let mut client = Client::open(None, |subscriber| {
        hub.subscribe("t", subscriber)
            .snapshot(async |_| vec![state("x".repeat(1000 - 3 * 21 - 2)), state(1), state(2)])
    });
    assert_eq!(client.drain().await.len(), 3 + 1, "as much as is allowed");
}

#[actix_rt::test]
async fn an_event_of_it_has_no_id() {
    time::pause();
    let with_id = async |_| state(1).id("7");
    fails(with_id, SnapshotOutcome::HasId).await;
}

#[actix_rt::test]
async fn the_time_that_the_application_takes_is_bounded() {
    time::pause();
    let never = async |_| std::future::pending::<Event>().await;
    fails(never, SnapshotOutcome::TooSlow).await;
    // Ten seconds altogether, not for each event.
    let slow = async |_| {
        Snapshot::stream(Box::pin(stream::unfold(0, |number| async move {
            time::sleep(Duration::from_secs(4)).await;
            Some((state(number), number + 1))
        })))
    };
    let seen = fails(slow, SnapshotOutcome::TooSlow).await;
    assert_eq!(data(&seen), ["0", "1"]);
}

#[actix_rt::test]
async fn a_slow_reader_is_not_a_slow_application() {
    time::pause();
    let recorder = Recorder::default();
    let hub = hub(&recorder, |_| ());
    let mut client = Client::open(None, |subscriber| {
        hub.subscribe("t", subscriber).snapshot(async |_| {
            let large = (0..20).map(|_| state("x".repeat(20_000)));
            Snapshot::stream(stream::iter(large.collect::<Vec<_>>()))
        })
    });
    let mut events = 0;
    while events < 20 {
        events += client.some().await.len();
        time::sleep(Duration::from_secs(5)).await;
    }
    assert_eq!(names(&client.some().await), ["anchor"]);
}

#[actix_rt::test]
async fn a_snapshot_that_the_log_overtakes_is_made_three_times_at_the_most() {
    time::pause();
    let recorder = Recorder::default();
    let hub = hub(&recorder, |hub| hub.replay_events = 5);
    let gate = Gate::default();
    let burst = |hub: &Hub| (0..6).for_each(|number| drop(publish(hub, "t", number)));
    let open = |gate: &Gate| {
        let passed = gate.clone();
        Client::open(None, |subscriber| {
            hub.subscribe("t", subscriber)
                .snapshot(async move |_| state(passed.pass().await))
        })
    };
    let mut client = open(&gate);
    client.drain().await;
    for _ in 0..2 {
        burst(&hub);
        gate.open();
        assert_eq!(client.drain().await, [], "a state that cannot be followed");
    }
    publish(&hub, "t", "after");
    gate.open();
    let seen = client.drain().await;
    assert_eq!(data(&seen), ["3", "{}", "after"], "the third");
    drop(client);

    let mut client = open(&gate);
    client.drain().await;
    for _ in 0..3 {
        burst(&hub);
        gate.open();
        client.drain().await;
    }
    assert!(client.ended);
    let seen = recorder.look();
    let outcomes = [SnapshotOutcome::Sent, SnapshotOutcome::Overtaken];
    assert_eq!(seen.snapshots, outcomes);
    assert_eq!(seen.closed, [CloseReason::ClientGone, CloseReason::Error]);
}

#[actix_rt::test]
async fn a_position_of_another_numbering_is_as_one_that_is_gone() {
    time::pause();
    let recorder = Recorder::default();
    let hub = hub(&recorder, |_| ());
    let calls = Rc::new(Cell::new(0));
    let count = Rc::clone(&calls);
    let mut client = Client::open(None, |subscriber| {
        hub.subscribe("t", subscriber).snapshot(async move |_| {
            count.set(count.get() + 1);
            Snapshot::of(state(1)).at("0d8jw2kx-0".parse().unwrap())
        })
    });
    assert_eq!(client.until_end(Duration::from_secs(1)).await, []);
    assert_eq!(calls.get(), 3);
    assert_eq!(recorder.look().snapshots, [SnapshotOutcome::Overtaken]);
}

#[actix_rt::test]
async fn d08_a_log_that_runs_past_one_that_is_being_sent_ends_the_stream() {
    time::pause();
    let recorder = Recorder::default();
    let hub = hub(&recorder, |hub| hub.replay_events = 5);
    let mut client = Client::open(None, |subscriber| {
        hub.subscribe("t", subscriber).snapshot(async |_| {
            let large = (0..4).map(|_| state("x".repeat(20_000)));
            large.collect::<Vec<_>>()
        })
    });
    client.some().await;
    client.some().await;
    (0..6).for_each(|number| drop(publish(&hub, "t", number)));
    let seen = client.until_end(Duration::from_secs(1)).await;
    assert_eq!(names(&seen), ["state"; 3], "and no anchor");
    assert_eq!(recorder.look().snapshots, [SnapshotOutcome::Overtaken]);
    assert_eq!(recorder.look().closed, [CloseReason::SlowConsumer]);
}

#[actix_rt::test]
async fn d06_a_client_that_takes_a_snapshot_too_slowly_is_ended() {
    time::pause();
    let recorder = Recorder::default();
    let hub = hub(&recorder, |_| ());
    let mut client = Client::open(None, |subscriber| {
        hub.subscribe("t", subscriber).snapshot(async |_| {
            let large = (0..40).map(|_| state("x".repeat(20_000)));
            large.collect::<Vec<_>>()
        })
    });
    client.some().await;
    // A piece every 29 seconds is no stall.
    for _ in 0..10 {
        assert_eq!(names(&client.some().await), ["state"]);
        time::advance(Duration::from_secs(29)).await;
    }
    time::advance(Duration::from_secs(11)).await;
    let seen = client.until_end(Duration::from_secs(1)).await;
    assert_eq!(names(&seen), [] as [&str; 0], "nothing more, and no anchor");
    assert_eq!(recorder.look().snapshots, [SnapshotOutcome::Untaken]);
    assert_eq!(recorder.look().closed, [CloseReason::SlowConsumer]);
}

/// Tells that it was dropped.
struct Dropped(Rc<Cell<bool>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

/// A stream whose snapshot is being made, and one of which a part is with the client; both end, and
/// nothing more of the snapshots is sent.
async fn ends_both(end: impl AsyncFn(&Hub), reason: CloseReason) {
    let recorder = Recorder::default();
    let hub = hub(&recorder, |_| ());
    let gate = Gate::default();
    let dropped = Rc::new(Cell::new(false));
    let (passed, mark) = (gate.clone(), Rc::clone(&dropped));
    let mut made = Client::open(None, |subscriber| {
        hub.subscribe("t", subscriber).snapshot(async move |_| {
            let _mark = Dropped(Rc::clone(&mark));
            passed.pass().await;
            state("secret")
        })
    });
    made.drain().await;
    let mut sent = Client::open(None, |subscriber| {
        hub.subscribe("t", subscriber).snapshot(async |_| {
            let large = (0..4).map(|_| state("x".repeat(20_000)));
            large.collect::<Vec<_>>()
        })
    });
    sent.some().await;
    assert_eq!(sent.some().await.len(), 1);
    publish(&hub, "t", 1);
    end(&hub).await;
    gate.open();
    assert_eq!(made.until_end(Duration::from_secs(20)).await, []);
    assert_eq!(sent.until_end(Duration::from_secs(20)).await, []);
    assert!(dropped.get(), "what the application made of it is gone");
    assert_eq!(recorder.look().closed, [reason; 2]);
    assert_eq!(recorder.look().snapshots, [], "it is not known");
}

#[actix_rt::test]
async fn t17_t19_a_revocation_ends_it_before_anything_else_is_sent() {
    time::pause();
    ends_both(async |hub| hub.disconnect_topic("t"), CloseReason::Revoked).await;
}

#[actix_rt::test]
async fn d09_a_drain_does_not_wait_for_it() {
    time::pause();
    let drain = async |hub: &Hub| {
        let hub = hub.clone();
        drop(actix_web::rt::spawn(async move { hub.drain().await }));
        time::sleep(Duration::from_secs(9)).await;
    };
    ends_both(drain, CloseReason::Drain).await;
}

#[actix_rt::test]
async fn the_future_is_dropped_with_the_client() {
    time::pause();
    let hub = hub(&Recorder::default(), |_| ());
    let dropped = Rc::new(Cell::new(false));
    let mark = Rc::clone(&dropped);
    let mut client = Client::open(None, |subscriber| {
        hub.subscribe("t", subscriber).snapshot(async move |_| {
            let _mark = Dropped(Rc::clone(&mark));
            std::future::pending::<Event>().await
        })
    });
    client.drain().await;
    drop(client);
    assert!(dropped.get());
    assert_eq!(hub.subscribers("t"), 0);
}

#[actix_rt::test]
async fn a_closure_may_publish_and_end_its_own_stream() {
    time::pause();
    let recorder = Recorder::default();
    let hub = hub(&recorder, |_| ());
    let inside = hub.clone();
    let mut client = Client::open(None, |subscriber| {
        hub.subscribe("t", subscriber).snapshot(async move |_| {
            publish(&inside, "t", "while it is made");
            inside.disconnect_topic("t");
            state("secret")
        })
    });
    assert_eq!(client.until_end(Duration::from_secs(1)).await, []);
    assert_eq!(recorder.look().closed, [CloseReason::Revoked]);
}
