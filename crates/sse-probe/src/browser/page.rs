//! What else stops a page: its Content-Security-Policy, mixed content, the local network. Pure.

use std::net::IpAddr;

use content_security_policy::{
    CheckResult, CspList, Destination, Initiator, ParserMetadata, PolicyDisposition, PolicySource,
    Request,
};
use url::{Host, Url};

use super::{
    headers::{Headers, printable},
    origin::Origin,
    redirect::Route,
};

/// The policies that a page came with: its header lines and its `<meta http-equiv>` elements.
#[derive(Debug)]
pub(crate) struct ContentPolicy(CspList);

impl ContentPolicy {
    /// From a page's headers and the beginning of its HTML.
    pub(crate) fn of(headers: &Headers, html: &[u8]) -> Self {
        let mut list = CspList(Vec::new());
        let mut add = |text: &str, source| {
            list.append(CspList::parse(text, source, PolicyDisposition::Enforce));
        };
        for line in headers.all("content-security-policy") {
            add(&String::from_utf8_lossy(line), PolicySource::Header);
        }
        for text in metas(&String::from_utf8_lossy(html)) {
            add(&text, PolicySource::Meta);
        }
        Self(list)
    }

    /// The directive that keeps the page from opening a stream that goes this way, if one does. Each redirect is
    /// compared as well.
    pub(crate) fn blocks(&self, page: &Url, route: &Route) -> Option<String> {
        let first = route.urls().next()?;
        for (count, url) in (0_u32..).zip(route.urls()) {
            let request = Request {
                url: first.clone(),
                current_url: url.clone(),
                origin: page.origin(),
                redirect_count: count,
                destination: Destination::None,
                initiator: Initiator::Fetch,
                nonce: String::new(),
                integrity_metadata: String::new(),
                parser_metadata: ParserMetadata::None,
            };
            let (result, violations) = self.0.should_request_be_blocked(&request);
            if result == CheckResult::Blocked {
                let shown = violations.first().map(|v| v.directive.to_string());
                return Some(printable(shown.unwrap_or_default().as_bytes()));
            }
        }
        None
    }
}

/// The policies in `<meta http-equiv="Content-Security-Policy" content="…">`.
fn metas(html: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = html;
    while let Some(at) = find_ignoring_case(rest, "<meta") {
        rest = rest.get(at + "<meta".len()..).unwrap_or_default();
        let (attributes, after) = attributes(rest);
        rest = after;
        let get = |name: &str| attributes.iter().find(|(n, _)| n == name).map(|(_, v)| v);
        if get("http-equiv").is_some_and(|v| v.eq_ignore_ascii_case("content-security-policy"))
            && let Some(content) = get("content")
        {
            found.push(content.replace("&#39;", "'").replace("&amp;", "&"));
        }
    }
    found
}

fn find_ignoring_case(text: &str, what: &str) -> Option<usize> {
    let mut windows = text.as_bytes().windows(what.len());
    windows.position(|window| window.eq_ignore_ascii_case(what.as_bytes()))
}

/// The attributes of a tag whose name was just read, and what follows the tag.
fn attributes(text: &str) -> (Vec<(String, String)>, &str) {
    let mut list = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if rest.is_empty() || rest.starts_with('>') {
            return (list, rest.get(1..).unwrap_or_default());
        }
        let ends = |c: char| c.is_ascii_whitespace() || matches!(c, '=' | '>' | '/');
        let end = rest.find(ends).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end.max(1).min(rest.len()));
        let Some(value) = after.trim_start().strip_prefix('=').map(str::trim_start) else {
            rest = after;
            continue;
        };
        let quoted = ['"', '\''].into_iter().find_map(|quote| {
            let rest = value.strip_prefix(quote)?;
            Some(rest.split_once(quote).unwrap_or((value, "")))
        });
        let (value, after) = quoted.unwrap_or_else(|| {
            let end = value.find(|c: char| c.is_ascii_whitespace() || c == '>');
            value.split_at(end.unwrap_or(value.len()))
        });
        list.push((name.to_ascii_lowercase(), value.to_owned()));
        rest = after;
    }
}

/// Whether a browser blocks that request of a page of `origin` as
/// [mixed content](https://www.w3.org/TR/mixed-content/): plain http from https, unless it goes to this machine.
pub(crate) fn is_mixed_content(origin: &Origin, url: &Url) -> bool {
    origin.as_str().starts_with("https://") && url.scheme() == "http" && !is_this_machine(url)
}

/// The ports that browsers [never connect to](https://fetch.spec.whatwg.org/#port-blocking).
#[rustfmt::skip]
const BAD_PORTS: [u16; 83] = [
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110, 111,
    113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554,
    556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666,
    6667, 6668, 6669, 6679, 6697, 10080,
];

/// The port of a URL, if browsers never connect to it.
pub(crate) fn bad_port(url: &Url) -> Option<u16> {
    url.port().filter(|port| BAD_PORTS.contains(port))
}

/// Whether a URL leads to this machine, by its host alone.
pub(crate) fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(host)) => host == "localhost" || host.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// The part of the network that an address belongs to, from near to far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AddressSpace {
    /// This machine.
    Loopback,
    /// A private network.
    Local,
    /// The Internet.
    Public,
}

impl AddressSpace {
    /// The space of an address, by the ranges of Local Network Access.
    pub(crate) fn of(address: IpAddr) -> Self {
        let local = match address {
            IpAddr::V4(ip) => {
                let shared = matches!(ip.octets(), [100, 64..=127, ..]);
                ip.is_private() || ip.is_link_local() || shared
            }
            IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
        };
        match local {
            _ if address.is_loopback() => Self::Loopback,
            true => Self::Local,
            false => Self::Public,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked(header: &str, html: &str, stream: &str) -> Option<String> {
        let headers = Headers::from_lines([("content-security-policy", header)]);
        let page: Url = "https://app.example.com/".parse().unwrap();
        let route = Route::new(Some(&Origin::of(&page)), stream.parse().unwrap());
        ContentPolicy::of(&headers, html.as_bytes()).blocks(&page, &route)
    }

    const API: &str = "https://api.example.com/events";

    #[test]
    fn connect_src_decides_and_default_src_stands_in_for_it() {
        for good in [
            "connect-src *",
            "connect-src https:",
            "connect-src 'self' https://*.example.com",
            "script-src 'none'",
            "connect-src https://api.example.com/events; default-src 'none'",
        ] {
            assert_eq!(blocked(good, "", API), None, "{good}");
        }
        for bad in [
            "connect-src 'self'",
            "default-src 'none'",
            "connect-src https://api.example.com/other",
            "connect-src http://api.example.com:8080",
        ] {
            assert!(blocked(bad, "", API).is_some(), "{bad}");
        }
    }

    #[test]
    fn a_meta_element_counts_as_well() {
        let html = "<!doctype html><META charset=utf-8><meta content=\"connect-src 'self'\" http-equiv=content-security-policy>";
        assert!(blocked("connect-src *", html, API).is_some());
        let harmless = "<meta name='content-security-policy' content=\"connect-src 'self'\"><meta";
        assert_eq!(blocked("connect-src *", harmless, API), None);
    }

    #[test]
    fn plain_http_from_https_is_mixed_unless_it_stays_on_the_machine() {
        let app: Origin = "https://app.example.com".parse().unwrap();
        let mixed = |url: &str| is_mixed_content(&app, &url.parse().unwrap());
        assert!(mixed("http://api.example.com/") && mixed("http://192.168.0.1/"));
        for good in [
            API,
            "http://127.0.0.1/",
            "http://a.localhost/",
            "http://[::1]/",
        ] {
            assert!(!mixed(good), "{good}");
        }
    }

    #[test]
    fn some_ports_are_never_connected_to() {
        let bad = |url: &str| bad_port(&url.parse().unwrap());
        assert_eq!(bad("http://127.0.0.1:6000/events"), Some(6000));
        assert_eq!(bad("https://api.example.com:10080/"), Some(10080));
        for good in [API, "http://x/", "http://x:8080/", "https://x:9090/"] {
            assert_eq!(bad(good), None, "{good}");
        }
    }

    #[test]
    fn addresses_have_spaces() {
        let space = |ip: &str| AddressSpace::of(ip.parse().unwrap());
        assert_eq!(space("127.0.0.1"), AddressSpace::Loopback);
        assert_eq!(space("192.168.1.1"), AddressSpace::Local);
        assert_eq!(space("fd00::1"), AddressSpace::Local);
        assert_eq!(space("203.0.113.1"), AddressSpace::Public);
    }
}
