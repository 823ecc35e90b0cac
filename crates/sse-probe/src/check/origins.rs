//! Strangers: foreign origins, look-alikes, `null`, and those that the user named.

use super::{Check, SAME_ORIGIN, Verdict};
use crate::{
    advice,
    exchange::Recording,
    finding::{Finding, Level},
    survey::{Denied, Stranger, Survey},
    target::Access,
    verdict::{Credentials, cors_check},
};

#[derive(Debug)]
pub(super) struct Origins;

impl Check for Origins {
    fn name(&self) -> &'static str {
        "origins"
    }

    fn title(&self) -> &'static str {
        "Other origins are kept out"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
        if survey.target.is_same_origin() {
            return Verdict::skipped(SAME_ORIGIN);
        }
        if survey.denied.is_empty() {
            return Verdict::skipped(super::NOT_OPEN);
        }
        let mut findings = Vec::new();
        let mut opened = Vec::new();
        let mut unanswered = Vec::new();
        let mut judged = 0;
        for denied in &survey.denied {
            // Everybody may read a public stream; only who was named is expected to be kept out.
            if survey.is_public() && denied.who != Stranger::Named {
                continue;
            }
            let Ok(recording) = &denied.attempt else {
                unanswered.push(denied);
                continue;
            };
            judged += 1;
            if let Some(finding) = open_door(denied, recording) {
                findings.push(finding);
            } else if recording.head.status == 200 {
                opened.push(denied.origin.as_str());
            }
        }
        if survey.is_public() && judged == 0 {
            return Verdict::good("the stream is public: every origin may read");
        }
        if !opened.is_empty() {
            let level = match survey.target.access {
                Access::Open => Level::Note,
                _ => Level::Warning,
            };
            findings.push(Finding::new(
                level,
                format!("opened for {} of {judged} other origins ({}), though browsers keep the page from reading", opened.len(), first(&opened)),
                "a foreign page can make visitors open streams that hold slots and memory; answer 403 before the stream begins",
                advice::DENY_ORIGIN,
            ));
        }
        if let Some(denied) = unanswered.first() {
            let why = denied.attempt.as_ref().err().map(ToString::to_string);
            findings.push(Finding::warning(
                format!(
                    "{} of {} other origins got no answer: {}",
                    unanswered.len(),
                    survey.denied.len(),
                    why.unwrap_or_default()
                ),
                "whether they are kept out is not known",
                advice::UNREACHABLE_VARIANT,
            ));
        }
        Verdict::with(format!("{judged} other origins tried"), findings)
    }
}

/// A stranger that a browser would let read.
fn open_door(denied: &Denied, recording: &Recording) -> Option<Finding> {
    let headers = &recording.head.headers;
    let origin = &denied.origin;
    let who = match denied.who {
        Stranger::Foreign => format!("the foreign origin {origin}"),
        Stranger::Named => format!("{origin}, which is to be kept out,"),
        Stranger::LookAlike(trick) => format!("the look-alike {origin} ({})", trick.words()),
        Stranger::Null => "the origin `null`".to_owned(),
    };
    if cors_check(headers, origin, Credentials::Include).is_ok() {
        return Some(Finding::fault(
            format!("{who} may read with credentials"),
            "any such page reads the stream with its visitor's cookies",
            advice::DENY_ORIGIN,
        ));
    }
    let wildcard = headers.get("access-control-allow-origin").as_deref() == Some(b"*");
    if cors_check(headers, origin, Credentials::Omit).is_ok() && recording.head.status == 200 {
        return Some(if wildcard {
            Finding::fault(
                format!("{who} may read without credentials, by `*`"),
                "the stream is open to every page on the web",
                advice::NO_WILDCARD,
            )
        } else {
            Finding::fault(
                format!("{who} may read without credentials: its origin is reflected"),
                "the stream is open to every page on the web that the matcher takes for an allowed one",
                advice::DENY_ORIGIN,
            )
        });
    }
    None
}

fn first(list: &[&str]) -> String {
    match list {
        [one] => (*one).to_owned(),
        [one, ..] => format!("{one} and others"),
        [] => String::new(),
    }
}
