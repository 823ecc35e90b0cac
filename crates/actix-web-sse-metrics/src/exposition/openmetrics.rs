//! OpenMetrics 1.0 from gathered families: the `prometheus` crate has no encoder of its own.

use std::fmt::{self, Display, Write};

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

pub(crate) fn encode(families: &[MetricFamily]) -> String {
    let mut text = String::new();
    for family in families {
        // Writing to a string cannot fail.
        let _ = write_family(&mut text, family);
    }
    text.push_str("# EOF\n");
    text
}

fn write_family(out: &mut String, family: &MetricFamily) -> fmt::Result {
    let kind = family.get_field_type();
    // A counter's family is named without the suffix of its samples. A counter whose name has no such
    // suffix (of another crate, in a shared registry) cannot be written as a counter.
    let (name, kind) = match (kind, family.name().strip_suffix("_total")) {
        (MetricType::COUNTER, Some(name)) => (name, "counter"),
        (MetricType::COUNTER, None) | (MetricType::UNTYPED, _) => (family.name(), "unknown"),
        (MetricType::GAUGE, _) => (family.name(), "gauge"),
        (MetricType::HISTOGRAM, _) => (family.name(), "histogram"),
        (MetricType::SUMMARY, _) => (family.name(), "summary"),
    };
    writeln!(out, "# TYPE {name} {kind}")?;
    if !family.help().is_empty() {
        writeln!(out, "# HELP {name} {}", Escaped(family.help()))?;
    }
    for metric in family.get_metric() {
        write_metric(out, family, metric)?;
    }
    Ok(())
}

fn write_metric(out: &mut String, family: &MetricFamily, metric: &Metric) -> fmt::Result {
    let name = family.name();
    let labels = metric.get_label();
    match family.get_field_type() {
        MetricType::COUNTER => sample(
            out,
            name,
            "",
            labels,
            None,
            metric.get_counter().get_value(),
        ),
        MetricType::GAUGE => sample(out, name, "", labels, None, metric.get_gauge().get_value()),
        MetricType::UNTYPED => Ok(()),
        MetricType::HISTOGRAM => {
            let histogram = metric.get_histogram();
            let total = histogram.get_sample_count();
            for bucket in histogram.get_bucket() {
                if bucket.upper_bound().is_finite() {
                    let bound = format!("{:?}", bucket.upper_bound());
                    let count = bucket.cumulative_count() as f64;
                    sample(out, name, "_bucket", labels, Some(("le", &bound)), count)?;
                }
            }
            sample(
                out,
                name,
                "_bucket",
                labels,
                Some(("le", "+Inf")),
                total as f64,
            )?;
            sample(out, name, "_sum", labels, None, histogram.get_sample_sum())?;
            sample(out, name, "_count", labels, None, total as f64)
        }
        MetricType::SUMMARY => {
            let summary = metric.get_summary();
            for quantile in summary.get_quantile() {
                let rank = format!("{:?}", quantile.quantile());
                sample(
                    out,
                    name,
                    "",
                    labels,
                    Some(("quantile", &rank)),
                    quantile.value(),
                )?;
            }
            sample(out, name, "_sum", labels, None, summary.sample_sum())?;
            sample(
                out,
                name,
                "_count",
                labels,
                None,
                summary.sample_count() as f64,
            )
        }
    }
}

fn sample(
    out: &mut String,
    name: &str,
    suffix: &str,
    labels: &[LabelPair],
    extra: Option<(&str, &str)>,
    value: f64,
) -> fmt::Result {
    write!(out, "{name}{suffix}")?;
    let labels = labels
        .iter()
        .map(|label| (label.name(), label.value()))
        .chain(extra);
    let mut separator = '{';
    for (name, value) in labels {
        write!(out, "{separator}{name}=\"{}\"", Escaped(value))?;
        separator = ',';
    }
    if separator == ',' {
        out.push('}');
    }
    writeln!(out, " {}", Number(value))
}

/// Text in the format's own escaping.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A number in the format's own spelling of what is not finite.
struct Number(f64);

impl Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            value if value.is_nan() => f.write_str("NaN"),
            f64::INFINITY => f.write_str("+Inf"),
            f64::NEG_INFINITY => f.write_str("-Inf"),
            value => write!(f, "{value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::{Counter, Gauge, Histogram, HistogramOpts, Opts, Registry};

    use super::*;

    fn registered() -> Registry {
        let registry = Registry::new();
        let opts =
            Opts::new("a_total", "With \"quotes\" and a \\").const_label("path", "a\"b\\c\nd");
        let counter = Counter::with_opts(opts).unwrap();
        counter.inc();
        let foreign = Counter::new("foreign_counts", "Not named as a counter.").unwrap();
        foreign.inc();
        let gauge = Gauge::new("b_seconds", "A gauge.").unwrap();
        gauge.set(f64::INFINITY);
        let opts = HistogramOpts::new("c_seconds", "A histogram.").buckets(vec![0.5, 1.0]);
        let histogram = Histogram::with_opts(opts).unwrap();
        histogram.observe(0.75);
        registry.register(Box::new(counter)).unwrap();
        registry.register(Box::new(foreign)).unwrap();
        registry.register(Box::new(gauge)).unwrap();
        registry.register(Box::new(histogram)).unwrap();
        registry
    }

    #[test]
    fn m06_every_kind_is_written_as_the_specification_says() {
        let expected = r#"# TYPE a counter
# HELP a With \"quotes\" and a \\
a_total{path="a\"b\\c\nd"} 1
# TYPE b_seconds gauge
# HELP b_seconds A gauge.
b_seconds +Inf
# TYPE c_seconds histogram
# HELP c_seconds A histogram.
c_seconds_bucket{le="0.5"} 0
c_seconds_bucket{le="1.0"} 1
c_seconds_bucket{le="+Inf"} 1
c_seconds_sum 0.75
c_seconds_count 1
# TYPE foreign_counts unknown
# HELP foreign_counts Not named as a counter.
foreign_counts 1
# EOF
"#;
        assert_eq!(encode(&registered().gather()), expected);
    }
}
