//! Bytes to lines (LF, CR and CRLF end one, also across chunks), and lines to events, by the standard's rules, with every
//! departure written down.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation>

use std::time::Duration;

use super::{FaultKind, Item, Place, Report, SeenEvent};

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
    /// What was read so far.
    pub report: Report,
    block: Block,
    /// The last line that was reported as long.
    long_line: u64,
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
        let mut lines = std::mem::take(&mut self.lines);
        lines.feed(bytes, |line| {
            self.long(&line);
            self.line(&line, at);
        });
        self.long(&lines.current());
        self.lines = lines;
    }

    /// Whether nothing has come of the next event.
    pub fn is_between_events(&self) -> bool {
        self.lines.current().len == 0 && self.block.begun.is_none()
    }

    /// The end of the body: `clean` if the protocol ended it, not if it was cut or left.
    pub fn finish(self, clean: bool) -> Report {
        let (mut report, block) = (self.report, self.block);
        let line = self.lines.current();
        let begun = block.begun.unwrap_or(line.place);
        if clean && (line.len > 0 || block.data_lines > 0) {
            report.fault(FaultKind::Unfinished, begun);
        }
        if let Some((first, last)) = block.data_came
            && report.event_count == 0
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

    /// Reports a long line once, as soon as it is known to be long.
    fn long(&mut self, line: &Line<'_>) {
        if line.len > LARGE && self.long_line != line.place.line {
            self.long_line = line.place.line;
            self.report.fault(FaultKind::LineTooLong, line.place);
        }
    }

    fn line(&mut self, line: &Line<'_>, at: Duration) {
        let place = line.place;
        if let Some(offset) = line.bad_utf8 {
            let place = Place { offset, ..place };
            self.report.fault(FaultKind::BadUtf8, place);
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
            let kind = FaultKind::EventWithoutData(block.name);
            self.report.fault(kind, begun);
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

/// What is kept of a line. Longer lines are measured and validated, not stored.
const KEPT: usize = 256 * 1024;

/// A whole line.
#[derive(Debug)]
struct Line<'a> {
    /// Its number, and where it begins.
    place: Place,
    /// Its bytes, at most the first 256 KiB.
    bytes: &'a [u8],
    /// Its true length.
    len: u64,
    /// Where the first byte that is not UTF-8 stands in the body.
    bad_utf8: Option<u64>,
}

/// The line that is being read.
#[derive(Debug, Default)]
struct Lines {
    kept: Vec<u8>,
    len: u64,
    ended: u64,
    offset: u64,
    position: u64,
    after_cr: bool,
    utf8: Utf8,
    bad_utf8: Option<u64>,
    /// CRs that ended a line without an LF.
    lone_crs: u64,
}

impl Lines {
    /// Takes bytes, and hands out each line that they end.
    fn feed(&mut self, bytes: &[u8], mut line: impl FnMut(Line<'_>)) {
        for &byte in bytes {
            self.position += 1;
            if self.after_cr {
                self.after_cr = false;
                if byte == b'\n' {
                    self.lone_crs -= 1;
                    self.offset = self.position;
                    continue;
                }
            }
            match byte {
                b'\n' | b'\r' => {
                    if byte == b'\r' {
                        self.after_cr = true;
                        self.lone_crs += 1;
                    }
                    if self.utf8.missing > 0 {
                        self.bad_utf8.get_or_insert(self.position - 1);
                    }
                    line(self.current());
                    self.next_line();
                }
                _ => {
                    if !self.utf8.accept(byte) {
                        self.bad_utf8.get_or_insert(self.position - 1);
                    }
                    self.len += 1;
                    if self.kept.len() < KEPT {
                        self.kept.push(byte);
                    }
                }
            }
        }
    }

    /// The line that has not ended yet.
    fn current(&self) -> Line<'_> {
        Line {
            place: Place {
                line: self.ended + 1,
                offset: self.offset,
            },
            bytes: &self.kept,
            len: self.len,
            bad_utf8: self.bad_utf8,
        }
    }

    fn next_line(&mut self) {
        self.kept.clear();
        self.kept.shrink_to(4096);
        self.len = 0;
        self.ended += 1;
        self.offset = self.position;
        self.utf8 = Utf8::default();
        self.bad_utf8 = None;
    }
}

/// Validates UTF-8 byte by byte (Unicode 16, table 3-7), since lines are not stored whole.
#[derive(Debug, Default)]
struct Utf8 {
    missing: u8,
    low: u8,
    high: u8,
}

impl Utf8 {
    fn accept(&mut self, byte: u8) -> bool {
        if self.missing > 0 {
            let good = (self.low..=self.high).contains(&byte);
            self.missing = if good { self.missing - 1 } else { 0 };
            (self.low, self.high) = (0x80, 0xBF);
            return good;
        }
        (self.missing, self.low, self.high) = match byte {
            0x00..=0x7F => (0, 0, 0),
            0xC2..=0xDF => (1, 0x80, 0xBF),
            0xE0 => (2, 0xA0, 0xBF),
            0xED => (2, 0x80, 0x9F),
            0xE1..=0xEF => (2, 0x80, 0xBF),
            0xF0 => (3, 0x90, 0xBF),
            0xF1..=0xF3 => (3, 0x80, 0xBF),
            0xF4 => (3, 0x80, 0x8F),
            _ => return false,
        };
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(chunks: &[&[u8]]) -> (Vec<(u64, String)>, u64) {
        let mut lines = Lines::default();
        let mut out = Vec::new();
        for chunk in chunks {
            lines.feed(chunk, |l| {
                out.push((
                    l.place.offset,
                    String::from_utf8_lossy(l.bytes).into_owned(),
                ));
            });
        }
        (out, lines.lone_crs)
    }

    #[test]
    fn every_line_end_counts_also_when_it_is_split() {
        let (seen, lone_crs) = lines(&[b"a\r", b"\nb\rc\n", b"\r\n"]);
        let text: Vec<_> = seen.iter().map(|(_, t)| t.as_str()).collect();
        assert_eq!(text, ["a", "b", "c", ""]);
        assert_eq!(lone_crs, 1);
        let offsets: Vec<_> = seen.iter().map(|(o, _)| *o).collect();
        assert_eq!(offsets, [0, 3, 5, 7]);
    }

    #[test]
    fn a_line_that_never_ends_costs_bounded_memory() {
        let mut lines = Lines::default();
        let chunk = vec![b'x'; 1024 * 1024];
        for _ in 0..10 {
            lines.feed(&chunk, |_| panic!("no line ended"));
        }
        assert_eq!(lines.current().len, 10 * 1024 * 1024);
        assert_eq!(lines.current().bytes.len(), KEPT);
        assert!(lines.kept.capacity() <= 2 * KEPT);
    }

    proptest! {
        #[test]
        fn the_validator_agrees_with_the_standard_library(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            let line: Vec<u8> = bytes.into_iter().filter(|b| !b"\r\n".contains(b)).collect();
            let mut lines = Lines::default();
            let mut bad = None;
            lines.feed(&line, |_| {});
            lines.feed(b"\n", |l| bad = Some(l.bad_utf8.is_some()));
            prop_assert_eq!(bad, Some(std::str::from_utf8(&line).is_err()));
        }
    }
}
