//! Cuts bytes into lines: LF, CR and CRLF end one, also across chunks.

use super::Place;

/// What is kept of a line. Longer lines are measured and validated, not stored.
const KEPT: usize = 256 * 1024;

/// A whole line.
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// Its number, and where it begins.
    pub(super) place: Place,
    /// Its bytes, at most the first 256 KiB.
    pub(super) bytes: &'a [u8],
    /// Its true length.
    pub(super) len: u64,
    /// Where the first byte that is not UTF-8 stands in the body.
    pub(super) bad_utf8: Option<u64>,
}

/// The line that is being read.
#[derive(Debug, Default)]
pub(super) struct Lines {
    kept: Vec<u8>,
    len: u64,
    ended: u64,
    offset: u64,
    position: u64,
    after_cr: bool,
    utf8: Utf8,
    bad_utf8: Option<u64>,
    /// CRs that ended a line without an LF.
    pub(super) lone_crs: u64,
}

impl Lines {
    /// Takes bytes, and hands out each line that they end.
    pub(super) fn feed(&mut self, bytes: &[u8], mut line: impl FnMut(Line<'_>)) {
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
    pub(super) fn current(&self) -> Line<'_> {
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
