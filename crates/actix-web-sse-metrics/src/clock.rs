//! Time since the recorder was made, real or set by a test.

#[cfg(test)]
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use std::{
    fmt,
    time::{Duration, Instant},
};

/// A monotonic clock that starts at zero.
#[derive(Clone)]
pub(crate) enum Clock {
    Real(Instant),
    /// Milliseconds, advanced by a test.
    #[cfg(test)]
    Manual(Arc<AtomicU64>),
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self::Real(Instant::now())
    }

    pub(crate) fn now(&self) -> Duration {
        match self {
            Self::Real(start) => start.elapsed(),
            #[cfg(test)]
            Self::Manual(millis) => Duration::from_millis(millis.load(Ordering::Relaxed)),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({:?})", self.now())
    }
}
