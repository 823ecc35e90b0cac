//! The origins seen lately, each with what a browser makes of the replies.

use std::{cmp::Reverse, collections::HashMap, sync::Arc, time::SystemTime};

use actix_web_sse::observe::{CorsVerdict, OriginClass, RefusalReason, Refused, Visitor};

use crate::clients::Client;

/// How many origins are remembered; at most a fifth of them from one client alone.
pub(super) const MAX: usize = 100;

/// What an origin's requests came to.
#[derive(Debug, Clone)]
pub(crate) struct OriginSeen {
    pub(crate) class: OriginClass,
    /// Of the latest reply.
    pub(crate) verdict: CorsVerdict,
    /// Why the latest request was refused, if it was.
    pub(crate) reason: Option<RefusalReason>,
    pub(crate) opened: u64,
    pub(crate) refused: u64,
    pub(crate) last: SystemTime,
    /// Orders what happened within one reading of the clock.
    turn: u64,
    /// Who came with it first.
    client: Client,
}

#[derive(Debug, Default)]
pub(super) struct Origins {
    seen: HashMap<Arc<str>, OriginSeen>,
    turn: u64,
}

impl Origins {
    pub(super) fn opened(&mut self, origin: &Arc<str>, visitor: &Visitor<'_>, client: Client) {
        let seen = self.note(origin, visitor, client);
        seen.opened += 1;
        seen.reason = None;
    }

    pub(super) fn refused(&mut self, origin: &Arc<str>, refused: &Refused<'_>, client: Client) {
        let seen = self.note(origin, refused.visitor, client);
        seen.refused += 1;
        seen.reason = Some(refused.reason);
    }

    /// A stream's verdict became known after it opened.
    pub(super) fn judged(&mut self, origin: &str, verdict: CorsVerdict) {
        if let Some(seen) = self.seen.get_mut(origin) {
            seen.verdict = verdict;
            seen.reason = None;
        }
    }

    /// The latest first.
    pub(super) fn latest(&self) -> Vec<(Arc<str>, OriginSeen)> {
        let mut all: Vec<_> = self
            .seen
            .iter()
            .map(|(origin, seen)| (Arc::clone(origin), seen.clone()))
            .collect();
        all.sort_unstable_by_key(|(_, seen)| Reverse(seen.turn));
        all
    }

    fn note(
        &mut self,
        origin: &Arc<str>,
        visitor: &Visitor<'_>,
        client: Client,
    ) -> &mut OriginSeen {
        if !self.seen.contains_key(origin) {
            self.make_room_for(client);
        }
        self.turn += 1;
        let (turn, last, verdict) = (self.turn, SystemTime::now(), visitor.cors);
        let seen = self
            .seen
            .entry(Arc::clone(origin))
            .or_insert_with(|| OriginSeen {
                class: visitor.origin.clone(),
                verdict,
                reason: None,
                opened: 0,
                refused: 0,
                last,
                turn,
                client,
            });
        seen.class.clone_from(visitor.origin);
        (seen.verdict, seen.last, seen.turn) = (verdict, last, turn);
        seen
    }

    /// Forgets the origin that was not seen for longest, of this client or of all, if there are as
    /// many as may be.
    fn make_room_for(&mut self, client: Client) {
        let own = || self.seen.iter().filter(|(_, seen)| seen.client == client);
        let oldest = if own().count() >= MAX / 5 {
            own().min_by_key(|(_, seen)| seen.turn)
        } else if self.seen.len() >= MAX {
            self.seen.iter().min_by_key(|(_, seen)| seen.turn)
        } else {
            None
        };
        if let Some(oldest) = oldest.map(|(origin, _)| Arc::clone(origin)) {
            self.seen.remove(&oldest);
        }
    }
}
