//! The CORS headers of a reply (WHATWG Fetch § 3.2): what a browser needs to see before it lets
//! a page read.

use std::time::Duration;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::lines;
use crate::respond::vary;

/// Longer than the names of all headers that a script sets; what is longer is not looked at.
const MAX_REQUESTED: usize = 4096;

/// Which origin a reply is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reflection {
    /// None: same-origin, no browser, or not allowed.
    None,
    /// Whoever it is, without credentials.
    Any,
    /// This one, byte by byte as it was sent.
    Origin(HeaderValue),
}

/// The headers for allowed origins, ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct CorsRules {
    credentials: bool,
    public: bool,
    #[cfg(feature = "actix-cors")]
    expose: Vec<HeaderName>,
    expose_value: Option<HeaderValue>,
    max_age: Duration,
    request_headers: Vec<HeaderName>,
}

/// The answer to a preflight of one mount.
#[derive(Debug, Clone)]
pub(crate) struct PreflightRules {
    methods: Vec<&'static str>,
    allow_methods: HeaderValue,
    request_headers: Vec<HeaderName>,
    allow_headers: Option<HeaderValue>,
}

const HEADERS: [HeaderName; 7] = [
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
    HeaderName::from_static("access-control-allow-private-network"),
];

impl CorsRules {
    pub(crate) fn new(
        credentials: bool,
        public: bool,
        request_headers: Vec<HeaderName>,
        expose: Vec<HeaderName>,
        max_age: Duration,
    ) -> Self {
        Self {
            credentials,
            public,
            expose_value: list(expose.iter().map(HeaderName::as_str)),
            #[cfg(feature = "actix-cors")]
            expose,
            max_age,
            request_headers,
        }
    }

    /// Whether cookies may come along.
    pub(crate) const fn credentials(&self) -> bool {
        self.credentials
    }

    /// The preflight rules of a mount with these methods, and further request headers.
    pub(crate) fn preflight_rules(
        &self,
        methods: &[&'static str],
        further: &[HeaderName],
    ) -> PreflightRules {
        let mut request_headers = self.request_headers.clone();
        for name in further {
            if !request_headers.contains(name) {
                request_headers.push(name.clone());
            }
        }
        PreflightRules {
            methods: methods.to_vec(),
            allow_methods: list(methods.iter().copied())
                .unwrap_or_else(|| HeaderValue::from_static("GET")),
            allow_headers: list(request_headers.iter().map(HeaderName::as_str)),
            request_headers,
        }
    }

    /// Sets the CORS headers of a reply on its way out. The policy has the last word: whatever the handler said
    /// about CORS is replaced, so that there are never two answers.
    pub(crate) fn add_headers(&self, reflection: &Reflection, headers: &mut HeaderMap) {
        for name in HEADERS {
            headers.remove(name);
        }
        self.allow(reflection, headers);
        if let (Some(expose), false) = (&self.expose_value, *reflection == Reflection::None) {
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, expose.clone());
        }
        if !self.public {
            vary::add(headers, vary::ORIGIN);
        }
    }

    /// Sets the headers of the consent to a preflight.
    pub(crate) fn add_preflight_headers(
        &self,
        rules: &PreflightRules,
        reflection: &Reflection,
        headers: &mut HeaderMap,
    ) {
        self.allow(reflection, headers);
        if *reflection != Reflection::None {
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_METHODS,
                rules.allow_methods.clone(),
            );
            if let Some(allow) = &rules.allow_headers {
                headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allow.clone());
            }
            let max_age = HeaderValue::from(self.max_age.as_secs());
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, max_age);
        }
        vary::add(headers, vary::PREFLIGHT);
    }

    fn allow(&self, reflection: &Reflection, headers: &mut HeaderMap) {
        match reflection {
            Reflection::None => return,
            Reflection::Any => headers.insert(
                header::ACCESS_CONTROL_ALLOW_ORIGIN,
                HeaderValue::from_static("*"),
            ),
            Reflection::Origin(origin) => {
                headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone())
            }
        };
        if self.credentials {
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
        }
    }
}

#[cfg(feature = "actix-cors")]
impl CorsRules {
    /// Whoever asks may read.
    pub(crate) const fn is_public(&self) -> bool {
        self.public
    }

    /// Which request headers a script may set.
    pub(crate) fn request_headers(&self) -> Vec<HeaderName> {
        self.request_headers.clone()
    }

    /// Which response headers a script may read.
    #[cfg(feature = "actix-cors")]
    pub(crate) fn expose(&self) -> Vec<HeaderName> {
        self.expose.clone()
    }

    /// For how long a browser may keep the answer to a preflight.
    pub(crate) const fn max_age(&self) -> Duration {
        self.max_age
    }
}

impl PreflightRules {
    /// Whether what a preflight asks for is allowed. Methods are compared as they are, names of
    /// headers whatever their case; a preflight that names no method, or two, asks for nothing.
    pub(crate) fn allow<'a>(
        &self,
        mut method: impl Iterator<Item = &'a [u8]>,
        headers: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> bool {
        let method_ok = match (method.next(), method.next()) {
            (Some(method), None) => self.methods.iter().any(|known| known.as_bytes() == method),
            _ => false,
        };
        method_ok
            && lines::fit(headers.clone(), MAX_REQUESTED)
            && headers
                .flat_map(|line| line.split(|byte| *byte == b','))
                .map(<[u8]>::trim_ascii)
                .filter(|name| !name.is_empty())
                .all(|name| {
                    self.request_headers
                        .iter()
                        .any(|known| known.as_str().as_bytes().eq_ignore_ascii_case(name))
                })
    }
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> Option<HeaderValue> {
    let names: Vec<_> = names.collect();
    (!names.is_empty())
        .then(|| HeaderValue::from_str(&names.join(", ")).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(credentials: bool, public: bool) -> CorsRules {
        CorsRules::new(
            credentials,
            public,
            vec![
                header::AUTHORIZATION,
                HeaderName::from_static("last-event-id"),
            ],
            vec![header::RETRY_AFTER],
            Duration::from_secs(600),
        )
    }

    fn preflight(method: &[&str], headers: &[&str]) -> bool {
        rules(true, false)
            .preflight_rules(&["GET", "HEAD"], &[])
            .allow(
                method.iter().map(|line| line.as_bytes()),
                headers.iter().map(|line| line.as_bytes()),
            )
    }

    #[test]
    fn c02_a_handlers_own_words_about_cors_do_not_survive() {
        let mut headers = HeaderMap::new();
        for name in HEADERS {
            headers.append(name.clone(), HeaderValue::from_static("*"));
            headers.append(name, HeaderValue::from_static("*"));
        }
        rules(true, false).add_headers(&Reflection::None, &mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), [header::VARY]);
    }

    #[test]
    fn c05_credentials_never_meet_a_wildcard() {
        let origin = Reflection::Origin(HeaderValue::from_static("https://app.example.com"));
        let mut headers = HeaderMap::new();
        rules(true, false).add_headers(&origin, &mut headers);
        assert_eq!(
            headers.get("access-control-allow-origin").unwrap(),
            "https://app.example.com"
        );
        assert_eq!(
            headers.get("access-control-allow-credentials").unwrap(),
            "true"
        );
        assert_eq!(
            headers.get("access-control-expose-headers").unwrap(),
            "retry-after"
        );
    }

    #[test]
    fn c06_a_public_reply_is_the_same_for_all() {
        let mut headers = HeaderMap::new();
        rules(false, true).add_headers(&Reflection::Any, &mut headers);
        assert_eq!(headers.get("access-control-allow-origin").unwrap(), "*");
        assert!(!headers.contains_key("access-control-allow-credentials"));
        assert!(!headers.contains_key("vary"));
    }

    #[test]
    fn p04_p07_p08_what_a_preflight_may_ask_for() {
        assert!(preflight(&["GET"], &[]));
        assert!(preflight(&["GET"], &[""]));
        assert!(preflight(&["GET"], &["Authorization,LAST-EVENT-ID"]));
        assert!(preflight(&["GET"], &["authorization", " last-event-id "]));
        for (method, headers) in [
            (&["get"] as &[&str], &[] as &[&str]),
            (&["DELETE"], &[]),
            (&["G ET"], &[]),
            (&[], &[]),
            (&["GET", "GET"], &[]),
            (&["GET"], &["x-evil"]),
            (&["GET"], &["authorization", "x-evil"]),
            (&["GET"], &["authorization x"]),
            (&["GET"], &[&",".repeat(MAX_REQUESTED + 1)]),
        ] {
            assert!(!preflight(method, headers), "{method:?} {headers:?}");
        }
    }

    proptest! {
        #[test]
        fn any_preflight_bytes_are_survived(method in prop::collection::vec(any::<u8>(), 0..8), headers in prop::collection::vec(any::<u8>(), 0..64)) {
            let allowed = rules(true, false).preflight_rules(&["GET"], &[]).allow(
                std::iter::once(method.as_slice()),
                std::iter::once(headers.as_slice()),
            );
            prop_assert!(!allowed || method == b"GET");
        }
    }
}
