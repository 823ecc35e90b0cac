//! Who gets a stream at all: credentials, what is asked for, the preflight, the page's own policies.

use super::{Finding, FindingKind, NOT_OPEN, Verdict, texts};
use crate::{
    browser::{
        Credentials, Origin, PreflightBlock, cors_check,
        event_source::is_event_stream,
        page::{AddressSpace, is_mixed_content},
        preflight_check,
    },
    http::Recording,
    observe::{Survey, UNKNOWN_HEADER, asked_headers, foreign, preflight_headers, seen},
    target::Expectation,
};

/// Without credentials there is no stream.
pub(super) fn auth(survey: &Survey) -> Verdict {
    let recording = match &survey.others.anonymous {
        None => return no_credentials(survey),
        Some(Ok(recording)) => recording,
        Some(Err(error)) => {
            return Verdict::skipped(format!("no answer without credentials: {error}"));
        }
    };
    let head = &recording.head;
    if head.status == 200 && is_event_stream(&head.headers) {
        return texts::AUTH
            .seen("the stream opens without credentials")
            .into();
    }
    let seen = format!("status {} without credentials", head.status);
    let challenge = head.headers.text("www-authenticate");
    let mut findings = Vec::new();
    if head.status != 401 {
        findings.push(texts::NOT_401.seen(format!("{seen}, not 401")));
    } else if challenge.is_none() {
        findings.push(texts::NO_CHALLENGE.seen("401 without WWW-Authenticate"));
    }
    let dialog = challenge.unwrap_or_default().to_ascii_lowercase();
    if ["basic", "negotiate", "digest"]
        .iter()
        .any(|scheme| dialog.starts_with(scheme))
    {
        findings.push(texts::DIALOG.seen(format!("`WWW-Authenticate: {dialog}`")));
    }
    Verdict::with(seen, findings)
}

/// The target has no credentials, so the stream itself was asked for without.
fn no_credentials(survey: &Survey) -> Verdict {
    if !survey.target.expects(&Expectation::Auth) {
        return Verdict::skipped("no --bearer, --cookie or --ticket-url was given");
    }
    let finding = match survey.main.head.status {
        401 => return Verdict::good("status 401 without credentials"),
        200 => texts::AUTH.seen("the stream opens without credentials"),
        status => texts::EXPECTED_401.seen(format!("status {status} without credentials, not 401")),
    };
    finding.unmet_if(true).into()
}

/// Whoever does not ask for an event stream had better not get one.
pub(super) fn accept(survey: &Survey) -> Verdict {
    let head = match &survey.others.not_acceptable {
        None => return Verdict::skipped(NOT_OPEN),
        Some(Err(why)) => return Verdict::skipped(format!("no answer to another Accept: {why}")),
        Some(Ok(recording)) => &recording.head,
    };
    match head.status {
        200 if is_event_stream(&head.headers) => texts::ACCEPT
            .seen("`Accept: application/json` opens a stream")
            .into(),
        406 => Verdict::good("406"),
        status => Verdict::good(format!("status {status}, no stream")),
    }
}

/// The preflight of fetch clients. An `EventSource` never asks.
pub(super) fn preflight(survey: &Survey) -> Verdict {
    let needed = !preflight_headers(&survey.target).is_empty();
    let recording = match &survey.others.preflight {
        None => return Verdict::skipped(NOT_OPEN),
        Some(Ok(recording)) => recording,
        Some(Err(error)) if needed && !error.is_inconclusive() => {
            return texts::PREFLIGHT.seen(format!("no answer: {error}")).into();
        }
        Some(Err(error)) => return Verdict::skipped(format!("no answer: {error}")),
    };
    let mut findings = Vec::new();
    let head = &recording.head;
    let age = head.headers.text("access-control-max-age");
    let age = age.as_deref().unwrap_or("not said");
    let mut seen = format!("status {}, max age {age}", head.status);
    match passes(survey, recording, &survey.origin()) {
        Ok(()) => {}
        Err(block) if needed => {
            // Without credentials Chromium and Firefox still let `*` cover Authorization, against the standard.
            let lenient = block == PreflightBlock::AuthorizationByName
                && survey.target.credentials == Credentials::Omit
                && head.headers.lists("access-control-allow-headers", "*");
            let kind = FindingKind::Blocked.unless(lenient);
            let text = match block {
                PreflightBlock::Header(_)
                | PreflightBlock::AuthorizationByName
                | PreflightBlock::Unreadable(..) => texts::PREFLIGHT_LISTS,
                _ => texts::PREFLIGHT,
            };
            let seen = match block {
                PreflightBlock::Status(_) => format!("refused: {block}"),
                _ => format!("refused (status {}): {block}", head.status),
            };
            findings.push(text.of_kind(kind).seen(seen));
        }
        Err(block) => seen = format!("refused ({block}), which an EventSource does not notice"),
    }
    findings.extend(open_to_outsiders(survey));
    findings.extend(echo(survey));
    Verdict::with(seen, findings)
}

pub(super) fn passes(
    survey: &Survey,
    reply: &Recording,
    origin: &Origin,
) -> Result<(), PreflightBlock> {
    preflight_check(
        reply.head.status,
        &reply.head.headers,
        origin,
        survey.target.credentials,
        survey.target.method.as_str(),
        &asked_headers(&survey.target),
    )
}

/// A preflight that lets everybody in. If the stream itself is then refused, little is gained by it.
fn open_to_outsiders(survey: &Survey) -> Option<Finding> {
    let reply = seen(survey.others.preflight_denied.as_ref())?;
    let origin = foreign();
    cors_check(&reply.head.headers, &origin, Credentials::Include).ok()?;
    let refused = survey.others.denied.iter().any(|denied| {
        let answer = denied.attempt.as_ref();
        denied.origin == origin && answer.is_ok_and(|r| r.head.status != 200)
    });
    let kind = FindingKind::Insecure.unless(refused);
    let seen = format!("the preflight lets the foreign origin {origin} in, with credentials");
    Some(texts::PREFLIGHT_OPEN.of_kind(kind).seen(seen))
}

/// A preflight that allows whatever it is asked for.
fn echo(survey: &Survey) -> Option<Finding> {
    let headers = &seen(survey.others.preflight_unknown.as_ref())?.head.headers;
    let named = headers.lists("access-control-allow-headers", UNKNOWN_HEADER);
    (named && survey.target.credentials == Credentials::Include).then(|| {
        texts::PREFLIGHT_ECHO.seen(format!(
            "the preflight allows the unknown header `{UNKNOWN_HEADER}`: it echoes what it is asked for"
        ))
    })
}

/// Nothing but the reply's own headers may stop the page.
pub(super) fn page(survey: &Survey) -> Verdict {
    let (route, head) = (&survey.main.route, &survey.main.head);
    let Some(origin) = &survey.target.origin else {
        return Verdict::skipped("no page was given with --page or --origin");
    };
    let mut findings = Vec::new();
    let mut seen = Vec::new();
    if let Some(plain) = route.urls().find(|url| is_mixed_content(origin, url)) {
        let seen = format!("mixed content: a page on https opens {}", Origin::of(plain));
        findings.push(texts::MIXED_CONTENT.seen(seen));
    }
    match &survey.others.page {
        None => {}
        Some(Err(why)) if why.is_inconclusive() => {
            return Verdict::skipped(format!("the page gave no answer: {why}"));
        }
        Some(Err(why)) => {
            findings.push(texts::NO_PAGE.seen(format!("the page gave no answer: {why}")));
        }
        Some(Ok(page)) => {
            let reached = Origin::of(&page.url);
            let ip = head.address.ip();
            seen.push(format!("page {reached}"));
            if let Some(directive) = page.policy.blocks(&page.url, route) {
                findings.push(texts::PAGE_POLICY.seen(format!(
                    "the page's Content-Security-Policy blocks the stream: `{directive}`"
                )));
            }
            if reached != *origin {
                let seen =
                    format!("the page redirects to {reached}, so its origin is not {origin}");
                findings.push(texts::PAGE_REDIRECTS.seen(seen));
            }
            if AddressSpace::of(ip) < page.space {
                let seen = format!("the stream is at {ip}, nearer than the page");
                findings.push(texts::LOCAL_NETWORK.seen(seen));
            }
        }
    }
    let site = route.site();
    seen.push(site.to_owned());
    let cookies = survey.target.credentials == Credentials::Include
        && survey.target.access.authorization().is_none();
    if site == "cross-site" && cookies {
        findings.push(texts::CROSS_SITE_COOKIES.seen("the page sends cookies to another site"));
    }
    if head
        .headers
        .text("alt-svc")
        .is_some_and(|alternative| alternative.contains("h3"))
    {
        seen.push("HTTP/3 is offered (Alt-Svc) and was not tried".to_owned());
    }
    Verdict::with(seen.join("; "), findings)
}
