//! Events that try to break out of their field.

use actix_web_sse::{Event, Retry};
use fastrand::Rng;
use std::time::Duration;

/// What data and names are put together from.
const FRAGMENTS: &[&str] = &[
    "",
    "a",
    " ",
    "  ",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "\r\r",
    "\n\r",
    "\0",
    "\u{b}",
    "\u{c}",
    "\u{1c}",
    "\u{1e}",
    "\u{7f}",
    "\u{85}",
    "\u{2028}",
    "\u{2029}",
    "\u{feff}",
    "\u{fffd}",
    "\u{ffff}",
    "\u{10ffff}",
    "é",
    "日本",
    "😀",
    "👩‍👩‍👧",
    "\u{202e}",
    ":",
    ": ",
    "data",
    "data:",
    "data: pwn",
    "id",
    "id: 9",
    "event: admin",
    "retry: 1",
    "message",
    "{\"a\": 1}",
    "0\r\n\r\n",
    "5\r\nhello\r\n",
];

/// A random event or comment, as plain values: what went in, to be compared with what comes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hostile {
    /// An event.
    Event {
        /// The ID.
        id: Option<String>,
        /// The event type.
        name: Option<String>,
        /// The data, as the application gives them.
        data: String,
        /// The reconnection time in milliseconds.
        retry: Option<u64>,
    },
    /// A comment; nothing of it may come out but its `retry`.
    Comment {
        /// The text.
        text: String,
        /// The reconnection time in milliseconds.
        retry: Option<u64>,
    },
}

/// An event as a parser hands it out.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Parsed {
    /// The last event ID after this event.
    pub id: String,
    /// The event type; `message` if there was none.
    pub event: String,
    /// The data.
    pub data: String,
    /// The last `retry` since the event before.
    pub retry: Option<u64>,
}

impl Hostile {
    /// The next one of this generator.
    pub fn random(rng: &mut Rng) -> Self {
        let retry = rng
            .u8(..)
            .is_multiple_of(8)
            .then(|| rng.u64(100..=3_600_000));
        if rng.u8(..).is_multiple_of(8) {
            let text = text(rng);
            return Self::Comment { text, retry };
        }
        Self::Event {
            id: rng.bool().then(|| id(rng)),
            name: rng.bool().then(|| name(rng)),
            data: text(rng),
            retry,
        }
    }

    /// Makes it an [`Event`].
    ///
    /// # Panics
    /// If the library refuses it: nothing of it is forbidden.
    #[must_use]
    pub fn to_event(&self) -> Event {
        let (mut event, retry) = match self {
            Self::Comment { text, retry } => (Event::comment(text.clone()), retry),
            Self::Event {
                id,
                name,
                data,
                retry,
            } => {
                let mut event = Event::data(data.clone());
                if let Some(id) = id {
                    event = event.id(id).expect("an ID that is allowed");
                }
                if let Some(name) = name {
                    event = event.name(name.clone()).expect("a name that is allowed");
                }
                (event, retry)
            }
        };
        if let Some(retry) = retry {
            let retry = Retry::new(Duration::from_millis(*retry));
            event = event.retry(retry.expect("a retry that is allowed"));
        }
        event
    }

    /// What a parser that follows the standard makes of these, one after the other, if
    /// `first_retry` stands before them.
    #[must_use]
    pub fn parsed(all: &[Self], first_retry: u64) -> Vec<Parsed> {
        let mut last_id = String::new();
        let mut pending = Some(first_retry);
        let mut events = Vec::new();
        for one in all {
            match one {
                Self::Comment { retry, .. } => pending = retry.or(pending),
                Self::Event {
                    id,
                    name,
                    data,
                    retry,
                } => {
                    if let Some(id) = id {
                        last_id.clone_from(id);
                    }
                    let name = name.as_deref().filter(|name| !name.is_empty());
                    events.push(Parsed {
                        id: last_id.clone(),
                        event: name.unwrap_or("message").to_owned(),
                        data: data.replace("\r\n", "\n").replace('\r', "\n"),
                        retry: retry.or(pending),
                    });
                    pending = None;
                }
            }
        }
        events
    }
}

fn text(rng: &mut Rng) -> String {
    let mut text = String::new();
    for _ in 0..rng.usize(0..8) {
        match rng.u8(0..16) {
            0 => text.push(rng.char(..)),
            1 => text.extend(std::iter::repeat_n('x', rng.usize(0..600))),
            _ => text.push_str(rng.choice(FRAGMENTS).unwrap_or(&"")),
        }
    }
    text
}

fn name(rng: &mut Rng) -> String {
    let mut name = text(rng).replace(['\r', '\n', '\0'], "");
    let end = (0..=128.min(name.len()))
        .rev()
        .find(|end| name.is_char_boundary(*end));
    name.truncate(end.unwrap_or(0));
    name
}

fn id(rng: &mut Rng) -> String {
    let allowed = (b'!'..=b'~').filter(|byte| !br#""():<>?@[\]{}"#.contains(byte));
    let allowed: Vec<u8> = allowed.collect();
    let length = match rng.u8(0..8) {
        0 => 0,
        1 => 128,
        _ => rng.usize(1..20),
    };
    let choice = |_| rng.choice(&allowed).map(|&byte| char::from(byte));
    (0..length).filter_map(choice).collect()
}

/// Cuts bytes into pieces in three ways: not at all, at random places, after every byte.
#[must_use]
pub fn chunkings(length: usize, rng: &mut Rng) -> [Vec<usize>; 3] {
    let random = pieces(length, &[1, 2, 7, 64, 4096], rng);
    [vec![length], random, vec![1; length]]
}

/// Cuts bytes at random places, into pieces of which each has at most one of these lengths.
#[must_use]
pub fn pieces(length: usize, at_most: &[usize], rng: &mut Rng) -> Vec<usize> {
    let mut pieces = Vec::new();
    let mut left = length;
    while left > 0 {
        let most = rng.choice(at_most).copied().unwrap_or(1);
        let piece = rng.usize(1..=most.min(left));
        pieces.push(piece);
        left -= piece;
    }
    pieces
}
