//! The lock that threads share: the standard one, or, under `--cfg sse_loom`, the one with which
//! loom tries every order of events (`hub/loom.rs`).

#[cfg(not(sse_loom))]
pub(crate) use std::sync::{Mutex, MutexGuard};

#[cfg(sse_loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};
