//! [HTTP-redirect fetch](https://fetch.spec.whatwg.org/#http-redirect-fetch): what a browser does with a redirect, which
//! `Origin` the next request carries, and which credentials go with it. Pure.

use thiserror::Error;
use url::{Position, Url};

use super::{
    cors::{Block, Credentials, cors_check},
    headers::{Headers, printable},
    origin::Origin,
};

/// Redirects that a browser follows before it gives up.
const LONGEST: usize = 20;

/// How far a request goes, as `Sec-Fetch-Site` says it, from near to far.
const REACHES: [&str; 3] = ["same-origin", "same-site", "cross-site"];

/// One redirect that was followed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redirect {
    /// The status: 301, 302, 303, 307 or 308.
    pub status: u16,
    /// Where from.
    pub from: Url,
    /// Where to.
    pub to: Url,
}

/// Why a browser does not follow a redirect; the request fails.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RedirectBlock {
    /// The CORS check of the redirect itself failed. The URL is shown without its query, which may hold a token.
    #[error("the redirect at {at} is blocked: {1}", at = &.0[..Position::AfterPath])]
    Cors(Url, Block),
    /// `Location` is not a URL, or not one of http or https.
    #[error("a redirect to `{0}`, which is no http URL")]
    Location(String),
    /// `Location` holds a user name or password, and the request crosses origins.
    #[error("a redirect across origins to a URL with a user name or password ({})", .0.host_str().unwrap_or_default())]
    UserInfo(Url),
    /// More than 20 in a row.
    #[error("more than {LONGEST} redirects in a row")]
    TooMany,
    /// To an origin that the configuration does not allow; a browser would go on.
    #[error("a redirect to {0}, which is not one of the origins that the module may be used for")]
    NotAllowed(Origin),
}

/// The way of a request through redirects.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Route {
    page: Origin,
    url: Url,
    first: Url,
    /// The redirects that were followed.
    pub redirects: Vec<Redirect>,
    /// Why the last reply is a redirect that is not followed.
    pub block: Option<RedirectBlock>,
    cors: bool,
    tainted: bool,
    left_origin: bool,
    /// The farthest of [`REACHES`].
    reach: usize,
}

impl Route {
    /// A request of a page for `url`. Without an origin the page is of the stream's own.
    #[must_use]
    pub fn new(page: Option<&Origin>, url: Url) -> Self {
        let mut route = Self {
            page: page.cloned().unwrap_or_else(|| Origin::of(&url)),
            first: url.clone(),
            redirects: Vec::new(),
            block: None,
            cors: false,
            tainted: false,
            left_origin: false,
            reach: 0,
            url,
        };
        route.arrive();
        route
    }

    /// The URL of the current request.
    #[must_use]
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Every URL that was asked for, in order.
    pub fn urls(&self) -> impl Iterator<Item = &Url> {
        self.redirects.iter().map(|r| &r.from).chain([&self.url])
    }

    /// The `Origin` of the current request: none on a same-origin GET, `null` once a redirect between foreign origins was
    /// followed.
    #[must_use]
    pub fn origin(&self) -> Option<Origin> {
        let own = (!self.tainted).then(|| self.page.clone());
        self.cors.then(|| own.unwrap_or_else(Origin::null))
    }

    /// Whether the request is still at the origin that it began at. Cookies and tokens of the user belong to that one.
    #[must_use]
    pub fn at_first_origin(&self) -> bool {
        Origin::of(&self.url) == Origin::of(&self.first)
    }

    /// Whether `Authorization` is still sent: a browser removes it at the first redirect to another origin.
    #[must_use]
    pub fn keeps_authorization(&self) -> bool {
        !self.left_origin
    }

    /// The value of `Sec-Fetch-Site`: the farthest of all URLs on the way.
    #[must_use]
    pub fn site(&self) -> &'static str {
        REACHES.get(self.reach).copied().unwrap_or("cross-site")
    }

    /// Whether the CORS check lets the page read the reply to the current request.
    ///
    /// # Errors
    ///
    /// The reason why it fails.
    pub fn cors(&self, headers: &Headers, credentials: Credentials) -> Result<(), Block> {
        match self.origin() {
            Some(origin) => cors_check(headers, &origin, credentials),
            None => Ok(()),
        }
    }

    /// Follows a redirect of the current request. On failure [`Route::block`] says why.
    pub(crate) fn follow(
        &mut self,
        status: u16,
        headers: &Headers,
        credentials: Credentials,
        allowed: &dyn Fn(&Url) -> bool,
    ) -> bool {
        let to = match self.target(headers, credentials, allowed) {
            Ok(to) => to,
            Err(block) => {
                self.block = Some(block);
                return false;
            }
        };
        let leaves = Origin::of(&self.url) != Origin::of(&to);
        self.left_origin |= leaves;
        // The origin is opaque from here on: the page has no say over where a foreign server sends its request.
        self.tainted |= leaves && !self.page.is_origin_of(&self.url);
        let from = std::mem::replace(&mut self.url, to.clone());
        self.redirects.push(Redirect { status, from, to });
        self.arrive();
        true
    }

    fn target(
        &self,
        headers: &Headers,
        credentials: Credentials,
        allowed: &dyn Fn(&Url) -> bool,
    ) -> Result<Url, RedirectBlock> {
        self.cors(headers, credentials)
            .map_err(|block| RedirectBlock::Cors(self.url.clone(), block))?;
        // Lines that are equal count as one, as in browsers; lines that differ lead nowhere.
        let mut lines: Vec<&[u8]> = headers.all("location").collect();
        lines.dedup();
        let location = lines.join(&b", "[..]);
        let joined = self.url.join(&escaped(&location)).ok();
        let joined = joined.filter(|_| lines.len() == 1);
        let usable = |to: &Url| matches!(to.scheme(), "http" | "https") && to.has_host();
        let unusable = || RedirectBlock::Location(printable(&location));
        let mut to = joined.filter(usable).ok_or_else(unusable)?;
        if to.fragment().is_none() {
            to.set_fragment(self.url.fragment());
        }
        let user_info = !to.username().is_empty() || to.password().is_some();
        if self.redirects.len() >= LONGEST {
            Err(RedirectBlock::TooMany)
        } else if user_info && (self.cors || !self.page.is_origin_of(&to)) {
            Err(RedirectBlock::UserInfo(to))
        } else if !allowed(&to) {
            Err(RedirectBlock::NotAllowed(Origin::of(&to)))
        } else {
            Ok(to)
        }
    }

    fn arrive(&mut self) {
        self.cors |= !self.page.is_origin_of(&self.url);
        let site = self.page.site_towards(&self.url);
        let reach = REACHES.iter().position(|reach| *reach == site);
        self.reach = self.reach.max(reach.unwrap_or(0));
    }
}

/// Browsers escape the bytes that are not ASCII.
fn escaped(location: &[u8]) -> String {
    let mut text = String::new();
    for &byte in location {
        match byte.is_ascii() {
            true => text.push(char::from(byte)),
            false => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const APP: &str = "https://app.example.com";

    fn route(page: &str, url: &str) -> Route {
        Route::new(Some(&page.parse().unwrap()), url.parse().unwrap())
    }

    fn to(location: &str) -> Headers {
        Headers::from_lines([
            ("location", location),
            ("access-control-allow-origin", APP),
            ("access-control-allow-credentials", "true"),
        ])
    }

    fn follow(route: &mut Route, headers: &Headers) -> bool {
        route.follow(302, headers, Credentials::Include, &|_| true)
    }

    #[test]
    fn a_redirect_from_the_pages_own_origin_keeps_the_origin() {
        let mut route = route(APP, "https://app.example.com/events");
        assert_eq!(route.origin(), None);
        assert!(follow(&mut route, &to("https://api.example.com/events")));
        assert_eq!(route.origin().unwrap().as_str(), APP);
        assert!(!route.keeps_authorization() && !route.at_first_origin());
        assert_eq!(route.site(), "same-site");
    }

    #[test]
    fn a_redirect_between_foreign_origins_makes_the_origin_null() {
        let mut route = route(APP, "https://api.example.com/events");
        assert!(follow(&mut route, &to("/v2/events")));
        assert_eq!(route.origin().unwrap().as_str(), APP);
        assert!(route.keeps_authorization());
        assert!(follow(&mut route, &to("https://cdn.example.net/events")));
        assert_eq!(route.origin(), Some(Origin::null()));
        assert_eq!(route.redirects.len(), 2);
    }

    #[test]
    fn each_redirect_must_pass_the_cors_check() {
        let mut route = route(APP, "https://api.example.com/events");
        let bare = Headers::from_lines([("location", "/v2")]);
        assert!(!follow(&mut route, &bare));
        assert!(matches!(route.block, Some(RedirectBlock::Cors(..))));
    }

    #[test]
    fn what_is_no_http_url_is_not_followed() {
        for location in ["ftp://x/", "https://", "data:text/event-stream,x"] {
            let mut route = route(APP, "https://api.example.com/events");
            assert!(!follow(&mut route, &to(location)), "{location}");
        }
        let mut route = route(APP, "https://api.example.com/events");
        assert!(!follow(&mut route, &to("https://u:p@api.example.com/")));
        assert!(matches!(route.block, Some(RedirectBlock::UserInfo(_))));
    }

    #[test]
    fn equal_lines_of_location_are_one_and_different_ones_lead_nowhere() {
        let twice = |second: &str| {
            let lines = [("location", "/v2"), ("location", second)];
            let cors = [("access-control-allow-origin", "*")];
            Headers::from_lines(lines.into_iter().chain(cors))
        };
        let follow = |headers: &Headers| {
            let mut route = route(APP, "https://api.example.com/events");
            route.follow(302, headers, Credentials::Omit, &|_| true);
            (route.block.is_some(), route.url().to_string())
        };
        let (blocked, url) = follow(&twice("/v2"));
        assert_eq!(
            (blocked, url.as_str()),
            (false, "https://api.example.com/v2")
        );
        assert!(follow(&twice("/v3")).0);
    }

    #[test]
    fn bytes_that_are_not_ascii_are_escaped() {
        for (location, url) in [
            (&b"/caf\xe9"[..], "https://api.example.com/caf%E9"),
            ("/caf\u{e9}".as_bytes(), "https://api.example.com/caf%C3%A9"),
        ] {
            let headers = Headers::from_lines([
                ("location", location),
                ("access-control-allow-origin", b"*"),
            ]);
            let mut route = route(APP, "https://api.example.com/events");
            assert!(route.follow(302, &headers, Credentials::Omit, &|_| true));
            assert_eq!(route.url().as_str(), url);
        }
    }

    #[test]
    fn a_query_is_not_shown() {
        let mut route = route(APP, "https://api.example.com/events?token=s3cret");
        assert!(!follow(&mut route, &Headers::default()));
        let shown = route.block.unwrap().to_string();
        assert!(
            shown.contains("https://api.example.com/events is blocked"),
            "{shown}"
        );
        assert!(!shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn the_twenty_first_redirect_fails() {
        let mut route = route(APP, "https://api.example.com/events");
        for _ in 0..20 {
            assert!(follow(&mut route, &to("/events")));
        }
        assert!(!follow(&mut route, &to("/events")));
        assert_eq!(route.block, Some(RedirectBlock::TooMany));
    }
}
