//! The first question to Redis, and one that is asked again: how far the numbering is.

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
}

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
        let newest = node.following.borrow().newest().cloned();
        let mut call = script::HELLO.prepare_invoke();
        call.key(node.keys.head()).key(node.keys.control());
        call.arg(new_epoch()).arg(epoch).arg(highest).arg(lost);
        if let Some((topic, number)) = newest {
            call.key(node.keys.topic(&topic));
            call.arg(number).arg(node.config.keep_millis());
        }
        let (epoch, base, newest, now, control) = call.invoke_async(connection).await?;
        Ok(Self {
            epoch,
            base,
            newest,
            now,
            control,
        })
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
