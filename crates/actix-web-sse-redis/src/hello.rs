//! The first question to Redis, and one that is asked again: how far the numbering is.

use std::time::Instant;

use redis::{RedisError, aio::MultiplexedConnection};

use crate::{following::Following, node::Node, script};

/// What Redis answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) epoch: String,
    pub(crate) base: u64,
    pub(crate) newest: u64,
    /// By Redis's clock, in microseconds.
    pub(crate) now: u64,
    /// The newest ID of the control stream.
    pub(crate) control: String,
    /// What was revoked after the last that the node knew of; not all of it, if it is a page full.
    pub(crate) revoked: Vec<Revoked>,
    /// The number of the newest revocation, and how many Redis has that are in force.
    pub(crate) last_revoked: u64,
    pub(crate) revocations: usize,
    /// When it was asked.
    pub(crate) asked: Instant,
}

/// A revocation as Redis has it; times in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Revoked {
    pub(crate) user: String,
    pub(crate) number: u64,
    pub(crate) until: u64,
    /// For how long from now.
    pub(crate) remember: u64,
}

/// How many revocations are asked for at a time.
const PAGE: usize = 1000;

/// Whether Redis is known to have lost what it gave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Nothing,
    Lost,
}

impl Hello {
    pub(crate) async fn ask(
        node: &Node,
        connection: &mut MultiplexedConnection,
        known: Known,
    ) -> Result<Self, RedisError> {
        let epoch = node.epoch().map(|epoch| epoch.name).unwrap_or_default();
        let highest = Following::highest(&node.following.borrow());
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
        let mut call = script::HELLO.key(node.keys.head());
        call.key(node.keys.control());
        for key in node.keys.revoked() {
            call.key(key);
        }
        let answer: Answer = call
            .arg(new_epoch())
            .arg(epoch)
            .arg(highest)
            .arg(lost)
            .arg(node.last_revoked.get())
            .arg(PAGE)
            .invoke_async(connection)
            .await?;
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

    /// Whether there may be more revocations to ask for.
    pub(crate) fn is_page_full(&self) -> bool {
        self.revoked.len() >= PAGE
    }
}

/// A name for a numbering, in case one begins: eight of `0-9` and `a-z`.
pub(crate) fn new_epoch() -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    (0..8)
        .filter_map(|_| fastrand::choice(DIGITS))
        .map(|digit| char::from(*digit))
        .collect()
}
