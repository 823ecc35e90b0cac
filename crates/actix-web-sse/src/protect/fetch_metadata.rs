//! What the browser says about the request itself (W3C Fetch Metadata): a script cannot forge
//! it, and a client that is no browser does not send it.

/// The request's `Sec-Fetch-*` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct FetchMetadata<'a> {
    pub(crate) site: Option<&'a [u8]>,
    pub(crate) mode: Option<&'a [u8]>,
    pub(crate) dest: Option<&'a [u8]>,
}

impl FetchMetadata<'_> {
    /// Whether this may open a stream: a script's own request, which can read the reply if CORS
    /// lets it. No navigation (an endless tab), no image or script (the reply is unreadable, the
    /// slot is taken).
    pub(crate) fn may_open_a_stream(self, has_origin: bool) -> bool {
        matches!(self.mode, None | Some(b"cors" | b"same-origin"))
            && matches!(self.dest, None | Some(b"empty"))
            && self.is_ours_or_named(has_origin)
    }

    /// Whether this may reach a companion of the streams: whatever comes from the own site, and
    /// a foreign script that says who it is.
    pub(crate) fn may_call_the_api(self, has_origin: bool) -> bool {
        match self.site {
            Some(b"same-origin" | b"none") => true,
            _ => self.may_open_a_stream(has_origin),
        }
    }

    /// Whether the browser says that the page is the server's own; `None` if it does not say.
    pub(crate) fn says_same_origin(self) -> Option<bool> {
        self.site.map(|site| site == b"same-origin")
    }

    /// A request from another origin whose reply a script is to read always carries `Origin`.
    fn is_ours_or_named(self, has_origin: bool) -> bool {
        has_origin || matches!(self.site, None | Some(b"same-origin" | b"none"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata<'a>(site: &'a str, mode: &'a str, dest: &'a str) -> FetchMetadata<'a> {
        let some = |text: &'a str| (!text.is_empty()).then_some(text.as_bytes());
        FetchMetadata {
            site: some(site),
            mode: some(mode),
            dest: some(dest),
        }
    }

    #[test]
    fn o19_o20_scripts_and_other_clients() {
        assert!(metadata("", "", "").may_open_a_stream(false));
        assert!(metadata("same-origin", "cors", "empty").may_open_a_stream(false));
        assert!(metadata("cross-site", "cors", "empty").may_open_a_stream(true));
        assert!(metadata("same-origin", "same-origin", "empty").may_open_a_stream(true));
    }

    #[test]
    fn c09_a_navigation_never_becomes_a_stream() {
        for (site, mode, dest) in [
            ("none", "navigate", "document"),
            ("same-origin", "navigate", "iframe"),
            ("cross-site", "no-cors", "image"),
            ("cross-site", "no-cors", "script"),
            ("same-origin", "no-cors", "empty"),
            ("cross-site", "websocket", "websocket"),
            ("cross-site", "cors", "empty"),
        ] {
            assert!(
                !metadata(site, mode, dest).may_open_a_stream(false),
                "{site} {mode} {dest}"
            );
        }
    }

    #[test]
    fn the_api_takes_the_own_site_as_it_comes() {
        assert!(metadata("same-origin", "navigate", "document").may_call_the_api(false));
        assert!(metadata("none", "navigate", "document").may_call_the_api(false));
        assert!(metadata("cross-site", "cors", "empty").may_call_the_api(true));
        assert!(!metadata("cross-site", "no-cors", "empty").may_call_the_api(false));
        assert!(!metadata("cross-site", "navigate", "document").may_call_the_api(true));
    }
}
