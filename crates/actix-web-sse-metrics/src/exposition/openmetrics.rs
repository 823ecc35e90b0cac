//! OpenMetrics 1.0 from gathered families: the `prometheus` crate has no encoder of its own.

use std::{
    fmt::{self, Display, Write},
    time::UNIX_EPOCH,
};

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

use crate::exemplars::{Exemplar, Shown};

pub(crate) fn encode(families: &[MetricFamily], exemplars: &Shown) -> String {
    let mut text = String::new();
    for family in families {
        // Writing to a string cannot fail.
        let _ = write_family(&mut text, family, exemplars);
    }
    text.push_str("# EOF\n");
    text
}

fn write_family(out: &mut String, family: &MetricFamily, exemplars: &Shown) -> fmt::Result {
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
        write_metric(out, family, metric, exemplars)?;
    }
    Ok(())
}

fn write_metric(
    out: &mut String,
    family: &MetricFamily,
    metric: &Metric,
    exemplars: &Shown,
) -> fmt::Result {
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
        MetricType::HISTOGRAM => write_histogram(out, name, metric, exemplars),
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

fn write_histogram(
    out: &mut String,
    name: &str,
    metric: &Metric,
    exemplars: &Shown,
) -> fmt::Result {
    let (histogram, labels) = (metric.get_histogram(), metric.get_label());
    let total = histogram.get_sample_count();
    let route = labels.iter().find(|label| label.name() == "route");
    let exemplars = exemplars.of(name, route.map_or("", LabelPair::value));
    let mut exemplars = exemplars.iter();
    let mut bucket = |bound: &str, count: u64| {
        let le = Some(("le", bound));
        write_sample(out, name, "_bucket", labels, le, count as f64)?;
        if let Some(Some(exemplar)) = exemplars.next() {
            write_exemplar(out, exemplar)?;
        }
        out.write_char('\n')
    };
    for counted in histogram.get_bucket() {
        if counted.upper_bound().is_finite() {
            let bound = format!("{:?}", counted.upper_bound());
            bucket(&bound, counted.cumulative_count())?;
        }
    }
    bucket("+Inf", total)?;
    sample(out, name, "_sum", labels, None, histogram.get_sample_sum())?;
    sample(out, name, "_count", labels, None, total as f64)
}

fn sample(
    out: &mut String,
    name: &str,
    suffix: &str,
    labels: &[LabelPair],
    extra: Option<(&str, &str)>,
    value: f64,
) -> fmt::Result {
    write_sample(out, name, suffix, labels, extra, value)?;
    out.write_char('\n')
}

/// A sample up to the end of its line.
fn write_sample(
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
    write!(out, " {}", Number(value))
}

/// Writes an exemplar behind a sample. Its labels have 63 characters of the 128 that the specification
/// allows.
fn write_exemplar(out: &mut String, exemplar: &Exemplar) -> fmt::Result {
    let Exemplar { trace, micros, at } = exemplar;
    let (trace_id, span_id) = (trace.trace_id(), trace.span_id());
    let value = Number(*micros as f64 / 1e6);
    write!(
        out,
        " # {{trace_id=\"{trace_id}\",span_id=\"{span_id}\"}} {value}"
    )?;
    match at.duration_since(UNIX_EPOCH) {
        Ok(at) => write!(out, " {}.{:03}", at.as_secs(), at.subsec_millis()),
        // The clock is before 1970. The time is optional.
        Err(_) => Ok(()),
    }
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
        assert_eq!(encode(&registered().gather(), &Shown::default()), expected);
    }
}
