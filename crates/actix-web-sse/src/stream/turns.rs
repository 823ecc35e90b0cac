//! How a task that has more to do lets others do something first.

use std::{
    future::Future as _,
    pin::pin,
    task::{Context, Poll},
};

use tokio::task::yield_now;

/// Has the task polled again when the runtime has looked for new connections and bytes, and all tasks that were ready have
/// had their turn.
///
/// A task that wakes itself is polled up to sixty times more before the runtime looks for anything else.
pub(crate) fn give_way(cx: &mut Context<'_>) {
    let waits: Poll<()> = pin!(yield_now()).poll(cx);
    debug_assert!(waits.is_pending());
}
