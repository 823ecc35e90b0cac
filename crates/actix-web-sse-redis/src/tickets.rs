//! Used tickets, known to all nodes.

use std::{fmt, time::Duration};

use actix_web_sse::{
    config::TicketMode,
    protect::{TicketClaim, TicketFuture, TicketStore, TicketStoreUnavailable},
};
use tokio::sync::{mpsc, oneshot};

use crate::request::{Request, TicketClaimed, TicketUse};

/// Beyond its life a ticket is remembered for this long: the clocks of nodes differ.
const SKEW: Duration = Duration::from_secs(60);

/// Remembers in Redis which tickets have been used ([`RedisBackplane::tickets`]).
///
/// While Redis cannot be reached no ticket opens a stream: nobody can say that it was not used
/// elsewhere.
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
        // No thread, no answer: the receiver of the reply sees that.
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
