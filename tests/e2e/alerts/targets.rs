//! Incidents about connections as a whole, and about the instance itself.

use actix_web_sse_tests::{Demo, Relay, Request, Settings, until};

use super::{PATIENCE, Watch, clients::Crowd};
use crate::DEMO;

#[test]
fn a_storm_of_reconnects_is_noticed() {
    let demo = Demo::start(DEMO, &Settings::open());
    let watch = Watch::over(&[("sse", demo.metrics)]);
    watch.wait_firing("SSEReconnectStorm", || {
        for _ in 0..20 {
            drop(Request::stream("/events").send(demo.app));
        }
    });
    watch.wait_clear("SSEReconnectStorm", || ());
}

#[test]
fn the_sudden_end_of_most_streams_is_noticed() {
    let demo = Demo::start(DEMO, &Settings::open());
    let watch = Watch::over(&[("sse", demo.metrics)]);
    let relay = Relay::to(demo.app);
    let crowd = Crowd::open(relay.address(), "/events", 25);
    // As long as the alert looks back.
    watch
        .prometheus
        .wait_for("min_over_time(job:sse_connections_active:sum[6s])", 25.0);
    relay.cut();
    watch.wait_firing("SSEMassDisconnect", || ());
    watch.wait_clear("SSEMassDisconnect", || ());
    drop(crowd);
}

#[test]
fn a_stream_that_outlives_all_others_is_noticed() {
    let demo = Demo::start(DEMO, &Settings::open());
    let watch = Watch::over(&[("sse", demo.metrics)]);
    let crowd = Crowd::open(demo.app, "/events", 1);
    watch.wait_firing("SSEZombieStreams", || ());
    drop(crowd);
    watch.wait_clear("SSEZombieStreams", || ());
}

#[test]
fn streams_that_pile_up_are_noticed() {
    let demo = Demo::start(DEMO, &Settings::open());
    let watch = Watch::over(&[("sse", demo.metrics)]);
    let mut crowd = Crowd::open(demo.app, "/events", 25);
    // What the alert compares with must have been seen.
    let past = "job_instance:sse_connections_active:sum offset 30s";
    until("Prometheus has a past", PATIENCE, || {
        (!watch.prometheus.query(past).is_empty()).then_some(())
    });
    crowd.grow(demo.app, "/events", 35);
    watch.wait_firing("SSEStreamLeak", || ());
    drop(crowd);
    watch.wait_clear("SSEStreamLeak", || ());
}

#[test]
fn an_instance_that_cannot_be_read_is_noticed() {
    let mut demo = Demo::start(DEMO, &Settings::open());
    let watch = Watch::over(&[("sse", demo.metrics)]);
    demo.kill();
    watch.wait_firing("SSETargetMissing", || ());
    demo.restart();
    watch.wait_clear("SSETargetMissing", || ());
}
