//! Incidents between nodes and their Redis.

use std::{net::SocketAddr, time::Duration};

use actix_web_sse_tests::{Claims, Demo, Redis, Relay, Request, Settings, until};

use super::{PATIENCE, Watch};
use crate::DEMO;

/// Settings of a node that finds outages out soon.
fn node(redis: SocketAddr) -> Settings {
    Settings::open()
        .set("backplane.redis", format!("redis://{redis}"))
        .set("backplane.backoff_least", "20ms")
        .set("backplane.backoff_most", "200ms")
}

#[test]
fn s82_a_lost_redis_is_noticed_and_so_is_what_was_lost_with_it() {
    let mut redis = Redis::start();
    let demo = Demo::start(DEMO, &node(redis.address()));
    let watch = Watch::over(&[("sse", demo.metrics)]);
    let stream = Request::stream("/events?topic=t").open(demo.app);
    demo.publish("t", "before");
    assert!(!watch.fires("SSEBackplaneLost"));
    redis.kill();
    watch.wait_firing("SSEBackplaneLost", || ());
    watch.wait_firing("SSEPublicationsFailed", || {
        for _ in 0..5 {
            let refused = demo.try_publish("t", "text/plain", "during").status();
            assert_eq!(refused, 503);
        }
    });
    // It kept nothing on disk: what it had given out is lost, and the nodes find that out.
    redis.restart();
    watch.wait_clear("SSEBackplaneLost", || ());
    watch.wait_firing("SSEHistoryLost", || ());
    watch.wait_clear("SSEPublicationsFailed", || demo.publish("t", "after"));
    watch.wait_clear("SSEHistoryLost", || ());
    drop(stream);
}

#[test]
fn s82_events_that_are_long_on_their_way_to_a_node_are_noticed() {
    let redis = Redis::start();
    let near = Demo::start(DEMO, &node(redis.address()));
    let wire = Relay::to(redis.address());
    let far = Demo::start(DEMO, &node(wire.address()));
    let watch = Watch::over(&[("near", near.metrics), ("far", far.metrics)]);
    let streams = [&near, &far].map(|demo| Request::stream("/events?topic=t").open(demo.app));
    far.wait_for_metric("sse_backplane_topics", &[], 1.0);
    wire.slow_down(Duration::from_millis(1500));
    watch.wait_firing("SSEBackplaneLag", || near.publish("t", "late"));
    // A node that is near may lag as well, as long as it has to wait for a core.
    let lagging = "ALERTS{alertname='SSEBackplaneLag',alertstate='firing'}";
    until("the node that is far lags, and no other", PATIENCE, || {
        near.publish("t", "late");
        let lagging = watch.prometheus.query(lagging);
        let jobs: Vec<_> = lagging.iter().map(|alert| &*alert.labels["job"]).collect();
        (jobs == ["far"]).then_some(())
    });
    wire.slow_down(Duration::ZERO);
    watch.wait_clear("SSEBackplaneLag", || near.publish("t", "in time"));
    drop(streams);
}

#[test]
fn s82_revocations_that_never_reach_the_other_nodes_are_noticed() {
    let mut redis = Redis::start();
    let settings = Settings::reference()
        .set("backplane.redis", format!("redis://{}", redis.address()))
        .set("backplane.max_pending_revocations", 2);
    let demo = Demo::start(DEMO, &settings.set("server.sign_in", true));
    let watch = Watch::over(&[("sse", demo.metrics)]);
    redis.kill();
    demo.wait_for_metric("sse_backplane_connected", &[], 0.0);
    let mut signed_out = 0;
    watch.wait_firing("SSERevocationsLost", || {
        signed_out += 1;
        let token = demo.token(&Claims::of(&format!("user {signed_out}")));
        let out = Request::new("DELETE", "/session")
            .bearer(&token)
            .send(demo.app);
        assert_eq!(out.status(), 200);
    });
    redis.restart();
    watch.wait_clear("SSERevocationsLost", || ());
}
