//! The grammar of event streams (WHATWG HTML § 9.2.5), narrowed to what the library promises.

/// Checks that bytes are what the library may write; the number of blocks with data.
///
/// Narrower than the standard's grammar: LF is the only line end, every line is a comment or one
/// of the four fields, a blank line closes a block that has data and nothing else, and the
/// standard's optional byte order mark stays away.
pub(crate) fn check(stream: &[u8]) -> Result<usize, String> {
    let text = str::from_utf8(stream).map_err(|error| error.to_string())?;
    if text.starts_with('\u{feff}') {
        return Err("a byte order mark".to_owned());
    }
    if let Some(at) = text.find('\r') {
        return Err(format!("CR at {at}"));
    }
    let lines = text.strip_suffix('\n').ok_or("no LF at the end")?;
    let (mut blocks, mut data) = (0, 0);
    for line in lines.split('\n') {
        if line.is_empty() {
            if data == 0 {
                return Err(format!(
                    "a blank line without data before it, in block {blocks}"
                ));
            }
            data = 0;
            blocks += 1;
        } else if !line.starts_with(':') {
            let (name, value) = line.split_once(':').ok_or(format!("no colon: {line:?}"))?;
            match name {
                "data" if value.starts_with(' ') => data += 1,
                // A field after the data would be lost if the block were cut there.
                _ if data > 0 => return Err(format!("{name} after data")),
                "event" if value.starts_with(' ') => {}
                "id" if value.is_empty() || value.starts_with(' ') => {}
                "retry" if value[1..].bytes().all(|byte| byte.is_ascii_digit()) => {}
                _ => return Err(format!("no such line: {line:?}")),
            }
        } else if data > 0 {
            return Err("a comment within an event".to_owned());
        }
    }
    match data {
        0 => Ok(blocks),
        _ => Err("the last event is not closed".to_owned()),
    }
}

#[test]
fn the_grammar_refuses_what_the_library_must_not_write() {
    assert_eq!(
        check(b":\nretry: 5\nid: 1\ndata: x\n\n: c\ndata: y\n\n"),
        Ok(2)
    );
    for bad in [
        "\u{feff}data: x\n\n",
        "data: x\r\n\n",
        "data: x\n",
        "data:x\n\n",
        "data\n\n",
        "\n",
        "id: 1\n\n",
        "data: x\nid: 1\n\n",
        "data: x\n: c\n\n",
        "date: x\n\n",
        "retry: -1\ndata: x\n\n",
        "data: x\n\ndata: y",
    ] {
        check(bad.as_bytes()).expect_err(bad);
    }
}
