//! The handshake: what a session asks Redis first, and again when nothing is published. It returns
//! the epoch, the newest number and the revocations that the node does not know.

use std::time::Instant;

use redis::{RedisError, aio::MultiplexedConnection};

use crate::{cursor::Cursors, node::Node, script};

/// Redis's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Handshake {
    pub(crate) epoch: String,
    pub(crate) base: u64,
    pub(crate) newest: u64,
    /// By Redis's clock, in microseconds.
    pub(crate) now: u64,
    /// The newest ID of the control stream.
    pub(crate) control: String,
    /// The revocations after the last one that the node knew; at most one page.
    pub(crate) revoked: Vec<Revoked>,
    /// The number of the newest revocation, and how many are in force at Redis.
    pub(crate) last_revoked: u64,
    pub(crate) revocations: usize,
    /// When the question was sent.
    pub(crate) asked: Instant,
}

/// A revocation as Redis stores it; times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revoked {
    pub(crate) user: String,
    pub(crate) number: u64,
    pub(crate) until: u64,
    /// How long it stays in force from now.
    pub(crate) remember: u64,
}

/// The most revocations in one answer.
const PAGE: usize = 1000;

/// Whether the node knows that Redis has lost entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Nothing,
    Lost,
}

impl Handshake {
    pub(crate) async fn ask(
        node: &Node,
        connection: &mut MultiplexedConnection,
        known: Known,
    ) -> Result<Self, RedisError> {
        let epoch = node.epoch().map(|epoch| epoch.name).unwrap_or_default();
        let highest = Cursors::highest(&node.cursors.borrow());
        let lost = if known == Known::Lost { "lost" } else { "" };
        let asked = Instant::now();
        type Answer = (
            String,
            u64,
            u64,
            u64,
            String,
            u64,
            usize,
            Vec<(String, u64, u64, u64)>,
        );
        let newest = node.cursors.borrow().newest().cloned();
        let mut call = script::HANDSHAKE.key(node.keys.head());
        call.key(node.keys.control());
        for key in node.keys.revoked() {
            call.key(key);
        }
        call.arg(new_epoch()).arg(epoch).arg(highest).arg(lost);
        call.arg(node.last_revoked.get()).arg(PAGE);
        if let Some((topic, number)) = newest {
            call.key(node.keys.topic(&topic));
            call.arg(number).arg(node.config.keep_millis());
        }
        let answer: Answer = call.invoke_async(connection).await?;
        let (epoch, base, newest, now, control, last_revoked, revocations, revoked) = answer;
        let revoked = revoked.into_iter();
        let revoked = revoked.map(|(user, number, until, remember)| Revoked {
            user,
            number,
            until,
            remember,
        });
        Ok(Self {
            epoch,
            base,
            newest,
            now,
            control,
            revoked: revoked.collect(),
            last_revoked,
            revocations,
            asked,
        })
    }

    /// Whether there may be more revocations.
    pub(crate) fn is_page_full(&self) -> bool {
        self.revoked.len() >= PAGE
    }
}

/// A random name for an epoch: eight characters of `0-9` and `a-z`.
pub(crate) fn new_epoch() -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    (0..8)
        .filter_map(|_| fastrand::choice(DIGITS))
        .map(|digit| char::from(*digit))
        .collect()
}
