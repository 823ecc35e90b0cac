//! One look of a worker at what there is to do: what its decisions are made with.

use tokio::time::Instant;

use super::{Shared, effects::Effects};

/// What the methods of a worker's state share within one look.
pub(super) struct Turn<'a> {
    pub(super) hub: &'a Shared,
    /// The worker's key in the core.
    pub(super) worker: u64,
    pub(super) now: Instant,
    /// What others have to do afterwards.
    pub(super) effects: &'a mut Effects,
}
