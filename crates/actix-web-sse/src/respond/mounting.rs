//! Sees, at the first request that runs into it, that the library is mounted wrongly.
//!
//! Each check is made once for each worker and hub, or worker and policy; a report goes to the
//! observer of the hub or policy concerned, once.

use std::{
    cell::RefCell,
    io::Write as _,
    sync::{Arc, Weak},
};

use actix_web::{HttpRequest, dev::ServiceRequest};

use crate::{
    hub::{DrainedHubs, Hub, Shared},
    observe::{Misconfiguration, Observer, Reported},
};

/// A policy as far as it is checked here.
pub(crate) trait Mounted: Send + Sync {
    fn observer(&self) -> &dyn Observer;
    fn reported(&self) -> &Reported;
    fn names_hosts(&self) -> bool;
}

thread_local! {
    /// The policies mounted on this worker: they get reports of streams that have no hub to report to.
    static POLICIES: RefCell<Vec<Weak<dyn Mounted>>> = const { RefCell::new(Vec::new()) };
}

/// Remembers a policy of this worker.
pub(crate) fn mounted(policy: &Arc<dyn Mounted>) {
    POLICIES.with_borrow_mut(|policies| {
        policies.retain(|known| known.strong_count() > 0);
        if !policies.iter().any(|known| is(known, policy)) {
            policies.push(Arc::downgrade(policy));
        }
    });
}

fn is(known: &Weak<dyn Mounted>, policy: &Arc<dyn Mounted>) -> bool {
    std::ptr::addr_eq(known.as_ptr(), Arc::as_ptr(policy))
}

/// The first request of a worker at a policy around streams.
pub(crate) fn first_request(policy: &dyn Mounted, request: &ServiceRequest) {
    let report = |mistake| policy.reported().report(policy.observer(), mistake);
    let local = request.app_config().local_addr().ip().to_canonical();
    if !policy.names_hosts() && !local.is_loopback() {
        report(Misconfiguration::NoHosts);
    }
    if let Some(hub) = Hub::of(request.request()) {
        let (to, hub_to) = (
            policy.observer().destination(),
            hub.shared.observer.destination(),
        );
        if to.differs_from(&hub_to) {
            // To the one that observes something.
            if to.is_nowhere() {
                hub.shared.report(Misconfiguration::DifferentObservers);
            } else {
                report(Misconfiguration::DifferentObservers);
            }
        }
    }
}

/// The first stream of a worker at a hub of the application.
pub(crate) fn first_stream(hub: &Arc<Shared>, request: &HttpRequest) {
    // A request of a test that no connection has brought.
    if request.peer_addr().is_none() {
        return;
    }
    match DrainedHubs::of(request) {
        None => hub.report(Misconfiguration::ServerNotSetUp),
        Some(drained) if !drained.contains(hub) => hub.report(Misconfiguration::HubNotDrained),
        Some(_) => {}
    }
}

/// A stream without a hub: reported to the hub that the server drains, else to a policy of this
/// worker. Where there is neither nobody observes anything, and it is said on standard error.
pub(crate) fn no_hub(request: &HttpRequest) {
    static REPORTED: Reported = Reported::new();
    if request.peer_addr().is_none() {
        return;
    }
    if let Some(hub) = DrainedHubs::of(request).and_then(DrainedHubs::first) {
        return hub.shared.report(Misconfiguration::NoHub);
    }
    let policy = POLICIES.with_borrow(|policies| policies.iter().find_map(Weak::upgrade));
    if let Some(policy) = policy {
        return policy
            .reported()
            .report(policy.observer(), Misconfiguration::NoHub);
    }
    if REPORTED.first(Misconfiguration::NoHub) {
        // On a thread of its own: a standard error that nobody reads must not stop a worker.
        std::thread::spawn(|| {
            let line = format!("actix-web-sse: {}\n", Misconfiguration::NoHub);
            let _ = std::io::stderr().write_all(line.as_bytes());
        });
    }
}
