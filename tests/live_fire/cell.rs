//! One combination of fault, browser, protocol and proxy.

use std::time::Duration;

use actix_web_sse_tests::BrowserKind;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Stripped,
    Doubled,
    /// The allow-list lost the origin.
    Lost,
    /// `*`, for a stream with credentials.
    Wildcard,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proxy {
    Nginx,
    HaProxy,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) fault: Fault,
    pub(crate) browser: BrowserKind,
    pub(crate) http2: bool,
    pub(crate) proxy: Proxy,
}

impl Fault {
    const ALL: [Self; 5] = [
        Self::Stripped,
        Self::Doubled,
        Self::Lost,
        Self::Wildcard,
        Self::None,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Stripped => "stripped",
            Self::Doubled => "doubled",
            Self::Lost => "lost",
            Self::Wildcard => "wildcard",
            Self::None => "none",
        }
    }

    /// The alerts of which one must ring, critical.
    pub(crate) const fn alerts(self) -> &'static [&'static str] {
        match self {
            Self::Lost => &["SSEOriginLost"],
            Self::None => &[],
            _ => &["SSECorsRegression", "SSECorsRegressionLikely"],
        }
    }

    /// How long after the mend an alert may still be on: what it looks back on, and what it stays for then.
    pub(crate) const fn stays(self) -> Duration {
        let minutes = match self {
            Self::Lost => 46,
            _ => 16,
        };
        Duration::from_secs(60 * minutes)
    }

    /// An alert that is right from the first minute to the last: the two applications of a lost entry have
    /// different policies in one job.
    pub(crate) const fn throughout(self) -> &'static [&'static str] {
        match self {
            Self::Lost => &["SSECorsPolicyDrift"],
            _ => &[],
        }
    }

    /// Alerts that may ring besides.
    pub(crate) const fn besides(self) -> &'static [&'static str] {
        match self {
            Self::Lost => &["SSERejectedOriginSpike"],
            Self::None => &[],
            _ => &["SSEImmediateCloseRateHigh"],
        }
    }
}

impl Cell {
    pub(crate) fn grid() -> Vec<Self> {
        let mut grid = Vec::new();
        for fault in Fault::ALL {
            for browser in [BrowserKind::Chromium, BrowserKind::Firefox] {
                for http2 in [false, true] {
                    for proxy in [Proxy::Nginx, Proxy::HaProxy] {
                        grid.push(Self {
                            fault,
                            browser,
                            http2,
                            proxy,
                        });
                    }
                }
            }
        }
        grid
    }

    /// Its namespace.
    pub(crate) fn name(&self) -> String {
        let proxy = match self.proxy {
            Proxy::Nginx => "nginx",
            Proxy::HaProxy => "haproxy",
        };
        let browser = match self.browser {
            BrowserKind::Chromium => "chromium",
            BrowserKind::Firefox => "firefox",
        };
        let protocol = if self.http2 { "h2" } else { "h1" };
        format!("{}-{browser}-{protocol}-{proxy}", self.fault.name())
    }
}
