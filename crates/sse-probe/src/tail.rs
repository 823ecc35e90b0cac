//! Following a stream: what a browser's `EventSource` would do, reported step by step.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::{
    browser::Refusal,
    http::{Chunk, End, opens},
    observe::{AttemptError, Page},
    stream::{Fault, Item, Reader},
    target::Target,
};

/// Chromium's own reconnection time.
const RECONNECT: Duration = Duration::from_secs(3);

/// No stream is waited for longer than this at once; the next wait follows.
const LONG: Duration = Duration::from_secs(3600);

/// What happens while a stream is followed.
#[derive(Debug)]
#[non_exhaustive]
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
#[non_exhaustive]
pub enum Ended {
    /// The listener had enough.
    Enough,
    /// The stream ended, and no reconnect was wanted.
    Over(End),
    /// The reply is none that an EventSource would keep: the status or the content type.
    Refused(Refusal),
}

/// How to follow.
#[derive(Debug, Clone, Default)]
pub struct Following {
    /// The first `Last-Event-ID`.
    pub last_event_id: Option<String>,
    /// Whether to stop at the first end.
    pub once: bool,
}

/// Follows a stream until `listen` returns false.
///
/// A stream that ends or breaks is opened again after its `retry`, with the last event ID. A server that is not
/// reachable is tried again as well, once it has been reached.
///
/// # Errors
///
/// The server could not be reached the first time.
pub async fn follow(
    target: &Target,
    following: Following,
    mut listen: impl FnMut(Step<'_>) -> bool,
) -> Result<Ended, AttemptError> {
    let mut id = following.last_event_id;
    let mut retry = RECONNECT;
    let mut reached = false;
    loop {
        let page = Page::of(target).encodings("identity");
        let page = page.last_event_id(id.clone());
        let why = match page.open().await {
            Err(why) if !reached || following.once => return Err(why),
            Err(why) => why.to_string(),
            Ok((mut exchange, route)) => {
                reached = true;
                let head = exchange.head();
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
                if let Some(seen) = reader.report().last_id_change() {
                    id = Some(seen.to_owned()).filter(|id| !id.is_empty());
                }
                retry = reader.report().retry().unwrap_or(retry);
                match end {
                    end if following.once => return Ok(Ended::Over(end)),
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
    let (items, faults) = reader.report_mut().take();
    faults.iter().all(|fault| listen(Step::Fault(fault)))
        && items.iter().all(|item| listen(Step::Item(item)))
}
