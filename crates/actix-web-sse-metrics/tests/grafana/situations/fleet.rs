//! What happens to every fleet, and must not ring; and processes that are gone.

use super::{DAY, HOUR, Pod, Situation, cors::APP, counter, level, ring};

const STREAMS: f64 = 200.0;

/// A pod of a busy deployment, there for a part of the time.
fn pod(name: &str, from: u32, until: Option<u32>) -> Pod {
    Pod::between("prod", "api", name, from, until)
        .streams("/events", APP, &[(DAY, 20.0)], &[(DAY, 1.0)])
        .attempts("/events", &[(DAY, 20.0)])
        .closes("/events", "client_gone", &[(DAY, 19.0)])
        .active("/events", &[(DAY, STREAMS)])
        .opened_as("/events", "allowed", &[(DAY, 20.0)])
}

/// A pod that drains in its last minute.
fn draining(name: &str, from: u32, until: u32) -> Pod {
    let length = until - from;
    pod(name, from, Some(until))
        .with("sse_draining", "", level(&[(length - 1, 0.0), (DAY, 1.0)]))
        .active("/events", &[(length - 1, STREAMS), (DAY, 0.0)])
        .closes(
            "/events",
            "drain",
            &[(length - 1, 0.0), (1, STREAMS), (DAY, 0.0)],
        )
}

/// One pod after the other is replaced, from this minute.
fn rolling(drain: bool, hash: &'static str) -> Vec<Pod> {
    let replaced = (0..10u32).flat_map(move |n| {
        let at = HOUR + 2 * n;
        let old = format!("api-old-{n}");
        let old = if drain {
            draining(&old, 0, at)
        } else {
            pod(&old, 0, Some(at))
        };
        // Everybody comes back within a minute or two.
        let new = pod(&format!("api-new-{n}"), at, None)
            .attempts("/events", &[(2, 100.0), (DAY, 20.0)])
            .streams("/events", APP, &[(2, 100.0), (DAY, 20.0)], &[(DAY, 1.0)])
            .policy(hash)
            .with(
                "sse_resumes_total",
                "route=\"/events\",result=\"unknown\"",
                counter(&[(2, 100.0), (DAY, 0.0)]),
            )
            .with(
                "sse_resumes_total",
                "route=\"/events\",result=\"hit\"",
                counter(&[(DAY, 2.0)]),
            );
        [old, new]
    });
    replaced.collect()
}

pub fn situations() -> Vec<Situation> {
    [quiet(), policies(), gone()]
        .into_iter()
        .flatten()
        .collect()
}

fn quiet() -> Vec<Situation> {
    let shifted = |name: &str, at: u32| {
        pod(name, 0, None).with(
            "process_start_time_seconds",
            "",
            level(&[(DAY, f64::from(at) * 60.0)]),
        )
    };
    vec![
        Situation::new("ten pods", "busy", "none: a rolling deployment that drains")
            .pods(rolling(true, "p1"))
            .quiet(3 * HOUR),
        Situation::new(
            "ten pods",
            "busy",
            "none: a rolling deployment whose drain no scrape saw",
        )
        .pods(rolling(false, "p1"))
        .quiet(3 * HOUR),
        Situation::new(
            "ten pods",
            "busy",
            "none: a rolling deployment of another policy",
        )
        .pods(rolling(true, "p2"))
        .quiet(3 * HOUR),
        Situation::new(
            "ten pods",
            "busy",
            "none: every pod is down for a scrape or two while it starts",
        )
        .pods((0..10).map(|n| {
            pod(&format!("api-{n}"), 0, None).with(
                "up",
                "",
                level(&[(HOUR, 1.0), (2, 0.0), (DAY, 1.0)]),
            )
        }))
        .quiet(3 * HOUR),
        Situation::new(
            "three pods",
            "busy",
            "none: scaled to zero, and back after an hour",
        )
        .pods((0..3).map(|n| draining(&format!("api-{n}"), 0, HOUR)))
        .pods((0..3).map(|n| pod(&format!("api-again-{n}"), 2 * HOUR, None)))
        .quiet(4 * HOUR),
        Situation::new(
            "three pods",
            "busy",
            "none: a gap of ten minutes in the scrapes, as of a Prometheus that was restarted",
        )
        .pods((0..3).map(|n| with_gap(pod(&format!("api-{n}"), 0, None), 10)))
        .quiet(5 * HOUR),
        Situation::new(
            "three pods",
            "busy",
            "none: a gap of three quarters of an hour in the scrapes",
        )
        .pods((0..3).map(|n| with_gap(pod(&format!("api-{n}"), 0, None), 45)))
        .quiet(5 * HOUR),
        Situation::new(
            "a process that is minutes old",
            "an origin is let in after it was refused",
            "none: a gap of seven minutes in the scrapes",
        )
        .pod(
            pod("api-0", 0, None)
                .streams(
                    "/events",
                    APP,
                    &[(30, 0.0), (DAY, 20.0)],
                    &[(30, 0.0), (DAY, 1.0)],
                )
                .refuses_origin("/events", APP, counter(&[(2, 2.5), (DAY, 0.0)]))
                .mapped(|values| super::series::with_gap(values, 32, 7)),
        )
        .quiet(2 * HOUR),
        Situation::new(
            "three processes that keep their names",
            "busy",
            "none: counters are reset by a restart",
        )
        .pods((0..3).map(restarted))
        .quiet(4 * HOUR),
        Situation::new("blue and green", "all visitors go over at once", "none")
            .pods((0..3).map(|n| draining(&format!("blue-{n}"), 0, HOUR)))
            .pods((0..3).map(|n| {
                Pod::between("prod", "api-green", &format!("green-{n}"), 30, None)
                    .streams(
                        "/events",
                        APP,
                        &[(30, 0.0), (2, 150.0), (DAY, 20.0)],
                        &[(30, 0.0), (DAY, 1.0)],
                    )
                    .attempts("/events", &[(30, 0.0), (2, 150.0), (DAY, 20.0)])
                    .active("/events", &[(30, 0.0), (1, 150.0), (DAY, STREAMS)])
                    .policy("p2")
            }))
            .quiet(4 * HOUR),
        Situation::new(
            "three pods, one with its clock an hour ahead, one an hour behind",
            "busy",
            "none",
        )
        .pod(shifted("api-0", 60))
        .pod(shifted("api-1", 0))
        .pod(pod("api-2", 0, None))
        .quiet(3 * HOUR),
        Situation::new(
            "any",
            "health checks that open a stream each ten seconds and close it",
            "none",
        )
        .pod(
            pod("api-0", 0, None)
                .opens("/events", "none", "none", &[(DAY, 6.0)])
                .with(
                    "sse_route_auth_required",
                    "route=\"/events\"",
                    level(&[(DAY, 0.0)]),
                ),
        )
        .quiet(3 * HOUR),
    ]
}

/// A few minutes without samples.
fn with_gap(pod: Pod, minutes: u32) -> Pod {
    pod.mapped(|values| super::series::with_gap(values, 2 * HOUR, minutes))
}

/// Starts anew after two hours, as a process under systemd does: its counters begin at zero.
fn restarted(n: u32) -> Pod {
    let at = 2 * HOUR;
    let twice =
        |first: String, second: String| format!("{} {second}", super::series::cut(&first, at));
    let flow = |rate| twice(counter(&[(DAY, rate)]), counter(&[(DAY, rate)]));
    Pod::new("prod", "api", &format!("api-{n}"))
        .with(
            "process_start_time_seconds",
            "",
            level(&[(at, -3600.0), (DAY, f64::from(at) * 60.0)]),
        )
        .with(
            "sse_connections_opened_total",
            "route=\"/events\",origin=\"https://app.example.com\",auth_method=\"cookie\"",
            flow(20.0),
        )
        .with(
            "sse_connections_immediate_close_total",
            "route=\"/events\",origin=\"https://app.example.com\",class=\"drain\"",
            flow(1.0),
        )
        .with(
            "sse_connection_attempts_total",
            "route=\"/events\"",
            flow(20.0),
        )
        .with(
            "sse_connections_closed_total",
            "route=\"/events\",reason=\"client_gone\"",
            flow(19.0),
        )
        .active(
            "/events",
            &[
                (at, STREAMS),
                (1, 0.0),
                (1, 60.0),
                (1, 150.0),
                (DAY, STREAMS),
            ],
        )
}

fn policies() -> Vec<Situation> {
    let ten = |special: fn(Pod) -> Pod| {
        (0..10).map(move |n| {
            let pod = pod(&format!("api-{n}"), 0, None);
            if n == 7 { special(pod) } else { pod }
        })
    };
    let drift =
        |count| ring("warning", "SSECorsPolicyDrift", &[("namespace", "prod")]).times(count);
    vec![
        Situation::new(
            "production and staging under one job",
            "staging is 2.5 times as busy",
            "none: each has a policy of its own, on purpose",
        )
        .pod(pod("api-0", 0, None))
        .pod(
            Pod::new("staging", "api", "api-0")
                .policy("staging")
                .streams("/events", APP, &[(DAY, 50.0)], &[(DAY, 2.0)]),
        )
        .quiet(DAY),
        Situation::new(
            "one process with two policies, on three pods",
            "busy",
            "none",
        )
        .pods((0..3).map(|n| {
            pod(&format!("api-{n}"), 0, None).with(
                "sse_cors_policy_info",
                "policy_hash=\"p9\",credentials=\"false\",wildcard=\"true\"",
                level(&[(DAY, 1.0)]),
            )
        }))
        .quiet(DAY),
        Situation::new(
            "one namespace, ten pods",
            "busy",
            "one has another policy, for two days",
        )
        .pods(ten(|pod| pod.policy("p2")))
        .quiet(40)
        .rings(HOUR, 2 * DAY, &[drift(2)]),
        Situation::new(
            "one namespace, ten pods",
            "busy",
            "one has no policy at all",
        )
        .pods(ten(|pod| pod.without("sse_cors_policy_info")))
        .quiet(40)
        .rings(HOUR, DAY, &[drift(1)]),
        Situation::new(
            "ten pods, and a canary of its own job with another policy",
            "busy",
            "none",
        )
        .pods((0..10).map(|n| pod(&format!("api-{n}"), 0, None)))
        .pod(
            Pod::new("prod", "api-canary", "canary-0")
                .policy("p2")
                .streams("/events", APP, &[(DAY, 5.0)], &[(DAY, 0.2)]),
        )
        .quiet(DAY),
        Situation::new(
            "ten pods, and for half an hour a canary with another policy",
            "busy",
            "none",
        )
        .pods((0..10).map(|n| pod(&format!("api-{n}"), 0, None)))
        .pod(pod("canary-0", HOUR, Some(HOUR + 30)).policy("p2"))
        .quiet(4 * HOUR),
    ]
}

fn gone() -> Vec<Situation> {
    let down = |name: &str| {
        let up = level(&[(HOUR, 1.0), (4 * DAY, 0.0)]);
        Pod::between("prod", "api", name, 0, Some(HOUR)).lasting("up", up)
    };
    let missing = |instance| {
        ring(
            "critical",
            "SSETargetMissing",
            &[("job", "api"), ("instance", instance)],
        )
    };
    vec![
        Situation::new(
            "a job called `api`",
            "busy",
            "a process cannot be read, for two days",
        )
        .pod(pod("api-0", 0, None))
        .pod(down("api-1"))
        .quiet(HOUR - 1)
        .rings(HOUR + 5, HOUR + 2 * DAY, &[missing("api-1")]),
        Situation::new(
            "a job called `api`",
            "busy",
            "a new process replaces the only one and never starts",
        )
        .pod(draining("api-0", 0, HOUR))
        .series(
            "up{namespace=\"prod\",job=\"api\",instance=\"api-9\"}",
            format!("_x60 {}", level(&[(DAY, 0.0)])),
        )
        .quiet(HOUR)
        .rings(HOUR + 5, 12 * HOUR, &[missing("api-9")]),
        Situation::new(
            "other exporters beside ours",
            "busy",
            "none of ours: theirs are down",
        )
        .pod(pod("api-0", 0, None))
        .series(
            "up{namespace=\"prod\",job=\"node\",instance=\"node-1\"}",
            level(&[(DAY, 0.0)]),
        )
        .series(
            "probe_success{namespace=\"prod\",job=\"blackbox\",instance=\"https://example.org\"}",
            level(&[(DAY, 0.0)]),
        )
        .quiet(6 * HOUR),
    ]
}
