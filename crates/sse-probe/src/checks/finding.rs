//! What a check found: what was seen, why it matters, what to change. Every finding but for what was seen stands in a table.

use serde::Serialize;

use super::remedies::{self, Remedy};
use crate::target::Profile;

named! {
    /// What a finding means for whoever runs the stream.
    pub enum FindingKind {
        /// Every browser copes; it costs something, or some client or hop may trip over it.
        Advice = "advice",
        /// Somebody can use the stream who should not.
        Insecure = "insecure",
        /// A browser cannot use the stream, or not for long.
        Blocked = "blocked",
    }
}

/// What is known of a finding before it is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Text {
    pub(super) kind: FindingKind,
    pub(super) why: &'static str,
    pub(super) remedies: &'static [Remedy],
}

/// One thing that a check found.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What it means.
    pub kind: FindingKind,
    /// Whether an expectation of the user is not met. It fails every run.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub expected: bool,
    /// What was seen.
    pub seen: String,
    /// Why it matters.
    pub why: &'static str,
    /// What to change, in the application and in the usual proxies.
    pub remedies: &'static [Remedy],
}

impl Text {
    /// The finding, with what was seen.
    pub(crate) fn seen(self, seen: impl Into<String>) -> Finding {
        Finding {
            kind: self.kind,
            expected: false,
            seen: seen.into(),
            why: self.why,
            remedies: self.remedies,
        }
    }

    /// The same text, for a finding that is advice only where it does no harm.
    pub(crate) fn advice_if(self, harmless: bool) -> Self {
        let kind = if harmless {
            FindingKind::Advice
        } else {
            self.kind
        };
        Self { kind, ..self }
    }

    /// The same text with other remedies.
    pub(crate) fn with(self, remedies: &'static [Remedy]) -> Self {
        Self { remedies, ..self }
    }
}

impl Finding {
    /// The same; if the user expects something else, that is not met.
    pub(crate) fn unmet_if(self, expected: bool) -> Self {
        Self { expected, ..self }
    }

    /// Whether it fails a run of that profile.
    #[must_use]
    pub fn fails(&self, profile: Profile) -> bool {
        self.expected || self.kind > FindingKind::Advice || profile == Profile::Strict
    }

    /// `expected` for what the user asked for, else the kind.
    #[must_use]
    pub fn label(&self) -> &'static str {
        if self.expected && self.kind == FindingKind::Advice {
            "expected"
        } else {
            self.kind.as_str()
        }
    }
}

/// A table of texts: the name, the kind, why it matters, the remedies.
macro_rules! texts {
    ($($name:ident: $kind:ident, $why:literal, $remedies:ident;)+) => {
        /// Each finding by its name.
        pub(crate) mod texts {
            $(pub(crate) const $name: super::Text = super::Text {
                kind: super::FindingKind::$kind,
                why: $why,
                remedies: super::remedies::$remedies,
            };)+
        }
    };
}

texts! {
    // The head of the reply.
    COME_BACK: Blocked, "pages wait for events until the server has room", STATUS;
    STATUS: Blocked, "a native EventSource ends for good on every status but 200 and never tries again; Retry-After is not read", STATUS;
    NOT_FOLLOWED: Blocked, "the browser follows no further, and the page gets an error without a reason", REDIRECT;
    NO_LOCATION: Blocked, "there is nowhere to go: an EventSource ends for good", REDIRECT;
    REDIRECTED: Advice, "each reconnect takes the way again, or Chromium goes to the target at once", REDIRECT;
    ORIGIN_NULL: Advice, "after a redirect between two foreign origins a browser no longer says who asks", REDIRECT;
    CONTENT_TYPE: Blocked, "an EventSource ends for good on any other content type", CONTENT_TYPE;
    CHARSET: Blocked, "event streams are always UTF-8, and Chromium refuses any other charset", CONTENT_TYPE;
    CONTENT_TYPES: Advice, "browsers take the last one; other clients take different ones", CONTENT_TYPE;
    SIX: Advice, "browsers open six connections to a host over HTTP/1.1, for all tabs together: the seventh stream hangs", HTTP2;
    HTTP_1_0: Advice, "the end of the stream cannot be told from a cut connection; some hop speaks HTTP/1.0", HTTP2;
    VERSIONS: Advice, "clients get whichever version they negotiate", UNREACHABLE_VARIANT;
    HOP_BY_HOP: Advice, "headers of one hop are forbidden in HTTP/2; strict clients refuse the reply", HOP_BY_HOP;
    CERTIFICATE: Advice, "once it has expired every client fails at once, and open streams live on, so the outage grows slowly", CERTIFICATE;
    EXPIRED: Blocked, "once it has expired every client fails at once, and open streams live on, so the outage grows slowly", CERTIFICATE;
    CACHED: Blocked, "clients get an old stream, or the stream of somebody else", CACHED;
    LENGTH: Advice, "a stream has no length: something has stored it, or it ends after that many bytes", LENGTH;
    CACHEABLE: Advice, "a shared cache may store the stream and hand it to others", CACHED;
    COMPRESSED: Advice, "a compressor holds events back unless it flushes after each one; and secrets beside data that an attacker chooses leak by their length", COMPRESSION;
    NOSNIFF: Advice, "a stream that carries what users write can be loaded as a script; EventSource itself does not look at it", SECURITY;
    HSTS: Advice, "browsers ignore it there; it shows that the application takes itself to be on https", HSTS;
    OTHER_VALUE: Advice, "another value was expected", EXPECTED;

    // Who may read.
    THROWN_AWAY: Blocked, "the browser opens the stream, throws it away, and the page gets an error without a reason", ALLOW_ORIGIN;
    PUBLIC: Insecure, "every page on the web may read the stream; if that is meant, say so with `--expect public`", NO_WILDCARD;
    NOT_PUBLIC: Advice, "a public stream was expected", EXPECTED;
    WILDCARD_AND_CREDENTIALS: Advice, "the pair never works with credentials, and is a step away from reflecting every origin", NO_WILDCARD;
    SEVERAL_LINES: Blocked, "browsers join the lines and compare the result with the origin, so even two equal lines are blocked", SINGLE_ALLOW_ORIGIN;
    ALLOWED_REFUSED: Blocked, "the server refuses a page that is to be let in", ALLOW_ORIGIN;
    MORE_THAN_THE_POLICY: Insecure, "cookies of visitors reach the stream although nobody meant them to", ALLOW_CREDENTIALS;
    ALLOWED_PREFLIGHT: Blocked, "fetch clients of that page cannot open the stream", PREFLIGHT;
    OPENED_FOR_OTHERS: Advice, "a foreign page can make visitors open streams that hold slots and memory; answer 403 before the stream begins", DENY_ORIGIN;
    READ_WITH_COOKIES: Insecure, "any such page reads the stream with its visitor's cookies", DENY_ORIGIN;
    READ_BY_STAR: Insecure, "the stream is open to every page on the web", NO_WILDCARD;
    REFLECTED: Insecure, "the stream is open to every page on the web that the matcher takes for an allowed one", DENY_ORIGIN;
    VARY: Advice, "a cache may hand the reply for one origin to a page of another, which is then blocked", VARY;
    VARY_OF_REFUSAL: Advice, "a cache may hand the refusal to the allowed origin", VARY;
    ERROR_CORS: Advice, "a fetch client sees a network error instead of the status, and cannot tell a lost session from a broken network", ERROR_CORS;
    PREFLIGHT: Blocked, "fetch clients with headers of their own cannot open the stream from another origin; EventSource is not concerned", PREFLIGHT;
    PREFLIGHT_LISTS: Blocked, "fetch clients with headers of their own cannot open the stream from another origin; EventSource is not concerned", PREFLIGHT_LISTS;
    PREFLIGHT_OPEN: Insecure, "any page may then send requests with headers of its own and the visitor's cookies", DENY_ORIGIN;
    PREFLIGHT_ECHO: Advice, "a list that allows everything protects nothing", PREFLIGHT_LISTS;
    AUTH: Insecure, "whoever knows the URL reads the stream", AUTH;
    NOT_401: Advice, "clients cannot tell that they must log in again", CHALLENGE;
    NO_CHALLENGE: Advice, "RFC 9110 requires it, and some client libraries need it", CHALLENGE;
    DIALOG: Advice, "browsers open a password dialog", CHALLENGE;
    EXPECTED_401: Advice, "401 was expected", CHALLENGE;
    ACCEPT: Advice, "crawlers, monitors and link previews open streams that never end, and hold slots", ACCEPT;
    BAD_PORT: Blocked, "the Fetch standard blocks the ports of other protocols; the request is not even sent", BAD_PORT;
    MIXED_CONTENT: Blocked, "browsers block plain http from a page on https; the request is not even sent", MIXED_CONTENT;
    PAGE_POLICY: Blocked, "the browser does not send the request; the page gets an error without a reason", PAGE_POLICY;
    NO_PAGE: Advice, "whether its policies let the stream in could not be seen", PAGE_POLICY;
    PAGE_REDIRECTS: Advice, "the server sees the origin of the page that was reached", EXPECTED;
    LOCAL_NETWORK: Advice, "Chromium asks the user for permission before a page reaches into the local network, and the stream waits for the answer", LOCAL_NETWORK;
    CROSS_SITE_COOKIES: Advice, "Safari and Firefox withhold third-party cookies, every browser those without `SameSite=None; Secure`", CROSS_SITE_COOKIES;

    // What comes, and when.
    FIRST_BYTE: Advice, "a page cannot tell an idle stream from one that is held back; some proxies pass the head on with the first byte only", FIRST_BYTE;
    BUFFERED: Blocked, "clients get events late and in lumps, heartbeats keep nothing alive, and idle timeouts strike", BUFFERING;
    ACCEL: Advice, "it asks nginx to buffer the stream", ACCEL;
    NO_EVENT: Advice, "an expectation is not met", EXPECTED;
    HEARTBEAT: Advice, "proxies and mobile networks cut connections that are silent for a minute, and the server does not notice clients that are gone", HEARTBEAT;
    SHORT_RETRY: Advice, "after an outage every client comes back many times a second", RETRY;
    LONG_RETRY: Advice, "after a cut connection a page waits that long, which looks dead", RETRY;
    NOT_DATA_FIRST: Advice, "several parsers of OpenAI-style clients fail on such a line before the first data", FORMAT;
    TOO_MUCH: Advice, "more than a probe reads: no client keeps up with that for long", FORMAT;
    FORMAT: Advice, "", FORMAT;
    NO_EVENTS: Blocked, "an EventSource opens, but no event ever reaches the page", FORMAT;
    CUT: Blocked, "the stream was broken off: an idle timeout, a limit of response time, or a crash", CUT;
    ENDED: Advice, "an EventSource reconnects and asks again; a server that ends streams on purpose does so after minutes", CUT;
    UNKNOWN_ID: Blocked, "after a restart that lost the ids, every EventSource ends for good", RESUME;
    RECONNECT_REFUSED: Blocked, "an EventSource ends for good at its first reconnect", RESUME;
    LOST: Advice, "what is sent while a client reconnects is lost, and nothing says so", RESUME;
    REPEATED: Advice, "clients handle events twice", RESUME;

    // What a hop changes.
    DIFF_STATUS: Blocked, "a native EventSource ends for good on every status but 200", STATUS;
    DIFF_NOT_FOLLOWED: Blocked, "a browser does not follow it to a stream, and the page gets an error", REDIRECT;
    DIFF_REDIRECTED: Advice, "each reconnect takes the way again, and between foreign origins `Origin` becomes `null`", REDIRECT;
    DIFF_WILDCARD: Blocked, "`*` never works with credentials, two values never work at all, and alone it opens the stream to every page", NO_WILDCARD;
    DIFF_ALLOW_ORIGIN: Blocked, "a browser wants exactly one line with exactly the page's origin", ALLOW_ORIGIN;
    DIFF_ALLOW_ORIGINS: Blocked, "a browser wants exactly one line with exactly the page's origin", SINGLE_ALLOW_ORIGIN;
    DIFF_ALLOW_CREDENTIALS: Blocked, "pages that send cookies need `true` there, once", ALLOW_CREDENTIALS;
    DIFF_CONTENT_TYPE: Blocked, "an EventSource opens on text/event-stream only", CONTENT_TYPE;
    DIFF_VARY: Advice, "a cache may hand the reply for one origin to a page of another", VARY;
    DIFF_CACHE_CONTROL: Advice, "caches and compressors further on do as it says", NO_TRANSFORM;
    DIFF_EXPOSE_HEADERS: Advice, "fetch clients cannot read Retry-After and the like", ERROR_CORS;
    DIFF_SECURITY: Advice, "it keeps the stream from being run as a script or page", SECURITY;
    DIFF_HEADER: Advice, "the application's header does not reach clients as it was sent", SECURITY;
    DIFF_ORIGIN: Blocked, "allowed pages are blocked, and the application's check of origins is off", FORWARD_ORIGIN;
    DIFF_PREFLIGHT: Blocked, "fetch clients that send Authorization cannot open the stream; EventSource is not concerned", PREFLIGHT;
    DIFF_COMPRESSED: Blocked, "a compressor holds events back until it has enough of them, unless it flushes after each one", COMPRESSION;
    DIFF_CUT: Blocked, "clients reconnect again and again, and miss what is sent in between unless they resume", CUT;
}
