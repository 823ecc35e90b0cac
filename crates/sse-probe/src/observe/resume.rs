//! Reconnecting as a browser does, and finding out whether what was missed is replayed.

use std::time::Duration;

use super::{Attempt, AttemptError, page::Page};
use crate::stream::{Report, SeenEvent};

/// How far back the reconnect goes: far enough to prove replay, near enough for short replay buffers.
const BACK: usize = 5;

/// How long a replay may take to begin.
const PATIENCE: Duration = Duration::from_secs(3);

/// A reconnect with an id that the server has given.
#[derive(Debug)]
#[non_exhaustive]
pub struct Resumption {
    /// The id that was sent.
    pub from: String,
    /// The ids that followed it in the first stream.
    pub missed: Vec<String>,
    /// What came.
    pub attempt: Attempt,
}

/// What a reconnect showed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resumed {
    /// The missed events came again, in order.
    Replayed,
    /// Nothing was missed when the reconnect was made, and nothing was repeated.
    NothingMissed,
    /// Events that the client already had came again.
    Repeated(String),
    /// Another event came first, so something is lost silently.
    Gap(String),
    /// The server said that it cannot: an event without or with a foreign id came first.
    Announced(String),
    /// Nothing came.
    Nothing,
    /// The reconnect was refused with this status.
    Refused(u16),
}

/// Reconnects, if an event with an id was seen.
pub(super) async fn try_resume(page: &Page<'_>, first: &Report) -> Option<Resumption> {
    let ids: Vec<&str> = first.with_anchors().filter_map(own_id).collect();
    let at = ids.len().checked_sub(1)?.saturating_sub(BACK);
    let (from, missed) = ids.get(at..)?.split_first()?;
    let missed: Vec<String> = missed.iter().map(|id| (*id).to_owned()).collect();
    let enough = missed.len().max(1);
    let again = Some((*from).to_owned());
    let going = |report: &Report| report.events().count() < enough;
    let attempt = match page.clone().last_event_id(again).open().await {
        Ok((exchange, route)) => Ok(exchange
            .record_while(route, page.at_most(PATIENCE), going)
            .await),
        Err(why) => Err(why),
    };
    Some(Resumption {
        from: (*from).to_owned(),
        missed,
        attempt,
    })
}

impl Resumption {
    /// What it showed.
    ///
    /// # Errors
    ///
    /// There was no reply.
    pub fn result(&self) -> Result<Resumed, &AttemptError> {
        let recording = self.attempt.as_ref()?;
        if recording.head.status != 200 {
            return Ok(Resumed::Refused(recording.head.status));
        }
        let events = || recording.stream.events().map(|(_, event)| event);
        let missed_any = !self.missed.is_empty();
        let Some(first) = events().next() else {
            return Ok(if missed_any {
                Resumed::Nothing
            } else {
                Resumed::NothingMissed
            });
        };
        let Some(id) = own_id(first) else {
            return Ok(Resumed::Announced(first.name.clone()));
        };
        let got = events().filter_map(own_id);
        let in_order = self
            .missed
            .iter()
            .zip(got)
            .all(|(missed, got)| missed == got);
        Ok(if id == self.from {
            Resumed::Repeated(id.to_owned())
        } else if !missed_any {
            Resumed::NothingMissed
        } else if in_order {
            Resumed::Replayed
        } else if first.name.is_empty() || self.missed.iter().any(|m| m == id) {
            Resumed::Gap(id.to_owned())
        } else {
            Resumed::Announced(first.name.clone())
        })
    }
}

fn own_id(event: &SeenEvent) -> Option<&str> {
    event.id.as_deref().filter(|_| event.own_id)
}
