//! The lines of a header, which may be as many and as long as the server lets in: 128 KiB over
//! HTTP/1, 16 MiB over HTTP/2.

/// Whether they are short enough, all together, to be worth reading. Empty ones count too.
pub(super) fn fit<'a>(lines: impl Iterator<Item = &'a [u8]>, limit: usize) -> bool {
    let mut left = limit;
    lines
        .map(|line| line.len() + 1)
        .all(|length| match left.checked_sub(length) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        })
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn the_length_is_that_of_all_lines_and_their_ends() {
        let lines = |texts: &'static [&str]| texts.iter().map(|text| text.as_bytes());
        assert!(fit(lines(&[]), 0));
        assert!(fit(lines(&["ab", "", "c"]), 6));
        assert!(!fit(lines(&["ab", "", "c"]), 5));
        assert!(!fit(std::iter::repeat(b"".as_slice()), 1000));
    }
}
