//! How soon an application learns that a client has gone, by its own metrics.
//!
//! From outside nobody sees that: a front that goes on writing to a client that has gone (HAProxy with HTTP/1.1 in front)
//! looks like one that tells at once. An application with `actix-web-sse-metrics` counts the streams of probes that have ended,
//! so a probe that closes a stream can wait until its own end is counted.

use std::time::Duration;

use thiserror::Error;
use tokio::time::{Instant, sleep};
use url::Url;

use crate::{
    browser::Refusal,
    http::{Ask, Chunk, Dialer, End, opens},
    observe::{AttemptError, Page},
    target::Target,
};

/// The counter, of all routes.
const COUNTER: &str = "sse_probe_closes_total";

/// What the library exports in any case.
const LIBRARY: &str = "sse_build_info";

/// A front that takes longer to pass on a close does so at a later write.
pub const AT_ONCE: Duration = Duration::from_secs(1);

/// How large a page of metrics may be, and how long it may take.
const LARGEST: usize = 16 * 1024 * 1024;
const SLOWEST: Duration = Duration::from_secs(10);

/// Why nothing can be said.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClosesError {
    /// The stream could not be opened.
    #[error("{0}")]
    Stream(AttemptError),
    /// It is none that a browser would keep open.
    #[error("the stream does not open: {0}")]
    Refused(Refusal),
    /// It ended by itself.
    #[error("the stream ended before it was closed")]
    Ended,
    /// It did not open in time.
    #[error("the stream did not open within ten seconds")]
    Slow,
    /// The metrics could not be read, and why.
    #[error("{0}: {1}")]
    Metrics(Url, String),
    /// They are not this library's.
    #[error(
        "{0} has no {LIBRARY}: it must be the /metrics of an application with actix-web-sse-metrics"
    )]
    NotOurs(Url),
}

/// Opens a stream, closes it at the first bytes after `hold`, and reads the metrics of all instances behind it until its end
/// is counted: how long that took, or `None` if it was not within `patience`.
///
/// A write that comes just after the close would tell the application of it as well. So the stream is closed just after a
/// write, which is as far from the next heartbeat as can be; a stream on which nothing comes is closed after `patience`.
///
/// # Errors
///
/// The stream does not open, or the metrics cannot be read.
pub async fn seen_after(
    target: &Target,
    metrics: &[Url],
    hold: Duration,
    patience: Duration,
) -> Result<Option<Duration>, ClosesError> {
    let before = counted(metrics).await?;
    open_for(target, hold, patience).await?;
    let closed = Instant::now();
    while closed.elapsed() < patience {
        if counted(metrics).await? > before {
            return Ok(Some(closed.elapsed()));
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(None)
}

/// Opens the stream, reads it for `hold`, and then until the next bytes. With the exchange the connection ends.
async fn open_for(target: &Target, hold: Duration, patience: Duration) -> Result<(), ClosesError> {
    let page = Page::of(target).encodings("identity");
    let page = page.deadline(Some(Instant::now() + Duration::from_secs(10)));
    let (mut exchange, route) = page.open().await.map_err(|why| match why {
        AttemptError::OutOfTime => ClosesError::Slow,
        why => ClosesError::Stream(why),
    })?;
    let head = exchange.head();
    match opens(&route, head, target.credentials) {
        Ok(()) => {}
        // The page would not see it, but the application serves it all the same.
        Err(Refusal::Cors(_)) if head.status == 200 => {}
        Err(why) => return Err(ClosesError::Refused(why)),
    }
    let held = Instant::now() + hold;
    loop {
        match exchange.next(held + patience).await {
            Chunk::Bytes(..) if Instant::now() < held => {}
            Chunk::Bytes(..) => return Ok(()),
            Chunk::End(End::Open) => return Ok(()),
            Chunk::End(_) => return Err(ClosesError::Ended),
        }
    }
}

/// How many streams of probes have ended, by all of these pages together.
async fn counted(metrics: &[Url]) -> Result<f64, ClosesError> {
    let mut sum = 0.0;
    for url in metrics {
        let text = page(url)
            .await
            .map_err(|why| ClosesError::Metrics(url.clone(), why))?;
        if !text.contains(LIBRARY) {
            return Err(ClosesError::NotOurs(url.clone()));
        }
        sum += count(&text);
    }
    Ok(sum)
}

/// The sum over all routes of a page.
fn count(text: &str) -> f64 {
    let lines = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(COUNTER)?;
        (rest.starts_with(['{', ' '])).then_some(rest)
    });
    lines
        .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
        .sum()
}

async fn page(url: &Url) -> Result<String, String> {
    let exchange = Dialer::default().open(&Ask::get(url.clone())).await;
    let exchange = exchange.map_err(|why| why.to_string())?;
    let text = exchange.whole(LARGEST, SLOWEST).await?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_streams_of_all_routes_are_counted_and_nothing_else() {
        let text = "# HELP sse_probe_closes_total Streams of sse-probe that ended.\n\
                    # TYPE sse_probe_closes_total counter\n\
                    sse_probe_closes_total{route=\"/events\"} 3\n\
                    sse_probe_closes_total{route=\"/a b\"} 2\n\
                    sse_probe_closes_total_of_another 7\n";
        assert!((count(text) - 5.0).abs() < 1e-9);
        assert!(count("").abs() < 1e-9);
    }
}
