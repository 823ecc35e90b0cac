//! The rules of the repository, with a second for each of their minutes.

use std::{fs, path::PathBuf};

use tempfile::TempDir;

/// Rule files in a folder that goes with them.
pub(super) struct ShortRules(TempDir);

const FILES: [&str; 2] = ["alerts.yml", "probe.yml"];

/// Thresholds that are times themselves, or numbers that take long to reach.
const THRESHOLDS: [(&str, &str); 19] = [
    // One look at an instance that fails, for want of a core, and the wait begins anew.
    ("for: 45m", "for: 5m"),
    ("(1.1 * max by", "(0.001 * max by"),
    ("_limit_seconds > 0) + 120)", "_limit_seconds > 0) + 5)"),
    (
        "first_event_seconds_bucket[30m]))) > 60",
        "first_event_seconds_bucket[30m]))) > 1",
    ),
    (
        "first_event_seconds_count[30m])) >= 10",
        "first_event_seconds_count[30m])) >= 1",
    ),
    (
        "delivery_lag_seconds:p99_rate10m > 1\n",
        "delivery_lag_seconds:p99_rate10m > 0.5\n",
    ),
    ("active:sum[1h] offset 5m", "active:sum[3m] offset 5m"),
    (") >= 5\n", ") >= 1\n"),
    (
        "worker_tick_age_seconds) > 60",
        "worker_tick_age_seconds) > 8",
    ),
    ("time() - 1800", "time() - 1"),
    // A browser opens one stream after the other.
    (":increase5m >= 10", ":increase5m >= 3"),
    (":increase30m >= 10", ":increase30m >= 3"),
    ("> 2.5 * sqrt", "> 0.5 * sqrt"),
    // All clients of these tests have one address.
    (
        "max by (cluster, namespace, job, instance, pod) (sse_clients) > 5",
        "max by (cluster, namespace, job, instance, pod) (sse_clients) > 0",
    ),
    // The hours that a leak and a stall take, in half a minute.
    ("ratio[1d] offset 1h", "ratio[1d] offset 30m"),
    ("[2h] offset 10m", "[20m] offset 10m"),
    ("increase10m offset 2h", "increase10m offset 20m"),
    ("calm_ratio offset 1h", "calm_ratio offset 20m"),
    ("rate5m offset 30m)", "rate5m offset 10m)"),
];

impl ShortRules {
    pub(super) fn write() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for file in FILES {
            let source = format!("{}/../grafana/rules/{file}", env!("CARGO_MANIFEST_DIR"));
            let text = fs::read_to_string(source).expect("the rules of the repository");
            fs::write(folder.path().join(file), shorten(&text)).expect("the rules are written");
        }
        Self(folder)
    }

    pub(super) fn files(&self) -> Vec<PathBuf> {
        FILES.iter().map(|file| self.0.path().join(file)).collect()
    }
}

fn shorten(rules: &str) -> String {
    let mut rules = rules.to_owned();
    for (long, short) in THRESHOLDS {
        assert!(
            rules.contains(long) || !rules.contains("SSECorsRegression"),
            "no rule says {long}"
        );
        rules = rules.replace(long, short);
    }
    for before in ["[", "offset ", "for: "] {
        rules = shorten_after(&rules, before);
    }
    rules
}

/// Shortens every duration that stands right after `before`.
fn shorten_after(rules: &str, before: &str) -> String {
    let mut parts = rules.split(before);
    let mut short = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        short.push_str(before);
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = part.split_at(digits);
        let unit = rest.chars().next();
        match (number.parse::<u32>(), unit) {
            (Ok(minutes), Some('m')) => short.push_str(&format!("{minutes}s{}", &rest[1..])),
            (Ok(hours), Some('h')) => short.push_str(&format!("{hours}m{}", &rest[1..])),
            (Ok(days), Some('d')) => short.push_str(&format!("{}m{}", days * 24, &rest[1..])),
            _ => short.push_str(part),
        }
    }
    short
}

#[test]
fn durations_are_shortened_and_names_are_left_alone() {
    assert_eq!(
        shorten("job:x:rate5m > 5 * avg(y[1h] offset 30m)\n  for: 2m\n  z[1d] > 10"),
        "job:x:rate5m > 5 * avg(y[1m] offset 30s)\n  for: 2s\n  z[24m] > 10",
    );
}
