//! What browsers tell of streams that they gave up.

mod endpoint;
mod limit;

pub use self::endpoint::ReportsEndpoint;
pub(crate) use self::limit::ReportLimit;
use crate::{cells::Counter, clients::Client};

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
    /// The page could not read the reply, and it is not certain that the reply was the
    /// application's: this process has not seen the client ask. Behind a proxy it may be the error
    /// page of the proxy's own, and with several nodes another node may have answered.
    Unknown,
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
        Self::Unknown,
        Self::Dropped,
    ];

    /// The value of the `diagnosis` label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CorsBlocked => "cors_blocked",
            Self::CspBlocked => "csp_blocked",
            Self::HttpStatus => "http_status",
            Self::ContentType => "content_type",
            Self::Network => "network",
            Self::Unknown => "unknown",
            Self::Dropped => "dropped",
        }
    }
}

impl Diagnosis {
    /// What a report of exactly these bytes says. What an `unreadable` reply was, and `dropped`, is
    /// ours to say and not a browser's: `seen` says whether this process has seen the client ask.
    fn believed(report: &[u8], seen: impl FnOnce() -> bool) -> Option<Self> {
        if report == b"unreadable" {
            return Some(if seen() {
                Self::CorsBlocked
            } else {
                Self::Unknown
            });
        }
        [
            Self::CspBlocked,
            Self::HttpStatus,
            Self::ContentType,
            Self::Network,
        ]
        .into_iter()
        .find(|known| known.as_str().as_bytes() == report)
    }
}

/// Into how many shares the clients are divided that report a stream blocked by CORS.
pub(crate) const SHARES: usize = 8;

/// The reports of one origin so far.
#[derive(Debug, Default)]
struct PerOrigin {
    diagnoses: [Counter; Diagnosis::ALL.len()],
    /// Those of `cors_blocked`, by the share of the client.
    blocked: [Counter; SHARES],
}

/// The reports so far, by the number of the origin's label.
#[derive(Debug)]
pub(crate) struct ReportCounts(Box<[PerOrigin]>);

impl ReportCounts {
    /// Room for so many origins.
    pub(crate) fn new(origins: usize) -> Self {
        Self((0..origins).map(|_| PerOrigin::default()).collect())
    }

    pub(crate) fn get(&self, origin: usize, diagnosis: Diagnosis) -> u64 {
        let counter = self.0.get(origin).and_then(|counts| counts.at(diagnosis));
        counter.map_or(0, Counter::get)
    }

    /// Whether there was a report of this origin.
    pub(crate) fn any(&self, origin: usize) -> bool {
        Diagnosis::ALL
            .iter()
            .any(|diagnosis| self.get(origin, *diagnosis) > 0)
    }

    pub(crate) fn blocked(&self, origin: usize, share: usize) -> u64 {
        let counts = self.0.get(origin);
        let counter = counts.and_then(|counts| counts.blocked.get(share));
        counter.map_or(0, Counter::get)
    }

    fn count(&self, origin: usize, diagnosis: Diagnosis, client: Client) {
        let Some(counts) = self.0.get(origin) else {
            return;
        };
        if let Some(counter) = counts.at(diagnosis) {
            counter.inc();
        }
        if diagnosis == Diagnosis::CorsBlocked
            && let Some(counter) = counts.blocked.get(client.share(SHARES))
        {
            counter.inc();
        }
    }
}

impl PerOrigin {
    fn at(&self, diagnosis: Diagnosis) -> Option<&Counter> {
        let known = Diagnosis::ALL;
        self.diagnoses
            .get(known.iter().position(|known| *known == diagnosis)?)
    }
}
