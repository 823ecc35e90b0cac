//! The application itself leaves the headers out, or says that it would refuse.

use super::{DAY, Flow, HOUR, Pod, Situation, cors::APP, counter, ring};

const ALL: u32 = 3 * DAY;

fn steady(rate: f64) -> [(u32, f64); 1] {
    [(ALL, rate)]
}

fn api(namespace: &str) -> Pod {
    Pod::new(namespace, "api", "api-1")
}

/// Reports of this many clients; `flow` is what each of them sends.
fn reports(pod: Pod, clients: u32, flow: Flow<'_>) -> Pod {
    let all = flow
        .iter()
        .map(|(minutes, rate)| (*minutes, rate * f64::from(clients)));
    let all = counter(&all.collect::<Vec<_>>());
    let labels = r#"diagnosis="cors_blocked",origin="https://app.example.com""#;
    let pod = pod.with("sse_client_reports_total", labels, all);
    (0..clients).fold(pod, |pod, share| {
        let labels = format!(r#"origin="https://app.example.com",share="{share}""#);
        pod.with("sse_client_blocked_reports_total", &labels, counter(flow))
    })
}

pub fn situations() -> Vec<Situation> {
    let opened: Flow<'_> = &[(2 * DAY + 2 * HOUR, 10.0)];
    vec![
        Situation::new(
            "any",
            "ten streams a minute",
            "a route without the policy, for two days",
        )
        .pod(
            api("prod")
                .opens("/private", "none", "none", &[(ALL, 0.0)])
                .opened_as("/private", "denied", &[(HOUR, 0.0), (2 * DAY, 10.0)])
                .opened_as("/events", "allowed", opened),
        )
        .quiet(HOUR)
        .rings(
            HOUR + 3,
            HOUR + 2 * DAY,
            &[ring(
                "critical",
                "SSECorsOpenedDenied",
                &[("namespace", "prod"), ("route", "/private")],
            )],
        ),
        Situation::new("any", "one stream a minute", "a route without the policy")
            .pod(
                api("prod")
                    .opened_as("/private", "denied", &[(HOUR, 0.0), (5 * HOUR, 1.0)])
                    .opened_as("/events", "allowed", opened),
            )
            .quiet(HOUR)
            .rings(
                HOUR + 10,
                6 * HOUR,
                &[ring(
                    "critical",
                    "SSECorsOpenedDenied",
                    &[("route", "/private")],
                )],
            ),
        Situation::new(
            "a stricter allow-list on trial beside the one in force",
            "ten streams a minute",
            "the application loses the headers of a route, for half a day",
        )
        .pod(
            api("prod")
                .opened_as("/events", "denied", &[(HOUR, 0.0), (DAY, 10.0)])
                .opened_as("/events", "allowed", &[(HOUR, 10.0), (DAY, 0.0)])
                .refuses("/events", "origin_denied", "report_only", &steady(10.0))
                .with(
                    "sse_connections_rejected_cors_total",
                    "route=\"/events\",origin=\"https://app.example.com\",verdict=\"allowed\",mode=\"report_only\"",
                    counter(&steady(10.0)),
                ),
        )
        .rings(
            HOUR + 5,
            12 * HOUR,
            &[
                ring("critical", "SSECorsOpenedDenied", &[("route", "/events")]),
                ring("info", "SSEReportOnlyRefusals", &[("route", "/events")]),
            ],
        ),
        Situation::new(
            "any",
            "a hundred streams a minute",
            "a policy on trial (report-only) would refuse a tenth",
        )
        .pod(
            api("prod")
                .streams("/events", APP, &steady(100.0), &steady(2.0))
                .streams("/events", "other", &steady(10.0), &steady(10.0))
                .with(
                    "sse_connections_rejected_cors_total",
                    "route=\"/events\",origin=\"other\",verdict=\"denied\",mode=\"report_only\"",
                    counter(&steady(10.0)),
                )
                .refuses("/events", "origin_denied", "report_only", &steady(10.0))
                .opened_as("/events", "denied", &steady(10.0))
                .opened_as("/events", "allowed", &steady(100.0)),
        )
        .rings(
            10,
            DAY,
            &[ring(
                "info",
                "SSEReportOnlyRefusals",
                &[("route", "/events")],
            )],
        ),
        Situation::new(
            "any",
            "ten visitors a minute",
            "browsers report that CORS blocks them, for a day",
        )
        .pod(reports(api("prod"), 5, &[(HOUR, 0.0), (DAY, 1.0), (2 * HOUR, 0.0)]))
        .quiet(HOUR)
        .rings(
            HOUR + 5,
            HOUR + DAY,
            &[ring(
                "critical",
                "SSEClientReportsCorsBlocked",
                &[("origin", APP)],
            )],
        )
        .clear(DAY + 2 * HOUR),
        Situation::new(
            "any",
            "ten visitors a minute",
            "a browser extension blocks for two of them",
        )
        .pod(reports(api("prod"), 2, &[(HOUR, 0.0), (2, 1.0), (2 * HOUR, 0.0)]))
        .quiet(3 * HOUR),
        Situation::new(
            "any",
            "ten visitors a minute",
            "one client sends as many reports as its share allows",
        )
        .pod(reports(api("prod"), 1, &[(HOUR, 0.0), (HOUR, 12.0), (HOUR, 0.0)]))
        .quiet(3 * HOUR),
    ]
}
