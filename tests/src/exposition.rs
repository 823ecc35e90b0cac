//! The text that `/metrics` answers.

use std::{collections::BTreeMap, net::SocketAddr};

use crate::Request;

/// One series and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The name, `__name__` among the labels of a query's answer.
    pub name: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

impl Sample {
    /// Whether it has this name and these labels, whatever others.
    #[must_use]
    pub fn is(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.name == name
            && labels
                .iter()
                .all(|(label, value)| self.labels.get(*label).map(String::as_str) == Some(*value))
    }
}

/// One look at `/metrics`.
#[derive(Debug, Clone)]
pub struct Exposition {
    /// As it came.
    pub text: String,
    /// Every series.
    pub samples: Vec<Sample>,
}

impl Exposition {
    /// Reads the endpoint.
    ///
    /// # Panics
    /// If it does not answer 200 with the text format.
    #[must_use]
    #[track_caller]
    pub fn of(address: SocketAddr) -> Self {
        let response = Request::new("GET", "/metrics").send(address);
        assert_eq!(response.status(), 200, "/metrics");
        let text = response.text();
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples = lines.map(sample).collect();
        Self { text, samples }
    }

    /// The sum over all series of this name with these labels, whatever others.
    ///
    /// # Panics
    /// If there is none: a name that does not exist is not zero.
    #[must_use]
    #[track_caller]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let matching: Vec<_> = self
            .samples
            .iter()
            .filter(|sample| sample.is(name, labels))
            .collect();
        assert!(
            !matching.is_empty(),
            "no series {name} {labels:?} in:\n{}",
            self.text
        );
        matching.iter().map(|sample| sample.value).sum()
    }

    /// Like [`sum`](Self::sum), zero where no series exists yet: for labels that only traffic
    /// brings into being.
    #[must_use]
    pub fn sum_or_zero(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let matching = self.samples.iter().filter(|sample| sample.is(name, labels));
        matching.map(|sample| sample.value).sum()
    }
}

/// One line: `name{label="value",…} 1.5`.
fn sample(line: &str) -> Sample {
    let (series, value) = line
        .rsplit_once(' ')
        .unwrap_or_else(|| panic!("no value: {line:?}"));
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    Sample {
        name: name.to_owned(),
        labels: parse_labels(labels),
        value: match value {
            "+Inf" => f64::INFINITY,
            value => value
                .parse()
                .unwrap_or_else(|_| panic!("no number: {line:?}")),
        },
    }
}

/// `a="x",b="y\"z"}`.
fn parse_labels(text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    while let Some((name, quoted)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        let end = loop {
            match characters.next() {
                Some((at, '"')) => break at + 1,
                Some((_, '\\')) => match characters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, escaped)) => value.push(escaped),
                    None => panic!("an escape without end in {text:?}"),
                },
                Some((_, character)) => value.push(character),
                None => panic!("a quote without end in {text:?}"),
            }
        };
        labels.insert(name.trim_start_matches(',').to_owned(), value);
        rest = &quoted[end..];
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_labels_and_plain_series_are_read() {
        let plain = sample("sse_clients 3");
        assert!(plain.is("sse_clients", &[]) && plain.value == 3.0);
        let labelled = sample(r#"x_bucket{le="+Inf",topic="a\"b\\c,d\n}"} 1e3"#);
        assert_eq!(labelled.labels["topic"], "a\"b\\c,d\n}");
        assert_eq!(labelled.labels["le"], "+Inf");
        assert_eq!(labelled.value, 1000.0);
    }
}
