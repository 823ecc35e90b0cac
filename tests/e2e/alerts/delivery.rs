//! Incidents about delivery.

use std::time::{Duration, Instant};

use actix_web_sse_tests::{Demo, LIMIT, Request, Settings, until};

use super::{
    PATIENCE, Watch,
    clients::{Crowd, open_and_stop_reading},
};
use crate::{DEMO, application::Application};

const APP: &str = "https://app.example.com";

#[test]
fn clients_that_do_not_keep_up_are_noticed() {
    let demo = Demo::start(DEMO, &Settings::open());
    let watch = Watch::over(&[("sse", demo.metrics)]);
    let large = "x".repeat(60_000);
    let mut stuck = Vec::new();
    watch.wait_firing("SSESlowConsumers", || {
        stuck.extend((0..4).map(|_| open_and_stop_reading(demo.app, "/events?topic=slow")));
        for _ in 0..20 {
            demo.publish("slow", &large);
        }
    });
    drop(stuck);
    watch.wait_clear("SSESlowConsumers", || ());
}

#[test]
fn unknown_ids_are_noticed() {
    let demo = Demo::start(DEMO, &Settings::open());
    let watch = Watch::over(&[("sse", demo.metrics)]);
    watch.wait_firing("SSEResumeGaps", || {
        let resume = Request::stream("/events").header("Last-Event-ID", "of-another-life");
        assert_eq!(resume.send(demo.app).status(), 200);
    });
    watch.wait_clear("SSEResumeGaps", || ());
}

#[test]
fn a_first_event_that_is_long_in_coming_is_noticed() {
    let demo = Demo::start(DEMO, &Settings::open());
    let watch = Watch::over(&[("sse", demo.metrics)]);
    watch.wait_firing("SSETimeToFirstEventHigh", || {
        let mut stream = Request::stream("/events?topic=quiet").open(demo.app);
        let opened = Instant::now();
        // The reference set-up's heartbeat is a second: two of them have passed without an event.
        stream.next_comment();
        until("two seconds have passed", LIMIT, || {
            (opened.elapsed() > Duration::from_secs(2)).then_some(())
        });
        demo.publish("quiet", "at last");
        stream.next_event();
    });
    watch.wait_clear("SSETimeToFirstEventHigh", || ());
}

#[test]
fn streams_without_a_byte_are_noticed() {
    let settings = Settings::open()
        .set("stream.heartbeat", "55s")
        .set("stream.stall", "60s");
    let demo = Demo::start(DEMO, &settings);
    let watch = Watch::over(&[("sse", demo.metrics)]);
    let crowd = Crowd::open(demo.app, "/events?topic=silent", 3);
    watch.wait_firing("SSEStreamSilent", || ());
    watch.wait_clear("SSEStreamSilent", || demo.publish("silent", "a word"));
    drop(crowd);
}

#[test]
fn events_that_wait_for_their_socket_are_noticed() {
    let settings = Settings::open()
        // The socket takes nothing until a third of its buffer is free, which at this pace may be half a minute.
        .set("stream.stall", "10m")
        .set("hub.subscriber_events", 10_000)
        .set("hub.subscriber_bytes", 64_000_000)
        .set("hub.replay_events", 10_000)
        .set("hub.replay_bytes", 64_000_000);
    let demo = Demo::start(DEMO, &settings);
    let watch = Watch::over(&[("sse", demo.metrics)]);
    let mut connection = open_and_stop_reading(demo.app, "/events?topic=late");
    connection.head(LIMIT).unwrap();
    let large = "x".repeat(60_000);
    for _ in 0..400 {
        demo.publish("late", &large);
    }
    // Far more than the kernel holds: from here on each event waits until the client, which takes
    // a line at a time, has made room for it.
    let mut taken = Instant::now();
    watch.wait_firing("SSEDeliveryLagHigh", || {
        // So slowly that they wait for longer than the alert does, and as often where a look takes long: the alert
        // counts those that came within ten seconds.
        if taken.elapsed() > Duration::from_millis(400) {
            connection.line(LIMIT).unwrap();
            taken = Instant::now();
        }
    });
    drop(connection);
    watch.wait_clear("SSEDeliveryLagHigh", || demo.publish("late", "in time"));
}

#[test]
fn a_publisher_that_stops_is_noticed() {
    let demo = Demo::start(DEMO, &Settings::open());
    let watch = Watch::over(&[("sse", demo.metrics)]);
    let stream = Request::stream("/events?topic=steady").open(demo.app);
    let expected = "job_route:sse_events_expected:bool";
    until("Prometheus expects events", PATIENCE, || {
        demo.publish("steady", "an event");
        (!watch.prometheus.query(expected).is_empty()).then_some(())
    });
    watch.wait_firing("SSEDeliveryStalled", || ());
    watch.wait_clear("SSEDeliveryStalled", || demo.publish("steady", "an event"));
    drop(stream);
}

#[test]
fn a_worker_that_something_blocks_is_noticed() {
    let application = Application::start(APP);
    // The metrics have a listener of their own: the worker of the streams is the one that is blocked.
    let metrics = application.metrics_listener();
    let watch = Watch::over(&[("sse", metrics.address())]);
    let stream = Request::event_source("/events", APP).open(application.address);
    application.block(Duration::from_secs(40));
    watch.wait_firing("SSEWorkerStuck", || ());
    watch.wait_clear("SSEWorkerStuck", || ());
    drop(stream);
}
