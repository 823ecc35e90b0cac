//! `sse-probe tail`: follows a stream as a browser's `EventSource` would, and reports it step by step.

use std::{cell::Cell, fmt::Write as _, mem::take, time::Duration};

use anstyle::{AnsiColor, Style};
use clap::Args;
use tokio::time::{Instant, sleep};

use super::{FOUND, Failed, UNREACHABLE};
use crate::{
    browser::Refusal,
    http::{Chunk, End, opens},
    observe::{AttemptError, Page},
    options::Options,
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
    let failed = |code, why: String| Err(Failed(code, format!("{}: {why}", args.url)));
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
                        Chunk::End(End::Open) => {}
                        Chunk::End(end) => break end,
                        Chunk::Bytes(bytes, at) => {
                            reader.feed(&bytes, at);
                            if !pass_on(&mut reader, &mut listen) {
                                return Ok(Ended::Enough);
                            }
                        }
                    }
                };
                // An empty id clears it.
                if let Some(seen) = &reader.report().last_id {
                    id = Some(seen.clone()).filter(|id| !id.is_empty());
                }
                retry = reader.report().retry.unwrap_or(retry);
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
    let report = reader.report_mut();
    let (items, faults) = (take(&mut report.items), take(&mut report.faults));
    faults.iter().all(|fault| listen(Step::Fault(fault)))
        && items.iter().all(|item| listen(Step::Item(item)))
}

fn show(step: &Step<'_>, args: &TailArgs) {
    if args.data_only {
        if let Step::Item(Item::Event(_, event)) = step {
            anstream::println!("{}", safe(&event.data));
        }
        return;
    }
    let faint = Style::new().dimmed();
    let red = Style::new().fg_color(Some(AnsiColor::Red.into()));
    match step {
        Step::Opened(version, None) => anstream::eprintln!("{faint}open, HTTP/{version}{faint:#}"),
        Step::Opened(version, Some(id)) => {
            anstream::eprintln!("{faint}open, HTTP/{version}, after {}{faint:#}", safe(id));
        }
        Step::Blocked(why) => anstream::eprintln!("{red}a browser blocks this: {why}{red:#}"),
        Step::Lost(why, wait) => {
            let wait = humantime::format_duration(*wait);
            anstream::eprintln!("{faint}{why}; again in {wait}{faint:#}");
        }
        Step::Fault(fault) => anstream::eprintln!("{red}{fault}{red:#}"),
        Step::Item(Item::Event(at, event)) => {
            let (at, event) = (at.as_secs_f64(), describe(event));
            anstream::println!("{faint}{at:>9.3}{faint:#} {event}");
        }
        Step::Item(Item::Comment(at, text)) if args.comments => {
            anstream::println!("{faint}{:>9.3} :{}{faint:#}", at.as_secs_f64(), safe(text));
        }
        Step::Item(Item::Retry(at, time)) => {
            let time = humantime::format_duration(*time);
            anstream::eprintln!("{faint}{:>9.3} retry {time}{faint:#}", at.as_secs_f64());
        }
        _ => {}
    }
}

fn describe(event: &SeenEvent) -> String {
    let bold = Style::new().bold();
    let cyan = Style::new().fg_color(Some(AnsiColor::Cyan.into()));
    let mut line = String::new();
    let name = if event.name.is_empty() {
        "message"
    } else {
        &event.name
    };
    // Writing to a String cannot fail.
    let _ = write!(line, "{bold}{}{bold:#}", safe(name));
    if let Some(id) = event.carried_id() {
        let _ = write!(line, " {cyan}{}{cyan:#}", safe(id));
    }
    let json = serde_json::from_str::<serde_json::Value>(&event.data).ok();
    let data = match json.filter(|v| v.is_object() || v.is_array()) {
        Some(json) => safe(&format!("{json:#}")),
        None => safe(&event.data),
    };
    for part in data.lines() {
        let _ = write!(line, "\n          {part}");
    }
    let kept = u64::try_from(event.data.len()).unwrap_or(u64::MAX);
    let cut = event.data_len.saturating_sub(kept);
    if cut > 0 {
        let _ = write!(line, "\n          … and {cut} bytes more");
    }
    line
}

/// Keeps what a server sent from driving the terminal.
fn safe(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            _ if c.is_control() => out.extend(c.escape_default()),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(safe("a\u{1b}[2Jb\n\u{9b}"), "a\\u{1b}[2Jb\n\\u{9b}");
    }
}
