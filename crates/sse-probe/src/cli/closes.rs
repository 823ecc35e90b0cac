//! `sse-probe closes`: how soon an application learns that a client has gone, by its own metrics.
//!
//! From outside nobody sees that: a front that goes on writing to a client that has gone (HAProxy with HTTP/1.1 in front)
//! looks like one that tells at once. An application with `actix-web-sse-metrics` counts the streams of probes that have ended,
//! so a probe that closes a stream can wait until its own end is counted.

use std::time::Duration;

use clap::{ArgAction, Args};
use tokio::time::{Instant, sleep};
use url::Url;

use super::{Ended, Failed, UNREACHABLE, USAGE};
use crate::{
    browser::Refusal,
    http::{Ask, AttemptError, Dialer, End, opens},
    observe::Page,
    options::Options,
    report::shown_url,
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

#[derive(Debug, Args)]
pub(super) struct ClosesArgs {
    /// The stream's public URL.
    url: String,

    /// The metrics of an application behind it, which must have `actix-web-sse-metrics`; once for each instance.
    #[arg(long = "metrics", value_name = "URL", action = ArgAction::Append, required = true)]
    metrics: Vec<Url>,

    /// How many streams to open and close, one after the other.
    #[arg(long, default_value_t = 3)]
    times: u32,

    /// How long to wait for the write after which the stream is closed, and then until the close is counted. A front that
    /// tells late does so at the second write, and that may be a heartbeat.
    #[arg(long, value_name = "TIME", default_value = "40s", value_parser = humantime::parse_duration)]
    patience: Duration,

    #[command(flatten)]
    options: Options,
}

pub(super) async fn run(args: ClosesArgs) -> Ended {
    let target = args.options.target(&args.url)?;
    let mut late = 0;
    for number in 0..args.times {
        // Each for another time, so that it is not the same heartbeat after which each is closed.
        let hold = Duration::from_millis(1300 + 370 * u64::from(number));
        if let Some(after) = seen_after(&target, &args.metrics, hold, args.patience).await? {
            let seconds = after.as_secs_f64();
            anstream::println!("the application saw the close after {seconds:.2} s");
            late += u32::from(after > AT_ONCE);
        } else {
            let patience = humantime::format_duration(args.patience);
            anstream::println!("the application did not count the close within {patience}");
            late += 1;
        }
    }
    if late == 0 {
        anstream::println!("good: closes are passed on at once");
        return Ok(true);
    }
    anstream::println!(
        "late: {late} of {} closes. What is in front tells the application of a client that has gone at a later write only, as HAProxy does \
         with HTTP/1.1 in front. Then SSECorsRegression knows blocked streams by an interval (class \"interval\") and SSECorsRegressionLikely \
         takes its place. Let the proxy speak HTTP/2 to browsers: for HAProxy `bind ... ssl crt ... alpn h2,http/1.1`. If nothing was counted at \
         all, give --metrics for every instance behind the URL.",
        args.times
    );
    Ok(false)
}

/// Opens a stream, closes it at the first bytes after `hold`, and reads the metrics of all instances behind it until its end
/// is counted: how long that took, or `None` if it was not within that patience.
///
/// A write that comes just after the close would tell the application of it as well. So the stream is closed just after a
/// write, which is as far from the next heartbeat as can be; a stream on which nothing comes is closed after that patience.
///
/// # Errors
///
/// The stream does not open, or the metrics cannot be read.
pub async fn seen_after(
    target: &Target,
    metrics: &[Url],
    hold: Duration,
    patience: Duration,
) -> Result<Option<Duration>, Failed> {
    let unreachable = |why| Failed(UNREACHABLE, format!("{}: {why}", shown_url(&target.url)));
    let before = counted(metrics).await?;
    open_for(target, hold, patience)
        .await
        .map_err(unreachable)?;
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
async fn open_for(target: &Target, hold: Duration, patience: Duration) -> Result<(), String> {
    let page = Page::of(target).encodings("identity");
    let page = page.deadline(Instant::now() + Duration::from_secs(10));
    let (mut exchange, route) = page.open().await.map_err(|why| match why {
        AttemptError::OutOfTime => "the stream did not open within ten seconds".to_owned(),
        why => why.to_string(),
    })?;
    match opens(&route, &exchange.head, target.credentials) {
        Ok(()) => {}
        // The page would not see it, but the application serves it all the same.
        Err(Refusal::Cors(_)) if exchange.head.status == 200 => {}
        Err(why) => return Err(format!("the stream does not open: {why}")),
    }
    let held = Instant::now() + hold;
    loop {
        match exchange.next(held + patience).await {
            Ok(_) if Instant::now() < held => {}
            Ok(_) | Err(End::Open) => return Ok(()),
            Err(_) => return Err("the stream ended before it was closed".to_owned()),
        }
    }
}

/// How many streams of probes have ended, by all pages of metrics together.
async fn counted(metrics: &[Url]) -> Result<f64, Failed> {
    let mut sum = 0.0;
    for url in metrics {
        let page = async {
            let exchange = Dialer::default().open(&Ask::get(url.clone())).await;
            let exchange = exchange.map_err(|why| why.to_string())?;
            exchange.whole(LARGEST, SLOWEST).await
        };
        let shown = shown_url(url);
        let unreachable = |why| Failed(UNREACHABLE, format!("{shown}: {why}"));
        let text = page.await.map_err(unreachable)?;
        let text = String::from_utf8_lossy(&text);
        if !text.contains(LIBRARY) {
            let must = "it must be the /metrics of an application with actix-web-sse-metrics";
            return Err(Failed(USAGE, format!("{shown} has no {LIBRARY}: {must}")));
        }
        sum += count(&text);
    }
    Ok(sum)
}

/// The sum over all routes of a page.
fn count(text: &str) -> f64 {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(COUNTER)?;
        let rest = rest.starts_with(['{', ' ']).then_some(rest)?;
        rest.rsplit_once(' ')?.1.parse::<f64>().ok()
    });
    values.sum()
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
