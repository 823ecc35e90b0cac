//! The reading connection: one `XREAD` waits for the log of all topics and for revocations, however many
//! topics there are.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use actix_web_sse::{Event, backplane::Sink};
use redis::{RedisError, aio::MultiplexedConnection};
use tokio::time::sleep;

use crate::{
    cursor::Link as Follows,
    entry::{self, Entry, Raw, Record, What},
    handshake::{self, Evidence},
    link::{Link, MOVING, describe, ends_session, is_moving},
    state::State,
};

/// How many entries one read brings. A transient event stands whole in the log, so these are no more than
/// four megabytes with the hub's default for an event.
const ENTRIES: usize = 64;

/// How many bytes of large events are read from their topics at a time, unless one has more.
const LARGE: usize = 4 << 20;

/// Reads until an error occurs.
pub(crate) async fn read(
    state: &State,
    link: &Link,
    mut connection: MultiplexedConnection,
) -> RedisError {
    let mut shaken = Instant::now();
    loop {
        match turn(state, link, &mut connection, &mut shaken).await {
            Ok(()) => {}
            Err(error) if is_moving(&error) => {
                state.gauges.trouble(describe(&error));
                sleep(MOVING).await;
            }
            Err(error) if ends_session(&error) || error.is_timeout() => return error,
            Err(error) => {
                // A key of another type, or a right that is missing.
                state.gauges.trouble(error.to_string());
                sleep(handshake::PERIOD / 4).await;
                shaken = Instant::now() - handshake::PERIOD;
            }
        }
    }
}

async fn turn(
    state: &State,
    link: &Link,
    connection: &mut MultiplexedConnection,
    shaken: &mut Instant,
) -> Result<(), RedisError> {
    let left = handshake::PERIOD.saturating_sub(shaken.elapsed());
    if left.is_zero() {
        let revocations = handshake::shake(state, connection, Evidence::None).await?;
        state.known.compare(state, revocations);
        *shaken = Instant::now();
        return Ok(());
    }
    let (log, revoked) = (state.keys.log(), state.keys.revoked());
    let read = state.place().cursor.read;
    let last_revoked = state.known.read_from();
    let answer: Option<Vec<(String, Vec<Raw>)>> = redis::cmd("XREAD")
        .arg("COUNT")
        .arg(ENTRIES)
        .arg("BLOCK")
        .arg(left.as_millis().max(1) as u64)
        .arg("STREAMS")
        .arg(&[&log, &revoked])
        // Skips entries with the same number that other programs have added.
        .arg(format!("{read}-{}", u64::MAX))
        .arg(&last_revoked)
        .query_async(connection)
        .await?;
    state.gauges.heard();
    for (key, entries) in answer.unwrap_or_default() {
        if key == revoked {
            state.known.follow(state, &last_revoked, &entries);
            continue;
        }
        if let Some((evidence, number)) = accept(state, link, connection, &entries).await? {
            let before = state.epoch();
            handshake::shake(state, connection, evidence).await?;
            if state.epoch() == before {
                // Of no epoch that Redis knows: left from one that was lost.
                state.place().cursor.advance(number, false);
            }
        }
    }
    Ok(())
}

/// Delivers entries of the log in their order. Returns why a handshake is needed before the rest, and the
/// number of the entry that showed it.
async fn accept(
    state: &State,
    link: &Link,
    connection: &mut MultiplexedConnection,
    raw: &[Raw],
) -> Result<Option<(Evidence, u64)>, RedisError> {
    let entries: Vec<Entry> = raw.iter().map(entry::entry).collect();
    let mut large = HashMap::new();
    for (at, Entry { number, record }) in entries.iter().enumerate() {
        let number = *number;
        let Some(record) = record else {
            state.place().cursor.advance(number, false);
            continue;
        };
        let (follows, sink) = {
            let place = state.place();
            if number <= place.cursor.read {
                continue;
            }
            (place.cursor.link(record), place.sink.clone())
        };
        match follows {
            Follows::NewEpoch => return Ok(Some((Evidence::None, number))),
            Follows::Lost => return Ok(Some((Evidence::Lost, number))),
            Follows::Gap(before) => state.lost(None, before),
            Follows::Next => {}
        }
        // Before the cursor moves on: if the connection breaks here, this one is read again.
        if let (What::Large(topic, _), Some(sink)) = (&record.what, &sink)
            && sink.wants(topic, 0)
            && !large.contains_key(&number)
        {
            large = fetch(
                state,
                link,
                connection,
                sink,
                entries.get(at..).unwrap_or_default(),
            )
            .await?;
        }
        {
            let mut place = state.place();
            place.cursor.advance(number, true);
            let event_of = match &record.what {
                What::Event(topic, event) => Some(topic).filter(|_| !event.parts().transient),
                What::Large(topic, _) => Some(topic),
                What::End(..) => None,
            };
            place.cursor.has(number, event_of);
        }
        if let Some(sink) = sink {
            deliver(state, &sink, number, record, &mut large);
        }
    }
    Ok(None)
}

fn deliver(
    state: &State,
    sink: &Sink,
    number: u64,
    record: &Record,
    large: &mut HashMap<u64, Option<Event>>,
) {
    let (topic, event) = match &record.what {
        What::End(from, _) if *from == state.id => return,
        What::End(_, end) => return sink.revoke(end),
        What::Event(topic, event) => (topic, event.clone()),
        What::Large(topic, _) => match large.remove(&number).flatten() {
            Some(event) => (topic, event),
            // It was trimmed meanwhile, or nobody follows the topic.
            None if sink.wants(topic, number) => return state.lost(Some(topic), number),
            None => return,
        },
    };
    if !sink.deliver(topic, number, event) {
        return;
    }
    state.gauges.delivered.fetch_add(1, Relaxed);
    if let Some(clock) = state.place().clock {
        let lag = clock.micros().saturating_sub(number);
        state.gauges.lag_micros.store(lag, Relaxed);
        sink.relayed(topic, Duration::from_micros(lag));
    }
}

/// Reads the next large events that somebody here follows, as many as fit.
async fn fetch(
    state: &State,
    link: &Link,
    connection: &mut MultiplexedConnection,
    sink: &Sink,
    entries: &[Entry],
) -> Result<HashMap<u64, Option<Event>>, RedisError> {
    let mut pipe = redis::pipe();
    let (mut numbers, mut bytes) = (Vec::new(), 0);
    for entry in entries {
        let Some(What::Large(topic, size)) = entry.record.as_ref().map(|record| &record.what)
        else {
            continue;
        };
        if !sink.wants(topic, 0) {
            continue;
        }
        bytes = size.saturating_add(bytes);
        if bytes > LARGE && !numbers.is_empty() {
            break;
        }
        numbers.push((entry.number, Arc::clone(topic)));
        let id = format!("{}-0", entry.number);
        pipe.cmd("XRANGE")
            .arg(state.keys.topic(topic))
            .arg(&[&id, &id]);
    }
    let answer: Result<Vec<Vec<Raw>>, _> = pipe.query_async(connection).await;
    let found = match answer {
        Ok(found) => found,
        Err(error) if is_moving(&error) || ends_session(&error) || error.is_timeout() => {
            return Err(link.judge(error));
        }
        // A topic of another type: what cannot be read is lost to its streams.
        Err(_) => Vec::new(),
    };
    let mut found = found.into_iter();
    let read = numbers.into_iter().map(|(number, _)| {
        let entries = found.next().unwrap_or_default();
        let event = entries.first().and_then(entry::event);
        (number, event.map(|(_, event)| event))
    });
    Ok(read.collect())
}
