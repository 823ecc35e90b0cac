//! What lies between the nodes.

use super::{DAY, Flow, HOUR, Pod, Situation, counter, level, ring};

fn node(name: &str) -> Pod {
    Pod::new("prod", "api", name)
        .with("sse_backplane_connected", "", level(&[(3 * DAY, 1.0)]))
        .with("sse_backplane_silent_seconds", "", level(&[(3 * DAY, 1.0)]))
}

fn lag(pod: Pod, in_time: Flow<'_>) -> Pod {
    let bucket = |le: &str| format!("le=\"{le}\"");
    let all: Flow<'_> = &[(3 * DAY, 100.0)];
    pod.with(
        "sse_backplane_lag_seconds_bucket",
        &bucket("1"),
        counter(in_time),
    )
    .with(
        "sse_backplane_lag_seconds_bucket",
        &bucket("2.5"),
        counter(all),
    )
    .with(
        "sse_backplane_lag_seconds_bucket",
        &bucket("+Inf"),
        counter(all),
    )
}

pub fn situations() -> Vec<Situation> {
    let of = |severity, alert, instance| ring(severity, alert, &[("instance", instance)]);
    let all: Flow<'_> = &[(3 * DAY, 100.0)];
    vec![
        Situation::new(
            "three nodes and Redis",
            "any",
            "one node loses Redis, another gets nothing from it, for two days",
        )
        .pod(node("a").with(
            "sse_backplane_connected",
            "",
            level(&[(HOUR, 1.0), (2 * DAY, 0.0), (HOUR, 1.0)]),
        ))
        .pod(node("b").with(
            "sse_backplane_silent_seconds",
            "",
            format!("1x{} 60+60x{} 1x60", HOUR - 1, 2 * DAY - 1),
        ))
        .pod(node("c"))
        .quiet(HOUR - 1)
        .rings(
            HOUR + 4,
            HOUR + 2 * DAY - 1,
            &[
                of("critical", "SSEBackplaneLost", "a"),
                of("critical", "SSEBackplaneLost", "b"),
            ],
        )
        .clear(HOUR + 2 * DAY + 30),
        Situation::new(
            "two nodes and Redis",
            "any",
            "events are long on their way to one of them, for a day",
        )
        .pod(lag(
            node("a"),
            &[(HOUR, 100.0), (DAY, 0.0), (2 * HOUR, 100.0)],
        ))
        .pod(lag(node("b"), all))
        .quiet(HOUR)
        .rings(
            HOUR + 15,
            HOUR + DAY,
            &[of("warning", "SSEBackplaneLag", "a")],
        )
        .clear(DAY + 2 * HOUR),
        Situation::new(
            "a node and Redis",
            "ten publications a minute",
            "Redis takes none of them",
        )
        .pod(node("a").with(
            "sse_backplane_unpublished_total",
            "",
            counter(&[(HOUR, 0.0), (DAY, 10.0), (HOUR, 0.0)]),
        ))
        .quiet(HOUR)
        .rings(
            HOUR + 3,
            HOUR + DAY,
            &[of("warning", "SSEPublicationsFailed", "a")],
        )
        .clear(HOUR + DAY + 30),
        Situation::new(
            "two nodes and Redis",
            "any",
            "Redis is flushed under one node, and has trimmed too early for the other",
        )
        .pod(
            node("a")
                .with("sse_backplane_holes_total", "", counter(&[(3 * HOUR, 0.0)]))
                .with(
                    "sse_backplane_resets_total",
                    "",
                    counter(&[(HOUR, 0.0), (1, 1.0), (2 * HOUR, 0.0)]),
                ),
        )
        .pod(
            node("b")
                .with(
                    "sse_backplane_holes_total",
                    "",
                    counter(&[(HOUR, 0.0), (1, 5.0), (2 * HOUR, 0.0)]),
                )
                .with(
                    "sse_backplane_resets_total",
                    "",
                    counter(&[(3 * HOUR, 0.0)]),
                ),
        )
        .quiet(HOUR)
        .rings(
            HOUR + 2,
            HOUR + 13,
            &[
                of("warning", "SSEHistoryLost", "a"),
                of("warning", "SSEHistoryLost", "b"),
            ],
        )
        .clear(HOUR + 20),
        Situation::new(
            "a node and Redis",
            "any",
            "more revocations in an outage than can wait",
        )
        .pod(node("a").with(
            "sse_backplane_revocations_lost_total",
            "",
            counter(&[(HOUR, 0.0), (1, 60.0), (3 * HOUR, 0.0)]),
        ))
        .quiet(HOUR)
        .rings(
            HOUR + 2,
            HOUR + 58,
            &[of("critical", "SSERevocationsLost", "a")],
        )
        .clear(HOUR + 65),
        Situation::new(
            "three nodes and Redis",
            "busy",
            "none: Redis fails over within half a minute",
        )
        .pods(["a", "b", "c"].map(|name| {
            node(name).with(
                "sse_backplane_connected",
                "",
                level(&[(HOUR, 1.0), (1, 0.0), (3 * HOUR, 1.0)]),
            )
        }))
        .quiet(3 * HOUR),
    ]
}
