//! What is put into each configuration on purpose, and what `sse-probe diff` must call it.

mod apache;
mod caddy;
mod haproxy;
mod nginx;
mod varnish;

use sse_probe::compare::Kind;

use super::front::{Patch, Software};

/// What the application behind the fault must be like for it to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Application {
    /// A heartbeat each second.
    Usual,
    /// A heartbeat every three seconds, for idle timeouts of one.
    Slow,
    /// Streams that end by themselves, so that a cache has something whole to store.
    ShortLived,
}

/// One fault.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) name: &'static str,
    pub(super) patch: Patch<'static>,
    pub(super) kind: Kind,
    pub(super) application: Application,
}

impl Fault {
    /// What follows from the fault and may be named beside it.
    pub(super) fn follows(&self) -> &'static [Kind] {
        match self.kind {
            // A compressor holds back until it has enough.
            Kind::Compressed => &[Kind::Buffered],
            // What is stored comes as a whole, and answers an OPTIONS as well where the cache takes it for a GET.
            Kind::Cached => &[Kind::Buffered, Kind::Preflight],
            // The preflight loses its origin too, or its headers.
            Kind::OriginNotForwarded | Kind::Stripped | Kind::Doubled | Kind::Wildcard => {
                &[Kind::Preflight]
            }
            _ => &[],
        }
    }
}

const fn fault(name: &'static str, kind: Kind, patch: Patch<'static>) -> Fault {
    let application = match kind {
        Kind::Cut => Application::Slow,
        Kind::Cached => Application::ShortLived,
        _ => Application::Usual,
    };
    Fault {
        name,
        patch,
        kind,
        application,
    }
}

/// The faults of that software.
pub(super) fn of(software: Software) -> &'static [Fault] {
    match software {
        Software::Nginx | Software::NginxEdge => nginx::FAULTS,
        Software::HaProxy => haproxy::FAULTS,
        Software::Caddy => caddy::FAULTS,
        Software::Apache => apache::FAULTS,
        Software::Varnish => varnish::FAULTS,
    }
}
