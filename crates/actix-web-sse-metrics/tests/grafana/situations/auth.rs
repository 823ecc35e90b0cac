//! Who gets in, and who does not.

use super::{DAY, HOUR, Pod, Situation, counter, level, ring};

fn api() -> Pod {
    Pod::new("prod", "api", "api-1")
        .with(
            "sse_route_auth_required",
            "route=\"/private\"",
            level(&[(4 * DAY, 1.0)]),
        )
        .with(
            "sse_route_auth_required",
            "route=\"/public\"",
            level(&[(4 * DAY, 0.0)]),
        )
}

pub fn situations() -> Vec<Situation> {
    let bypass = || ring("critical", "SSEAuthBypass", &[("route", "/private")]);
    let failures = || ring("warning", "SSEAuthFailureSpike", &[("namespace", "prod")]);
    let before = |count: u32| format!("{count}x{}", 2 * DAY);
    let none = "route=\"/private\",origin=\"none\",auth_method=\"none\"";
    vec![
        Situation::new(
            "any",
            "five streams without authentication before the first scrape, none after",
            "a bypass",
        )
        .pod(api().with("sse_connections_opened_total", none, before(5)))
        .rings(1, 58, &[bypass()])
        .clear(62),
        Situation::new(
            "any",
            "a stream a minute without authentication",
            "a bypass, for two days",
        )
        .pod(
            api()
                .opens("/private", "none", "none", &[(HOUR, 0.0), (2 * DAY, 1.0)])
                .opens("/public", "none", "none", &[(4 * DAY, 9.0)]),
        )
        .quiet(HOUR)
        .rings(HOUR + 2, HOUR + 2 * DAY, &[bypass()]),
        Situation::new(
            "any",
            "streams without authentication on a public route",
            "none",
        )
        .pod(api().opens("/public", "none", "none", &[(DAY, 9.0)]))
        .quiet(DAY),
        Situation::new(
            "any",
            "sixty requests a minute",
            "a third of the tokens does not hold, for a day",
        )
        .pod(api().attempts("/private", &[(4 * DAY, 60.0)]).refuses(
            "/private",
            "invalid_token",
            "hard",
            &[(3 * HOUR, 1.0), (DAY, 21.0), (3 * HOUR, 1.0)],
        ))
        .quiet(3 * HOUR)
        .rings(3 * HOUR + 25, DAY + 3 * HOUR, &[failures()])
        .clear(DAY + 5 * HOUR),
        Situation::new(
            "any",
            "one request a minute",
            "the key was changed: no token holds",
        )
        .pod(api().attempts("/private", &[(4 * DAY, 1.0)]).refuses(
            "/private",
            "invalid_token",
            "hard",
            &[(3 * HOUR, 0.0), (DAY, 1.0)],
        ))
        .quiet(3 * HOUR)
        .rings(3 * HOUR + 30, DAY, &[failures()]),
        Situation::new(
            "any",
            "bots ask without credentials, more often than people do",
            "none",
        )
        .pod(api().attempts("/private", &[(4 * DAY, 30.0)]).refuses(
            "/private",
            "unauthorized",
            "hard",
            &[(4 * DAY, 18.0)],
        ))
        .quiet(DAY),
        Situation::new(
            "any",
            "tokens that expire while pages sleep: one request in twenty fails",
            "none",
        )
        .pod(api().attempts("/private", &[(4 * DAY, 60.0)]).refuses(
            "/private",
            "invalid_token",
            "hard",
            &[(4 * DAY, 3.0)],
        ))
        .quiet(DAY),
        Situation::new(
            "two policies with limits of their own",
            "busy",
            "one address holds all it may and asks for more",
        )
        .pod(
            api()
                .refuses(
                    "/public",
                    "ip_limit",
                    "soft",
                    &[(HOUR, 0.0), (2 * HOUR, 2.0), (2 * HOUR, 0.0)],
                )
                .with(
                    "sse_client_streams_max",
                    "",
                    level(&[(HOUR, 2.0), (2 * HOUR, 4.0), (2 * HOUR, 2.0)]),
                )
                .with(
                    "sse_connections_limit",
                    "policy_hash=\"p1\",scope=\"ip\"",
                    level(&[(DAY, 4.0)]),
                )
                .with(
                    "sse_connections_limit",
                    "policy_hash=\"p2\",scope=\"ip\"",
                    level(&[(DAY, 100.0)]),
                ),
        )
        .quiet(HOUR)
        .rings(
            HOUR + 5,
            3 * HOUR,
            &[ring(
                "warning",
                "SSEIpLimitSaturated",
                &[("instance", "api-1")],
            )],
        )
        .clear(3 * HOUR + 20),
        Situation::new(
            "any",
            "a page opens two more streams than it may, once",
            "none",
        )
        .pod(
            api()
                .refuses(
                    "/public",
                    "ip_limit",
                    "soft",
                    &[(HOUR, 0.0), (1, 2.0), (2 * HOUR, 0.0)],
                )
                .with(
                    "sse_client_streams_max",
                    "",
                    level(&[(HOUR, 2.0), (1, 4.0), (2 * HOUR, 2.0)]),
                )
                .with(
                    "sse_connections_limit",
                    "policy_hash=\"p1\",scope=\"ip\"",
                    level(&[(DAY, 4.0)]),
                ),
        )
        .quiet(3 * HOUR),
        Situation::new("any", "credentials on trial (report-only)", "none")
            .pod(api().attempts("/private", &[(4 * DAY, 1.0)]).with(
                "sse_connections_rejected_total",
                "route=\"/private\",reason=\"unauthorized\",mode=\"report_only\"",
                counter(&[(4 * DAY, 0.1)]),
            ))
            .quiet(DAY),
    ]
}
