//! Lines to events, by the standard's rules, with every departure written down.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>

use std::time::Duration;

use super::{
    FaultKind, Item, Place, Report, SeenEvent,
    line::{Line, Lines},
};

/// What is kept of an event's data.
const DATA_KEPT: usize = 64 * 1024;

/// What is kept of a comment.
const COMMENT_KEPT: usize = 256;

/// Ids longer than this need a preflight in a stricter browser
/// (<https://fetch.spec.whatwg.org/#cors-safelisted-request-header>).
const LONG_ID: usize = 128;

/// Data that comes for so long without a blank line is not one slow event.
const NO_EVENT: Duration = Duration::from_secs(2);

/// Lines and events larger than this are faults.
const LARGE: u64 = 1024 * 1024;

/// Reads a stream as it arrives.
#[derive(Debug, Default)]
pub struct Reader {
    lines: Lines,
    inner: Interpreter,
    long_line: u64,
}

/// Field rules; knows lines, not bytes.
#[derive(Debug, Default)]
struct Interpreter {
    report: Report,
    block: Block,
}

/// The block between two blank lines.
#[derive(Debug, Default)]
struct Block {
    begun: Option<Place>,
    name: String,
    data: String,
    data_len: u64,
    data_lines: u64,
    id: Option<String>,
    fields: u64,
    comments: u64,
    /// When its first and its last line of data came.
    data_came: Option<(Duration, Duration)>,
}

impl Reader {
    /// Takes bytes that came at `at`.
    pub fn feed(&mut self, bytes: &[u8], at: Duration) {
        let inner = &mut self.inner;
        let mut long_line = self.long_line;
        self.lines.feed(bytes, |line| {
            inner.long(&line, &mut long_line);
            inner.line(&line, at);
        });
        inner.long(&self.lines.current(), &mut long_line);
        self.long_line = long_line;
    }

    /// Whether nothing has come of the next event.
    #[must_use]
    pub fn is_between_events(&self) -> bool {
        self.lines.current().len == 0 && self.inner.block.begun.is_none()
    }

    /// What was read so far.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.inner.report
    }

    /// The same, to take parts out of.
    pub fn report_mut(&mut self) -> &mut Report {
        &mut self.inner.report
    }

    /// The end of the body: `clean` if the protocol ended it, not if it was cut or left.
    #[must_use]
    pub fn finish(self, clean: bool) -> Report {
        let Interpreter {
            mut report, block, ..
        } = self.inner;
        let line = self.lines.current();
        let begun = block.begun.unwrap_or(line.place);
        if clean && (line.len > 0 || block.data_lines > 0) {
            report.fault(FaultKind::Unfinished, begun);
        }
        if let Some((first, last)) = block.data_came
            && report.events == 0
            && block.data_lines > 2
            && last.saturating_sub(first) >= NO_EVENT
        {
            let time = last.saturating_sub(first);
            report.fault(FaultKind::NoBlankLine(time), begun);
        }
        if self.lines.lone_crs > 0 {
            report.fault(FaultKind::LoneCr, Place { line: 1, offset: 0 });
        }
        report
    }
}

impl Interpreter {
    /// Reports a long line once, as soon as it is known to be long.
    fn long(&mut self, line: &Line<'_>, reported: &mut u64) {
        if line.len > LARGE && *reported != line.place.line {
            *reported = line.place.line;
            self.report.fault(FaultKind::LineTooLong, line.place);
        }
    }

    fn line(&mut self, line: &Line<'_>, at: Duration) {
        let place = line.place;
        if let Some(offset) = line.bad_utf8 {
            self.report
                .fault(FaultKind::BadUtf8, Place { offset, ..place });
        }
        let mut bytes = line.bytes;
        let mut len = line.len;
        if place.line == 1
            && let Some(rest) = bytes.strip_prefix(b"\xEF\xBB\xBF")
        {
            self.report.fault(FaultKind::ByteOrderMark, place);
            bytes = rest;
            len -= 3;
        }
        if len == 0 {
            return self.dispatch(place, at);
        }
        self.block.begun.get_or_insert(place);
        if let Some(comment) = bytes.strip_prefix(b":") {
            self.block.comments += 1;
            let shown = comment.get(..COMMENT_KEPT).unwrap_or(comment);
            let text = String::from_utf8_lossy(shown);
            let text = text.strip_prefix(' ').unwrap_or(&text).to_owned();
            return self.report.push(Item::Comment(at, text));
        }
        let colon = bytes.iter().position(|&b| b == b':');
        let (name, value) = bytes.split_at(colon.unwrap_or(bytes.len()));
        let value = value.strip_prefix(b":").unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        // What the line holds beyond the kept bytes belongs to the value.
        let kept = u64::try_from(bytes.len()).unwrap_or(len);
        let value_len = u64::try_from(value.len()).unwrap_or(0) + len.saturating_sub(kept);
        self.field(name, (value, value_len), place, at);
    }

    /// A field, with what is kept of its value and the true length of that.
    fn field(&mut self, name: &[u8], (value, len): (&[u8], u64), place: Place, at: Duration) {
        let text = || String::from_utf8_lossy(value).into_owned();
        match name {
            b"data" => {
                if value.contains(&0) {
                    self.report.fault(FaultKind::NulInData, place);
                }
                let first = self.block.data_came.map_or(at, |(first, _)| first);
                self.block.data_came = Some((first, at));
                self.block.add_data(value, len);
            }
            b"event" => {
                self.block.fields += 1;
                self.block.name = text();
            }
            b"id" if value.contains(&0) => self.report.fault(FaultKind::IdWithNul, place),
            b"id" => {
                if !safe_as_header(value) {
                    self.report.fault(FaultKind::IdUnsafe(text()), place);
                }
                self.block.fields += 1;
                self.block.id = Some(text());
            }
            b"retry" => self.retry(&text(), place, at),
            _ => {
                let name = name.get(..64).unwrap_or(name);
                let name = String::from_utf8_lossy(name).into_owned();
                self.report.fault(FaultKind::UnknownField(name), place);
            }
        }
    }

    fn retry(&mut self, value: &str, place: Place, at: Duration) {
        self.block.fields += 1;
        let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
        if !digits {
            let shown = value.chars().take(40).collect();
            return self.report.fault(FaultKind::RetryNotANumber(shown), place);
        }
        let ms = value.parse::<u64>().unwrap_or(u64::MAX);
        if ms >= 1 << 31 {
            self.report.fault(FaultKind::RetryTooLarge(ms), place);
        }
        self.report.push(Item::Retry(at, Duration::from_millis(ms)));
    }

    fn dispatch(&mut self, blank: Place, at: Duration) {
        let block = std::mem::take(&mut self.block);
        let begun = block.begun.unwrap_or(blank);
        let own_id = block.id.is_some();
        if let Some(id) = block.id {
            self.report.last_id = Some(id);
        }
        if block.data_lines > 0 {
            if block.data_len > LARGE {
                self.report.fault(FaultKind::EventTooLarge, begun);
            }
            let event = SeenEvent {
                name: block.name,
                id: self.report.last_id.clone().filter(|id| !id.is_empty()),
                own_id,
                data: block.data,
                data_len: block.data_len,
            };
            return self.report.push(match event.is_anchor() {
                true => Item::Anchor(at, event),
                false => Item::Event(at, event),
            });
        }
        if own_id {
            self.report.fault(FaultKind::IdWithoutData, begun);
        }
        if !block.name.is_empty() {
            self.report
                .fault(FaultKind::EventWithoutData(block.name), begun);
        } else if block.comments > 0 && block.fields == 0 {
            self.report.fault(FaultKind::BlankAfterComment, begun);
        }
    }
}

impl Block {
    fn add_data(&mut self, value: &[u8], value_len: u64) {
        self.fields += 1;
        if self.data_lines > 0 {
            self.data_len += 1;
            self.keep("\n");
        }
        self.data_lines += 1;
        self.data_len += value_len;
        self.keep(&String::from_utf8_lossy(value));
    }

    fn keep(&mut self, text: &str) {
        let mut room = DATA_KEPT.saturating_sub(self.data.len()).min(text.len());
        while !text.is_char_boundary(room) {
            room -= 1;
        }
        self.data.push_str(text.get(..room).unwrap_or_default());
    }
}

/// Whether an id comes back unchanged as a header: browsers send any text without NUL and line ends, in UTF-8.
fn safe_as_header(id: &[u8]) -> bool {
    id.len() <= LONG_ID && id == id.trim_ascii() && id.iter().all(|b| (0x20..0x7F).contains(b))
}
