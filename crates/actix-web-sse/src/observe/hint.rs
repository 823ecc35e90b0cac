//! What to do about each refusal.

use super::RefusalReason;

impl RefusalReason {
    /// What the client, or whoever configures the server, can do: one sentence, as it stands in the
    /// field `hint` of the JSON body. Nothing of a request is in it, and it needs no escaping.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::MethodNotAllowed => "use one of the methods that the Allow header names",
            Self::HostDenied => {
                "send the public name of the server as Host; policy.hosts lists the names"
            }
            Self::OriginDenied => {
                "the Origin of the page must stand in policy.origins.allow, byte by byte"
            }
            Self::OriginMalformed => "send one Origin header with one origin, as browsers do",
            Self::FetchMetadataDenied => {
                "ask from a script, by EventSource or fetch, not by a navigation, a form or an image"
            }
            Self::PreflightDenied => {
                "ask for a method of policy.methods and for headers of policy.origins.request_headers"
            }
            Self::NotAcceptable => "send the header Accept: text/event-stream",
            Self::InvalidRequest => {
                "present credentials once and in one place, and name topics within the limits"
            }
            Self::Unauthorized => {
                "send the header Authorization: Bearer with a token, the session cookie, or a ticket"
            }
            Self::InvalidToken => "sign in again, and send the new token",
            Self::InvalidTicket => {
                "fetch a new ticket with your credentials; a single-use ticket opens one stream"
            }
            Self::InsufficientScope => {
                "name a topic that the token grants, or sign in as somebody who may read it"
            }
            Self::NotFound => "check the path: nothing is mounted there",
            Self::IpLimit => {
                "close streams of this address, or wait; behind a proxy set \
                 policy.limits.trusted_proxies"
            }
            Self::UserLimit => "close other streams of this user, or wait as Retry-After says",
            Self::RateLimit => "connect less often: wait as Retry-After says",
            Self::Capacity => {
                "all streams of the server, or of a topic, are taken: wait as Retry-After says"
            }
            Self::Draining => "this process is about to stop: connect again after Retry-After",
            Self::AuthUnavailable => {
                "credentials cannot be checked at the moment: wait as Retry-After says"
            }
            Self::Internal => "the fault is the server's: its log has more",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_reason_has_a_short_hint_of_its_own_that_needs_no_escaping() {
        let mut seen = HashSet::new();
        for reason in RefusalReason::ALL {
            let hint = reason.hint();
            assert!((20..=100).contains(&hint.len()), "{reason}: {hint}");
            let harmless = |byte: u8| (b' '..=b'~').contains(&byte) && !b"\"\\<>&".contains(&byte);
            assert!(hint.bytes().all(harmless), "{reason}: {hint}");
            assert!(seen.insert(hint), "{reason}: {hint}");
        }
    }
}
