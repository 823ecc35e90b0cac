//! Used tickets, shared by all nodes.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web_sse::{
    config::TicketMode,
    protect::{TicketClaim, TicketFuture, TicketStore, TicketStoreUnavailable},
};

use tokio::task::JoinHandle;

use crate::{
    config::millis,
    handle::Handle,
    link::Link,
    node_counts::{COUNTS_TTL, TicketId},
    scripts::{CLAIM_RESUMABLE, USE_ONCE},
    state::State,
};

/// How long a ticket is remembered after its expiry: the clocks of nodes differ.
const SKEW: Duration = Duration::from_secs(60);

/// Stores used tickets in Redis ([`RedisBackplane::tickets`]).
///
/// While Redis cannot be reached no ticket opens a stream: it could have been used on
/// another node.
///
/// [`RedisBackplane::tickets`]: crate::RedisBackplane::tickets
#[derive(Clone)]
pub struct RedisTickets(pub(crate) Handle);

impl fmt::Debug for RedisTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTickets").finish_non_exhaustive()
    }
}

/// A stream of a ticket, counted until this is dropped or kept.
struct Counted {
    state: Arc<State>,
    id: TicketId,
    ttl: Duration,
    kept: bool,
}

impl Counted {
    /// The stream is opened, and reports its own end.
    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.state.leased.tickets.lock().settle(&self.id);
        if !self.kept {
            self.state.leased.release(&self.id, self.ttl);
        }
    }
}

/// A task that is given up when nobody waits for it any more: a ticket that it used afterwards would be lost.
struct Awaited<T>(JoinHandle<T>);

impl<T> Drop for Awaited<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Claims a single-use ticket; `None` without an answer.
async fn use_once(state: Arc<State>, id: TicketId, remember: Duration) -> Option<bool> {
    let mut call = USE_ONCE.key(state.keys.ticket(&id));
    call.arg(millis(remember));
    let (is_first, _): (bool, Link) = state.ask(|link| &link.commands, &call).await.ok()?;
    Some(is_first)
}

/// Claims a resumable ticket. The count is taken back wherever this ends before the stream is open:
/// here, on the way to whoever asked, or there.
async fn claim(state: Arc<State>, claim: TicketClaim) -> Option<Option<Counted>> {
    state.link()?;
    let (count, is_open) = state.leased.tickets.lock().claim(claim.id);
    let counted = Counted {
        state: Arc::clone(&state),
        id: claim.id,
        ttl: claim.ttl,
        kept: false,
    };
    let mut call = CLAIM_RESUMABLE.key(state.keys.ticket(&claim.id));
    call.key(state.keys.nodes())
        .arg(&*state.leased.node())
        .arg(millis(state.config.lease))
        .arg(count)
        .arg(millis(COUNTS_TTL))
        .arg(millis(claim.ttl))
        .arg(u8::from(claim.fresh))
        .arg(u8::from(is_open));
    let answer: ((bool, bool), Link) = state.ask(|link| &link.commands, &call).await.ok()?;
    let (may, was_alive) = answer.0;
    state.leased.resend_unless(was_alive);
    let ended = (claim.ttl, Instant::now());
    let tickets = &state.leased.tickets;
    state.leased.overtaken(tickets, (claim.id, count), ended);
    Some(may.then_some(counted))
}

impl TicketStore for RedisTickets {
    fn claim<'a>(&'a self, ticket: &'a TicketClaim) -> TicketFuture<'a> {
        let state = Arc::clone(&self.0.state);
        if ticket.mode == TicketMode::SingleUse {
            let asked = self.0.spawn(use_once(state, ticket.id, ticket.ttl + SKEW));
            let mut asked = Awaited(asked);
            return Box::pin(async move {
                let used = (&mut asked.0).await;
                used.ok().flatten().ok_or(TicketStoreUnavailable)
            });
        }
        let asked = self.0.spawn(claim(state, ticket.clone()));
        Box::pin(async {
            let answer = asked.await.ok().flatten().ok_or(TicketStoreUnavailable)?;
            // Nothing is waited for from here on: whoever polls this has the stream.
            Ok(answer.map(Counted::keep).is_some())
        })
    }

    fn release(&self, ticket: &TicketClaim) {
        if ticket.mode != TicketMode::SingleUse {
            self.0.state.leased.release(&ticket.id, ticket.ttl);
        }
    }
}
