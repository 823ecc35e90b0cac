//! What nodes tell one another beside events: streams to end, credentials to refuse.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use actix_web_sse::{Revocation, protect::UserRevocation};
use redis::{RedisError, aio::MultiplexedConnection};
use tokio::time::sleep;

use crate::{hello::Hello, ledger, node::Node, script, session::ends_session};

/// How long to wait before a revocation is offered again to a Redis that is there and refuses.
const OFFER_AGAIN: Duration = Duration::from_secs(1);

/// What the other nodes are to be told.
#[derive(Debug, Clone)]
pub(crate) enum Word {
    /// To end streams.
    End(Revocation),
    /// To refuse credentials, and to end the streams that were opened with them.
    TakeBack(UserRevocation),
    /// The same, to a Redis that has lost it: nodes that know it need not do anything.
    TakeBackAgain(UserRevocation),
}

impl Node {
    /// Has the other nodes told, now or when Redis is back.
    pub(crate) fn tell(&self, word: Word) {
        let mut waiting = self.words.borrow_mut();
        if waiting.len() >= self.config.max_pending_revocations {
            self.gauges.revocations_lost.fetch_add(1, Relaxed);
            return;
        }
        waiting.push_back(word);
        drop(waiting);
        self.telling.notify_one();
    }

    /// If Redis has fewer revocations than this node, it has lost some: they are told again.
    pub(crate) fn tell_again(&self, redis_has: usize) {
        let lost = self.ledger.if_above(redis_has).into_iter();
        self.words
            .borrow_mut()
            .extend(lost.map(Word::TakeBackAgain));
        self.telling.notify_one();
    }

    fn next_word(&self) -> Option<Word> {
        self.words.borrow().front().cloned()
    }

    fn word_told(&self) {
        self.words.borrow_mut().pop_front();
    }

    /// Learns what was revoked while this node did not hear of it.
    pub(crate) fn catch_up(&self, hello: &Hello) {
        if hello.last_revoked < self.last_revoked.get() {
            self.last_revoked.set(0);
        }
        // Not while words wait: then it is this node that has not told yet.
        if self.words.borrow().is_empty() {
            self.tell_again(hello.revocations);
        }
        for revoked in &hello.revoked {
            self.learn(&ledger::revocation(
                &revoked.user,
                revoked.until,
                revoked.remember,
            ));
            self.last_revoked.set(revoked.number);
        }
    }

    /// Some node has revoked this, as Redis knows it.
    pub(crate) fn learn(&self, revocation: &UserRevocation) {
        if self.ledger.learn(revocation) {
            self.end_streams_of(&revocation.user);
        }
    }

    /// Another node says that it has revoked this just now.
    pub(crate) fn learn_another(&self, revocation: &UserRevocation) {
        if self.ledger.learn_another(revocation) {
            self.end_streams_of(&revocation.user);
        }
    }

    fn end_streams_of(&self, user: &Arc<str>) {
        if let Some(sink) = self.sink() {
            sink.revoke(&Revocation::User(Arc::clone(user)));
        }
    }
}

/// Tells the other nodes what to end, one thing after the other, and keeps each until Redis has
/// it.
pub(crate) async fn tell_all(node: &Node, mut connection: MultiplexedConnection) -> RedisError {
    loop {
        while let Some(word) = node.next_word() {
            match tell(node, &mut connection, &word).await {
                Ok(()) => node.word_told(),
                Err(error) if ends_session(&error) => return error,
                Err(_) => sleep(OFFER_AGAIN).await,
            }
        }
        node.telling.notified().await;
    }
}

async fn tell(
    node: &Node,
    connection: &mut MultiplexedConnection,
    word: &Word,
) -> Result<(), RedisError> {
    let (kind, name) = match word {
        Word::End(Revocation::User(user)) => ("user", user),
        Word::End(Revocation::Topic(topic)) => ("topic", topic),
        // A newer kind: this version cannot tell of it.
        Word::End(_) => return Ok(()),
        Word::TakeBack(revocation) => {
            return take_back(node, connection, revocation, "another").await;
        }
        Word::TakeBackAgain(revocation) => {
            return take_back(node, connection, revocation, "again").await;
        }
    };
    let key = node.keys.control();
    redis::pipe()
        .cmd("XADD")
        .arg(&key)
        .arg(&["MAXLEN", "~", "100000", "*", "from"])
        .arg(&node.id)
        .arg(kind)
        .arg(&**name)
        .ignore()
        .cmd("PEXPIRE")
        .arg(&key)
        .arg(node.config.keep_millis())
        .ignore()
        .query_async(connection)
        .await
}

async fn take_back(
    node: &Node,
    connection: &mut MultiplexedConnection,
    revocation: &UserRevocation,
    how: &str,
) -> Result<(), RedisError> {
    let (until, remember) = ledger::millis(revocation);
    let mut call = script::TAKE_BACK.key(node.keys.control());
    for key in node.keys.revoked() {
        call.key(key);
    }
    call.arg(&node.id)
        .arg(&*revocation.user)
        .arg(until)
        .arg(remember)
        .arg(node.config.keep_millis())
        .arg(how)
        .invoke_async(connection)
        .await
}
