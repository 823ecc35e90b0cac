//! A thread that publishes and has nothing to do with the server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
};

use crate::core_pin::thread_cpu_time;

/// Publishes one event each time it is told to, and notes what that cost its own thread.
#[derive(Debug, Clone)]
pub(super) struct Foreign {
    orders: mpsc::Sender<()>,
    calls: Arc<AtomicU64>,
    nanos: Arc<AtomicU64>,
}

impl Foreign {
    pub(super) fn new(mut publish: impl FnMut() + Send + 'static) -> Self {
        let (orders, taken) = mpsc::channel();
        let foreign = Self {
            orders,
            calls: Arc::default(),
            nanos: Arc::default(),
        };
        let (calls, nanos) = (Arc::clone(&foreign.calls), Arc::clone(&foreign.nanos));
        thread::spawn(move || {
            while let Ok(()) = taken.recv() {
                let before = thread_cpu_time();
                publish();
                let used = thread_cpu_time().saturating_sub(before);
                nanos.fetch_add(
                    u64::try_from(used.as_nanos()).unwrap_or(u64::MAX),
                    Ordering::Relaxed,
                );
                calls.fetch_add(1, Ordering::Release);
            }
        });
        foreign
    }

    pub(super) fn publish(&self) {
        // The thread ends with the process and not before.
        let _ = self.orders.send(());
    }

    /// Calls and nanoseconds, for `GET /foreign`.
    pub(super) fn report(&self) -> String {
        let calls = self.calls.load(Ordering::Acquire);
        format!("{calls} {}", self.nanos.load(Ordering::Relaxed))
    }
}
