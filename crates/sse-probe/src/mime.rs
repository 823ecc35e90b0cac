//! [Extract a MIME type](https://fetch.spec.whatwg.org/#concept-header-extract-mime-type): the last good member of all
//! `Content-Type` lines counts.

use crate::headers::Headers;

/// A content type: essence and charset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mime {
    essence: String,
    charset: Option<String>,
}

impl Mime {
    /// `type/subtype`, in lower case.
    pub(crate) fn essence(&self) -> &str {
        &self.essence
    }

    /// The `charset` parameter.
    pub(crate) fn charset(&self) -> Option<&str> {
        self.charset.as_deref()
    }
}

/// What the browser takes the content type to be.
pub(crate) fn extract(headers: &Headers) -> Option<Mime> {
    let mut found: Option<Mime> = None;
    for member in split(&headers.get("content-type")?) {
        let Some(mut mime) = parse(&member) else {
            continue;
        };
        if mime.essence == "*/*" {
            continue;
        }
        // A later line of the same essence inherits the charset of the one before.
        if let Some(before) = &found
            && mime.charset.is_none()
            && before.essence == mime.essence
        {
            mime.charset.clone_from(&before.charset);
        }
        found = Some(mime);
    }
    found
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

/// [Parse a MIME type](https://mimesniff.spec.whatwg.org/#parse-a-mime-type), as far as it is needed here.
fn parse(text: &str) -> Option<Mime> {
    let mut parts = text.split(';');
    let (kind, subtype) = parts.next()?.trim_matches(WHITESPACE).split_once('/')?;
    let token = |t: &str| !t.is_empty() && t.bytes().all(is_token);
    if !token(kind) || !token(subtype) {
        return None;
    }
    let charset = parts.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let name = name.trim_start_matches(WHITESPACE);
        let value = match value.strip_prefix('"') {
            Some(quoted) => quoted
                .split('"')
                .next()
                .unwrap_or_default()
                .replace('\\', ""),
            None => value.trim_end_matches(WHITESPACE).to_owned(),
        };
        (name.eq_ignore_ascii_case("charset") && !value.is_empty()).then_some(value)
    });
    Some(Mime {
        essence: format!("{kind}/{subtype}").to_ascii_lowercase(),
        charset,
    })
}

const WHITESPACE: [char; 4] = [' ', '\t', '\r', '\n'];

/// A token code point of HTTP.
pub(crate) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> Option<(String, Option<String>)> {
        extract(&Headers::from_lines(
            lines.iter().map(|l| ("content-type", *l)),
        ))
        .map(|m| (m.essence, m.charset))
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
        assert_eq!(
            of(&["text/event-stream;a=\"x,y\""]).unwrap().0,
            "text/event-stream"
        );
        assert_eq!(of(&["text/event stream"]), None);
    }
}
