//! Used tickets, shared by all nodes.

use std::{fmt, time::Duration};

use actix_web_sse::{
    config::TicketMode,
    protect::{TicketClaim, TicketFuture, TicketStore, TicketStoreUnavailable},
};
use tokio::sync::{mpsc, oneshot};

use crate::request::{Request, TicketClaimed, TicketUse};

/// How long a ticket is remembered after its expiry: the clocks of nodes differ.
const SKEW: Duration = Duration::from_secs(60);

/// Stores used tickets in Redis ([`RedisBackplane::tickets`]).
///
/// While Redis cannot be reached no ticket opens a stream: it could have been used on
/// another node.
///
/// [`RedisBackplane::tickets`]: crate::RedisBackplane::tickets
#[derive(Clone)]
pub struct RedisTickets {
    requests: mpsc::UnboundedSender<Request>,
}

impl fmt::Debug for RedisTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTickets").finish_non_exhaustive()
    }
}

impl RedisTickets {
    pub(crate) fn new(requests: mpsc::UnboundedSender<Request>) -> Self {
        Self { requests }
    }

    fn ask(&self, id: [u8; 16], how: TicketUse) {
        // If the thread has ended, the reply's sender is dropped and the claim fails.
        let _ = self.requests.send(Request::Ticket(id, how));
    }
}

impl TicketStore for RedisTickets {
    fn claim<'a>(&'a self, claim: &'a TicketClaim) -> TicketFuture<'a> {
        let (reply, answer) = oneshot::channel();
        let claimed = TicketClaimed(reply);
        let how = match claim.mode {
            TicketMode::SingleUse => TicketUse::Once {
                remember: claim.ttl + SKEW,
                claimed,
            },
            _ => TicketUse::Again {
                fresh: claim.fresh,
                ttl: claim.ttl,
                claimed,
            },
        };
        self.ask(claim.id, how);
        Box::pin(async { answer.await.ok().flatten().ok_or(TicketStoreUnavailable) })
    }

    fn release(&self, claim: &TicketClaim) {
        if claim.mode != TicketMode::SingleUse {
            self.ask(claim.id, TicketUse::Release { ttl: claim.ttl });
        }
    }
}
