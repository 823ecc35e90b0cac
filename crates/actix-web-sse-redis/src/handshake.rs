//! The handshake: what a session asks Redis first, and then every second. It returns the numbering and
//! shows what Redis has lost.

use std::time::{Duration, Instant};

use redis::{RedisError, aio::MultiplexedConnection};

use crate::{metrics::Clock, scripts, state::State};

/// How often it is made.
pub(crate) const PERIOD: Duration = Duration::from_secs(1);

/// Whether the node knows that Redis has lost entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    None,
    Lost,
}

/// What Redis has of the revocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Revocations {
    /// The last one that this node has read is still there.
    pub(crate) there: bool,
    /// There is none, although there have to be some.
    pub(crate) lacking: bool,
}

/// Asks, and takes up the answer.
pub(crate) async fn shake(
    state: &State,
    connection: &mut MultiplexedConnection,
    evidence: Evidence,
) -> Result<Revocations, RedisError> {
    let asked = Instant::now();
    let mut call = scripts::HANDSHAKE.prepare_invoke();
    call.key(&state.keys.numbering()).key(state.keys.revoked());
    {
        let place = state.place();
        let name = place.cursor.epoch.as_ref().map_or("", |epoch| &epoch.name);
        let lost = if evidence == Evidence::Lost {
            "lost"
        } else {
            ""
        };
        call.arg(new_epoch()).arg(name).arg(place.cursor.highest());
        call.arg(lost)
            .arg(state.config.keep_millis())
            .arg(state.known.read());
        if let Some((topic, number)) = place.cursor.newest() {
            call.key(state.keys.topic(topic)).arg(number);
        }
    }
    type Answer = (String, u64, u64, u64, bool, bool, bool);
    let answer: Answer = call.invoke_async(connection).await?;
    let (name, base, newest, now, log, there, lacking) = answer;
    let mut place = state.place();
    place.clock = Some(Clock::better(place.clock, asked, now));
    state.adopt(&mut place, &name, base, newest);
    place.cursor.has(newest, None);
    let expired = !log && newest > place.cursor.seen;
    if expired {
        place.cursor.advance(newest, true);
    }
    drop(place);
    if expired {
        // Nothing is left that would show what was there.
        state.lost(None, newest);
    }
    state.gauges.heard();
    Ok(Revocations { there, lacking })
}

/// A random name for an epoch: eight characters of `0-9` and `a-z`.
pub(crate) fn new_epoch() -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    (0..8)
        .filter_map(|_| fastrand::choice(DIGITS))
        .map(|digit| char::from(*digit))
        .collect()
}
