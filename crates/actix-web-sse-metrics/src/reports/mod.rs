//! What browsers tell of streams that they gave up.

mod endpoint;
mod limit;

pub use self::endpoint::ReportsEndpoint;
pub(crate) use self::limit::ReportLimit;
use crate::cells::Counter;

/// Why a browser's `EventSource` ended in CLOSED, as the script in the page found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Diagnosis {
    /// The reply arrived, and the browser's CORS check refused it to the page.
    CorsBlocked,
    /// The page's own content security policy forbids the connection.
    CspBlocked,
    /// The server answered with a status other than 200.
    HttpStatus,
    /// The reply is no event stream.
    ContentType,
    /// Nothing answered, or what went wrong was over when the script looked.
    Network,
    /// A report that was not believed: too many, too long or not understood.
    Dropped,
}

impl Diagnosis {
    /// Every diagnosis, in label order.
    pub const ALL: &'static [Self] = &[
        Self::CorsBlocked,
        Self::CspBlocked,
        Self::HttpStatus,
        Self::ContentType,
        Self::Network,
        Self::Dropped,
    ];

    /// The value of the `diagnosis` label, and what the script sends.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CorsBlocked => "cors_blocked",
            Self::CspBlocked => "csp_blocked",
            Self::HttpStatus => "http_status",
            Self::ContentType => "content_type",
            Self::Network => "network",
            Self::Dropped => "dropped",
        }
    }
}

impl Diagnosis {
    /// What a report of exactly these bytes says. `dropped` is ours to say, not a browser's.
    fn believed(report: &[u8]) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|known| known.as_str().as_bytes() == report && **known != Self::Dropped)
            .copied()
    }
}

/// The reports so far.
#[derive(Debug, Default)]
pub(crate) struct ReportCounts([Counter; 6]);

impl ReportCounts {
    pub(crate) fn get(&self, diagnosis: Diagnosis) -> u64 {
        self.counter(diagnosis).map_or(0, Counter::get)
    }

    fn count(&self, diagnosis: Diagnosis) {
        if let Some(counter) = self.counter(diagnosis) {
            counter.inc();
        }
    }

    fn counter(&self, diagnosis: Diagnosis) -> Option<&Counter> {
        let index = Diagnosis::ALL
            .iter()
            .position(|known| *known == diagnosis)?;
        self.0.get(index)
    }
}
