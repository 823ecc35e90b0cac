//! Browsers that are shut out, and pages that only look like it.

use super::{DAY, HOUR, Pod, Ring, Situation, ring};

pub const APP: &str = "https://app.example.com";
pub const SHOP: &str = "https://shop.example.com";

/// Three healthy hours, then this for two days.
const FAULT: u32 = 3 * HOUR;
const END: u32 = FAULT + 2 * DAY;

fn broken(rate: f64) -> [(u32, f64); 2] {
    [(FAULT, rate * 0.05), (2 * DAY, rate)]
}

const ALL: u32 = END + HOUR;

fn steady(rate: f64) -> [(u32, f64); 1] {
    [(ALL, rate)]
}

fn api(namespace: &str) -> Pod {
    Pod::new(namespace, "api", "api-1")
}

fn regression<'a>(namespace: &'a str, route: &'a str) -> [(&'static str, &'a str); 2] {
    [("namespace", namespace), ("route", route)]
}

pub fn situations() -> Vec<Situation> {
    fn critical(labels: &[(&'static str, &str)]) -> Ring {
        ring("critical", "SSECorsRegression", labels)
    }
    // The warning says the same more slowly; Alertmanager holds it back.
    let both = &["SSEImmediateCloseRateHigh"];
    let mut situations: Vec<_> = [5.0, 20.0, 100.0]
        .into_iter()
        .zip([
            "a stream every ten seconds, and 5 times as many on the other route",
            "a stream every ten seconds, and 20 times as many on the other route",
            "a stream every ten seconds, and 100 times as many on the other route",
        ])
        .map(|(times, traffic)| {
            Situation::new(
                "two routes",
                traffic,
                "one is closed at once by every browser, for two days",
            )
            .pod(
                api("prod")
                    .streams("/orders", APP, &steady(6.0), &broken(6.0))
                    .streams("/prices", APP, &steady(6.0 * times), &steady(0.3 * times)),
            )
            .quiet(FAULT)
            .rings(FAULT + 10, END, &[critical(&regression("prod", "/orders"))])
            .besides(both)
        })
        .collect();
    situations.extend([
        Situation::new(
            "production and staging under one job",
            "staging is 2.5 times as busy",
            "production is closed at once by every browser, for two days",
        )
        .pod(api("prod").streams("/events", APP, &steady(8.0), &broken(8.0)))
        .pod(api("staging").streams("/events", APP, &steady(20.0), &steady(1.0)))
        .quiet(FAULT)
        .rings(FAULT + 10, END, &[critical(&regression("prod", "/events"))])
        .besides(both),
        Situation::new(
            "one job, two instances with a route each",
            "equal",
            "one is closed at once by every browser, then mended",
        )
        .pod(api("prod").streams(
            "/events",
            APP,
            &steady(8.0),
            &[(FAULT, 0.4), (HOUR, 8.0), (DAY, 0.4)],
        ))
        .pod(Pod::new("prod", "api", "api-2").streams("/status", APP, &steady(8.0), &steady(0.4)))
        .quiet(FAULT)
        .rings(
            FAULT + 10,
            FAULT + HOUR,
            &[critical(&regression("prod", "/events"))],
        )
        .clear(FAULT + 3 * HOUR)
        .besides(both),
        Situation::new(
            "any",
            "ten streams a minute, many more from pages that try again",
            "closed at once by every browser for ten minutes, then mended",
        )
        .pod(api("prod").streams(
            "/events",
            APP,
            &[(FAULT, 10.0), (10, 45.0), (3 * HOUR, 10.0)],
            &[(FAULT, 0.5), (10, 45.0), (3 * HOUR, 0.5)],
        ))
        .quiet(FAULT)
        .rings(
            FAULT + 5,
            FAULT + 11,
            &[critical(&regression("prod", "/events"))],
        )
        .clear(FAULT + 27)
        .clear(FAULT + 40)
        .clear(FAULT + HOUR),
        Situation::new(
            "any",
            "ten streams a minute",
            "broken since the first deployment, for two days",
        )
        .pod(api("prod").streams("/events", APP, &steady(10.0), &steady(10.0)))
        .rings(20, 2 * DAY, &[critical(&regression("prod", "/events"))])
        .besides(both),
        Situation::new(
            "any",
            "a quarter of the streams is left at once, always (a single-page application)",
            "none",
        )
        .pod(api("prod").streams("/events", APP, &steady(20.0), &steady(5.0)))
        .quiet(DAY),
        Situation::new(
            "any",
            "a quarter of the streams is left at once, always (a single-page application)",
            "nine tenths, for two days",
        )
        .pod(api("prod").streams(
            "/events",
            APP,
            &steady(20.0),
            &[(FAULT, 5.0), (2 * DAY, 18.0)],
        ))
        .quiet(FAULT)
        .rings(FAULT + 10, END, &[critical(&regression("prod", "/events"))])
        .besides(both),
        Situation::new(
            "any",
            "two thousand streams a minute",
            "a third of the browsers is blocked, for two days",
        )
        .pod(api("prod").streams(
            "/events",
            APP,
            &steady(2000.0),
            &[(FAULT, 60.0), (2 * DAY, 700.0)],
        ))
        .quiet(FAULT)
        .rings(
            FAULT + 50,
            END,
            &[ring(
                "warning",
                "SSEImmediateCloseRateHigh",
                &regression("prod", "/events"),
            )],
        ),
        Situation::new(
            "any",
            "two thousand streams a minute",
            "a fault, then a lesser one on the next day",
        )
        .pod(api("prod").streams(
            "/events",
            APP,
            &steady(2000.0),
            &[
                (FAULT, 60.0),
                (6 * HOUR, 2000.0),
                (12 * HOUR, 60.0),
                (6 * HOUR, 1200.0),
            ],
        ))
        .quiet(FAULT)
        .rings(
            FAULT + 10,
            FAULT + 6 * HOUR,
            &[critical(&regression("prod", "/events"))],
        )
        .clear(FAULT + 8 * HOUR)
        .clear(FAULT + 18 * HOUR)
        .rings(
            FAULT + 18 * HOUR + 30,
            FAULT + DAY - 10,
            &[critical(&regression("prod", "/events"))],
        )
        .besides(both),
        Situation::new(
            "two origins",
            "one has ten times the streams of the other",
            "the lesser is blocked",
        )
        .pod(
            api("prod")
                .streams("/events", SHOP, &steady(5.0), &broken(5.0))
                .streams("/events", APP, &steady(50.0), &steady(1.0)),
        )
        .quiet(FAULT)
        .rings(
            FAULT + 10,
            FAULT + 2 * HOUR,
            &[ring("critical", "SSECorsRegression", &[("origin", SHOP)])],
        )
        .besides(both),
        Situation::new("ten pods", "a stream a minute for each", "all blocked")
            .pods((0..10).map(|n| {
                Pod::new("prod", "api", &format!("api-{n}")).streams(
                    "/events",
                    APP,
                    &steady(1.0),
                    &broken(1.0),
                )
            }))
            .quiet(FAULT)
            .rings(
                FAULT + 10,
                FAULT + 2 * HOUR,
                &[critical(&regression("prod", "/events"))],
            )
            .besides(both),
        Situation::new(
            "mobile networks",
            "a tenth of the streams is cut within a second",
            "none",
        )
        .pod(api("prod").streams("/events", APP, &steady(100.0), &steady(10.0)))
        .quiet(DAY),
        Situation::new("any", "six streams, two tabs closed at once", "none")
            .pod(api("prod").streams(
                "/events",
                APP,
                &[(60, 0.0), (2, 3.0), (60, 0.0)],
                &[(60, 0.0), (2, 1.0), (60, 0.0)],
            ))
            .quiet(2 * HOUR),
        Situation::new(
            "any",
            "command lines that come and go, without an Origin",
            "none",
        )
        .pod(
            api("prod")
                .opens("/events", "none", "bearer", &steady(60.0))
                .with(
                    "sse_connections_immediate_close_total",
                    "route=\"/events\",origin=\"none\",class=\"instant\"",
                    super::counter(&steady(60.0)),
                ),
        )
        .quiet(3 * HOUR),
        Situation::new(
            "HAProxy with HTTP/1.1 in front",
            "three quarters of the pages leave soon",
            "none; ends are known as intervals only",
        )
        .pod(
            api("prod")
                .opens("/events", APP, "cookie", &steady(20.0))
                .with(
                    "sse_connections_immediate_close_total",
                    "route=\"/events\",origin=\"https://app.example.com\",class=\"interval\"",
                    super::counter(&steady(15.0)),
                ),
        )
        .quiet(3 * HOUR),
        Situation::new(
            "HAProxy with HTTP/1.1 in front, or HTTP/2 without a proxy",
            "a fifth of the pages leave soon",
            "every browser is blocked, for two days; ends are known as intervals only",
        )
        .pod(
            api("prod")
                .opens("/events", APP, "cookie", &steady(10.0))
                .with(
                    "sse_connections_immediate_close_total",
                    "route=\"/events\",origin=\"https://app.example.com\",class=\"interval\"",
                    super::counter(&[(FAULT, 2.0), (2 * DAY, 10.0)]),
                ),
        )
        .quiet(FAULT)
        .rings(
            FAULT + 35,
            END,
            &[ring(
                "critical",
                "SSECorsRegressionLikely",
                &regression("prod", "/events"),
            )],
        ),
        Situation::new(
            "HAProxy with HTTP/1.1 in front, or HTTP/2 without a proxy",
            "ten streams a minute, many more from pages that try again",
            "every browser is blocked for ten minutes, then mended; ends are known as intervals only",
        )
        .pod(
            api("prod")
                .opens("/events", APP, "cookie", &[(FAULT, 10.0), (10, 45.0), (3 * HOUR, 10.0)])
                .with(
                    "sse_connections_immediate_close_total",
                    "route=\"/events\",origin=\"https://app.example.com\",class=\"interval\"",
                    super::counter(&[(FAULT, 2.0), (10, 45.0), (3 * HOUR, 2.0)]),
                ),
        )
        .quiet(FAULT)
        .rings(
            FAULT + 6,
            FAULT + 11,
            &[ring(
                "critical",
                "SSECorsRegressionLikely",
                &regression("prod", "/events"),
            )],
        )
        .clear(FAULT + 27)
        .clear(FAULT + 40)
        .clear(FAULT + HOUR),
        Situation::new("any", "a new route, with few streams at first", "none")
            .pod(
                api("prod")
                    .streams("/events", APP, &steady(20.0), &steady(1.0))
                    .streams(
                        "/new",
                        APP,
                        &[(2 * HOUR, 0.0), (30, 0.5), (6 * HOUR, 5.0)],
                        &[(2 * HOUR, 0.0), (30, 0.2), (6 * HOUR, 0.3)],
                    ),
            )
            .quiet(8 * HOUR),
        Situation::new("any", "a new origin", "none")
            .pod(
                api("prod")
                    .streams("/events", APP, &steady(20.0), &steady(1.0))
                    .streams(
                        "/events",
                        SHOP,
                        &[(2 * HOUR, 0.0), (6 * HOUR, 5.0)],
                        &[(2 * HOUR, 0.0), (6 * HOUR, 0.5)],
                    ),
            )
            .quiet(8 * HOUR),
    ]);
    situations
}
