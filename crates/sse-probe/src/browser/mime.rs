//! [Extract a MIME type](https://fetch.spec.whatwg.org/#concept-header-extract-mime-type): the last good member of all
//! `Content-Type` lines counts. Each member is parsed by `data-url`, which follows the MIME Sniffing standard.

use data_url::mime::Mime;

use super::headers::Headers;

const CHARSET: &str = "charset";

/// What a browser takes the content type to be.
pub(crate) fn extract(headers: &Headers) -> Option<Mime> {
    let mut found: Option<Mime> = None;
    for member in split(&headers.get("content-type")?) {
        let Ok(mut mime) = member.parse::<Mime>() else {
            continue;
        };
        if mime.matches("*", "*") {
            continue;
        }
        // A later member of the same essence inherits the charset of the one before.
        if let Some(before) = &found
            && before.matches(&mime.type_, &mime.subtype)
            && mime.get_parameter(CHARSET).is_none()
            && let Some(charset) = before.get_parameter(CHARSET)
        {
            mime.parameters
                .push((CHARSET.to_owned(), charset.to_owned()));
        }
        found = Some(mime);
    }
    found
}

/// Whether a browser takes a reply with these headers for an event stream.
pub(crate) fn is_event_stream(headers: &Headers) -> bool {
    extract(headers).is_some_and(|mime| mime.matches("text", "event-stream"))
}

/// Splits at commas outside of quotes.
fn split(value: &[u8]) -> Vec<String> {
    let text: String = value.iter().map(|&b| char::from(b)).collect();
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut escaped = false;
    for c in text.chars() {
        if c == ',' && !quoted {
            parts.push(String::new());
            continue;
        }
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && c == '\\' && !escaped;
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> Option<(String, Option<String>)> {
        let headers = Headers::from_lines(lines.iter().map(|l| ("content-type", *l)));
        extract(&headers).map(|m| {
            let charset = m.get_parameter(CHARSET).map(str::to_owned);
            (format!("{}/{}", m.type_, m.subtype), charset)
        })
    }

    #[test]
    fn the_last_good_member_counts() {
        assert_eq!(
            of(&["text/plain", "text/event-stream"]).unwrap().0,
            "text/event-stream"
        );
        assert_eq!(
            of(&["text/event-stream, text/plain"]).unwrap().0,
            "text/plain"
        );
        assert_eq!(
            of(&["text/event-stream", "*/*", "junk"]).unwrap().0,
            "text/event-stream"
        );
        assert_eq!(of(&["junk"]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn parameters_are_read_and_inherited() {
        assert_eq!(
            of(&["TEXT/Event-Stream ; Charset=\"utf-8\""]).unwrap(),
            ("text/event-stream".into(), Some("utf-8".into()))
        );
        assert_eq!(
            of(&["text/event-stream;charset=utf-8", "text/event-stream"])
                .unwrap()
                .1
                .as_deref(),
            Some("utf-8")
        );
        assert_eq!(of(&["text/event stream"]), None);
    }

    #[test]
    fn a_charset_inside_of_a_quoted_value_is_none() {
        let quoted = of(&["text/event-stream;a=\";charset=latin1\""]).unwrap();
        assert_eq!(quoted, ("text/event-stream".into(), None));
        let comma = of(&["text/event-stream;a=\"x,y\""]).unwrap();
        assert_eq!(comma.0, "text/event-stream");
    }
}
