//! The CORS check for the origin that is to be let in.

use super::{Check, SAME_ORIGIN, Verdict};
use crate::{
    advice::{self, Remedy},
    finding::Finding,
    survey::Survey,
    target::Expectation,
    verdict::{Block, Credentials, cors_check},
};

#[derive(Debug)]
pub(super) struct Cors;

impl Check for Cors {
    fn name(&self) -> &'static str {
        "cors"
    }

    fn title(&self) -> &'static str {
        "A page of the allowed origin may read"
    }

    fn judge(&self, survey: &Survey) -> Verdict {
        if survey.target.is_same_origin() {
            return Verdict::skipped(SAME_ORIGIN);
        }
        let origin = survey.origin();
        let headers = &survey.main.head.headers;
        let mode = survey.target.credentials;
        if let Err(block) = cors_check(headers, &origin, mode) {
            return Verdict::bad(Finding::fault(
                format!("{origin} is blocked: {block}"),
                "the browser opens the stream, throws it away, and the page gets an error without a reason",
                remedies(&block),
            ));
        }
        let public = survey.target.expectations.contains(&Expectation::Public);
        if public && !survey.is_public() {
            return Verdict::bad(Finding::fault(
                "readable by this origin, but not by everyone",
                "a public stream was expected",
                advice::EXPECTED,
            ));
        }
        let allows_credentials =
            headers.get("access-control-allow-credentials").as_deref() == Some(b"true");
        let star = survey.is_public();
        let mut findings = Vec::new();
        if star && allows_credentials {
            findings.push(Finding::warning(
                "`Access-Control-Allow-Origin: *` together with `Access-Control-Allow-Credentials: true`",
                "the pair never works with credentials, and is a step away from reflecting every origin",
                advice::NO_WILDCARD,
            ));
        }
        let how = match (star, mode) {
            (true, _) => "by `*`",
            (_, Credentials::Include) => "with credentials",
            (_, Credentials::Omit) => "without credentials",
        };
        Verdict::with(format!("{origin} may read, {how}"), findings)
    }
}

fn remedies(block: &Block) -> &'static [Remedy] {
    match block {
        Block::ManyAllowOrigins(_) => advice::SINGLE_ALLOW_ORIGIN,
        Block::WildcardWithCredentials => advice::NO_WILDCARD,
        Block::NoAllowCredentials | Block::AllowCredentialsNotTrue(_) => advice::ALLOW_CREDENTIALS,
        Block::NoAllowOrigin | Block::OtherOrigin(_) => advice::ALLOW_ORIGIN,
    }
}
