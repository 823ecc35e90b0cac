//! One and only one `Access-Control-Allow-Origin`, on every reply.

use super::{Check, Verdict};
use crate::{
    advice,
    finding::Finding,
    headers::Headers,
    survey::{Attempt, Survey},
};

#[derive(Debug)]
pub(super) struct AllowOrigin;

impl Check for AllowOrigin {
    fn name(&self) -> &'static str {
        "allow_origin_once"
    }

    fn title(&self) -> &'static str {
        "Access-Control-Allow-Origin stands once"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
        let mut worst: Option<(&'static str, &Headers)> = None;
        let mut consider = |what, headers| {
            if worst.is_none() && is_doubled(headers) {
                worst = Some((what, headers));
            }
        };
        consider("the stream", &survey.main.head.headers);
        let headers = |attempt: &Option<Attempt>| match attempt {
            Some(Ok(recording)) => Some(recording.head.headers.clone()),
            _ => None,
        };
        let others = [
            ("the preflight", headers(&survey.preflight)),
            ("the reply without credentials", headers(&survey.anonymous)),
            (
                "the reply to another Accept",
                headers(&survey.not_acceptable),
            ),
        ];
        for (what, headers) in &others {
            if let Some(headers) = headers {
                consider(what, headers);
            }
        }
        if let Some((what, headers)) = worst {
            let text = headers
                .text("access-control-allow-origin")
                .unwrap_or_default();
            return Verdict::bad(Finding::fault(
                format!(
                    "{what} has {} lines of it: `{text}`",
                    headers.count("access-control-allow-origin")
                ),
                "browsers join the lines and compare the result with the origin, so even two equal lines are blocked",
                advice::SINGLE_ALLOW_ORIGIN,
            ));
        }
        if survey.main.head.headers.has("access-control-allow-origin") {
            Verdict::good("once")
        } else {
            Verdict::good("not at all")
        }
    }
}

fn is_doubled(headers: &Headers) -> bool {
    let value = headers
        .get("access-control-allow-origin")
        .unwrap_or_default();
    headers.count("access-control-allow-origin") > 1 || value.contains(&b',')
}
