//! The content type.

use super::{Check, NOT_OPEN, Verdict};
use crate::{advice, finding::Finding, mime, survey::Survey};

#[derive(Debug)]
pub(super) struct ContentType;

impl Check for ContentType {
    fn name(&self) -> &'static str {
        "content_type"
    }

    fn title(&self) -> &'static str {
        "The content type is text/event-stream"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
        if !survey.opened() {
            return Verdict::skipped(NOT_OPEN);
        }
        let headers = &survey.main.head.headers;
        let shown = headers.text("content-type");
        let why = "an EventSource ends for good on any other content type";
        let Some(mime) = mime::extract(headers).filter(|m| m.essence() == "text/event-stream")
        else {
            let seen = shown.map_or_else(|| "no Content-Type".to_owned(), |s| format!("`{s}`"));
            return Verdict::bad(Finding::fault(seen, why, advice::CONTENT_TYPE));
        };
        let shown = shown.unwrap_or_default();
        let mut findings = Vec::new();
        if headers.count("content-type") > 1 {
            findings.push(Finding::fault(
                format!("several Content-Type lines: `{shown}`"),
                "clients take different ones of several lines",
                advice::CONTENT_TYPE,
            ));
        }
        match mime.charset() {
            Some(charset) if !charset.eq_ignore_ascii_case("utf-8") => {
                findings.push(Finding::fault(
                    format!("charset in `{shown}`"),
                    "event streams are always UTF-8, and Chromium refuses any other charset",
                    advice::CONTENT_TYPE,
                ));
            }
            Some(_) => {}
            None => findings.push(Finding::note(
                format!("no charset in `{shown}`"),
                "browsers read UTF-8 anyway; some libraries take ISO-8859-1 for text without a charset",
                advice::CONTENT_TYPE,
            )),
        }
        Verdict::with(shown, findings)
    }
}
