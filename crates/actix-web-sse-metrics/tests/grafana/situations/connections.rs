//! Streams as a whole.

use super::{DAY, Flow, HOUR, Pod, Situation, counter, level, ring};

fn api(name: &str) -> Pod {
    Pod::new("prod", "api", name)
}

/// Attempts and ends with the rate of the first, as where streams come and go.
fn busy(name: &str, flow: Flow<'_>) -> Pod {
    api(name)
        .attempts("/events", flow)
        .closes("/events", "client_gone", flow)
}

fn ramp(from: f64, to: f64, minutes: u32) -> Vec<(u32, f64)> {
    let step = (to - from) / f64::from(minutes);
    (0..minutes)
        .map(|minute| (1, from + step * f64::from(minute)))
        .collect()
}

pub fn situations() -> Vec<Situation> {
    [storms(), losses(), levels()]
        .into_iter()
        .flatten()
        .collect()
}

fn storms() -> Vec<Situation> {
    let storm = || ring("warning", "SSEReconnectStorm", &[("namespace", "prod")]);
    let morning = [
        vec![(3 * HOUR, 120.0)],
        ramp(120.0, 1200.0, HOUR),
        vec![(6 * HOUR, 1200.0)],
    ]
    .concat();
    let first_day = [
        vec![(20, 6.0)],
        ramp(6.0, 1200.0, HOUR),
        vec![(6 * HOUR, 1200.0)],
    ]
    .concat();
    let leave: Vec<_> = first_day
        .iter()
        .map(|(minutes, rate)| (*minutes, 0.4 * rate))
        .collect();
    vec![
        Situation::new(
            "any",
            "six requests a minute",
            "everybody loses the stream and comes back, again and again, for two days",
        )
        .pod(busy(
            "api-0",
            &[(3 * HOUR, 6.0), (2 * DAY, 600.0), (3 * HOUR, 6.0)],
        ))
        .quiet(3 * HOUR)
        .rings(3 * HOUR + 8, 3 * HOUR + 2 * DAY, &[storm()])
        .clear(2 * DAY + 5 * HOUR),
        Situation::new(
            "any",
            "morning: from 2 to 20 streams a second within an hour",
            "none",
        )
        .pod(busy("api-0", &morning))
        .quiet(9 * HOUR),
        Situation::new(
            "any",
            "the first day: from nothing to 20 streams a second within an hour",
            "none",
        )
        .pod(
            api("api-0")
                .attempts("/events", &first_day)
                .closes("/events", "client_gone", &leave),
        )
        .quiet(7 * HOUR),
        Situation::new(
            "any",
            "a load test: 100 streams a second for ten minutes, which stay open",
            "none",
        )
        .pod(
            api("api-0")
                .attempts(
                    "/events",
                    &[(3 * HOUR, 60.0), (10, 6000.0), (3 * HOUR, 60.0)],
                )
                .closes(
                    "/events",
                    "client_gone",
                    &[
                        (3 * HOUR, 60.0),
                        (10, 60.0),
                        (20, 60.0),
                        (1, 60_000.0),
                        (3 * HOUR, 60.0),
                    ],
                )
                .active(
                    "/events",
                    &[
                        &[(3 * HOUR, 500.0)][..],
                        &ramp(500.0, 60_500.0, 10),
                        &[(20, 60_500.0), (3 * HOUR, 500.0)],
                    ]
                    .concat(),
                ),
        )
        .quiet(6 * HOUR),
    ]
}

fn losses() -> Vec<Situation> {
    let lost = || ring("critical", "SSEMassDisconnect", &[("namespace", "prod")]);
    let pod = |n: u32| api(&format!("api-{n}")).active("/events", &[(DAY, 100.0)]);
    let cut = |n: u32| {
        api(&format!("api-{n}"))
            .active("/events", &[(2 * HOUR, 100.0), (DAY, 0.0)])
            .closes(
                "/events",
                "client_gone",
                &[(2 * HOUR, 1.0), (1, 100.0), (DAY, 0.0)],
            )
    };
    let drains = api("api-99")
        .active("/events", &[(2 * HOUR, 100.0), (DAY, 0.0)])
        .with("sse_draining", "", level(&[(2 * HOUR, 0.0), (DAY, 1.0)]));
    let evening = (0..3 * HOUR)
        .map(|minute| (1, 1000.0 * 0.5_f64.powf(f64::from(minute) / 27.0)))
        .collect();
    vec![
        Situation::new(
            "a hundred pods",
            "a hundred streams on each",
            "sixty lose their streams while another drains",
        )
        .pods((0..60).map(cut))
        .pods((60..99).map(pod))
        .pod(drains)
        .quiet(2 * HOUR - 1)
        .rings(2 * HOUR + 3, 4 * HOUR, &[lost()]),
        Situation::new(
            "ten pods",
            "a hundred streams on each",
            "one loses its streams",
        )
        .pods((0..1).map(cut))
        .pods((1..10).map(pod))
        .quiet(5 * HOUR),
        Situation::new(
            "production and staging under one job",
            "staging is larger",
            "production loses its streams",
        )
        .pod(cut(0))
        .pods((0..5).map(|n| {
            Pod::new("staging", "api", &format!("api-{n}")).active("/events", &[(DAY, 100.0)])
        }))
        .quiet(2 * HOUR - 1)
        .rings(2 * HOUR + 3, 4 * HOUR, &[lost()]),
        Situation::new(
            "one pod",
            "a hundred streams",
            "none: the server ends them in order, and says so",
        )
        .pod(
            api("api-0")
                .active("/events", &[(2 * HOUR, 100.0), (DAY, 0.0)])
                .closes(
                    "/events",
                    "complete",
                    &[(2 * HOUR, 1.0), (1, 100.0), (DAY, 0.0)],
                ),
        )
        .quiet(5 * HOUR),
        Situation::new(
            "one pod",
            "evening: from 1000 streams to 10 within three hours, half of them gone every 27 minutes",
            "none",
        )
        .pod(
            api("api-0")
                .active(
                    "/events",
                    &[
                        vec![(2 * HOUR, 1000.0)],
                        evening,
                        vec![(DAY, 10.0)],
                    ]
                    .concat(),
                )
                .closes(
                    "/events",
                    "client_gone",
                    &[(2 * HOUR, 10.0), (3 * HOUR, 15.0), (DAY, 1.0)],
                ),
        )
        .quiet(8 * HOUR),
    ]
}

fn levels() -> Vec<Situation> {
    let zombie = |route| {
        ring(
            "warning",
            "SSEZombieStreams",
            &[("route", route), ("instance", "api-0")],
        )
    };
    let age = |route: &str, flow: Flow<'_>| {
        let route = format!("route=\"{route}\"");
        (route, level(flow))
    };
    let (events, old) = age(
        "/events",
        &[(HOUR, 850.0), (2 * DAY, 1200.0), (HOUR, 300.0)],
    );
    let (_, day_old) = age("/events", &[(HOUR, 80_000.0), (DAY, 100_000.0)]);
    let gap = "route=\"/events\",result=\"gap\"";
    let hit = "route=\"/events\",result=\"hit\"";
    vec![
        Situation::new(
            "any",
            "a maximum lifetime of 15 minutes",
            "streams are 20 minutes old, for two days",
        )
        .pod(
            api("api-0")
                .with(
                    "sse_connection_lifetime_limit_seconds",
                    "",
                    level(&[(4 * DAY, 900.0)]),
                )
                .with("sse_connection_age_seconds_max", &events, old),
        )
        .quiet(HOUR - 1)
        .rings(HOUR + 1, HOUR + 2 * DAY - 10, &[zombie("/events")])
        .clear(HOUR + 2 * DAY + 30),
        Situation::new("any", "no maximum lifetime", "none: a stream is a day old")
            .pod(
                api("api-0")
                    .with(
                        "sse_connection_lifetime_limit_seconds",
                        "",
                        level(&[(4 * DAY, 0.0)]),
                    )
                    .with("sse_connection_age_seconds_max", &events, day_old.clone()),
            )
            .quiet(5 * HOUR),
        Situation::new(
            "an exporter that does not tell the lifetime",
            "any",
            "a stream is more than a day old",
        )
        .pod(api("api-0").with("sse_connection_age_seconds_max", &events, day_old))
        .quiet(HOUR - 1)
        .rings(HOUR + 1, 5 * HOUR, &[zombie("/events")]),
        Situation::new("ten pods", "even", "one is nearly full")
            .pods((0..10).map(|n| {
                let then = if n == 3 { 900.0 } else { 120.0 };
                api(&format!("api-{n}"))
                    .active(
                        "/events",
                        &[
                            &[(HOUR, 120.0)][..],
                            &ramp(120.0, then, HOUR),
                            &[(2 * HOUR, then), (HOUR, 100.0)],
                        ]
                        .concat(),
                    )
                    .with(
                        "sse_connections_limit",
                        "policy_hash=\"p1\",scope=\"total\"",
                        level(&[(DAY, 1000.0)]),
                    )
            }))
            .quiet(HOUR)
            .rings(
                2 * HOUR + 10,
                4 * HOUR,
                &[ring(
                    "warning",
                    "SSECapacityNearLimit",
                    &[("instance", "api-3")],
                )],
            )
            .clear(4 * HOUR + 30)
            .besides(&["SSEMassDisconnect"]),
        Situation::new("any", "one stream a minute", "the instance is full")
            .pod(api("api-0").refuses("/events", "capacity", "hard", &[(HOUR, 0.0), (DAY, 1.0)]))
            .quiet(HOUR)
            .rings(
                HOUR + 5,
                12 * HOUR,
                &[ring(
                    "warning",
                    "SSECapacityExceeded",
                    &[("instance", "api-0")],
                )],
            ),
        Situation::new(
            "any",
            "80 client addresses",
            "a page opens streams and does not close them, for two days",
        )
        .pod(
            api("api-0")
                .active(
                    "/events",
                    &[
                        &[(6 * HOUR, 100.0)][..],
                        &ramp(100.0, 400.0, 2 * HOUR),
                        &[(2 * DAY, 400.0)],
                    ]
                    .concat(),
                )
                .with("sse_clients", "", level(&[(4 * DAY, 80.0)])),
        )
        .quiet(6 * HOUR)
        .rings(
            7 * HOUR + 30,
            8 * HOUR + 2 * DAY,
            &[ring("warning", "SSEStreamLeak", &[("instance", "api-0")])],
        ),
        Situation::new("any", "streams and clients grow together", "none")
            .pod(
                api("api-0")
                    .active(
                        "/events",
                        &[
                            &[(6 * HOUR, 100.0)][..],
                            &ramp(100.0, 400.0, 2 * HOUR),
                            &[(2 * DAY, 400.0)],
                        ]
                        .concat(),
                    )
                    .with(
                        "sse_clients",
                        "",
                        level(
                            &[
                                &[(6 * HOUR, 80.0)][..],
                                &ramp(80.0, 320.0, 2 * HOUR),
                                &[(2 * DAY, 320.0)],
                            ]
                            .concat(),
                        ),
                    ),
            )
            .quiet(DAY),
        Situation::new(
            "everybody behind one proxy that is not trusted",
            "morning",
            "none",
        )
        .pod(
            api("api-0")
                .active(
                    "/events",
                    &[
                        &[(6 * HOUR, 100.0)][..],
                        &ramp(100.0, 400.0, 2 * HOUR),
                        &[(2 * DAY, 400.0)],
                    ]
                    .concat(),
                )
                .with("sse_clients", "", level(&[(4 * DAY, 1.0)])),
        )
        .quiet(DAY),
        Situation::new(
            "any",
            "ten reconnects a minute",
            "a third comes back too late, for a day",
        )
        .pod(
            api("api-0")
                .with("sse_resumes_total", hit, counter(&[(4 * DAY, 10.0)]))
                .with(
                    "sse_resumes_total",
                    gap,
                    counter(&[(HOUR, 0.0), (DAY, 4.0), (2 * HOUR, 0.0)]),
                ),
        )
        .quiet(HOUR)
        .rings(
            HOUR + 15,
            HOUR + DAY,
            &[ring("warning", "SSEResumeGaps", &[("namespace", "prod")])],
        )
        .clear(DAY + 2 * HOUR),
    ]
}
