//! Which hubs a server drains, and the mark of it that each of its connections carries.

use std::{fmt, sync::Arc, time::Duration};

use actix_web::HttpRequest;

use super::{Hub, Shared};
use crate::config::StreamConfig;

/// One hub or several: `&hub`, `[&a, &b]`, a slice or a `Vec` of hubs.
///
/// The trait is sealed: it is implemented for the types above only.
pub trait IntoHubs: sealed::Sealed {
    /// The hubs. The same hub twice counts once.
    #[doc(hidden)]
    fn into_hubs(self) -> Vec<Hub>;

    /// Each of them once.
    #[doc(hidden)]
    fn distinct(self) -> Vec<Hub>
    where
        Self: Sized,
    {
        let mut distinct = Vec::<Hub>::new();
        for hub in self.into_hubs() {
            if !distinct.iter().any(|known| known.is(&hub.shared)) {
                distinct.push(hub);
            }
        }
        distinct
    }
}

mod sealed {
    pub trait Sealed {}
}

impl sealed::Sealed for &Hub {}
impl IntoHubs for &Hub {
    fn into_hubs(self) -> Vec<Hub> {
        vec![self.clone()]
    }
}

macro_rules! several_hubs {
    ($($(#$n:ident)? $collection:ty),+ $(,)?) => {$(
        impl<$(const $n: usize)?> sealed::Sealed for $collection {}
        impl<$(const $n: usize)?> IntoHubs for $collection {
            fn into_hubs(self) -> Vec<Hub> {
                self.iter().map(|hub| Hub::clone(hub)).collect()
            }
        }
    )+};
}
several_hubs!(
    #N [Hub; N],
    #N [&Hub; N],
    #N &[Hub; N],
    #N &[&Hub; N],
    &[Hub],
    &[&Hub],
    Vec<Hub>,
    Vec<&Hub>,
    &Vec<Hub>,
    &Vec<&Hub>,
);

/// The hubs that a server drains when it stops. A handle: a clone costs a reference count.
#[derive(Clone)]
pub(crate) struct DrainedHubs(Arc<[Hub]>);

impl fmt::Debug for DrainedHubs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter()).finish()
    }
}

impl DrainedHubs {
    pub(crate) fn new(hubs: impl IntoHubs) -> Self {
        Self(hubs.distinct().into())
    }

    /// The mark that the server left on the connection of this request.
    pub(crate) fn of(request: &HttpRequest) -> Option<&Self> {
        request.conn_data::<Self>()
    }

    pub(crate) fn contains(&self, hub: &Arc<Shared>) -> bool {
        self.0.iter().any(|drained| drained.is(hub))
    }

    pub(crate) fn first(&self) -> Option<&Hub> {
        self.0.first()
    }

    /// How long a peer may take nothing before the kernel gives it up: the longest `stream.stall`
    /// of all hubs, for any of them may be the one that a connection follows.
    pub(crate) fn stall(&self) -> Duration {
        let stalls = self.0.iter().map(|hub| hub.shared.stream.stall);
        stalls
            .max()
            .unwrap_or_else(|| StreamConfig::default().stall)
    }

    /// Drains all of them together, each over its own `stream.drain`.
    pub(crate) async fn drain(&self) {
        futures_util::future::join_all(self.0.iter().map(Hub::drain)).await;
    }

    /// Drains all of them together, each within this window.
    pub(crate) async fn drain_within(&self, window: Duration) {
        let drains = self.0.iter().map(|hub| hub.drain_within(window));
        futures_util::future::join_all(drains).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(stall: Duration) -> Hub {
        let hub = Hub::builder().with(|_, stream| stream.stall = stall);
        hub.build().expect("valid")
    }

    #[test]
    fn one_hub_or_several_are_taken_and_the_same_one_counts_once() {
        let (a, b) = (hub(Duration::from_secs(60)), hub(Duration::from_secs(40)));
        assert_eq!(DrainedHubs::new(&a).0.len(), 1);
        assert_eq!(DrainedHubs::new([&a, &b, &a]).0.len(), 2);
        assert_eq!(DrainedHubs::new(vec![a.clone(), b.clone()]).0.len(), 2);
        let both = [a.clone(), b.clone()];
        let both = DrainedHubs::new(both.as_slice());
        assert!(both.contains(&a.shared) && both.contains(&b.shared));
        assert!(!DrainedHubs::new(&a).contains(&b.shared));
        assert_eq!(both.stall(), Duration::from_secs(60));
    }

    #[actix_rt::test]
    async fn a_drain_reaches_every_hub() {
        let (a, b) = (hub(Duration::from_secs(60)), hub(Duration::from_secs(40)));
        DrainedHubs::new([&a, &b])
            .drain_within(Duration::ZERO)
            .await;
        assert!(a.is_draining() && b.is_draining());
    }
}
