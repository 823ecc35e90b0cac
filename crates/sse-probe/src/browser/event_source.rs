//! Whether an `EventSource` opens on a reply. Pure.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#sse-processing-model>
//!
//! [Extracting a MIME type](https://fetch.spec.whatwg.org/#concept-header-extract-mime-type): the last good member of all
//! `Content-Type` lines counts. Each member is parsed by `data-url`, which follows the MIME Sniffing standard.

use data_url::mime::Mime;
use thiserror::Error;

use super::{
    cors::{Block, Credentials, cors_check},
    headers::{Headers, printable},
    origin::Origin,
    redirect::RedirectBlock,
};

const CHARSET: &str = "charset";

/// Why an `EventSource` fails for good.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A redirect that a browser does not follow.
    #[error("{0}")]
    Redirect(RedirectBlock),
    /// The CORS check failed.
    #[error("{0}")]
    Cors(Block),
    /// The status is not 200.
    #[error("status {0}, not 200")]
    Status(u16),
    /// The content type is not `text/event-stream`.
    #[error("{}", .0.as_ref().map_or("no content type that a browser can read".to_owned(), |t| format!("content type `{t}`")))]
    ContentType(Option<String>),
    /// Chromium also refuses a charset other than UTF-8.
    #[error("charset `{0}`, which Chromium refuses")]
    Charset(String),
}

/// Whether an `EventSource` of a page of `origin` opens on this reply. Redirects must have been followed before.
///
/// `same_origin` replies need no CORS headers.
///
/// # Errors
///
/// The first reason, in the order in which a browser looks.
pub fn event_source_opens(
    status: u16,
    headers: &Headers,
    origin: &Origin,
    credentials: Credentials,
    same_origin: bool,
) -> Result<(), Refusal> {
    if !same_origin {
        cors_check(headers, origin, credentials).map_err(Refusal::Cors)?;
    }
    if status != 200 {
        return Err(Refusal::Status(status));
    }
    let mime = content_type(headers).filter(|mime| mime.matches("text", "event-stream"));
    let mime = mime.ok_or_else(|| Refusal::ContentType(headers.text("content-type")))?;
    match mime.get_parameter(CHARSET) {
        Some(charset) if !charset.eq_ignore_ascii_case("utf-8") => {
            Err(Refusal::Charset(printable(charset.as_bytes())))
        }
        _ => Ok(()),
    }
}

/// Whether a browser takes a reply with these headers for an event stream.
pub(crate) fn is_event_stream(headers: &Headers) -> bool {
    content_type(headers).is_some_and(|mime| mime.matches("text", "event-stream"))
}

/// What a browser takes the content type to be.
fn content_type(headers: &Headers) -> Option<Mime> {
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
            let inherited = (CHARSET.to_owned(), charset.to_owned());
            mime.parameters.push(inherited);
        }
        found = Some(mime);
    }
    found
}

/// Splits at commas outside of quotes.
fn split(value: &[u8]) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in value.iter().map(|&b| char::from(b)) {
        if c == ',' && !quoted {
            parts.push(String::new());
            continue;
        }
        quoted ^= c == '"' && !escaped;
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

    const APP: &str = "https://app.example.com";

    #[test]
    fn an_event_source_wants_200_and_the_right_type() {
        let opens = |status, kind: &str| {
            event_source_opens(
                status,
                &Headers::from_lines([
                    ("Content-Type", kind),
                    ("Access-Control-Allow-Origin", "*"),
                ]),
                &APP.parse().unwrap(),
                Credentials::Omit,
                false,
            )
        };
        assert_eq!(opens(200, "text/event-stream; charset=utf-8"), Ok(()));
        assert_eq!(opens(200, "Text/Event-Stream;charset=UTF-8"), Ok(()));
        assert_eq!(opens(204, "text/event-stream"), Err(Refusal::Status(204)));
        assert!(matches!(
            opens(200, "text/plain"),
            Err(Refusal::ContentType(_))
        ));
        assert!(matches!(
            opens(200, "text/event-stream; charset=latin1"),
            Err(Refusal::Charset(_))
        ));
    }

    #[test]
    fn a_page_of_the_same_origin_needs_no_cors_headers() {
        let headers = Headers::from_lines([("Content-Type", "text/event-stream")]);
        let origin = APP.parse().unwrap();
        assert_eq!(
            event_source_opens(200, &headers, &origin, Credentials::Include, true),
            Ok(())
        );
    }

    fn of(lines: &[&str]) -> Option<(String, Option<String>)> {
        let headers = Headers::from_lines(lines.iter().map(|l| ("content-type", *l)));
        content_type(&headers).map(|m| {
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
