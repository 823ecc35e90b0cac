//! The versions of HTTP.

use super::{Check, Verdict};
use crate::{
    advice,
    exchange::ExchangeError,
    finding::Finding,
    survey::{AttemptError, Survey},
    target::Expectation,
};

#[derive(Debug)]
pub(super) struct ProtocolVersions;

impl Check for ProtocolVersions {
    fn name(&self) -> &'static str {
        "protocol"
    }

    fn title(&self) -> &'static str {
        "HTTP/1.1 and HTTP/2"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
        let head = &survey.main.head;
        let version = head.version_number();
        let mut findings = Vec::new();
        let six = "browsers open six connections to a host over HTTP/1.1, for all tabs together: the seventh stream hangs";
        let expected = survey.target.expectations.contains(&Expectation::Http2);
        if expected && version != "2" {
            findings.push(Finding::fault(
                format!("HTTP/{version}, not HTTP/2"),
                six,
                advice::HTTP2,
            ));
        }
        if version == "1.0" {
            findings.push(Finding::warning(
                "HTTP/1.0",
                "the end of the stream cannot be told from a cut connection; some hop speaks HTTP/1.0",
                advice::HTTP2,
            ));
        }
        let other = match (&survey.other_protocol, version) {
            (Some(Ok(recording)), _) if recording.head.status == 200 => {
                Some(recording.head.version_number())
            }
            (Some(Err(AttemptError::Exchange(ExchangeError::NoHttp2))), "1.1") => {
                if !expected {
                    findings.push(Finding::warning("no HTTP/2", six, advice::HTTP2));
                }
                None
            }
            (Some(Ok(recording)), _) => {
                findings.push(Finding::fault(
                    format!(
                        "status {} by HTTP/{}, but 200 by HTTP/{version}",
                        recording.head.status,
                        recording.head.version_number()
                    ),
                    "clients get whichever version they negotiate",
                    advice::UNREACHABLE_VARIANT,
                ));
                None
            }
            (Some(Err(why)), _) => {
                let by = if version == "2" { "1.1" } else { "2" };
                findings.push(Finding::warning(
                    format!("by HTTP/{by}: {why}"),
                    "clients without HTTP/2, and old proxies, need HTTP/1.1",
                    advice::UNREACHABLE_VARIANT,
                ));
                None
            }
            (None, _) => None,
        };
        if head.headers.has("keep-alive") && version == "2" {
            findings.push(Finding::warning(
                "`Keep-Alive` over HTTP/2",
                "headers of one hop are forbidden in HTTP/2; strict clients refuse the reply",
                advice::HOP_BY_HOP,
            ));
        }
        let seen = match other {
            Some(other) => format!("HTTP/{version} and HTTP/{other}"),
            None => format!("HTTP/{version}"),
        };
        Verdict::with(seen, findings)
    }
}
