//! Incidents about limits and credentials.

use actix_web_sse_tests::{Claims, Demo, Request, Settings};

use super::{Watch, clients::Crowd};
use crate::DEMO;

#[test]
fn an_address_that_wants_more_than_its_share_is_noticed() {
    let settings = Settings::open().set("policy.limits.per_ip", 4);
    let demo = Demo::start(DEMO, &settings);
    let watch = Watch::over(&[("sse", demo.metrics)]);
    let crowd = Crowd::open(demo.app, "/events", 4);
    watch.wait_firing("SSEIpLimitSaturated", || {
        drop(Request::stream("/events").send(demo.app));
    });
    drop(crowd);
    watch.wait_clear("SSEIpLimitSaturated", || ());
}

#[test]
fn an_instance_that_is_nearly_full_is_noticed() {
    let settings = Settings::open().set("policy.limits.total", 10);
    let demo = Demo::start(DEMO, &settings);
    let watch = Watch::over(&[("sse", demo.metrics)]);
    let mut crowd = Crowd::open(demo.app, "/events", 9);
    watch.wait_firing("SSECapacityNearLimit", || ());
    crowd.grow(demo.app, "/events", 1);
    watch.wait_firing("SSECapacityExceeded", || {
        drop(Request::stream("/events").send(demo.app));
    });
    drop(crowd);
    watch.wait_clear("SSECapacityNearLimit", || ());
    watch.wait_clear("SSECapacityExceeded", || ());
}

#[test]
fn tokens_that_do_not_hold_are_noticed() {
    let settings = Settings::reference().without_limits();
    let demo = Demo::start(DEMO, &settings);
    let watch = Watch::over(&[("sse", demo.metrics)]);
    let forged = Claims::of("u").sign("another secret of at least 32 bytes");
    watch.wait_firing("SSEAuthFailureSpike", || {
        for _ in 0..5 {
            let response = Request::stream("/events").bearer(&forged).send(demo.app);
            assert_eq!(response.status(), 401);
        }
    });
    let valid = demo.token(&Claims::of("u"));
    watch.wait_clear("SSEAuthFailureSpike", || {
        drop(Request::stream("/events").bearer(&valid).send(demo.app));
    });
}
