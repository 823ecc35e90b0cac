//! Topics and event IDs that no honest client names.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Duration, timeout},
};

use super::{Attack, Fault};
use crate::target::{Target, reset, status};

/// H07: a name that is far longer than any topic's.
pub(crate) const LONG_TOPIC: Attack = Attack::new("topics of 60 KB", |target| {
    let faults = refused(target, &["t".repeat(60_000)]);
    target.flood(4, |target| target.stream(&"t".repeat(60_000)));
    faults
});

/// H07: control characters in a name.
pub(crate) const CONTROL_CHARACTERS: Attack =
    Attack::new("topics with control characters", |target| {
        let names = ["a%00b", "a%0Ab", "a%0D%0Ab", "a%1Bb", "a%7Fb", "a%C2%85b"];
        let faults = refused(target, &names.map(str::to_owned));
        target.flood(8, |target| target.stream("a%0Ab"));
        faults
    });

/// Each name must be refused as one that cannot be.
fn refused(target: &Target, names: &[String]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for name in names {
        let answer = target.run(async {
            let mut socket = target.connect().await?;
            socket.write_all(&target.stream(name)).await?;
            status(&mut socket).await
        });
        let start: String = name.chars().take(12).collect();
        match answer {
            // 401: a query that is too long to be searched for a ticket has no good one.
            Some(Ok(400 | 401 | 403 | 414 | 431)) => {}
            Some(Ok(status)) => {
                let answered = format!("the topic {start}… was answered {status}");
                faults.push(Fault::Wrong(answered));
            }
            // Closed, which refuses too.
            Some(Err(error)) if error.kind() != io::ErrorKind::InvalidData => {}
            other => {
                let answered = format!("the topic {start}… had no answer: {other:?}");
                faults.push(Fault::Late(answered));
            }
        }
    }
    faults
}

/// Streams of topics that nobody has named before.
pub(crate) const MANY_TOPICS: Attack = Attack::new("a new topic for each stream", |target| {
    target.swarm(target.per_address.min(16), |target, _| async move {
        let mut socket = target.connect().await?;
        target
            .open(&mut socket, &format!("t{:x}", fastrand::u64(..)))
            .await?;
        reset(socket);
        Ok(())
    });
    Vec::new()
});

/// R11: the whole replay, again and again.
pub(crate) const REPLAY_STORM: Attack = Attack::new("the oldest Last-Event-ID, again", |target| {
    let Some(Ok(id)) = target.run(first_id(target)) else {
        let text = "the attack could not read an event ID".to_owned();
        return vec![Fault::Late(text)];
    };
    let line = format!("Last-Event-ID: {id}");
    target.swarm(target.per_address.min(16), move |target, _| {
        let line = line.clone();
        async move {
            let mut socket = target.connect().await?;
            let request = target.stream_with(target.busy_topic, &[&line]);
            socket.write_all(&request).await?;
            let mut taken = vec![0; 64 * 1024];
            let mut left = 256 * 1024;
            while left > 0 {
                let patience = Duration::from_millis(200);
                match timeout(patience, socket.read(&mut taken)).await {
                    Ok(Ok(read @ 1..)) => left = usize::saturating_sub(left, read),
                    _ => break,
                }
            }
            reset(socket);
            Ok(())
        }
    });
    Vec::new()
})
.busy();

async fn first_id(target: &Target) -> io::Result<String> {
    let mut socket = target.connect().await?;
    target.open(&mut socket, target.busy_topic).await?;
    let mut text = Vec::new();
    loop {
        if socket.read_buf(&mut text).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let so_far = String::from_utf8_lossy(&text);
        let id = so_far
            .split_once("\nid: ")
            .and_then(|(_, rest)| rest.split_once('\n'));
        if let Some((id, _)) = id {
            return Ok(id.trim().to_owned());
        }
    }
}
