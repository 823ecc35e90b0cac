//! `sse-probe tail`: follows a stream as a browser's `EventSource` would, and reports it step by step.

use std::{cell::Cell, mem::take, time::Duration};

use anstyle::AnsiColor::{Cyan, Red};
use clap::Args;
use humantime::format_duration;
use tokio::time::{Instant, sleep};

use super::{FOUND, Failed, UNREACHABLE};
use crate::{
    browser::{Refusal, headers::harmless},
    http::{AttemptError, End, opens},
    observe::Page,
    options::Options,
    report::{bold, dim, paint, without_query},
    stream::{Fault, Item, Reader, SeenEvent},
    target::Target,
};

/// Chromium's own reconnection time.
const RECONNECT: Duration = Duration::from_secs(3);

/// No stream is waited for longer than this at once; the next wait follows.
const LONG: Duration = Duration::from_secs(3600);

#[derive(Debug, Args)]
pub(super) struct TailArgs {
    /// The stream's URL.
    url: String,

    #[command(flatten)]
    options: Options,

    /// Resume after this event.
    #[arg(long, value_name = "ID")]
    last_event_id: Option<String>,

    /// End after so many events.
    #[arg(long, short = 'n', value_name = "NUMBER")]
    events: Option<u64>,

    /// End when the stream ends.
    #[arg(long)]
    once: bool,

    /// Show heartbeats and other comments.
    #[arg(long)]
    comments: bool,

    /// Show the data of events and nothing else.
    #[arg(long)]
    data_only: bool,
}

pub(super) async fn run(args: TailArgs) -> super::Ended {
    let target = args.options.target(&args.url)?;
    let seen = Cell::new(0_u64);
    let listen = |step: Step<'_>| {
        if let Step::Item(Item::Event(..)) = step {
            seen.set(seen.get() + 1);
        }
        show(&step, &args);
        args.events.is_none_or(|n| seen.get() < n)
    };
    let followed = tokio::select! {
        followed = follow(&target, args.last_event_id.clone(), args.once, listen) => followed,
        _ = tokio::signal::ctrl_c() => return Ok(true),
    };
    let failed =
        |code, why: String| Err(Failed(code, format!("{}: {why}", without_query(&args.url))));
    match followed {
        Ok(Ended::Refused(why)) => failed(FOUND, format!("an EventSource ends for good: {why}")),
        Ok(_) => Ok(true),
        Err(why) => failed(UNREACHABLE, why.to_string()),
    }
}

/// What happens while a stream is followed.
#[derive(Debug)]
pub enum Step<'a> {
    /// It is open: the version of HTTP, and the `Last-Event-ID` that was sent.
    Opened(&'static str, Option<&'a str>),
    /// A browser would refuse this reply to the page, but it is followed all the same.
    Blocked(&'a Refusal),
    /// An event, comment or reconnection time.
    Item(&'a Item),
    /// Something wrong with the bytes.
    Fault(&'a Fault),
    /// The stream is over, or could not be opened; it will be tried again after that time.
    Lost(String, Duration),
}

/// Why following ended.
#[derive(Debug)]
pub enum Ended {
    /// The listener had enough.
    Enough,
    /// The stream ended, and no reconnect was wanted.
    Over(End),
    /// The reply is none that an EventSource would keep: the status or the content type.
    Refused(Refusal),
}

/// Follows a stream, from the event `id` on, until `listen` returns false; or with `once` until it ends.
///
/// A stream that ends or breaks is opened again after its `retry`, with the last event ID. A server that is not
/// reachable is tried again as well, once it has been reached.
///
/// # Errors
///
/// The server could not be reached the first time.
pub async fn follow(
    target: &Target,
    mut id: Option<String>,
    once: bool,
    mut listen: impl FnMut(Step<'_>) -> bool,
) -> Result<Ended, AttemptError> {
    let mut retry = RECONNECT;
    let mut reached = false;
    loop {
        let page = Page::of(target).encodings("identity");
        let page = page.last_event_id(id.clone());
        let why = match page.open().await {
            Err(why) if !reached || once => return Err(why),
            Err(why) => why.to_string(),
            Ok((mut exchange, route)) => {
                reached = true;
                let head = &exchange.head;
                match opens(&route, head, target.credentials) {
                    Ok(()) => {}
                    // The page would not see it, but whoever follows it wants to.
                    Err(refusal @ Refusal::Cors(_)) if head.status == 200 => {
                        if !listen(Step::Blocked(&refusal)) {
                            return Ok(Ended::Enough);
                        }
                    }
                    Err(refusal) => return Ok(Ended::Refused(refusal)),
                }
                if !listen(Step::Opened(head.version_number(), id.as_deref())) {
                    return Ok(Ended::Enough);
                }
                let mut reader = Reader::default();
                let end = loop {
                    match exchange.next(Instant::now() + LONG).await {
                        Err(End::Open) => {}
                        Err(end) => break end,
                        Ok((bytes, at)) => {
                            reader.feed(&bytes, at);
                            if !pass_on(&mut reader, &mut listen) {
                                return Ok(Ended::Enough);
                            }
                        }
                    }
                };
                // An empty id clears it.
                if let Some(seen) = &reader.report.last_id {
                    id = Some(seen.clone()).filter(|id| !id.is_empty());
                }
                retry = reader.report.retry.unwrap_or(retry);
                match end {
                    end if once => return Ok(Ended::Over(end)),
                    End::Cut(why) => format!("cut: {why}"),
                    _ => "ended by the server".to_owned(),
                }
            }
        };
        if !listen(Step::Lost(why, retry)) {
            return Ok(Ended::Enough);
        }
        sleep(retry).await;
    }
}

fn pass_on(reader: &mut Reader, listen: &mut impl FnMut(Step<'_>) -> bool) -> bool {
    let items = take(&mut reader.report.items);
    let faults = take(&mut reader.report.faults);
    faults.iter().all(|fault| listen(Step::Fault(fault)))
        && items.iter().all(|item| listen(Step::Item(item)))
}

fn show(step: &Step<'_>, args: &TailArgs) {
    let stamp = |at: &Duration| format!("{:>9.3}", at.as_secs_f64());
    let aside = match step {
        Step::Item(Item::Event(_, event)) if args.data_only => {
            return anstream::println!("{}", safe(&event.data));
        }
        _ if args.data_only => return,
        Step::Item(Item::Event(at, event)) => {
            return anstream::println!("{} {}", dim(&stamp(at)), describe(event));
        }
        Step::Item(Item::Comment(at, text)) if args.comments => {
            return anstream::println!("{}", dim(&format!("{} :{}", stamp(at), safe(text))));
        }
        Step::Item(Item::Retry(at, time)) => {
            dim(&format!("{} retry {}", stamp(at), format_duration(*time)))
        }
        Step::Item(_) => return,
        Step::Opened(version, None) => dim(&format!("open, HTTP/{version}")),
        Step::Opened(version, Some(id)) => {
            dim(&format!("open, HTTP/{version}, after {}", safe(id)))
        }
        Step::Blocked(why) => paint(Red, &format!("a browser blocks this: {why}")),
        Step::Lost(why, wait) => dim(&format!("{why}; again in {}", format_duration(*wait))),
        Step::Fault(fault) => paint(Red, &fault.to_string()),
    };
    anstream::eprintln!("{aside}");
}

fn describe(event: &SeenEvent) -> String {
    let name = Some(event.name.as_str()).filter(|name| !name.is_empty());
    let mut lines = bold(&safe(name.unwrap_or("message")));
    if let Some(id) = event.carried_id() {
        lines.push_str(&format!(" {}", paint(Cyan, &safe(id))));
    }
    let json = serde_json::from_str::<serde_json::Value>(&event.data).ok();
    let data = match json.filter(|v| v.is_object() || v.is_array()) {
        Some(json) => safe(&format!("{json:#}")),
        None => safe(&event.data),
    };
    for part in data.lines() {
        lines.push_str(&format!("\n          {part}"));
    }
    let kept = u64::try_from(event.data.len()).unwrap_or(u64::MAX);
    if let cut @ 1.. = event.data_len.saturating_sub(kept) {
        lines.push_str(&format!("\n          … and {cut} bytes more"));
    }
    lines
}

/// Keeps what a server sent from driving the terminal.
fn safe(text: &str) -> String {
    harmless(text, &['\n', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(safe("a\u{1b}[2Jb\n\u{9b}"), "a\\u{1b}[2Jb\n\\u{9b}");
    }
}
