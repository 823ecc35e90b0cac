//! Mistakes in how the library is mounted, each reported once.

use std::{
    fmt,
    sync::atomic::{AtomicU16, Ordering},
};

use super::Observer;

/// A mistake in how the library is mounted, seen when the first request runs into it. It costs a
/// correct server nothing: each check is made once for each worker.
///
/// `Display` says what is wrong and the remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Misconfiguration {
    /// A stream opened on a connection of a server without
    /// [`for_event_streams`](crate::ForEventStreams::for_event_streams).
    ServerNotSetUp,
    /// A stream opened of a hub that its server does not drain: it is not among those given to
    /// `for_event_streams`.
    HubNotDrained,
    /// A stream opened in an application without a hub: it is not drained, not counted and not
    /// observed.
    NoHub,
    /// A policy is mounted inside another one.
    NestedPolicy,
    /// A hub and the policy in front of it report to different observers.
    DifferentObservers,
    /// A policy without `hosts` on a server that listens beyond the loopback.
    NoHosts,
    /// A stream was to be opened outside of actix's runtime; the request was answered with 500.
    OutsideRuntime,
    /// More users follow a topic than may be listed ([`PresenceConfig`](crate::config::PresenceConfig)).
    PresenceFull,
}

impl Misconfiguration {
    /// Every mistake, in label order.
    pub const ALL: &'static [Self] = &[
        Self::ServerNotSetUp,
        Self::HubNotDrained,
        Self::NoHub,
        Self::NestedPolicy,
        Self::DifferentObservers,
        Self::NoHosts,
        Self::OutsideRuntime,
        Self::PresenceFull,
    ];

    /// The value as it stands in labels and log fields.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServerNotSetUp => "server_not_set_up",
            Self::HubNotDrained => "hub_not_drained",
            Self::NoHub => "no_hub",
            Self::NestedPolicy => "nested_policy",
            Self::DifferentObservers => "different_observers",
            Self::NoHosts => "no_hosts",
            Self::OutsideRuntime => "outside_runtime",
            Self::PresenceFull => "presence_full",
        }
    }

    /// What is wrong, what follows from it, and the remedy.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::ServerNotSetUp => {
                "a stream opened on a server without for_event_streams: clients that leave go \
                 unnoticed, and a stop waits 30 s and then cuts the streams; call \
                 `.for_event_streams(&hub)` on the HttpServer, and `ConnectionSetup::apply` in an \
                 `on_connect` of your own"
            }
            Self::HubNotDrained => {
                "a stream opened of a hub that its server does not drain: a stop cuts its streams; \
                 name every hub in `.for_event_streams([&one, &other])`"
            }
            Self::NoHub => {
                "a stream opened in an application without a hub: it is not drained, not counted \
                 and not observed; add `.app_data(hub.clone())` to the App"
            }
            Self::NestedPolicy => {
                "a policy is mounted inside another policy: every request is checked twice; wrap \
                 the stream routes in one policy, once"
            }
            Self::DifferentObservers => {
                "a hub and the policy in front of it report to different observers: what is \
                 refused and what is opened is not counted together; give both builders the same \
                 observer"
            }
            Self::NoHosts => {
                "the policy names no hosts, and the server listens beyond the loopback: a page of \
                 any site can reach it under a name of its own (DNS rebinding); set `hosts` to the \
                 names under which the streams are served"
            }
            Self::OutsideRuntime => {
                "a stream was to be opened outside of actix's runtime, which has to drive it, and \
                 was answered with 500; serve it with an HttpServer, or run the code under \
                 `#[actix_web::main]` or `#[actix_web::test]`"
            }
            Self::PresenceFull => {
                "more users follow topics with presence than may be listed: some are not, and their \
                 joins and leaves are not published; set `hub.presence.users_per_topic` or \
                 `hub.presence.users` higher, or leave out `presence` for such topics"
            }
        }
    }
}

impl fmt::Display for Misconfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

/// Which mistakes have been reported, so that each is reported once.
#[derive(Debug, Default)]
pub(crate) struct Reported(AtomicU16);

impl Reported {
    pub(crate) const fn new() -> Self {
        Self(AtomicU16::new(0))
    }

    /// Reports a mistake, unless it has been.
    pub(crate) fn report(&self, observer: &dyn Observer, mistake: Misconfiguration) {
        if self.first(mistake) {
            observer.misconfigured(mistake);
        }
    }

    /// Whether the mistake has not been reported yet; from now on it has.
    pub(crate) fn first(&self, mistake: Misconfiguration) -> bool {
        let bit = 1 << (mistake as u16);
        self.0.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mistake_is_reported_once() {
        let reported = Reported::default();
        for mistake in Misconfiguration::ALL {
            assert!(reported.first(*mistake), "{mistake:?}");
            assert!(!reported.first(*mistake), "{mistake:?}");
        }
    }
}
