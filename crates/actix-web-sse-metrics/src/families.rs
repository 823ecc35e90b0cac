//! Builds families of the `prometheus` crate from rows of the catalogue.

use prometheus::proto;

use crate::{
    catalogue::{Kind, Metric},
    cells::Snapshot,
    worker::bounds,
};

/// The families of one scrape.
#[derive(Default)]
pub(crate) struct Families(Vec<proto::MetricFamily>);

/// One family that is being filled.
pub(crate) struct Family {
    row: &'static Metric,
    samples: Vec<proto::Metric>,
}

impl Families {
    /// Adds a family of one unlabelled sample.
    pub(crate) fn single(&mut self, row: &'static Metric, value: f64) {
        self.family(row, |family| family.value(&[], value));
    }

    /// Adds a family.
    pub(crate) fn family(&mut self, row: &'static Metric, fill: impl FnOnce(&mut Family)) {
        let mut filling = Family {
            row,
            samples: Vec::new(),
        };
        fill(&mut filling);
        if filling.samples.is_empty() {
            return;
        }
        let mut family = proto::MetricFamily::default();
        family.set_name(row.name.to_owned());
        family.set_help(row.help.to_owned());
        family.set_field_type(match row.kind {
            Kind::Counter => proto::MetricType::COUNTER,
            Kind::Gauge => proto::MetricType::GAUGE,
            Kind::Histogram(_) => proto::MetricType::HISTOGRAM,
        });
        family.set_metric(filling.samples);
        self.0.push(family);
    }

    /// Adds families of the `prometheus` crate.
    pub(crate) fn add(&mut self, families: Vec<proto::MetricFamily>) {
        let filled = families.into_iter();
        self.0
            .extend(filled.filter(|family| !family.get_metric().is_empty()));
    }

    pub(crate) fn finish(self) -> Vec<proto::MetricFamily> {
        self.0
    }
}

impl Family {
    /// Adds a counter's or a gauge's sample; label values in the order of the row's labels.
    pub(crate) fn value(&mut self, labels: &[&str], value: f64) {
        let mut sample = self.sample(labels);
        if self.row.kind == Kind::Counter {
            let mut counter = proto::Counter::default();
            counter.set_value(value);
            sample.set_counter(counter);
        } else {
            let mut gauge = proto::Gauge::default();
            gauge.set_value(value);
            sample.set_gauge(gauge);
        }
        self.samples.push(sample);
    }

    /// Adds a counter's sample.
    pub(crate) fn count(&mut self, labels: &[&str], count: u64) {
        self.value(labels, count as f64);
    }

    /// Adds a histogram's sample.
    pub(crate) fn histogram(&mut self, labels: &[&str], counted: &Snapshot) {
        let mut sample = self.sample(labels);
        let mut cumulative = 0;
        let buckets = bounds(self.row)
            .iter()
            .zip(&counted.counts)
            .map(|(bound, count)| {
                cumulative += count;
                let mut bucket = proto::Bucket::default();
                bucket.set_upper_bound(*bound);
                bucket.set_cumulative_count(cumulative);
                bucket
            })
            .collect();
        let mut histogram = proto::Histogram::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(counted.counts.iter().sum());
        histogram.set_sample_sum(counted.sum as f64 / 1e6);
        sample.set_histogram(histogram);
        self.samples.push(sample);
    }

    fn sample(&self, values: &[&str]) -> proto::Metric {
        debug_assert_eq!(values.len(), self.row.labels.len(), "{}", self.row.name);
        let mut pairs: Vec<_> = self
            .row
            .labels
            .iter()
            .zip(values)
            .map(|(label, value)| {
                let mut pair = proto::LabelPair::default();
                pair.set_name(label.name.to_owned());
                pair.set_value((*value).to_owned());
                pair
            })
            .collect();
        pairs.sort_unstable_by(|a, b| a.name().cmp(b.name()));
        proto::Metric::from_label(pairs)
    }
}
