//! Counts what is in a stream, wherever the reads cut it. Pure.
//!
//! Chunk framing need not be taken off: an event is counted at its `data:` line and a comment at
//! its colon, and a chunk's size line (hexadecimal digits) can be neither.

const DATA: &[u8] = b"data:";

/// The only data line of the anchor, with which a hub begins a stream: no event of anybody's.
const ANCHOR: &[u8] = b"data: {}";

/// Where in a line the last read ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// So many bytes of the anchor's line have been seen at the start of the line.
    Prefix(usize),
    /// The line is what it is.
    Decided,
}

/// Reads one stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scan {
    place: Place,
}

/// What a piece of a stream held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Events of one data line each.
    pub(crate) events: u64,
    /// Comment lines.
    pub(crate) comments: u64,
}

impl Scan {
    pub(crate) const fn new() -> Self {
        Self {
            place: Place::Prefix(0),
        }
    }

    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> Found {
        let mut found = Found::default();
        while let Some((first, rest)) = bytes.split_first() {
            match self.place {
                Place::Decided => match memchr::memchr(b'\n', bytes) {
                    None => return found,
                    Some(end) => {
                        self.place = Place::Prefix(0);
                        bytes = bytes.get(end + 1..).unwrap_or_default();
                        continue;
                    }
                },
                Place::Prefix(seen) if *first == b'\n' => {
                    found.events += u64::from(seen >= DATA.len());
                    self.place = Place::Prefix(0);
                }
                Place::Prefix(0) if *first == b':' => {
                    found.comments += 1;
                    self.place = Place::Decided;
                }
                Place::Prefix(seen) if ANCHOR.get(seen) == Some(first) => {
                    self.place = match seen + 1 == ANCHOR.len() {
                        true => Place::Decided,
                        false => Place::Prefix(seen + 1),
                    };
                }
                Place::Prefix(seen) => {
                    found.events += u64::from(seen >= DATA.len());
                    self.place = Place::Decided;
                }
            }
            bytes = rest;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\ndate: today\r\n\r\n\
        2c\r\n:\nretry: 30000\nid: x.0.y\nevent: anchor\ndata: {}\n\n\r\n2\r\n:\n\r\n\
        da\r\nid: x-1\ndata: one data: and :\n\nid: x-2\ndata: two\n\n\r\n";

    #[test]
    fn events_and_comments_are_counted_through_the_framing() {
        let found = Scan::new().feed(STREAM);
        assert_eq!((found.events, found.comments), (2, 2));
    }

    #[test]
    fn wherever_the_reads_cut() {
        for cut in 0..STREAM.len() {
            let mut scan = Scan::new();
            let (head, tail) = STREAM.split_at(cut);
            let (one, two) = (scan.feed(head), scan.feed(tail));
            assert_eq!(one.events + two.events, 2, "at {cut}");
            assert_eq!(one.comments + two.comments, 2, "at {cut}");
        }
    }
}
