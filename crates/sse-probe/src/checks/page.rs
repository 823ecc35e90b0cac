//! What else stops a page: its own policies, mixed content, the local network, third-party cookies.

use super::{Finding, Verdict, remedies};
use crate::{
    browser::{
        Credentials, Origin,
        page::{AddressSpace, is_mixed_content},
    },
    observe::Survey,
};

/// Nothing but the reply's own headers may stop the page.
pub(super) fn page(survey: &Survey) -> Verdict {
    let route = &survey.main.route;
    let url = route.url();
    let mut findings = Vec::new();
    let mut seen = Vec::new();
    let Some(origin) = &survey.target.origin else {
        return Verdict::skipped("no page was given with --page or --origin");
    };
    let urls = route.redirects.iter().map(|r| &r.from).chain([url]);
    if let Some(plain) = urls.into_iter().find(|url| is_mixed_content(origin, url)) {
        findings.push(Finding::blocked(
            format!("mixed content: a page on https opens {}", host(plain)),
            "browsers block plain http from a page on https; the request is not even sent",
            remedies::MIXED_CONTENT,
        ));
    }
    let own = AddressSpace::of(survey.main.head.address.ip());
    match &survey.others.page {
        Some(Ok(page)) => {
            seen.push(format!("page {}", host(&page.url)));
            if let Some(directive) = page.policy.blocks(&page.url, route) {
                findings.push(Finding::blocked(
                    format!("the page's Content-Security-Policy blocks the stream: `{directive}`"),
                    "the browser does not send the request; the page gets an error without a reason",
                    remedies::PAGE_POLICY,
                ));
            }
            if Origin::of(&page.url) != *origin {
                findings.push(Finding::advice(
                    format!(
                        "the page redirects to {}, so its origin is not {origin}",
                        Origin::of(&page.url)
                    ),
                    "the server sees the origin of the page that was reached",
                    remedies::EXPECTED,
                ));
            }
            if own < page.space {
                findings.push(Finding::advice(
                    format!("the stream is at {}, nearer than the page", survey.main.head.address.ip()),
                    "Chromium asks the user for permission before a page reaches into the local network, and the stream waits for the answer",
                    remedies::LOCAL_NETWORK,
                ));
            }
        }
        Some(Err(why)) => return Verdict::skipped(format!("the page gave no answer: {why}")),
        None => {}
    }
    let site = route.site();
    seen.push(site.to_owned());
    if site == "cross-site"
        && survey.target.credentials == Credentials::Include
        && survey.target.access.authorization().is_none()
    {
        findings.push(Finding::advice(
            "the page sends cookies to another site",
            "Safari and Firefox withhold third-party cookies, every browser those without `SameSite=None; Secure`",
            remedies::CROSS_SITE_COOKIES,
        ));
    }
    if let Some(alternative) = survey.main.head.headers.text("alt-svc")
        && alternative.contains("h3")
    {
        seen.push("HTTP/3 is offered (Alt-Svc) and was not tried".to_owned());
    }
    Verdict::with(seen.join("; "), findings)
}

fn host(url: &url::Url) -> String {
    Origin::of(url).to_string()
}
