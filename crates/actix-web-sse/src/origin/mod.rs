//! Whose page is asking: the `Origin` header against the allow-list.

mod pattern;
mod verdict;
mod wildcard;

use std::{borrow::Borrow, collections::HashSet, sync::Arc};

pub(crate) use self::{
    pattern::OriginPattern,
    verdict::{Reflects, is_same_origin, judge, would_refuse},
};

/// Longer than any origin a browser sends: what is longer is not looked at.
const MAX_ORIGIN: usize = 2048;

/// The allow-list.
#[derive(Debug, Clone, Default)]
pub(crate) struct OriginList {
    any: Option<Arc<str>>,
    exact: HashSet<Exact>,
    patterns: Vec<OriginPattern>,
}

/// An exact origin, found by its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Exact(Arc<str>);

impl std::hash::Hash for Exact {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.as_bytes().hash(state);
    }
}

impl Borrow<[u8]> for Exact {
    fn borrow(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl OriginList {
    pub(crate) fn new(entries: impl IntoIterator<Item = OriginPattern>) -> Self {
        let mut list = Self::default();
        for entry in entries {
            if entry.is_any() {
                list.any = Some(Arc::clone(entry.text()));
            } else if entry.is_exact() {
                list.exact.insert(Exact(Arc::clone(entry.text())));
            } else {
                list.patterns.push(entry);
            }
        }
        list
    }

    /// Every origin is allowed.
    pub(crate) const fn is_public(&self) -> bool {
        self.any.is_some()
    }

    /// Every entry as the configuration has it.
    pub(crate) fn entries(&self) -> Vec<Arc<str>> {
        let exact = self.exact.iter().map(|Exact(entry)| entry);
        let patterns = self.patterns.iter().map(OriginPattern::text);
        let mut entries: Vec<_> = self
            .any
            .iter()
            .chain(exact)
            .chain(patterns)
            .cloned()
            .collect();
        entries.sort_unstable();
        entries
    }

    /// The entry that allows the origin.
    pub(crate) fn find(&self, origin: &[u8]) -> Option<&Arc<str>> {
        if let Some(any) = &self.any {
            return Some(any);
        }
        if origin.len() > MAX_ORIGIN {
            return None;
        }
        if let Some(Exact(entry)) = self.exact.get(origin) {
            return Some(entry);
        }
        self.patterns
            .iter()
            .find(|pattern| pattern.matches(origin))
            .map(OriginPattern::text)
    }
}

/// What an `Origin` header can be, before anybody asks whether it is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OriginHeader<'a> {
    /// None was sent.
    Absent,
    /// Not one serialised origin: a list, two headers, empty, bytes that no browser sends.
    Malformed,
    /// The opaque origin.
    Null,
    /// Something that may be an origin.
    Value(&'a [u8]),
}

impl<'a> OriginHeader<'a> {
    /// Reads the request's `Origin` lines.
    pub(crate) fn read(mut lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let Some(line) = lines.next() else {
            return Self::Absent;
        };
        if lines.next().is_some() || line.is_empty() || line.len() > MAX_ORIGIN {
            return Self::Malformed;
        }
        if line == b"null" {
            return Self::Null;
        }
        if line
            .iter()
            .all(|byte| byte.is_ascii_graphic() && *byte != b',')
        {
            Self::Value(line)
        } else {
            Self::Malformed
        }
    }
}

/// Whether an origin is the one that the request went to.
///
/// `Sec-Fetch-Site: same-origin` cannot be forged by a page; without it the scheme must agree
/// as well, for an `http` page of the same host is somebody else's.
pub(crate) fn is_own(
    origin: &[u8],
    authority: Option<&[u8]>,
    scheme: &str,
    says_same_origin: Option<bool>,
) -> bool {
    let Some(split) = origin.windows(3).position(|part| part == b"://") else {
        return false;
    };
    let (own_scheme, rest) = origin.split_at(split);
    let Some(host) = rest.get(3..) else {
        return false;
    };
    let scheme_agrees = match says_same_origin {
        Some(says) => says && matches!(own_scheme, b"http" | b"https"),
        None => own_scheme == scheme.as_bytes(),
    };
    scheme_agrees
        && !host.is_empty()
        && authority.is_some_and(|authority| {
            without_default_port(authority, own_scheme).eq_ignore_ascii_case(host)
        })
}

/// A client may name the default port in `Host`; an origin never has it.
fn without_default_port<'a>(authority: &'a [u8], scheme: &[u8]) -> &'a [u8] {
    let default: &[u8] = if scheme == b"https" { b":443" } else { b":80" };
    authority.strip_suffix(default).unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(entries: &[&str]) -> OriginList {
        OriginList::new(
            entries
                .iter()
                .map(|text| OriginPattern::parse(text).unwrap()),
        )
    }

    fn reference() -> OriginList {
        list(&[
            "https://app.example.com",
            "https://*.tenant.example.net",
            "http://localhost:5173",
        ])
    }

    #[test]
    fn o02_to_o18_only_the_very_bytes_are_allowed() {
        let list = reference();
        for origin in [
            "https://evilapp.example.com",
            "https://evil-app.example.com",
            "https://app.example.com.evil.com",
            "https://appXexample.com",
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com:443",
            "HTTPS://APP.EXAMPLE.COM",
            "https://app.example.com/",
            "https://app.example.com@evil.com",
            "null",
            "https://app.example.com`.evil.com",
            "https://app.example.com_.evil.com",
            "https://app.example.com{.evil.com",
            "https://app.example.com!.evil.com",
            "https://app.example.com%60.evil.com",
            "http://[::1]:5173",
            "http://127.0.0.1:5173",
            "chrome-extension://abcd",
            "file://",
            "app://-",
        ] {
            assert_eq!(list.find(origin.as_bytes()), None, "{origin}");
        }
        assert_eq!(
            list.find(b"https://app.example.com").map(|entry| &**entry),
            Some("https://app.example.com")
        );
        assert_eq!(
            list.find(b"https://a.tenant.example.net")
                .map(|entry| &**entry),
            Some("https://*.tenant.example.net")
        );
    }

    #[test]
    fn o15_o17_what_is_not_one_origin_is_malformed() {
        let read = |lines: &[&'static [u8]]| OriginHeader::read(lines.iter().copied());
        assert_eq!(read(&[]), OriginHeader::Absent);
        assert_eq!(read(&[b"null"]), OriginHeader::Null);
        for lines in [
            &[b"".as_slice()] as &[&[u8]],
            &[b"https://app.example.com, https://evil.com"],
            &[b"https://app.example.com https://evil.com"],
            &[b"https://app.example.com", b"https://evil.com"],
            &["https://\u{430}pp.example.com".as_bytes()],
            &[b"\xff"],
        ] {
            assert_eq!(read(lines), OriginHeader::Malformed, "{lines:?}");
        }
    }

    #[test]
    fn o21_the_own_origin() {
        let own = |origin: &str, authority: &str, scheme, says| {
            is_own(origin.as_bytes(), Some(authority.as_bytes()), scheme, says)
        };
        assert!(own(
            "https://api.example.com",
            "api.example.com",
            "http",
            Some(true)
        ));
        assert!(own(
            "https://api.example.com",
            "api.example.com:443",
            "http",
            Some(true)
        ));
        assert!(own("http://localhost:8080", "localhost:8080", "http", None));
        assert!(!own(
            "https://api.example.com",
            "api.example.com",
            "http",
            None
        ));
        assert!(!own(
            "https://api.example.com",
            "api.example.com",
            "https",
            Some(false)
        ));
        assert!(!own(
            "https://evil.com",
            "api.example.com",
            "https",
            Some(true)
        ));
        assert!(!own("https://", "", "https", Some(true)));
        assert!(!own("x", "x", "https", Some(true)));
        assert!(!is_own(b"https://a", None, "https", Some(true)));
    }

    proptest! {
        #[test]
        fn nothing_but_an_entry_or_a_sub_domain_of_one_is_ever_found(origin in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(reference().find(&origin).is_none());
        }

        #[test]
        fn a_found_origin_has_the_host_that_a_browser_would_go_to(
            before in "[ -~]{0,12}",
            after in "[ -~]{0,12}",
        ) {
            let origin = format!("https://{before}.tenant.example.net{after}");
            if reference().find(origin.as_bytes()).is_some() {
                let url = url::Url::parse(&origin).unwrap();
                prop_assert_eq!(url.origin().ascii_serialization(), origin);
                prop_assert!(url.host_str().unwrap().ends_with(".tenant.example.net"));
            }
        }
    }
}
