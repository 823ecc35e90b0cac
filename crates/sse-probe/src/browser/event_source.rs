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
    // Chromium takes the space around it away, and an empty one for none.
    let charset = mime.get_parameter(CHARSET).unwrap_or_default().trim();
    if charset.is_empty() || charset.eq_ignore_ascii_case("utf-8") {
        return Ok(());
    }
    Err(Refusal::Charset(printable(charset.as_bytes())))
}

/// Whether a browser takes a reply with these headers for an event stream.
pub(crate) fn is_event_stream(headers: &Headers) -> bool {
    content_type(headers).is_some_and(|mime| mime.matches("text", "event-stream"))
}

/// What a browser takes the content type to be.
fn content_type(headers: &Headers) -> Option<Mime> {
    let mut found: Option<Mime> = None;
    for member in split(&headers.get("content-type")?) {
        let mime = member.parse::<Mime>().ok();
        let Some(mut mime) = mime.filter(|mime| !mime.matches("*", "*")) else {
            continue;
        };
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

    #[test]
    fn an_event_source_wants_200_and_the_right_type() {
        let opens = |status, kind: &str, same_origin: bool| {
            let cors = (!same_origin).then_some(("Access-Control-Allow-Origin", "*"));
            let headers = Headers::from_lines([("Content-Type", kind)].into_iter().chain(cors));
            let origin = "https://app.example.com".parse().unwrap();
            event_source_opens(status, &headers, &origin, Credentials::Omit, same_origin)
        };
        for same_origin in [true, false] {
            assert_eq!(
                opens(200, "text/event-stream; charset=utf-8", same_origin),
                Ok(())
            );
            assert_eq!(
                opens(200, "Text/Event-Stream;charset=UTF-8", same_origin),
                Ok(())
            );
            let status = opens(204, "text/event-stream", same_origin);
            assert_eq!(status, Err(Refusal::Status(204)));
            let kind = opens(200, "text/plain", same_origin);
            assert!(matches!(kind, Err(Refusal::ContentType(_))));
            let charset = opens(200, "text/event-stream; charset=latin1", same_origin);
            assert!(matches!(charset, Err(Refusal::Charset(_))));
        }
    }

    #[test]
    fn a_charset_with_spaces_around_it_or_none_in_its_quotes_is_good() {
        let opens = |kind: &str| {
            let headers = Headers::from_lines([("Content-Type", kind)]);
            event_source_opens(200, &headers, &Origin::null(), Credentials::Omit, true)
        };
        // As in Chromium 156.
        for good in ["= utf-8", "=\tutf-8", "=\" utf-8 \"", "=\"\"", "=", "=  "] {
            let kind = format!("text/event-stream; charset{good}");
            assert_eq!(opens(&kind), Ok(()), "{kind}");
        }
        assert!(opens("text/event-stream; charset= latin1").is_err());
    }

    #[test]
    fn the_last_good_member_counts_and_parameters_are_inherited() {
        let stream = Some("text/event-stream");
        let cases: &[(&[&str], Option<&str>, Option<&str>)] = &[
            (&["text/plain", "text/event-stream"], stream, None),
            (&["text/event-stream, text/plain"], Some("text/plain"), None),
            (&["text/event-stream", "*/*", "junk"], stream, None),
            (&["junk"], None, None),
            (&[], None, None),
            (&["text/event stream"], None, None),
            (
                &["TEXT/Event-Stream ; Charset=\"utf-8\""],
                stream,
                Some("utf-8"),
            ),
            (
                &["text/event-stream;charset=utf-8", "text/event-stream"],
                stream,
                Some("utf-8"),
            ),
            // A charset or a comma inside of a quoted value is none.
            (&["text/event-stream;a=\";charset=latin1\""], stream, None),
            (&["text/event-stream;a=\"x,y\""], stream, None),
        ];
        for (lines, essence, charset) in cases {
            let headers = Headers::from_lines(lines.iter().map(|l| ("content-type", *l)));
            let mime = content_type(&headers);
            let seen = mime.as_ref().map(|m| format!("{}/{}", m.type_, m.subtype));
            assert_eq!(seen.as_deref(), *essence, "{lines:?}");
            let seen = mime.as_ref().and_then(|m| m.get_parameter(CHARSET));
            assert_eq!(seen, *charset, "{lines:?}");
        }
    }
}
