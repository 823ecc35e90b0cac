//! The handle: it runs what is asked on the thread that has the connections.

use std::{convert::Infallible, future::Future, sync::Arc};

use tokio::{runtime, sync::mpsc, task::JoinHandle};

use crate::state::State;

/// The thread, and the state that it shares.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    pub(crate) state: Arc<State>,
    pub(crate) runtime: runtime::Handle,
    /// The thread ends when the last of these is dropped.
    _alive: mpsc::Sender<Infallible>,
}

impl Handle {
    pub(crate) fn new(
        state: Arc<State>,
        runtime: runtime::Handle,
        alive: mpsc::Sender<Infallible>,
    ) -> Self {
        Self {
            state,
            runtime,
            _alive: alive,
        }
    }

    /// Runs it on the backplane's thread, to its end, whoever waits for it. What nobody takes is dropped
    /// there.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.runtime.spawn(task)
    }
}
