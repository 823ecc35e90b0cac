//! Escapes client values for logs and terminals.

use std::fmt::Write;

/// How many bytes of a client's value are kept.
pub(crate) const MAX_BYTES: usize = 256;

/// The first 256 bytes of a client's value, with everything that could act on a terminal, a log
/// reader or a person's eyes written out: control characters, line separators, direction marks,
/// and bytes that are no UTF-8. A backslash is doubled, so the writing is unambiguous.
pub(crate) fn client_value(raw: &[u8]) -> String {
    let cut = raw.get(..MAX_BYTES).unwrap_or(raw);
    let mut text = String::with_capacity(cut.len());
    let mut chunks = cut.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        for c in chunk.valid().chars() {
            push(&mut text, c);
        }
        // The cut can split a character, which is not the client's error.
        let torn = cut.len() < raw.len() && chunks.peek().is_none();
        if !torn {
            for byte in chunk.invalid() {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text
}

fn push(text: &mut String, c: char) {
    if c == '\\' {
        text.push_str("\\\\");
    } else if c.is_control() || acts_on_readers(c) {
        let _ = write!(text, "\\u{{{:x}}}", u32::from(c));
    } else {
        text.push(c);
    }
}

/// Separators that some readers take for the end of a line, and marks that turn or hide text.
const fn acts_on_readers(c: char) -> bool {
    matches!(
        c,
        '\u{2028}' | '\u{2029}'
            | '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m02_nothing_that_acts_on_a_terminal_is_left() {
        let sent = b"\x1b]0;owned\x07 \xc2\x9b31m \r\n \xe2\x80\xae \x7f \xff C:\\";
        let text = client_value(sent);
        assert_eq!(
            text,
            r"\u{1b}]0;owned\u{7} \u{9b}31m \u{d}\u{a} \u{202e} \u{7f} \xff C:\\",
        );
    }

    #[test]
    fn m02_a_long_value_is_cut_at_256_bytes_between_characters() {
        assert_eq!(client_value(&[b'a'; 60_000]).len(), MAX_BYTES);
        let long = format!("{}é", "a".repeat(MAX_BYTES - 1));
        assert_eq!(client_value(long.as_bytes()), "a".repeat(MAX_BYTES - 1));
    }

    #[test]
    fn what_is_harmless_stays_as_it_is() {
        for text in [
            "https://app.example.com",
            "Mozilla/5.0 (X11; \"x\")",
            "日本",
        ] {
            assert_eq!(client_value(text.as_bytes()), text);
        }
    }
}
