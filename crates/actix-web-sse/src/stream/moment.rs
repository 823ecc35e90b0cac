//! An instant in eight bytes: a stream keeps many, and there may be very many streams.

use std::{num::NonZeroU64, sync::LazyLock, time::Duration};

use tokio::time::Instant;

/// What moments are counted from: by the system's clock, since one of tokio's may be ahead in a test.
static START: LazyLock<Instant> = LazyLock::new(|| {
    let now = Instant::from_std(std::time::Instant::now());
    now.checked_sub(Duration::from_secs(3600)).unwrap_or(now)
});

/// An instant, in nanoseconds since the start of the process. `Option<Moment>` has eight bytes as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(NonZeroU64);

impl Moment {
    /// How much later it is than another; zero if it is not.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

impl From<Instant> for Moment {
    fn from(instant: Instant) -> Self {
        let nanos = instant.saturating_duration_since(*START).as_nanos();
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        Self(NonZeroU64::new(nanos).unwrap_or(NonZeroU64::MIN))
    }
}

impl From<Moment> for Instant {
    fn from(moment: Moment) -> Self {
        let nanos = Duration::from_nanos(moment.0.get());
        START.checked_add(nanos).unwrap_or(*START)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_the_instant_that_it_was_made_of() {
        let now = Instant::now();
        for nanos in [0, 1, 999_999_999, 50_000_000_000, 86_400_000_000_001] {
            let instant = now + Duration::from_nanos(nanos);
            assert_eq!(Instant::from(Moment::from(instant)), instant);
            assert_eq!(
                Moment::from(instant).since(now.into()),
                Duration::from_nanos(nanos)
            );
        }
        assert_eq!(
            Moment::from(now).since((now + Duration::from_secs(1)).into()),
            Duration::ZERO
        );
        assert_eq!(size_of::<Option<Moment>>(), 8);
    }

    #[test]
    fn an_instant_that_no_process_sees_is_the_last_moment() {
        let far = Instant::now() + Duration::from_secs(700 * 365 * 86_400);
        let moment = Moment::from(far);
        assert_eq!(moment.0, NonZeroU64::MAX);
        assert!(Instant::from(moment) > Instant::now());
    }
}
