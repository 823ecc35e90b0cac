//! Clients that take their time.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time::sleep,
};

use super::Attack;
use crate::target::drain;

/// A header line a second.
pub(crate) const HEADS: Attack = Attack::new("500 heads of one line a second", |target| {
    target.swarm(500, |target, _| async move {
        let mut socket = target.connect().await?;
        socket.write_all(b"GET /events HTTP/1.1\r\n").await?;
        loop {
            sleep(Duration::from_secs(1)).await;
            socket.write_all(b"X-More: 1\r\n").await?;
        }
    });
    Vec::new()
})
.resting();

/// Nothing at all.
pub(crate) const SILENT: Attack = Attack::new("500 connections that send nothing", |target| {
    target.swarm(500, |target, _| async move {
        drain(&mut target.connect().await?).await;
        Ok(())
    });
    Vec::new()
})
.resting();

/// Every write of the server makes progress, and none gets anywhere.
pub(crate) const ONE_BYTE: Attack = Attack::new("readers of one byte a second", |target| {
    target.swarm(3 * target.per_address, |target, _| async move {
        let mut socket = target.connect_small().await?;
        if !target.open(&mut socket, target.busy_topic).await? {
            sleep(Duration::from_millis(20)).await;
            return Ok(());
        }
        loop {
            sleep(Duration::from_secs(1)).await;
            if socket.read_u8().await.is_err() {
                return Ok(());
            }
        }
    });
    Vec::new()
})
.busy()
.few_sockets();

/// Just enough for the kernel to see progress: whatever counts idle writes never ends these.
/// The hub gives them up for their lag, after a second's grace, and the socket stays.
pub(crate) const STALL_MINUS_ONE: Attack =
    Attack::new("readers of 64 KiB now and then", |target| {
        let all = target.clone();
        target.run(async move {
            let mut readers = JoinSet::new();
            while all.goes_on() {
                let mut socket = all.connect_small().await?;
                if all.open(&mut socket, all.busy_topic).await? {
                    readers.spawn(async move {
                        let mut taken = 0;
                        let mut piece = vec![0; 64 * 1024];
                        loop {
                            match socket.read(&mut piece).await {
                                Ok(0) | Err(_) => return,
                                Ok(read) => taken += read,
                            }
                            if taken >= 64 * 1024 {
                                taken = 0;
                                sleep(Duration::from_secs(2)).await;
                            }
                        }
                    });
                }
                sleep(Duration::from_millis(20)).await;
            }
            std::io::Result::Ok(())
        });
        Vec::new()
    })
    .busy()
    .seconds(3.5)
    .few_sockets();
