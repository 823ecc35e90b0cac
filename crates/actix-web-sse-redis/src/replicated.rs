//! A connection whose writes can wait for replicas. `WAIT` blocks its connection and is about everything that
//! was written there before, so one is under way at a time, and those who come meanwhile share the next.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use redis::{RedisError, aio::MultiplexedConnection};
use tokio::sync::Mutex;

#[derive(Clone)]
pub(crate) struct Replicated {
    pub(crate) connection: MultiplexedConnection,
    turn: Arc<Turn>,
}

#[derive(Default)]
struct Turn {
    /// How many writes have asked.
    asked: AtomicU64,
    last: Mutex<Last>,
}

/// What the last `WAIT` said.
#[derive(Default)]
struct Last {
    /// Enough replicas have the writes that had asked up to this one.
    covered: u64,
    replicas: u32,
}

impl Replicated {
    pub(crate) fn new(connection: MultiplexedConnection) -> Self {
        Self {
            connection,
            turn: Arc::default(),
        }
    }

    /// Waits until so many replicas have what the caller has written here, and for no longer than what is left of
    /// its time when its turn comes. How many have it.
    pub(crate) async fn wait(
        &self,
        wanted: u32,
        left: impl Fn() -> Duration,
    ) -> Result<u32, RedisError> {
        let number = self.turn.asked.fetch_add(1, SeqCst) + 1;
        let mut last = self.turn.last.lock().await;
        if last.covered >= number {
            return Ok(wanted);
        }
        let millis = u64::try_from(left().as_millis()).unwrap_or(u64::MAX);
        // To Redis it would be a wait without an end.
        if millis == 0 {
            return Ok(last.replicas.min(wanted.saturating_sub(1)));
        }
        let covered = self.turn.asked.load(SeqCst);
        let mut connection = self.connection.clone();
        let mut command = redis::cmd("WAIT");
        last.replicas = command
            .arg(wanted)
            .arg(millis)
            .query_async(&mut connection)
            .await?;
        if last.replicas >= wanted {
            last.covered = covered;
        }
        Ok(last.replicas)
    }
}
