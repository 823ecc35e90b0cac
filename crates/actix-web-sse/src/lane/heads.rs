//! Counts the heads of requests on an HTTP/1 connection. Pure.
//!
//! Whether a client has sent anything behind a request can be told from outside of actix as long as no
//! request had a body: then each head ends with an empty line, and there are as many of those as requests.
//! Counted are empty lines as actix's parser takes them, with or without CR. Where the count is too high, as
//! after empty lines in front of a request, a stream stays where it is; it is never too low.

use memchr::memchr;

/// What the last byte was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// Part of a line.
    Inside,
    /// The end of a line.
    Line,
    /// The end of a line, and a CR.
    LineAndCr,
    /// The end of a head.
    Head,
}

/// The heads that have come, and those that were handed to the application.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heads {
    came: u32,
    entered: u32,
    last: Last,
    /// A request had a body, which may look like anything.
    uncounted: bool,
}

impl Default for Heads {
    fn default() -> Self {
        Self {
            came: 0,
            entered: 0,
            last: Last::Inside,
            uncounted: false,
        }
    }
}

impl Heads {
    /// These bytes have come.
    pub(super) fn came(&mut self, bytes: &[u8]) {
        if self.uncounted {
            return;
        }
        let mut rest = bytes;
        loop {
            if self.last == Last::Inside {
                // Most of a head: values of headers.
                let Some(end) = memchr(b'\n', rest) else {
                    return;
                };
                rest = rest.get(end + 1..).unwrap_or_default();
                self.last = Last::Line;
            }
            let Some((byte, more)) = rest.split_first() else {
                return;
            };
            rest = more;
            self.last = match (byte, self.last) {
                (b'\n', Last::Line | Last::LineAndCr) => {
                    self.came = self.came.saturating_add(1);
                    Last::Head
                }
                (b'\n', _) => Last::Line,
                (b'\r', Last::Line) => Last::LineAndCr,
                _ => Last::Inside,
            };
        }
    }

    /// A request was handed to the application.
    pub(super) const fn entered(&mut self, has_body: bool) {
        self.entered = self.entered.saturating_add(1);
        self.uncounted |= has_body;
    }

    /// Whether they can be counted.
    pub(super) const fn are_counted(&self) -> bool {
        !self.uncounted && self.came < u32::MAX
    }

    /// Whether what comes next belongs to the head of a request of which nothing was handed on.
    pub(super) fn is_inside(&self) -> bool {
        self.are_counted() && self.came == self.entered && self.last != Last::Head
    }

    /// Whether nothing has come behind the latest request.
    pub(super) fn is_alone(&self) -> bool {
        self.are_counted() && self.came == self.entered && self.last == Last::Head
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn heads(text: &str, requests: u32) -> Heads {
        let mut heads = Heads::default();
        heads.came(text.as_bytes());
        (0..requests).for_each(|_| heads.entered(false));
        heads
    }

    #[test]
    fn a_request_is_alone_with_nothing_behind_it() {
        assert!(heads(GET, 1).is_alone());
        assert!(heads("GET / HTTP/1.1\nHost: a\n\n", 1).is_alone());
        assert!(heads("GET / HTTP/1.1\nHost: a\n\r\n", 1).is_alone());
        assert!(heads(&GET.repeat(3), 3).is_alone());
        for more in [GET, "\r", "\r\n", "\n", "x", "GET / HT"] {
            assert!(!heads(&format!("{GET}{more}"), 1).is_alone(), "{more:?}");
        }
    }

    #[test]
    fn a_head_is_inside_until_its_end() {
        for more in ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r"] {
            assert!(heads(more, 0).is_inside(), "{more:?}");
            assert!(heads(&format!("{GET}{more}"), 1).is_inside(), "{more:?}");
            assert!(!heads(&format!("{GET}{more}"), 0).is_inside(), "{more:?}");
        }
        assert!(!heads(GET, 0).is_inside());
        assert!(!heads(GET, 1).is_inside());
    }

    #[test]
    fn after_a_body_nothing_is_certain() {
        let mut heads = heads(&GET.repeat(2), 1);
        heads.entered(true);
        assert!(!heads.are_counted() && !heads.is_alone());
    }

    proptest! {
        #[test]
        fn how_the_bytes_are_cut_makes_no_difference(
            text in "(GET /[\r\n]{1,3}|[a\r\n]|\r\n\r\n){0,30}",
            at in 0_usize..100,
            requests in 0_u32..6,
        ) {
            let at = at.min(text.len());
            let mut cut = Heads::default();
            cut.came(&text.as_bytes()[..at]);
            cut.came(&text.as_bytes()[at..]);
            (0..requests).for_each(|_| cut.entered(false));
            prop_assert_eq!(cut.is_alone(), heads(&text, requests).is_alone());
        }
    }
}
