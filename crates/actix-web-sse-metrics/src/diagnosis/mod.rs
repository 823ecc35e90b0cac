//! What browsers report of streams that their `EventSource` gave up, and how often a client may.

mod limit;

pub(crate) use self::limit::ReportLimit;

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
    /// There was no answer, or the fault was over when the script checked.
    Network,
    /// The page could not read the reply, and it is not certain that the reply was the
    /// application's: this process has not seen the client ask. Behind a proxy it may be the error
    /// page of the proxy's own, and with several nodes another node may have answered.
    Unknown,
    /// A report that was not accepted: too many, too long or not understood.
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
    /// Parses a report. For an `unreadable` reply the diagnosis depends on `seen`: whether the
    /// `HEAD` of the client's script has reached this process. A browser cannot report `dropped`.
    pub(crate) fn parse(report: &[u8], seen: impl FnOnce() -> bool) -> Option<Self> {
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

/// The number of shares of all client addresses, by which reports of blocked streams are counted.
pub(crate) const SHARES: usize = 8;
