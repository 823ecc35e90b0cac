//! Origins that are refused.

use super::{DAY, HOUR, Pod, Situation, cors::APP, counter, ring};

const DEPLOY: u32 = 3 * HOUR;
const FOREIGN: &str = "https://foreign.example.net";

/// The deployment before the fault, and the one after it.
fn deployments(traffic: f64) -> [Pod; 2] {
    let before = Pod::between("prod", "api", "api-1", 0, Some(DEPLOY));
    let after = Pod::between("prod", "api", "api-2", DEPLOY, None);
    [
        before.streams("/events", APP, &[(DEPLOY, traffic)], &[(DEPLOY, 0.0)]),
        after.policy("p2"),
    ]
}

pub fn situations() -> Vec<Situation> {
    let lost = |origin| {
        ring(
            "critical",
            "SSEOriginLost",
            &[("route", "/events"), ("origin", origin)],
        )
    };
    let [before, after] = deployments(0.3);
    let [busy_before, busy_after] = deployments(60.0);
    let wild = "https://*.example.com";
    let deep = "https://a.eu.example.com";
    let dev = "http://localhost:5173";
    let with_entry = |entry: &str| {
        let before = Pod::between("prod", "api", "api-1", 0, Some(DEPLOY));
        before.streams("/events", entry, &[(DEPLOY, 0.3)], &[(DEPLOY, 0.0)])
    };
    let then_refused = |origin: &str| {
        let after = Pod::between("prod", "api", "api-2", DEPLOY, None).policy("p2");
        // The first two are counted as `other`: a label appears with the third.
        after.refuses_origin(
            "/events",
            origin,
            format!("_x10 {}", from_one(&counter(&[(2 * DAY, 0.3)]))),
        )
    };
    vec![
        Situation::new(
            "any",
            "a stream every three minutes",
            "the allow-list lost the origin at the last deployment, for two days",
        )
        .pod(before)
        .pod(after.refuses_origin(
            "/events",
            APP,
            format!("_x9 {}", from_one(&counter(&[(2 * DAY, 0.3)]))),
        ))
        .quiet(DEPLOY + 8)
        .rings(DEPLOY + 10, DEPLOY + 2 * DAY, &[lost(APP)]),
        Situation::new(
            "any",
            "a stream a second",
            "the allow-list lost the origin at the last deployment",
        )
        .pod(busy_before)
        .pod(busy_after.refuses_origin("/events", APP, counter(&[(5 * HOUR, 60.0)])))
        .quiet(DEPLOY)
        .rings(DEPLOY + 2, DEPLOY + 5 * HOUR, &[lost(APP)])
        .besides(&["SSERejectedOriginSpike"]),
        Situation::new(
            "a pattern for sub-domains",
            "a stream every three minutes",
            "the allow-list lost the pattern, for two days",
        )
        .pod(with_entry(wild))
        .pod(then_refused(APP))
        .quiet(DEPLOY + 9)
        .rings(DEPLOY + 11, DEPLOY + 2 * DAY, &[lost(APP)]),
        Situation::new(
            "a pattern for sub-domains",
            "a stream every three minutes, two labels below",
            "the allow-list lost the pattern",
        )
        .pod(with_entry(wild))
        .pod(then_refused(deep))
        .rings(DEPLOY + 11, DEPLOY + DAY, &[lost(deep)]),
        Situation::new(
            "a pattern for ports",
            "a stream every three minutes",
            "the allow-list lost the pattern",
        )
        .pod(with_entry("http://localhost:*"))
        .pod(then_refused(dev))
        .rings(DEPLOY + 11, DEPLOY + DAY, &[lost(dev)]),
        Situation::new(
            "any",
            "three refusals in ten minutes",
            "an origin that was never seen",
        )
        .pod(
            Pod::new("prod", "api", "api-1")
                .streams("/events", APP, &[(DAY, 5.0)], &[(DAY, 0.1)])
                .refuses_origin(
                    "/events",
                    FOREIGN,
                    format!("_x63 {}", super::level(&[(DAY, 1.0)])),
                ),
        )
        .quiet(6 * HOUR),
        Situation::new(
            "any",
            "twenty refusals a minute",
            "an origin that was never seen, for a day",
        )
        .pod(
            Pod::new("prod", "api", "api-1")
                .streams("/events", APP, &[(2 * DAY, 5.0)], &[(2 * DAY, 0.1)])
                .refuses_origin(
                    "/events",
                    FOREIGN,
                    counter(&[(HOUR, 0.0), (DAY, 20.0), (4 * HOUR, 0.0)]),
                ),
        )
        .quiet(HOUR)
        .rings(
            HOUR + 5,
            HOUR + DAY,
            &[ring(
                "warning",
                "SSERejectedOriginSpike",
                &[("origin", FOREIGN)],
            )],
        )
        .clear(DAY + 3 * HOUR),
        Situation::new(
            "any",
            "an origin is let in at one route and refused at another, on purpose",
            "none",
        )
        .pod(
            Pod::new("prod", "api", "api-1")
                .streams("/events", APP, &[(2 * DAY, 5.0)], &[(2 * DAY, 0.1)])
                .refuses_origin("/admin", APP, counter(&[(DAY, 0.2)])),
        )
        .quiet(DAY),
        Situation::new(
            "any",
            "a scan of many origins",
            "somebody looks for a hole in the allow-list",
        )
        .pod(Pod::new("prod", "api", "api-1").with(
            "sse_rejected_origins_distinct",
            "",
            format!(
                "{} {}",
                super::level(&[(HOUR, 3.0)]),
                counter(&[(HOUR, 20.0)])
            ),
        ))
        .quiet(HOUR)
        .rings(
            HOUR + 10,
            HOUR + 50,
            &[ring(
                "info",
                "SSEUnknownOriginScan",
                &[("namespace", "prod")],
            )],
        ),
        Situation::new(
            "any",
            "more origins are refused than there are labels",
            "none",
        )
        .pod(Pod::new("prod", "api", "api-1").with(
            "sse_label_overflow_total",
            "metric=\"sse_rejected_origins_total\"",
            counter(&[(HOUR, 0.0), (10, 2.0), (3 * HOUR, 0.0)]),
        ))
        .quiet(HOUR)
        .rings(
            HOUR + 5,
            HOUR + 60,
            &[ring(
                "info",
                "SSELabelOverflow",
                &[("metric", "sse_rejected_origins_total")],
            )],
        )
        .clear(HOUR + 80),
    ]
}

/// A counter whose first sample is one: what came before was counted elsewhere.
fn from_one(values: &str) -> String {
    let mut parts = values
        .split(' ')
        .map(|part| match part.split_once(['+', 'x']) {
            Some((start, rest)) => {
                let one_more = start.parse::<u64>().unwrap_or_default() + 1;
                format!("{one_more}{}{rest}", &part[start.len()..=start.len()])
            }
            None => (part.parse::<u64>().unwrap_or_default() + 1).to_string(),
        });
    parts.by_ref().collect::<Vec<_>>().join(" ")
}
