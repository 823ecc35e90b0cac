//! Streams that begin with a snapshot: what a client gets, when, and what becomes of it when
//! something goes wrong. `snapshot/model.rs` compares random runs with a model.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "test code: a failure is to be loud"
)]

#[path = "snapshot/client.rs"]
mod client;
#[path = "snapshot/ends.rs"]
mod ends;
#[path = "snapshot/model.rs"]
mod model;

use std::{cell::Cell, rc::Rc, time::Duration};

use actix_web_sse::{
    Event, Hub, Position, Snapshot,
    observe::{CloseReason, Resume, SnapshotOutcome},
};
use futures_util::{StreamExt as _, stream};
use tokio::time::{self, Instant};

use self::client::{Client, Gate, Recorder, data, hub, names, publish};

#[allow(
    clippy::needless_pass_by_value,
    reason = "callers hand over numbers and texts as they are"
)]
fn state(text: impl ToString) -> Event {
    Event::data(text.to_string()).name("state").unwrap()
}

#[actix_rt::test]
async fn a_snapshot_is_sent_once_between_what_was_and_what_comes() {
    time::pause();
    let recorder = Recorder::default();
    let hub = hub(&recorder, |_| ());
    publish(&hub, "t", 1);
    let gate = Gate::default();
    let passed = gate.clone();
    let mut client = Client::open(None, |subscriber| {
        hub.subscribe("t", subscriber)
            .snapshot(async move |at: Position| {
                passed.pass().await;
                state(at)
            })
    });
    let at = hub.position();
    assert_eq!(client.drain().await, [], "no anchor before the snapshot");
    publish(&hub, "t", 2);
    publish(&hub, "another", "not followed");
    publish(&hub, "t", 3);
    assert_eq!(client.drain().await, []);
    gate.open();
    let seen = client.drain().await;
    assert_eq!(names(&seen), ["state", "anchor", "", ""]);
    assert_eq!(data(&seen), [&at.to_string(), "{}", "2", "3"]);
    assert_eq!(seen[0].id, None, "it is no event of the log");
    assert!(seen[1].id.is_some() && seen[2].id.is_some());
    publish(&hub, "t", 4);
    assert_eq!(data(&client.drain().await), ["4"]);
    assert_eq!(gate.calls(), 1);
    assert_eq!(recorder.look().snapshots, [SnapshotOutcome::Sent]);
    assert_eq!(recorder.look().opened, [Resume::Fresh]);
}

#[actix_rt::test]
async fn r01_a_client_that_comes_back_gets_what_it_missed_and_no_snapshot() {
    time::pause();
    let recorder = Recorder::default();
    let hub = hub(&recorder, |_| ());
    let calls = Rc::new(Cell::new(0));
    let open = |id: Option<&str>| {
        let calls = Rc::clone(&calls);
        Client::open(id, |subscriber| {
            hub.subscribe(["a", "b"], subscriber)
                .snapshot(async move |_| {
                    calls.set(calls.get() + 1);
                    Snapshot::list(vec![state("begin"), state("end")])
                })
        })
    };
    let seen = open(None).drain().await;
    assert_eq!(data(&seen), ["begin", "end", "{}"]);
    let anchor = seen[2].id.clone().unwrap();
    publish(&hub, "a", 1);
    let id = publish(&hub, "b", 2);
    publish(&hub, "a", 3);
    assert_eq!(data(&open(Some(&anchor)).drain().await), ["1", "2", "3"]);
    assert_eq!(data(&open(Some(&id)).drain().await), ["3"]);
    assert_eq!(calls.get(), 1);
    let opened = recorder.look().opened;
    assert_eq!(opened, [Resume::Fresh, Resume::Hit, Resume::Hit]);
}

#[actix_rt::test]
async fn r02_r06_a_gap_is_a_reset_without_an_id_and_then_the_snapshot() {
    time::pause();
    let recorder = Recorder::default();
    let hub = hub(&recorder, |hub| hub.replay_events = 1);
    let old = publish(&hub, "t", 1);
    publish(&hub, "t", 2);
    publish(&hub, "t", 3);
    for (asked, reason) in [(&*old, "gap"), ("nobody's", "unknown")] {
        let mut client = Client::open(Some(asked), |subscriber| {
            hub.subscribe("t", subscriber)
                .snapshot(async |_| state("1 2 3"))
        });
        let seen = client.drain().await;
        assert_eq!(names(&seen), ["reset", "state", "anchor"]);
        assert_eq!(seen[0].data, format!(r#"{{"reason":"{reason}"}}"#));
        // With one, a client that is cut here would come back as if it had the snapshot.
        assert_eq!((&seen[0].id, &seen[1].id), (&None, &None));
    }
    assert_eq!(recorder.look().opened, [Resume::Gap, Resume::Unknown]);
}

#[actix_rt::test]
async fn a_state_that_stands_elsewhere_says_so() {
    time::pause();
    let recorder = Recorder::default();
    let hub = hub(&recorder, |_| ());
    publish(&hub, "t", 1);
    let older = hub.position();
    publish(&hub, "t", 2);
    let gate = Gate::default();
    let (passed, now) = (gate.clone(), hub.clone());
    let mut later = Client::open(None, |subscriber| {
        hub.subscribe("t", subscriber).snapshot(async move |_| {
            passed.pass().await;
            Snapshot::of(state("up to now")).at(now.position())
        })
    });
    assert_eq!(later.drain().await, []);
    publish(&hub, "t", 3);
    gate.open();
    assert_eq!(data(&later.drain().await), ["up to now", "{}"]);
    let mut earlier = Client::open(None, |subscriber| {
        hub.subscribe("t", subscriber)
            .snapshot(async move |_| Snapshot::of(state("kept")).at(older.clone()))
    });
    let seen = earlier.drain().await;
    assert_eq!(data(&seen), ["kept", "{}", "2", "3"]);
    publish(&hub, "t", 4);
    assert_eq!(data(&later.drain().await), ["4"]);
    assert_eq!(data(&earlier.drain().await), ["4"]);
}

#[actix_rt::test]
async fn several_topics_go_on_in_one_order_and_as_the_filter_wants() {
    time::pause();
    let hub = hub(&Recorder::default(), |_| ());
    let gate = Gate::default();
    let passed = gate.clone();
    let mut client = Client::open(None, |subscriber| {
        hub.subscribe(["a", "b", "c"], subscriber)
            .filter(|event| event.name != Some("unwanted"))
            .snapshot(async move |_| {
                passed.pass().await;
                Event::data("state").name("unwanted")
            })
    });
    client.drain().await;
    for number in 0..6 {
        publish(&hub, ["a", "b"][number % 2], number);
        let unwanted = Event::data("x").name("unwanted").unwrap();
        hub.publish("a", unwanted).unwrap();
    }
    gate.open();
    let seen = client.drain().await;
    assert_eq!(data(&seen), ["state", "{}", "0", "1", "2", "3", "4", "5"]);
    publish(&hub, "c", 6);
    assert_eq!(data(&client.drain().await), ["6"]);
}

#[actix_rt::test]
async fn events_of_a_stream_are_asked_for_as_they_are_taken() {
    time::pause();
    let hub = hub(&Recorder::default(), |_| ());
    let made = Rc::new(Cell::new(0));
    let count = Rc::clone(&made);
    let mut client = Client::open(None, |subscriber| {
        hub.subscribe("t", subscriber).snapshot(async move |_| {
            let count = Rc::clone(&count);
            Snapshot::stream(stream::iter(0..100).map(move |number| {
                count.set(number + 1);
                Ok::<_, ()>(Event::data("x".repeat(4000)))
            }))
        })
    });
    client.some().await;
    assert_eq!(client.some().await.len(), 5, "16 KiB");
    assert_eq!(made.get(), 5);
    assert_eq!(client.drain().await.len(), 95 + 1, "and the anchor");
}

#[actix_rt::test]
async fn a_snapshot_of_nothing_has_an_anchor() {
    time::pause();
    let hub = hub(&Recorder::default(), |_| ());
    let mut client = Client::open(None, |subscriber| {
        hub.subscribe("t", subscriber)
            .snapshot(async |_| Vec::<Event>::new())
    });
    let seen = client.drain().await;
    assert_eq!(names(&seen), ["anchor"]);
    let id = seen[0].id.clone().unwrap();
    publish(&hub, "t", 1);
    let mut back = Client::open(Some(&id), |subscriber| hub.subscribe("t", subscriber));
    assert_eq!(data(&back.drain().await), ["1"]);
}

#[actix_rt::test]
async fn the_last_value_is_not_sent_beside_a_snapshot() {
    time::pause();
    let hub = hub(&Recorder::default(), |hub| hub.last_value = true);
    publish(&hub, "t", 1);
    let mut client = Client::open(None, |subscriber| {
        hub.subscribe("t", subscriber)
            .snapshot(async |_| state("has it"))
    });
    assert_eq!(data(&client.drain().await), ["has it", "{}"]);
    publish(&hub, "t", 2);
    assert_eq!(data(&client.drain().await), ["2"]);
}

#[actix_rt::test]
async fn without_a_log_a_snapshot_that_is_overtaken_is_made_again() {
    time::pause();
    let recorder = Recorder::default();
    let hub = hub(&recorder, |hub| hub.resume = false);
    let gate = Gate::default();
    let passed = gate.clone();
    let id = publish(&hub, "t", 0);
    let mut client = Client::open(Some(&id), |subscriber| {
        hub.subscribe("t", subscriber)
            .snapshot(async move |_| state(passed.pass().await))
    });
    assert_eq!(names(&client.drain().await), ["reset"]);
    publish(&hub, "t", 1);
    gate.open();
    assert_eq!(client.drain().await, []);
    gate.open();
    let seen = client.drain().await;
    assert_eq!(data(&seen), ["2", "{}"], "the second attempt");
    assert_eq!(seen[1].id, None, "there is nothing to come back for");
    publish(&hub, "t", 2);
    assert_eq!(data(&client.drain().await), ["2"]);
}

/// A client whose snapshot is made when the gate opens.
async fn waiting(hub: &Hub) -> (Client, Gate) {
    let gate = Gate::default();
    let passed = gate.clone();
    let mut client = Client::open(None, |subscriber| {
        hub.subscribe("t", subscriber).snapshot(async move |_| {
            passed.pass().await;
            state("late")
        })
    });
    client.drain().await;
    (client, gate)
}

#[actix_rt::test]
async fn d01_heartbeats_go_on_while_it_is_made() {
    time::pause();
    let hub = hub(&Recorder::default(), |hub| {
        hub.snapshot_time = Duration::from_secs(3600);
    });
    let (mut client, gate) = waiting(&hub).await;
    // Events that the client waits for are no reason to leave it in silence.
    for number in 0..9 {
        publish(&hub, "t", number);
        assert_eq!(client.read_for(Duration::from_secs(10)).await, []);
    }
    // After the first block; the first ones come early.
    let comments = client.comments;
    assert!((6..=12).contains(&comments), "{comments} comments");
    gate.open();
    assert_eq!(client.drain().await.len(), 1 + 1 + 9);
}

#[actix_rt::test]
async fn d06_nothing_piles_up_for_a_stream_that_waits_and_it_is_not_slow() {
    time::pause();
    let recorder = Recorder::default();
    let hub = hub(&recorder, |hub| {
        hub.subscriber_events = 4;
        hub.replay_events = 100_000;
        hub.replay_bytes = 1 << 30;
    });
    let (mut client, gate) = waiting(&hub).await;
    let began = Instant::now();
    for round in 0..40 {
        for number in 0..100 {
            publish(&hub, "t", round * 100 + number);
        }
        client.read_for(Duration::from_millis(150)).await;
    }
    assert!(began.elapsed() > Duration::from_secs(5));
    assert_eq!(recorder.look().closed, []);
    gate.open();
    let seen = client.drain().await;
    assert_eq!(seen.len(), 1 + 1 + 4000);
    assert_eq!(seen[4001].data, "3999");
    drop(client);
    assert_eq!(recorder.look().closed, [CloseReason::ClientGone]);
}
