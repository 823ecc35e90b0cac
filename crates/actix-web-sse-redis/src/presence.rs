//! Who follows topics on all nodes: what this node says of it, what it asks, and what it says of nodes that
//! are gone.

use std::{collections::BTreeMap, sync::Arc};

use actix_web_sse::{Presence, PresentUser, backplane::Reader};
use futures_util::future::join_all;
use redis::RedisError;
use tokio::time::sleep;

use crate::{
    attendance::{Attendee, reader},
    config::millis,
    handshake::new_epoch,
    link::{Failed, Link, ends_session},
    node_counts::{COUNTS_TTL, Leased},
    scripts::{COUNT_READER, DEAD_NODES, FORGET_NODE, READERS},
    state::State,
};

/// The most readers that are sent at once.
const BATCH: usize = 100;

/// Readers that are being sent; put back if that fails or is given up.
struct Unsent<'a> {
    leased: &'a Leased,
    attendees: Vec<Attendee>,
    /// Those that Redis has refused: others are not to wait for them.
    refused: Vec<Attendee>,
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        let mut attendance = self.leased.attendance();
        attendance.put_back(std::mem::take(&mut self.attendees));
        for attendee in self.refused.drain(..) {
            attendance.mark_dirty(attendee);
        }
    }
}

/// Sends who has come and gone on this node.
pub(crate) async fn send(state: &State, link: &Link) -> Result<(), RedisError> {
    if state.leased.attendance().take_doubt() {
        let compared = compare(state, link).await;
        if compared.is_err() {
            state.leased.attendance().doubt();
        }
        compared?;
    }
    let node = state.leased.node();
    let mut failed = Failed::default();
    let mut unsent = Unsent {
        leased: &state.leased,
        attendees: Vec::new(),
        refused: Vec::new(),
    };
    while !failed.ends_session() {
        unsent.attendees = state.leased.attendance().take_dirty(BATCH);
        if unsent.attendees.is_empty() {
            break;
        }
        let sending = unsent.attendees.iter();
        let sending = sending.map(|attendee| count(state, link, &node, attendee, Said::ByItself));
        let sent = join_all(sending).await;
        for (attendee, sent) in unsent.attendees.drain(..).zip(sent) {
            if failed.note(sent) {
                unsent.refused.push(attendee);
            }
        }
    }
    drop(unsent);
    failed.into_result()
}

/// Finds what Redis has of this node that is not so, and has all sent again.
async fn compare(state: &State, link: &Link) -> Result<(), RedisError> {
    let mut cursor = 0;
    let mut known = Vec::new();
    loop {
        let (next, members) = members(state, link, &state.leased.node(), cursor).await?;
        known.extend(members.iter().filter_map(|member| Attendee::read(member)));
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    state.leased.attendance().compare(known);
    Ok(())
}

/// Some of the attendees that Redis has of a node, and where it goes on.
async fn members(
    state: &State,
    link: &Link,
    node: &str,
    cursor: u64,
) -> Result<(u64, Vec<String>), RedisError> {
    let found = redis::cmd("SSCAN")
        .arg(state.keys.attendance(node))
        .arg(cursor)
        .arg("COUNT")
        .arg(BATCH)
        .query_async(&mut link.commands.clone())
        .await;
    found.map_err(|error| link.judge(error))
}

/// Who says what a node has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    ByItself,
    /// It has nothing any more.
    OfTheDead,
}

async fn count(
    state: &State,
    link: &Link,
    node: &str,
    attendee: &Attendee,
    said: Said,
) -> Result<(), RedisError> {
    let is_own = said == Said::ByItself;
    let (count, lease) = match is_own {
        // Read without a wait before it is sent.
        true => (
            state.leased.attendance().count(attendee),
            Some(millis(state.config.lease)),
        ),
        false => (None, None),
    };
    let mut call = COUNT_READER.key(&state.keys.numbering());
    call.key(state.keys.topic(&attendee.announced_in))
        .key(state.keys.nodes())
        .key(state.keys.readers(&attendee.topic))
        .key(state.keys.announced(&attendee.topic))
        .key(state.keys.attendance(node))
        .key(state.keys.attending())
        .arg(new_epoch())
        .arg(state.config.log_events)
        .arg(state.config.keep_events)
        .arg(state.config.keep_millis())
        .arg(&*attendee.announced_in)
        .arg(node)
        .arg(lease.map_or_else(String::new, |lease| lease.to_string()))
        .arg(attendee.who())
        .arg(count.map_or_else(String::new, |count| count.to_string()))
        .arg(attendee.member())
        .arg(millis(COUNTS_TTL));
    type Answer = (bool, String, u64, u64);
    let answer: Result<Answer, _> = call.invoke_async(&mut link.commands.clone()).await;
    let (was_alive, epoch, base, number) = answer.map_err(|error| link.judge(error))?;
    if !epoch.is_empty() {
        state.acknowledged(&epoch, base, number, Some(&attendee.announced_in));
    }
    if is_own {
        state.leased.resend_unless(was_alive);
    }
    Ok(())
}

/// Says of nodes whose lease is over that nobody is there, as soon as that is known. Not in the first time of a session:
/// after an outage every node's lease is over, and the others are on their way back.
pub(crate) async fn sweep_all(state: &State, link: &Link) -> RedisError {
    let mut pause = state.config.lease;
    loop {
        sleep(pause).await;
        pause = state.config.lease / 3;
        match sweep(state, link).await {
            Err(error) if ends_session(&error) => return error,
            // The next time.
            Err(_) | Ok(()) => {}
        }
    }
}

async fn sweep(state: &State, link: &Link) -> Result<(), RedisError> {
    if !state.sink().is_some_and(|sink| sink.has_presence()) {
        return Ok(());
    }
    let mut call = DEAD_NODES.key(state.keys.nodes());
    call.key(state.keys.attending());
    let dead: Vec<String> = link.ask(&link.commands, &call).await?;
    let mut failed = Failed::default();
    for node in dead {
        failed.note(bury(state, link, &node).await);
        if failed.ends_session() {
            break;
        }
    }
    failed.into_result()
}

/// Says of a node that nobody is there, and forgets it when that has been said of all.
async fn bury(state: &State, link: &Link, node: &str) -> Result<(), RedisError> {
    let mut failed = Failed::default();
    let mut cursor = 0;
    loop {
        let (next, members) = members(state, link, node, cursor).await?;
        let attendees: Vec<_> = members
            .iter()
            .filter_map(|one| Attendee::read(one))
            .collect();
        let saying = attendees.iter();
        let saying = saying.map(|attendee| count(state, link, node, attendee, Said::OfTheDead));
        for said in join_all(saying).await {
            failed.note(said);
        }
        cursor = next;
        if cursor == 0 || failed.ends_session() {
            break;
        }
    }
    failed.into_result()?;
    let mut call = FORGET_NODE.key(state.keys.nodes());
    call.key(state.keys.attendance(node))
        .key(state.keys.attending())
        .arg(node);
    link.ask(&link.commands, &call).await
}

/// Who follows a topic on all nodes.
///
/// # Errors
/// Why that is not known.
pub(crate) async fn readers(state: Arc<State>, topic: String) -> Result<Presence, String> {
    let mut call = READERS.key(state.keys.nodes());
    call.key(state.keys.readers(&topic))
        .key(state.keys.announced(&topic));
    let (found, _): (Vec<(String, usize)>, Link) = state.ask(|link| &link.commands, &call).await?;
    let mut users = BTreeMap::<Arc<str>, usize>::new();
    let mut present = Presence::default();
    for (who, streams) in found {
        match reader(&who) {
            Some(Reader::User(user)) => *users.entry(user).or_default() += streams,
            Some(Reader::Anonymous) => present.anonymous += streams,
            _ => present.whole = false,
        }
    }
    let users = users.into_iter();
    present.users = users
        .map(|(user, streams)| PresentUser::new(user, streams))
        .collect();
    Ok(present)
}
