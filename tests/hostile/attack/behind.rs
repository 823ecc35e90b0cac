//! Bytes behind an open HTTP/1 stream, and bodies without an end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    time::{sleep, timeout},
};

use super::{Attack, Fault};
use crate::target::{Target, drain};

/// Facts A13: this held a worker at 100 % for the life of the stream.
pub(crate) const REQUESTS_AND_BYTES: Attack =
    Attack::new("17 requests and 400 KB behind a stream", |target| {
        let small = target.request("GET", "/healthz", &[]);
        behind(target, &small.repeat(17), &vec![b'A'; 400_000])
    })
    .resting();

/// Several streams asked for behind the first.
pub(crate) const STREAMS: Attack = Attack::new("200 streams pipelined behind a stream", |target| {
    let stream = target.stream("honest");
    behind(target, &stream.repeat(17), &stream.repeat(183))
})
.resting();

/// Two streams' connections, both with this behind them; the server must close both.
fn behind(target: &Target, first: &[u8], then: &[u8]) -> Vec<Fault> {
    let open = Arc::new(AtomicUsize::new(0));
    let opened = Arc::new(AtomicUsize::new(0));
    target.run(async {
        let mut streams = tokio::task::JoinSet::new();
        for _ in 0..2 {
            let (target, first, then) = (target.clone(), first.to_vec(), then.to_vec());
            let (open, opened) = (Arc::clone(&open), Arc::clone(&opened));
            streams.spawn(async move {
                let mut socket = target.connect().await?;
                if !target.open(&mut socket, "honest").await? {
                    return Ok(());
                }
                opened.fetch_add(1, Ordering::SeqCst);
                open.fetch_add(1, Ordering::SeqCst);
                let (mut reader, mut writer) = socket.into_split();
                let writing = async {
                    let _ = writer.write_all(&first).await;
                    // So that they are taken for requests before the buffer is full.
                    sleep(Duration::from_millis(50)).await;
                    // A server that stops reading lets this wait.
                    let _ = writer.write_all(&then).await;
                    std::future::pending::<()>().await;
                };
                let reading = async {
                    let mut sink = tokio::io::sink();
                    let _ = tokio::io::copy(&mut reader, &mut sink).await;
                };
                tokio::select! { () = writing => {}, () = reading => {} }
                open.fetch_sub(1, Ordering::SeqCst);
                std::io::Result::Ok(())
            });
        }
        while streams.join_next().await.is_some() {}
        target.rest().await;
    });
    let mut faults = Vec::new();
    if opened.load(Ordering::SeqCst) == 0 {
        faults.push(Fault::Late("the attack could not open a stream".to_owned()));
    }
    match open.load(Ordering::SeqCst) {
        0 => {}
        open => faults.push(Fault::Late(format!(
            "{open} connections with {} bytes behind their stream are still open",
            first.len() + then.len()
        ))),
    }
    faults
}

/// Chunks without an end, for a route that reads them and for routes that do not.
pub(crate) const ENDLESS_CHUNKS: Attack =
    Attack::new("bodies of chunks without an end", |target| {
        body(target, "Transfer-Encoding: chunked", || {
            let mut chunk = b"10000\r\n".to_vec();
            chunk.resize(chunk.len() + 0x10000, b'x');
            chunk.extend(b"\r\n");
            chunk
        })
    });

/// A length that no body has.
pub(crate) const HUGE_LENGTH: Attack = Attack::new("bodies of 10^18 bytes", |target| {
    body(target, "Content-Length: 1000000000000000000", || {
        vec![b'x'; 0x10000]
    })
});

fn body(target: &Target, length: &'static str, piece: fn() -> Vec<u8>) -> Vec<Fault> {
    target.swarm(8, move |target, number| async move {
        let bearer = target.bearer().unwrap_or_else(|| "X-Nobody: 1".to_owned());
        let headers = ["Accept: text/event-stream", "Content-Type: text/plain"];
        let headers = [headers[0], headers[1], &bearer, length];
        let (method, path) = match number % 4 {
            0 => ("POST", "/publish?topic=honest"),
            1 => ("POST", "/sse-reports"),
            2 => ("GET", "/events?topic=quiet"),
            _ => ("POST", "/events?topic=quiet"),
        };
        let mut socket = target.connect().await?;
        let head = target.request(method, path, &headers);
        socket.write_all(&head).await?;
        let piece = piece();
        let (mut reader, mut writer) = socket.split();
        let writing = async { while writer.write_all(&piece).await.is_ok() {} };
        let mut sink = tokio::io::sink();
        let reading = tokio::io::copy(&mut reader, &mut sink);
        let ((), _) = tokio::join!(writing, reading);
        Ok(())
    });
    Vec::new()
}

/// A stream, then what is no HTTP.
pub(crate) const JUNK: Attack = Attack::new("junk behind a stream, again and again", |target| {
    target.swarm(8, |target, number| async move {
        let mut socket = target.connect().await?;
        if target.open(&mut socket, "quiet").await? {
            let mut junk = vec![0; 7 * 1024];
            fastrand::Rng::with_seed(number as u64).fill(&mut junk);
            socket.write_all(&junk).await?;
            // One that is not cut off is no use to the client, and it comes again.
            let _ = timeout(Duration::from_millis(50), drain(&mut socket)).await;
        }
        sleep(Duration::from_millis(1)).await;
        Ok(())
    });
    Vec::new()
});
