//! Whether an `EventSource` opens on a reply. Pure.
//!
//! <https://html.spec.whatwg.org/multipage/server-sent-events.html#sse-processing-model>

use std::fmt;

use super::{
    cors::{Block, Credentials, cors_check},
    headers::{Headers, printable},
    mime,
    origin::Origin,
    redirect::RedirectBlock,
};

/// Why an `EventSource` fails for good.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// A redirect that a browser does not follow.
    Redirect(RedirectBlock),
    /// The CORS check failed.
    Cors(Block),
    /// The status is not 200.
    Status(u16),
    /// The content type is not `text/event-stream`.
    ContentType(Option<String>),
    /// Chromium also refuses a charset other than UTF-8.
    Charset(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redirect(block) => write!(f, "{block}"),
            Self::Cors(block) => write!(f, "{block}"),
            Self::Status(status) => write!(f, "status {status}, not 200"),
            Self::ContentType(Some(seen)) => write!(f, "content type `{seen}`"),
            Self::ContentType(None) => f.write_str("no content type that a browser can read"),
            Self::Charset(seen) => write!(f, "charset `{seen}`, which Chromium refuses"),
        }
    }
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
    let Some(mime) = mime::extract(headers) else {
        return Err(Refusal::ContentType(headers.text("content-type")));
    };
    if !mime.matches("text", "event-stream") {
        return Err(Refusal::ContentType(headers.text("content-type")));
    }
    match mime.get_parameter("charset") {
        Some(charset) if !charset.eq_ignore_ascii_case("utf-8") => {
            Err(Refusal::Charset(printable(charset.as_bytes())))
        }
        _ => Ok(()),
    }
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
}
