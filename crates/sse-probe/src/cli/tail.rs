//! `sse-probe tail`.

use std::{cell::Cell, fmt::Write as _, process::ExitCode};

use anstyle::{AnsiColor, Style};
use clap::Args;
use sse_probe::{
    options::Options,
    stream::{Item, SeenEvent},
    tail::{Ended, Following, Step, follow},
};

use super::{ended, unreachable, usage};

#[derive(Debug, Args)]
pub(crate) struct TailArgs {
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

pub(crate) async fn run(args: TailArgs) -> ExitCode {
    let target = match args.options.target(&args.url) {
        Ok(target) => target,
        Err(why) => return usage(&why),
    };
    let following = Following {
        last_event_id: args.last_event_id.clone(),
        once: args.once,
    };
    let seen = Cell::new(0_u64);
    let listen = |step: Step<'_>| {
        if let Step::Item(Item::Event(..)) = step {
            seen.set(seen.get() + 1);
        }
        show(&step, &args);
        args.events.is_none_or(|n| seen.get() < n)
    };
    let followed = tokio::select! {
        followed = follow(&target, following, listen) => followed,
        _ = tokio::signal::ctrl_c() => return ended(true),
    };
    match followed {
        Ok(Ended::Refused(why)) => {
            let url = &args.url;
            anstream::eprintln!("sse-probe: {url}: an EventSource ends for good: {why}");
            ended(false)
        }
        Ok(_) => ended(true),
        Err(why) => unreachable(&args.url, &why),
    }
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
    if let Some(id) = event.id.as_deref().filter(|_| event.own_id) {
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
        if c == '\n' || c == '\t' || !c.is_control() {
            out.push(c);
        } else {
            out.extend(c.escape_default());
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
