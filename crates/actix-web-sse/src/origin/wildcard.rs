//! Wildcards that stand for less than a label, or for more than a host: `https://*--name.example.app`
//! and `moz-extension://*`.
//!
//! Preview deployments and extensions have origins that nobody can list. What such an entry opens
//! depends on who gives out the names, which cannot be seen from it; so each kind has to be allowed
//! by a flag of its own.

use url::Host;

use super::pattern::{MAX_LABEL, canonical, is_label_byte, public_suffix};

/// Stands for the wildcard while an entry is checked as an origin. No name has it by chance.
const PLACEHOLDER: &str = "zq0qz";

/// One label with a wildcard in it, of an otherwise exact origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InsideLabel {
    /// `https://name-`.
    before: Box<str>,
    /// `-team.example.app:8443`.
    after: Box<str>,
    /// How many bytes of the label the entry has.
    fixed: usize,
}

/// Every host of a scheme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WholeScheme {
    /// `moz-extension://`.
    prefix: Box<str>,
}

impl InsideLabel {
    /// Reads `scheme://label-with-*.domain`; says too whether it is plain `http`.
    ///
    /// # Errors
    /// What is wrong with it, and what to write instead.
    pub(super) fn parse(scheme: &str, rest: &str) -> Result<(Self, bool), String> {
        let (label, domain) = rest.split_once('.').unwrap_or((rest, ""));
        let (head, tail) = match label.split_once('*') {
            Some((head, tail)) if !tail.contains('*') && !domain.contains('*') => (head, tail),
            _ => return Err(ONE_WILDCARD.into()),
        };
        if domain.is_empty() {
            return Err("a wildcard stands before a domain: https://*.example.com".into());
        }
        if head.starts_with("xn--") {
            return Err("a wildcard cannot stand inside an encoded label (xn--)".into());
        }
        let (url, plain_http) =
            canonical(&format!("{scheme}://{head}{PLACEHOLDER}{tail}.{domain}"))
                .map_err(|message| message.replace(PLACEHOLDER, "*"))?;
        let Some(Host::Domain(host)) = url.host() else {
            return Err("a wildcard stands in a domain name, not in an address".into());
        };
        let parent = host.split_once('.').map_or("", |(_, parent)| parent);
        if let Some((suffix, true)) = public_suffix(parent) {
            let remedy = match (head, tail) {
                ("", tail) => format!("for its sub-domains write {scheme}://*.{tail}.{domain}"),
                _ => "list the origins".to_owned(),
            };
            return Err(format!(
                "anybody can register a name like {label} below {suffix}: {remedy}"
            ));
        }
        let inside = Self {
            before: format!("{scheme}://{head}").into(),
            after: format!("{tail}.{domain}").into(),
            fixed: head.len() + tail.len(),
        };
        Ok((inside, plain_http))
    }

    /// One byte of a label or more in the wildcard's place, and no dot.
    pub(super) fn matches(&self, origin: &[u8]) -> bool {
        origin
            .strip_prefix(self.before.as_bytes())
            .and_then(|rest| rest.strip_suffix(self.after.as_bytes()))
            .is_some_and(|wild| {
                (1..=MAX_LABEL.saturating_sub(self.fixed)).contains(&wild.len())
                    && wild.iter().all(is_label_byte)
            })
    }

    /// The domain that the label stands before.
    pub(super) fn domain(&self) -> &str {
        let domain = self.after.split_once('.').map_or("", |(_, domain)| domain);
        domain.split_once(':').map_or(domain, |(host, _)| host)
    }
}

impl WholeScheme {
    /// Every origin of a scheme that was checked.
    pub(super) fn of(scheme: &str) -> Self {
        Self {
            prefix: format!("{scheme}://").into(),
        }
    }

    /// One name without dots. It may have capitals: browsers leave the hosts of such schemes as
    /// they are.
    pub(super) fn matches(&self, origin: &[u8]) -> bool {
        origin
            .strip_prefix(self.prefix.as_bytes())
            .is_some_and(|name| {
                (1..=MAX_LABEL).contains(&name.len())
                    && name
                        .iter()
                        .all(|byte| is_label_byte(&byte.to_ascii_lowercase()))
            })
    }
}

/// What is said of two wildcards, or of one in a wrong place.
pub(super) const ONE_WILDCARD: &str = "one wildcard, in the first label: https://*.example.com stands for whole labels, \
     https://name-*.example.com for a part of one";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::OriginPattern;

    fn pattern(text: &str) -> OriginPattern {
        OriginPattern::parse(text).unwrap()
    }

    #[test]
    fn w13_a_wildcard_inside_a_label_stands_for_a_part_of_it() {
        let previews = pattern("https://*--name.example.app");
        let long = format!("https://{}--name.example.app", "a".repeat(57));
        for origin in [
            "https://deploy-preview-7--name.example.app",
            "https://a--name.example.app",
            "https://a_b--name.example.app",
            "https://a--name--name.example.app",
            &long,
        ] {
            assert!(previews.matches(origin.as_bytes()), "{origin}");
        }
        let too_long = format!("https://{}--name.example.app", "a".repeat(58));
        for origin in [
            "https://--name.example.app",
            "https://name.example.app",
            "https://a.b--name.example.app",
            "https://a.--name.example.app",
            "https://a--name.example.app.evil.com",
            "https://a--name.example.app:8443",
            "https://a--name.example.app/",
            "http://a--name.example.app",
            "https://A--name.example.app",
            "https://a--nameXexample.app",
            "https://evil.com#--name.example.app",
            "https://evil.com/--name.example.app",
            "https://evil.com:80--name.example.app",
            "https://me@evil--name.example.app",
            "https://a`--name.example.app",
            &too_long,
        ] {
            assert!(!previews.matches(origin.as_bytes()), "{origin}");
        }
        let team = pattern("https://name-*-team.example.app:8443");
        assert!(team.matches(b"https://name-a1b2-team.example.app:8443"));
        for origin in [
            "https://name-team.example.app:8443",
            "https://name--team.example.app:8443",
            "https://name-a-team.example.app",
            "https://name-a.b-team.example.app:8443",
        ] {
            assert!(!team.matches(origin.as_bytes()), "{origin}");
        }
        assert!(pattern("https://name-*.example.app").matches(b"https://name-x.example.app"));
    }

    #[test]
    fn w13_a_scheme_has_names_without_dots() {
        let extensions = pattern("moz-extension://*");
        for origin in [
            "moz-extension://c0ffee00-1234-4abc-8def-0123456789ab",
            "moz-extension://C0FFEE",
        ] {
            assert!(extensions.matches(origin.as_bytes()), "{origin}");
        }
        for origin in [
            "moz-extension://",
            "moz-extension://a.b",
            "moz-extension://a/",
            "moz-extension://a:1",
            "moz-extension://a@b",
            "chrome-extension://a",
            "xmoz-extension://a",
            "moz-extension:",
            "null",
        ] {
            assert!(!extensions.matches(origin.as_bytes()), "{origin}");
        }
    }

    #[test]
    fn w13_each_kind_says_what_it_opens() {
        for (text, inside, whole) in [
            ("https://*--name.netlify.app", true, false),
            ("https://name-*.vercel.app", true, false),
            ("http://app-*.localhost:5173", true, false),
            ("moz-extension://*", false, true),
            ("vscode-webview://*", false, true),
            ("capacitor://localhost", false, false),
            ("tauri://localhost", false, false),
            ("https://*.example.com", false, false),
            ("https://app.example.com", false, false),
        ] {
            let pattern = pattern(text);
            assert_eq!(pattern.is_inside_label(), inside, "{text}");
            assert_eq!(pattern.is_whole_scheme(), whole, "{text}");
            assert_eq!(&**pattern.text(), text);
        }
        for text in ["https://*--name.netlify.app", "https://name-*.vercel.app"] {
            assert!(pattern(text).public_suffix().is_some(), "{text}");
        }
        assert!(
            pattern("https://*--name.example.app")
                .public_suffix()
                .is_none()
        );
        assert!(pattern("http://name-*.example.app").is_plain_http());
    }

    #[test]
    fn w13_what_can_never_be_meant_is_refused_with_what_to_write() {
        for (text, remedy) in [
            ("https://*example.com", "write https://*.example.com"),
            ("https://*shop.co.uk", "write https://*.shop.co.uk"),
            ("https://shop-*.co.uk", "list the origins"),
            ("https://shop*.com", "list the origins"),
            ("https://**.x.com", "one wildcard"),
            ("https://*a*.x.com", "one wildcard"),
            ("https://a.*.x.com", "one wildcard"),
            ("https://a.b-*.x.com", "one wildcard"),
            ("https://name-*", "before a domain"),
            ("https://xn--*.example.com", "xn--"),
            ("https://Name-*.example.com", "https://name-*.example.com"),
            (
                "https://name-*.example.com:443",
                "https://name-*.example.com",
            ),
            ("https://name-*.example.com/", "https://name-*.example.com"),
            ("https://*", "https://*.example.com"),
            ("http://*", "https://*.example.com"),
            ("ws://*", "scheme"),
            ("file://*", "scheme"),
            ("data://*", "scheme"),
            ("moz-extension://*.x", "scheme"),
            ("moz-extension://a*", "scheme"),
            ("*-extension://a", "scheme"),
            ("*://*", "scheme"),
        ] {
            let message = OriginPattern::parse(text).expect_err(text);
            assert!(message.contains(remedy), "{text}: {message}");
            assert!(!message.contains(super::PLACEHOLDER), "{text}: {message}");
        }
    }

    proptest! {
        #[test]
        fn w13_a_match_is_one_label_below_the_domain(before in "[ -~]{0,12}", after in "[ -~]{0,8}") {
            let pattern = pattern("https://*--name.example.app");
            let origin = format!("https://{before}--name.example.app{after}");
            if pattern.matches(origin.as_bytes()) {
                prop_assert!(after.is_empty() && !before.contains('.'));
                if let Ok(url) = url::Url::parse(&origin) {
                    prop_assert_eq!(url.origin().ascii_serialization(), origin);
                    let host = url.host_str().unwrap();
                    prop_assert!(host.ends_with("--name.example.app"));
                    prop_assert_eq!(host.split('.').count(), 3);
                }
            }
        }
    }
}
