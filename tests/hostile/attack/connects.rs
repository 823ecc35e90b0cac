//! Connections and streams that come and go.

use std::time::Duration;

use tokio::{io::AsyncWriteExt, time::sleep};

use super::Attack;
use crate::target::reset;

/// Connects, says nothing, and closes.
pub(crate) const FIN: Attack = Attack::new("connects and cuts, FIN", |target| {
    target.swarm(32, |target, _| async move {
        drop(target.connect().await?);
        Ok(())
    });
    Vec::new()
});

/// Connects, sends half a request, and resets.
pub(crate) const RST: Attack = Attack::new("connects and cuts, RST", |target| {
    target.swarm(32, |target, _| async move {
        let mut socket = target.connect().await?;
        socket.write_all(b"GET /events HTTP/1.1\r\nHo").await?;
        reset(socket);
        Ok(())
    });
    Vec::new()
});

/// Opens streams by right, and resets each at its head.
pub(crate) const STREAMS: Attack = Attack::new("streams opened and cut", |target| {
    target.swarm(target.per_address.min(16), |target, _| async move {
        let mut socket = target.connect().await?;
        target.open(&mut socket, "quiet").await?;
        reset(socket);
        Ok(())
    });
    Vec::new()
});

/// Opens streams by right, and is gone before the answer: the server's queue fills with connections
/// that were reset.
pub(crate) const STREAMS_UNREAD: Attack = Attack::new("streams cut before the answer", |target| {
    target.swarm(16, |target, _| async move {
        let mut socket = target.connect().await?;
        socket.write_all(&target.stream("quiet")).await?;
        reset(socket);
        Ok(())
    });
    Vec::new()
});

/// Holds what it may, and asks for more.
pub(crate) const OVER_THE_LIMIT: Attack = Attack::new("streams above its own limit", |target| {
    target.swarm(target.per_address + 32, |target, _| async move {
        let mut socket = target.connect().await?;
        if target.open(&mut socket, "quiet").await? {
            target.rest().await;
            sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    });
    Vec::new()
});
