//! `sse-probe closes`.

use std::{process::ExitCode, time::Duration};

use clap::{ArgAction, Args};
use sse_probe::{
    closes::{AT_ONCE, ClosesError, seen_after},
    options::Options,
};
use url::Url;

use super::{ended, unreachable, usage};

#[derive(Debug, Args)]
pub(crate) struct ClosesArgs {
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

pub(crate) async fn run(args: ClosesArgs) -> ExitCode {
    let target = match args.options.target(&args.url) {
        Ok(target) => target,
        Err(why) => return usage(&why),
    };
    let mut late = 0;
    for number in 0..args.times {
        // Each for another time, so that it is not the same heartbeat after which each is closed.
        let hold = Duration::from_millis(1300 + 370 * u64::from(number));
        match seen_after(&target, &args.metrics, hold, args.patience).await {
            Ok(Some(after)) => {
                anstream::println!(
                    "the application saw the close after {:.2} s",
                    after.as_secs_f64()
                );
                late += u32::from(after > AT_ONCE);
            }
            Ok(None) => {
                let patience = humantime::format_duration(args.patience);
                anstream::println!("the application did not count the close within {patience}");
                late += 1;
            }
            Err(why @ ClosesError::NotOurs(_)) => return usage(&why),
            Err(why) => return unreachable(&args.url, &why),
        }
    }
    if late == 0 {
        anstream::println!("good: closes are passed on at once");
        return ended(true);
    }
    anstream::println!(
        "late: {late} of {} closes. What is in front tells the application of a client that has gone at a later write only, as HAProxy does \
         with HTTP/1.1 in front. Then SSECorsRegression knows blocked streams by an interval (class \"interval\") and SSECorsRegressionLikely \
         takes its place. Let the proxy speak HTTP/2 to browsers: for HAProxy `bind ... ssl crt ... alpn h2,http/1.1`. If nothing was counted at \
         all, give --metrics for every instance behind the URL.",
        args.times
    );
    ended(false)
}
