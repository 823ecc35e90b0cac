//! How soon an application learns that a client has gone, by its own metrics.
//!
//! From outside nobody sees that: a front that goes on writing to a client that has gone (HAProxy with HTTP/1.1 in front)
//! looks like one that tells at once. An application with `actix-web-sse-metrics` counts the streams of probes that have ended,
//! so a probe that closes a stream can wait until its own end is counted.

use std::{cell::Cell, fmt, time::Duration};

use tokio::time::{Instant, sleep, timeout};
use url::Url;

use crate::{
    browser::Refusal,
    http::{Ask, Chunk, Dialer, ExchangeError, Limits},
    observe::AttemptError,
    tail::{Ended, Following, Step, follow},
    target::Target,
};

/// The counter, of all routes.
const COUNTER: &str = "sse_probe_closes_total";

/// What the library exports in any case.
const LIBRARY: &str = "sse_build_info";

/// A front that takes longer to pass on a close does so at a later write.
pub const AT_ONCE: Duration = Duration::from_secs(1);

/// How large a page of metrics may be.
const LARGEST: usize = 16 * 1024 * 1024;

/// Why nothing can be said.
#[derive(Debug)]
#[non_exhaustive]
pub enum ClosesError {
    /// The stream could not be opened.
    Stream(AttemptError),
    /// It is none that a browser would keep open.
    Refused(Refusal),
    /// It ended by itself.
    Ended,
    /// It did not open in time.
    Slow,
    /// The metrics could not be read.
    Metrics(Url, ExchangeError),
    /// They are not this library's.
    NotOurs(Url),
}

impl fmt::Display for ClosesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(why) => why.fmt(f),
            Self::Refused(why) => write!(f, "the stream does not open: {why}"),
            Self::Ended => f.write_str("the stream ended before it was closed"),
            Self::Slow => f.write_str("the stream did not open within ten seconds"),
            Self::Metrics(url, why) => write!(f, "{url}: {why}"),
            Self::NotOurs(url) => write!(
                f,
                "{url} has no {LIBRARY}: it must be the /metrics of an application with actix-web-sse-metrics"
            ),
        }
    }
}

impl std::error::Error for ClosesError {}

/// Opens a stream, closes it after `hold`, and reads the metrics of all instances behind it until its end is counted:
/// how long that took, or `None` if it was not within `patience`.
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
    open_for(target, hold).await?;
    let closed = Instant::now();
    while closed.elapsed() < patience {
        if counted(metrics).await? > before {
            return Ok(Some(closed.elapsed()));
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(None)
}

/// Opens the stream and reads it for that long.
async fn open_for(target: &Target, hold: Duration) -> Result<(), ClosesError> {
    const OPENS_WITHIN: Duration = Duration::from_secs(10);
    let opened = Cell::new(None);
    let following = Following {
        last_event_id: None,
        once: true,
    };
    let ended = follow(target, following, |step| {
        if matches!(step, Step::Opened(..)) {
            opened.set(Some(Instant::now()));
        }
        true
    });
    let enough = async {
        let start = Instant::now();
        loop {
            match opened.get() {
                Some(since) => {
                    sleep(hold.saturating_sub(since.elapsed())).await;
                    return Ok(());
                }
                None if start.elapsed() > OPENS_WITHIN => return Err(ClosesError::Slow),
                None => sleep(Duration::from_millis(5)).await,
            }
        }
    };
    tokio::select! {
        ended = ended => Err(match ended {
            Err(why) => ClosesError::Stream(why),
            Ok(Ended::Refused(why)) => ClosesError::Refused(why),
            Ok(_) => ClosesError::Ended,
        }),
        // The stream is dropped, and with it the connection.
        enough = enough => enough,
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

async fn page(url: &Url) -> Result<String, ExchangeError> {
    let dialer = Dialer::default();
    let limit = Limits::default().head;
    let mut exchange = dialer.open(&Ask::get(url.clone())).await?;
    let until = Instant::now() + limit;
    let mut text = Vec::new();
    let read = async {
        while let Chunk::Bytes(bytes, _) = exchange.next(until).await {
            text.extend_from_slice(&bytes);
            if text.len() > LARGEST {
                break;
            }
        }
    };
    // `next` ends at `until`.
    let _ = timeout(limit, read).await;
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
