//! What processes count, minute by minute, in promtool's notation.

use std::fmt::Write as _;

/// So many minutes at so many a minute, one after the other.
pub type Flow<'a> = &'a [(u32, f64)];

/// A counter that grows like this. What is counted is whole.
pub fn counter(flow: Flow<'_>) -> String {
    let mut total = 0.0_f64;
    let mut values = vec![0.0];
    for (minutes, rate) in flow {
        for _ in 0..*minutes {
            total += rate;
            values.push((total + 1e-6).floor());
        }
    }
    compress(&values)
}

/// A gauge that has these values.
pub fn level(flow: Flow<'_>) -> String {
    let mut values = Vec::new();
    for (minutes, value) in flow {
        values.extend((0..*minutes).map(|_| *value));
    }
    compress(&values)
}

/// Runs of values with the same steps, as `start+stepxcount`.
fn compress(values: &[f64]) -> String {
    let mut text = String::new();
    let mut from = 0;
    while let Some(start) = values.get(from) {
        let step = values.get(from + 1).map_or(0.0, |next| next - start);
        let mut to = from;
        while values
            .get(to + 1)
            .is_some_and(|next| ((next - values[to]) - step).abs() < 1e-9)
        {
            to += 1;
        }
        let count = to - from;
        let _ = match (count, step == 0.0) {
            (0, _) => write!(text, "{start} "),
            (_, true) => write!(text, "{start}x{count} "),
            (_, false) => write!(text, "{start}{step:+}x{count} "),
        };
        from = to + 1;
    }
    text.trim_end().to_owned()
}

/// One process and what it exports.
#[derive(Clone)]
pub struct Pod {
    labels: String,
    /// When it is there.
    from: u32,
    until: Option<u32>,
    series: Vec<(String, String)>,
    lasting: Vec<(String, String)>,
}

impl Pod {
    /// A process that is there from the beginning, with the policy `p1`.
    pub fn new(namespace: &str, job: &str, instance: &str) -> Self {
        Self::between(namespace, job, instance, 0, None)
    }

    /// A process that is there for a part of the time: what it exports is written down from its own
    /// start.
    pub fn between(
        namespace: &str,
        job: &str,
        instance: &str,
        from: u32,
        until: Option<u32>,
    ) -> Self {
        let labels = format!("namespace=\"{namespace}\",job=\"{job}\",instance=\"{instance}\"");
        let pod = Self {
            labels,
            from,
            until,
            series: Vec::new(),
            lasting: Vec::new(),
        };
        let start = if from == 0 {
            -3600.0
        } else {
            f64::from(from) * 60.0 - 20.0
        };
        pod.with("sse_build_info", "version=\"1\"", level(&[(MANY, 1.0)]))
            .with("up", "", level(&[(MANY, 1.0)]))
            .with("sse_draining", "", level(&[(MANY, 0.0)]))
            .with("process_start_time_seconds", "", level(&[(MANY, start)]))
            .with(
                "sse_worker_tick_age_seconds",
                "worker=\"0\"",
                level(&[(MANY, 0.5)]),
            )
            .with("sse_hub_heartbeat_seconds", "", level(&[(MANY, 15.0)]))
            .policy("p1")
    }

    /// Anything else, or something else than what there is.
    pub fn with(mut self, metric: &str, labels: &str, values: String) -> Self {
        let comma = if labels.is_empty() { "" } else { "," };
        let series = format!("{metric}{{{}{comma}{labels}}}", self.labels);
        self.series.retain(|(other, _)| *other != series);
        self.series.push((series, values));
        self
    }

    pub fn without(mut self, metric: &str) -> Self {
        let start = format!("{metric}{{");
        self.series
            .retain(|(series, _)| !series.starts_with(&start));
        self
    }

    pub fn policy(self, hash: &str) -> Self {
        let labels = format!("policy_hash=\"{hash}\",credentials=\"true\",wildcard=\"false\"");
        self.without("sse_cors_policy_info").with(
            "sse_cors_policy_info",
            &labels,
            level(&[(MANY, 1.0)]),
        )
    }

    /// Streams of an origin that open, and how many of them are closed at once.
    pub fn streams(
        self,
        route: &str,
        origin: &str,
        opened: Flow<'_>,
        closed_at_once: Flow<'_>,
    ) -> Self {
        let origin_labels = format!("route=\"{route}\",origin=\"{origin}\"");
        let drain = format!("{origin_labels},class=\"drain\"");
        self.opens(route, origin, "cookie", opened).with(
            "sse_connections_immediate_close_total",
            &drain,
            counter(closed_at_once),
        )
    }

    pub fn opens(self, route: &str, origin: &str, auth: &str, opened: Flow<'_>) -> Self {
        let labels = format!("route=\"{route}\",origin=\"{origin}\",auth_method=\"{auth}\"");
        self.with("sse_connections_opened_total", &labels, counter(opened))
    }

    pub fn attempts(self, route: &str, flow: Flow<'_>) -> Self {
        let route = format!("route=\"{route}\"");
        self.with("sse_connection_attempts_total", &route, counter(flow))
    }

    pub fn closes(self, route: &str, reason: &str, flow: Flow<'_>) -> Self {
        let labels = format!("route=\"{route}\",reason=\"{reason}\"");
        self.with("sse_connections_closed_total", &labels, counter(flow))
    }

    pub fn active(self, route: &str, flow: Flow<'_>) -> Self {
        let route = format!("route=\"{route}\"");
        self.with("sse_connections_active", &route, level(flow))
    }

    pub fn refuses(self, route: &str, reason: &str, mode: &str, flow: Flow<'_>) -> Self {
        let labels = format!("route=\"{route}\",reason=\"{reason}\",mode=\"{mode}\"");
        self.with("sse_connections_rejected_total", &labels, counter(flow))
    }

    /// Refusals of an origin that has a label.
    pub fn refuses_origin(self, route: &str, origin: &str, values: String) -> Self {
        let labels = format!("route=\"{route}\",origin=\"{origin}\"");
        self.with("sse_rejected_origins_total", &labels, values)
    }

    pub fn opened_as(self, route: &str, verdict: &str, flow: Flow<'_>) -> Self {
        let labels = format!("route=\"{route}\",verdict=\"{verdict}\"");
        self.with("sse_connections_opened_cors_total", &labels, counter(flow))
    }

    /// One series that outlives the process: `up` of a target that cannot be read.
    pub fn lasting(mut self, metric: &str, values: String) -> Self {
        self.lasting
            .push((format!("{metric}{{{}}}", self.labels), values));
        self.without(metric)
    }

    /// All that it exports, changed.
    pub fn mapped(mut self, change: impl Fn(&str) -> String) -> Self {
        for (_, values) in &mut self.series {
            *values = change(values);
        }
        self
    }

    pub(super) fn series(self) -> Vec<(String, String)> {
        let (from, until) = (self.from, self.until);
        let placed = |values: String| {
            let mut placed = String::new();
            if from > 0 {
                let _ = write!(placed, "_x{from} ");
            }
            match until {
                None => placed.push_str(&values),
                Some(until) => {
                    placed.push_str(&cut(&values, until - from));
                    placed.push_str(" stale");
                }
            }
            placed
        };
        let series = self.series.into_iter();
        let placed = series.map(|(name, values)| (name, placed(values)));
        placed.chain(self.lasting).collect()
    }
}

/// As long as any situation takes.
pub const MANY: u32 = 4000;

/// These values with some of them missing.
pub fn with_gap(values: &str, at: u32, minutes: u32) -> String {
    let (before, after) = (cut(values, at), skip(values, at + minutes));
    format!("{before} _x{minutes} {after}")
}

/// The values after so many.
fn skip(values: &str, mut left: u32) -> String {
    let mut kept = Vec::new();
    for part in values.split(' ') {
        let (run, count) = part.split_once('x').unwrap_or((part, "0"));
        let count: u32 = count.parse().unwrap_or_default();
        if left > count {
            left -= count + 1;
            continue;
        }
        let split = run.rfind(['+', '-']).filter(|at| *at > 0);
        let (start, step) = split.map_or((run, "0"), |at| run.split_at(at));
        let [start, step] = [start, step].map(|number| number.parse::<f64>().unwrap_or_default());
        let from = start + step * f64::from(left);
        kept.push(format!("{from}{step:+}x{}", count - left));
        left = 0;
    }
    kept.join(" ")
}

/// The first so many values.
pub fn cut(values: &str, length: u32) -> String {
    let mut left = length;
    let mut kept = Vec::new();
    for part in values.split(' ') {
        if left == 0 {
            break;
        }
        let Some((start, count)) = part.split_once('x') else {
            kept.push(part.to_owned());
            left -= 1;
            continue;
        };
        // Of `_` there are as many as it says, of values one more.
        let more = u32::from(start != "_");
        let taken = (count.parse::<u32>().unwrap_or_default() + more).min(left);
        kept.push(format!("{start}x{}", taken - more));
        left -= taken;
    }
    kept.join(" ")
}

#[test]
fn flows_are_written_as_runs() {
    assert_eq!(counter(&[(3, 2.0), (2, 0.0)]), "0+2x3 6x1");
    assert_eq!(counter(&[(4, 0.5)]), "0x1 1x1 2");
    assert_eq!(level(&[(2, 1.0), (1, 0.0)]), "1x1 0");
    assert_eq!(cut("1x9 5", 3), "1x2");
    assert_eq!(cut("0+2x3 6x1", 5), "0+2x3 6x0");
    assert_eq!(cut("_x3 1x9 stale", 5), "_x3 1x1");
    assert_eq!(with_gap("0+2x9", 3, 2), "0+2x2 _x2 10+2x4");
}
