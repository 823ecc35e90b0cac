//! Events on their way to the sockets.

use super::{DAY, Flow, HOUR, Pod, Situation, counter, level, ring};

fn api() -> Pod {
    Pod::new("prod", "api", "api-0")
}

/// Events, of which so many a minute are late by 1.1 s.
fn events(pod: Pod, all: Flow<'_>, late: Flow<'_>) -> Pod {
    let in_time: Vec<_> = merge(all, late);
    let bucket = |le: &str| format!("route=\"/events\",le=\"{le}\"");
    pod.with(
        "sse_delivery_lag_seconds_bucket",
        &bucket("0.5"),
        counter(&in_time),
    )
    .with(
        "sse_delivery_lag_seconds_bucket",
        &bucket("1.0"),
        counter(&in_time),
    )
    .with(
        "sse_delivery_lag_seconds_bucket",
        &bucket("2.5"),
        counter(all),
    )
    .with(
        "sse_delivery_lag_seconds_bucket",
        &bucket("+Inf"),
        counter(all),
    )
    .with(
        "sse_delivery_lag_seconds_count",
        "route=\"/events\"",
        counter(all),
    )
    .with(
        "sse_events_sent_total",
        "route=\"/events\",kind=\"event\"",
        counter(all),
    )
    .active("/events", &[(4 * DAY, 5.0)])
}

fn merge(all: Flow<'_>, late: Flow<'_>) -> Vec<(u32, f64)> {
    let minutes = |flow: Flow<'_>| -> Vec<f64> {
        let parts = flow.iter();
        parts
            .flat_map(|(minutes, rate)| vec![*rate; *minutes as usize])
            .collect()
    };
    let late = minutes(late);
    let all = minutes(all).into_iter().enumerate();
    all.map(|(minute, rate)| (1, rate - late.get(minute).copied().unwrap_or_default()))
        .collect()
}

pub fn situations() -> Vec<Situation> {
    let stuck = |worker| {
        ring(
            "critical",
            "SSEWorkerStuck",
            &[("instance", "api-0"), ("worker", worker)],
        )
    };
    let lag = || ring("warning", "SSEDeliveryLagHigh", &[("route", "/events")]);
    let stalled = || ring("warning", "SSEDeliveryStalled", &[("route", "/events")]);
    let slow = || ring("warning", "SSESlowConsumers", &[("route", "/events")]);
    let workers = |stuck_from: Option<u32>| {
        (0..16).fold(api(), |pod, worker| {
            let age = match stuck_from {
                Some(from) if worker == 5 => format!("0.5x{} 60+60x{}", from - 1, 3 * DAY),
                _ => level(&[(3 * DAY, 0.5)]),
            };
            pod.with(
                "sse_worker_tick_age_seconds",
                &format!("worker=\"{worker}\""),
                age,
            )
        })
    };
    let bytes = "route=\"/events\"";
    let first = |le: &str| format!("route=\"/quiet\",le=\"{le}\"");
    vec![
        Situation::new("sixteen workers", "busy", "one is stuck, for two days")
            .pod(workers(Some(HOUR)))
            .quiet(HOUR)
            .rings(HOUR + 5, HOUR + 2 * DAY, &[stuck("5")]),
        Situation::new("sixteen workers", "none", "none")
            .pod(workers(None))
            .quiet(6 * HOUR),
        Situation::new("any", "one event a minute", "one arrives 1.1 s late")
            .pod(events(
                api(),
                &[(DAY, 1.0)],
                &[(HOUR, 0.0), (1, 1.0), (DAY, 0.0)],
            ))
            .quiet(5 * HOUR),
        Situation::new(
            "any",
            "a hundred events a minute",
            "each tenth arrives 1.1 s late, for a day",
        )
        .pod(events(
            api(),
            &[(2 * DAY, 100.0)],
            &[(HOUR, 0.0), (DAY, 10.0), (3 * HOUR, 0.0)],
        ))
        .quiet(HOUR)
        .rings(HOUR + 20, HOUR + DAY, &[lag()])
        .clear(DAY + 2 * HOUR),
        Situation::new(
            "any",
            "one event a minute",
            "none arrives any more, for two days",
        )
        .pod(events(api(), &[(4 * HOUR, 1.0), (2 * DAY, 0.0)], &[]))
        .quiet(4 * HOUR)
        .rings(4 * HOUR + 15, 4 * HOUR + 2 * DAY, &[stalled()]),
        Situation::new(
            "any",
            "a hundred events a minute, late already",
            "then none arrives any more",
        )
        .pod(events(
            api(),
            &[(4 * HOUR, 100.0), (6 * HOUR, 0.0)],
            &[(3 * HOUR, 0.0), (HOUR, 50.0)],
        ))
        .quiet(3 * HOUR)
        .rings(3 * HOUR + 20, 4 * HOUR, &[lag()])
        .rings(4 * HOUR + 30, 10 * HOUR, &[stalled()]),
        Situation::new("any", "an event now and then, none for an hour", "none")
            .pod(events(
                api(),
                &[(3 * HOUR, 0.04), (HOUR, 0.0), (3 * HOUR, 0.04)],
                &[],
            ))
            .quiet(7 * HOUR),
        Situation::new(
            "any",
            "streams with heartbeats",
            "not a byte goes out, for two days",
        )
        .pod(api().active("/events", &[(4 * DAY, 5.0)]).with(
            "sse_sent_bytes_total",
            bytes,
            counter(&[(HOUR, 60.0), (2 * DAY, 0.0)]),
        ))
        .quiet(HOUR)
        .rings(
            HOUR + 10,
            HOUR + 2 * DAY,
            &[ring(
                "critical",
                "SSEStreamSilent",
                &[("instance", "api-0"), ("route", "/events")],
            )],
        ),
        Situation::new(
            "any",
            "ten streams a minute",
            "clients do not keep up, for a day",
        )
        .pod(
            api()
                .closes("/events", "client_gone", &[(2 * DAY, 10.0)])
                .closes(
                    "/events",
                    "slow_consumer",
                    &[(HOUR, 0.0), (DAY, 3.0), (2 * HOUR, 0.0)],
                ),
        )
        .quiet(HOUR)
        .rings(HOUR + 8, HOUR + DAY, &[slow()])
        .clear(DAY + 2 * HOUR),
        Situation::new(
            "any",
            "ten thousand streams a minute",
            "none: two of them do not keep up",
        )
        .pod(
            api()
                .closes("/events", "client_gone", &[(2 * DAY, 10_000.0)])
                .closes("/events", "slow_consumer", &[(2 * DAY, 2.0)]),
        )
        .quiet(6 * HOUR),
        Situation::new(
            "any",
            "two streams a minute on a quiet topic",
            "first events take minutes",
        )
        .pod(
            api()
                .with(
                    "sse_time_to_first_event_seconds_bucket",
                    &first("60"),
                    counter(&[(DAY, 0.5)]),
                )
                .with(
                    "sse_time_to_first_event_seconds_bucket",
                    &first("300"),
                    counter(&[(DAY, 2.0)]),
                )
                .with(
                    "sse_time_to_first_event_seconds_bucket",
                    &first("+Inf"),
                    counter(&[(DAY, 2.0)]),
                )
                .with(
                    "sse_time_to_first_event_seconds_count",
                    "route=\"/quiet\"",
                    counter(&[(DAY, 2.0)]),
                ),
        )
        .rings(
            HOUR,
            6 * HOUR,
            &[ring(
                "info",
                "SSETimeToFirstEventHigh",
                &[("route", "/quiet")],
            )],
        ),
    ]
}
