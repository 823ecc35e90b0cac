//! Who gets a stream at all: credentials, what is asked for, the preflight, the page's own policies.

use http::Method;

use super::{Finding, Verdict, answered, found, good, texts};
use crate::{
    browser::{
        Credentials, Origin, PreflightBlock, cors_check,
        page::{AddressSpace, ContentPolicy, bad_port, is_mixed_content},
    },
    http::Recording,
    observe::{Survey, UNKNOWN_HEADER, asked_headers, foreign, preflight_headers, seen},
    target::Expectation,
};

const OPENS: &str = "the stream opens without credentials";

/// Without credentials there is no stream.
pub(super) fn auth(survey: &Survey) -> Verdict {
    if survey.others.anonymous.is_none() {
        return no_credentials(survey);
    }
    let head = &answered(&survey.others.anonymous, " without credentials")?.head;
    if head.is_stream() {
        return found(texts::AUTH.seen(OPENS));
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
    let schemes = ["basic", "negotiate", "digest"];
    if schemes.iter().any(|scheme| dialog.starts_with(scheme)) {
        findings.push(texts::DIALOG.seen(format!("`WWW-Authenticate: {dialog}`")));
    }
    Ok((seen, findings))
}

/// The target has no credentials, so the stream itself was asked for without.
fn no_credentials(survey: &Survey) -> Verdict {
    if !survey.target.expects(&Expectation::Auth) {
        return Err("no --bearer, --cookie or --ticket-url was given".to_owned());
    }
    let finding = match survey.main.head.status {
        401 => return good("status 401 without credentials"),
        200 => texts::AUTH.seen(OPENS),
        status => texts::EXPECTED_401.seen(format!("status {status} without credentials, not 401")),
    };
    found(finding.unmet_if(true))
}

/// Whoever does not ask for an event stream had better not get one.
pub(super) fn accept(survey: &Survey) -> Verdict {
    if survey.target.method != Method::GET {
        return Err("only a GET is asked for once more with another Accept".to_owned());
    }
    let head = &answered(&survey.others.not_acceptable, " to another Accept")?.head;
    match head.status {
        _ if head.is_stream() => {
            found(texts::ACCEPT.seen("`Accept: application/json` opens a stream"))
        }
        406 => good("406"),
        status => good(format!("status {status}, no stream")),
    }
}

/// The preflight of fetch clients. An `EventSource` never asks.
pub(super) fn preflight(survey: &Survey) -> Verdict {
    let needed = !preflight_headers(&survey.target).is_empty();
    if let Some(Err(why)) = &survey.others.preflight
        && needed
        && !why.is_inconclusive()
    {
        return found(texts::PREFLIGHT.seen(format!("no answer: {why}")));
    }
    let recording = answered(&survey.others.preflight, "")?;
    let (status, headers) = (recording.head.status, &recording.head.headers);
    let age = headers.text("access-control-max-age");
    let age = age.as_deref().unwrap_or("not said");
    let mut seen = format!("status {status}, max age {age}");
    let mut findings = Vec::new();
    match passes(survey, recording, &survey.origin()) {
        Ok(()) => {}
        Err(block) if needed => {
            // Without credentials Chromium and Firefox still let `*` cover Authorization, against the standard.
            let lenient = block == PreflightBlock::AuthorizationByName
                && survey.target.credentials == Credentials::Omit
                && headers.lists("access-control-allow-headers", "*");
            let text = match block {
                PreflightBlock::Header(_)
                | PreflightBlock::AuthorizationByName
                | PreflightBlock::Unreadable(..) => texts::PREFLIGHT_LISTS,
                _ => texts::PREFLIGHT,
            };
            let seen = match block {
                PreflightBlock::Status(_) => format!("refused: {block}"),
                _ => format!("refused (status {status}): {block}"),
            };
            findings.push(text.advice_if(lenient).seen(seen));
        }
        Err(block) => seen = format!("refused ({block}), which an EventSource does not notice"),
    }
    findings.extend(open_to_outsiders(survey));
    findings.extend(echo(survey));
    Ok((seen, findings))
}

pub(super) fn passes(
    survey: &Survey,
    reply: &Recording,
    origin: &Origin,
) -> Result<(), PreflightBlock> {
    let target = &survey.target;
    let (method, asked) = (target.method.as_str(), asked_headers(target));
    reply.permits(origin, target.credentials, method, &asked)
}

/// A preflight that lets everybody in. If the stream itself is then refused, little is gained by it.
fn open_to_outsiders(survey: &Survey) -> Option<Finding> {
    let reply = seen(&survey.others.preflight_denied)?;
    let origin = foreign();
    cors_check(&reply.head.headers, &origin, Credentials::Include).ok()?;
    let refused = survey.others.denied.iter().any(|denied| {
        let answer = denied.attempt.as_ref();
        denied.origin == origin && answer.is_ok_and(|r| r.head.status != 200)
    });
    let seen = format!("the preflight lets the foreign origin {origin} in, with credentials");
    Some(texts::PREFLIGHT_OPEN.advice_if(refused).seen(seen))
}

/// A preflight that allows whatever it is asked for.
fn echo(survey: &Survey) -> Option<Finding> {
    let headers = &seen(&survey.others.preflight_unknown)?.head.headers;
    let named = headers.lists("access-control-allow-headers", UNKNOWN_HEADER);
    let what = format!("the unknown header `{UNKNOWN_HEADER}`: it echoes what it is asked for");
    (named && survey.target.credentials == Credentials::Include)
        .then(|| texts::PREFLIGHT_ECHO.seen(format!("the preflight allows {what}")))
}

/// Nothing but the reply's own headers may stop the page.
pub(super) fn page(survey: &Survey) -> Verdict {
    let (route, head) = (&survey.main.route, &survey.main.head);
    let mut findings = Vec::new();
    if let Some(port) = route.urls().find_map(bad_port) {
        findings
            .push(texts::BAD_PORT.seen(format!("port {port}, which browsers never connect to")));
    }
    let Some(origin) = &survey.target.origin else {
        return match findings.is_empty() {
            true => Err("no page was given with --page or --origin".to_owned()),
            false => Ok(("a port that browsers block".to_owned(), findings)),
        };
    };
    let mut seen = Vec::new();
    if let Some(plain) = route.urls().find(|url| is_mixed_content(origin, url)) {
        let seen = format!("mixed content: a page on https opens {}", Origin::of(plain));
        findings.push(texts::MIXED_CONTENT.seen(seen));
    }
    match &survey.others.page {
        None => {}
        Some(Err(why)) => {
            let why_not = format!("the page gave no answer: {why}");
            if why.is_inconclusive() {
                return Err(why_not);
            }
            findings.push(texts::NO_PAGE.seen(why_not));
        }
        Some(Ok(page)) => {
            let url = page.route.url();
            let policy = ContentPolicy::of(&page.head.headers, &page.beginning);
            let reached = Origin::of(url);
            let ip = head.address.ip();
            seen.push(format!("page {reached}"));
            if let Some(directive) = policy.blocks(url, route) {
                let whose = "the page's Content-Security-Policy";
                let seen = format!("{whose} blocks the stream: `{directive}`");
                findings.push(texts::PAGE_POLICY.seen(seen));
            }
            if reached != *origin {
                let not = format!("so its origin is not {origin}");
                let seen = format!("the page redirects to {reached}, {not}");
                findings.push(texts::PAGE_REDIRECTS.seen(seen));
            }
            if AddressSpace::of(ip) < AddressSpace::of(page.head.address.ip()) {
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
    let alternative = head.headers.text("alt-svc");
    if alternative.is_some_and(|alternative| alternative.contains("h3")) {
        seen.push("HTTP/3 is offered (Alt-Svc) and was not tried".to_owned());
    }
    Ok((seen.join("; "), findings))
}
