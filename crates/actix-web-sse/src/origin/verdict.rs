//! What a policy makes of a request's origin: pure.

use std::sync::Arc;

use super::{OriginHeader, OriginList, is_own};
use crate::observe::{CorsVerdict, OriginClass, RefusalReason};

/// Which origin the reply names in `Access-Control-Allow-Origin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reflects {
    /// None.
    Nothing,
    /// `*`.
    Any,
    /// The one that was sent.
    Sent,
}

/// The decision about an origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OriginVerdict {
    pub(crate) class: OriginClass,
    /// What the browser makes of the reply.
    pub(crate) cors: CorsVerdict,
    pub(crate) reflects: Reflects,
    /// Why the request is not let through.
    pub(crate) refusal: Option<RefusalReason>,
}

/// Whether a page of the server's own origin asks. A same-origin `GET` has no `Origin`; then only
/// the browser's `Sec-Fetch-Site` says so.
pub(crate) fn is_same_origin(
    header: OriginHeader<'_>,
    authority: Option<&[u8]>,
    scheme: &str,
    says_same_origin: Option<bool>,
) -> bool {
    match header {
        OriginHeader::Absent => says_same_origin == Some(true),
        OriginHeader::Value(origin) => is_own(origin, authority, scheme, says_same_origin),
        OriginHeader::Malformed | OriginHeader::Null => false,
    }
}

/// Judges an origin by the allow-list. `own`: [`is_same_origin`].
pub(crate) fn judge(header: OriginHeader<'_>, own: bool, list: &OriginList) -> OriginVerdict {
    let entry = match header {
        OriginHeader::Value(origin) => list.find(origin),
        OriginHeader::Null if list.is_public() => list.find(b"null"),
        _ => None,
    };
    let reflects = if list.is_public() && header != OriginHeader::Malformed {
        Reflects::Any
    } else if entry.is_some() {
        Reflects::Sent
    } else {
        Reflects::Nothing
    };
    let (class, cors, refusal) = match (entry, header) {
        (_, OriginHeader::Malformed) => (
            OriginClass::Other,
            CorsVerdict::Denied,
            Some(RefusalReason::OriginMalformed),
        ),
        (None, OriginHeader::Absent) if !own => (OriginClass::None, CorsVerdict::NoOrigin, None),
        _ if own => (OriginClass::SameOrigin, CorsVerdict::SameOrigin, None),
        (Some(entry), _) => (
            OriginClass::Allowed(Arc::clone(entry)),
            CorsVerdict::Allowed,
            None,
        ),
        (None, OriginHeader::Null) => (
            OriginClass::Null,
            CorsVerdict::Denied,
            Some(RefusalReason::OriginDenied),
        ),
        (None, _) => (
            OriginClass::Other,
            CorsVerdict::Denied,
            Some(RefusalReason::OriginDenied),
        ),
    };
    OriginVerdict {
        class,
        cors,
        reflects,
        refusal,
    }
}

/// Whether a list on trial would refuse what the enforced one is asked about.
pub(crate) fn would_refuse(header: OriginHeader<'_>, own: bool, candidate: &OriginList) -> bool {
    match header {
        OriginHeader::Value(origin) => !own && candidate.find(origin).is_none(),
        OriginHeader::Null => !candidate.is_public(),
        OriginHeader::Absent | OriginHeader::Malformed => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::OriginPattern;

    fn list(entry: &str) -> OriginList {
        OriginList::new([OriginPattern::parse(entry).unwrap()])
    }

    #[test]
    fn an_origin_is_allowed_by_the_list_and_named_in_the_reply_only_then() {
        let app = list("https://app.example.com");
        let allowed = OriginHeader::Value(b"https://app.example.com");
        let verdict = judge(allowed, false, &app);
        assert_eq!(verdict.cors, CorsVerdict::Allowed);
        assert_eq!((verdict.reflects, verdict.refusal), (Reflects::Sent, None));
        for (header, refusal) in [
            (
                OriginHeader::Value(b"https://evil.com"),
                RefusalReason::OriginDenied,
            ),
            (OriginHeader::Null, RefusalReason::OriginDenied),
            (OriginHeader::Malformed, RefusalReason::OriginMalformed),
        ] {
            let verdict = judge(header, false, &app);
            assert_eq!(verdict.cors, CorsVerdict::Denied, "{header:?}");
            assert_eq!(verdict.reflects, Reflects::Nothing, "{header:?}");
            assert_eq!(verdict.refusal, Some(refusal), "{header:?}");
        }
    }

    #[test]
    fn a_public_list_names_any_origin_and_still_refuses_what_is_none() {
        let public = list("*");
        let null = judge(OriginHeader::Null, false, &public);
        assert_eq!((null.reflects, null.refusal), (Reflects::Any, None));
        let malformed = judge(OriginHeader::Malformed, false, &public);
        assert_eq!(malformed.reflects, Reflects::Nothing);
        assert!(malformed.refusal.is_some());
    }

    #[test]
    fn a_candidate_list_judges_foreign_pages_only() {
        let candidate = list("https://app.example.com");
        let other = OriginHeader::Value(b"https://other.example.com");
        assert!(would_refuse(other, false, &candidate));
        assert!(!would_refuse(other, true, &candidate));
        assert!(!would_refuse(OriginHeader::Absent, false, &candidate));
    }
}
