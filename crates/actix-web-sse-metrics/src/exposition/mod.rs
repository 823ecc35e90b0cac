//! The formats of `/metrics`, and which one a client gets.

pub(crate) mod negotiate;
mod openmetrics;
mod text;

use prometheus::proto::MetricFamily;

use crate::exemplars::Shown;

/// An exposition format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Prometheus's text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// These families in this format, with these exemplars where the format has a place for them.
pub(crate) fn render(families: &[MetricFamily], format: Format, exemplars: &Shown) -> String {
    match format {
        Format::Text => text::encode(families),
        Format::OpenMetrics => openmetrics::encode(families, exemplars),
    }
}
