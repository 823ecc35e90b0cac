//! Sites with few visitors.

use super::{
    DAY, HOUR, Pod, Situation,
    cors::{APP, SHOP},
    ring,
};

const FAULT: u32 = 3 * HOUR;

fn api() -> Pod {
    Pod::new("prod", "api", "api-1")
}

pub fn situations() -> Vec<Situation> {
    let both = &["SSEImmediateCloseRateHigh"];
    let critical = || {
        ring(
            "critical",
            "SSECorsRegression",
            &[("route", "/events"), ("origin", APP)],
        )
    };
    vec![
        Situation::new("any", "one stream a minute", "all blocked, for two days")
            .pod(api().streams(
                "/events",
                APP,
                &[(4 * DAY, 1.0)],
                &[(FAULT, 0.05), (2 * DAY, 1.0)],
            ))
            .quiet(FAULT)
            .rings(FAULT + 30, FAULT + 2 * DAY, &[critical()])
            .besides(both),
        Situation::new(
            "any",
            "one stream a minute",
            "all blocked since the first deployment, for two days",
        )
        .pod(api().streams("/events", APP, &[(4 * DAY, 1.0)], &[(4 * DAY, 1.0)]))
        .rings(30, 2 * DAY, &[critical()])
        .besides(both),
        Situation::new("any", "two streams a minute", "all blocked")
            .pod(api().streams(
                "/events",
                APP,
                &[(4 * DAY, 2.0)],
                &[(FAULT, 0.1), (DAY, 2.0)],
            ))
            .quiet(FAULT)
            .rings(FAULT + 15, FAULT + DAY, &[critical()])
            .besides(both),
        Situation::new(
            "any",
            "a stream every two minutes, of two origins",
            "one is blocked",
        )
        .pod(
            api()
                .streams(
                    "/events",
                    APP,
                    &[(4 * DAY, 0.5)],
                    &[(FAULT, 0.0), (DAY, 0.5)],
                )
                .streams("/events", SHOP, &[(4 * DAY, 0.5)], &[(4 * DAY, 0.0)]),
        )
        .quiet(FAULT)
        .rings(FAULT + 45, FAULT + DAY, &[critical()])
        .besides(both),
        Situation::new(
            "any",
            "one stream a minute, a tenth is closed at once",
            "none",
        )
        .pod(api().streams("/events", APP, &[(DAY, 1.0)], &[(DAY, 0.1)]))
        .quiet(DAY),
        Situation::new(
            "any",
            "a stream every ten minutes, half are closed at once",
            "none",
        )
        .pod(api().streams("/events", APP, &[(DAY, 0.1)], &[(DAY, 0.05)]))
        .quiet(DAY),
        Situation::new("any", "nobody at all", "none")
            .pod(api().streams("/events", APP, &[(DAY, 0.0)], &[(DAY, 0.0)]))
            .quiet(DAY),
    ]
}
