//! For integration tests of one's own: panics that say what is wrong and what to change.
//!
//! ```
//! use sse_probe::{Credentials, Headers, assertions};
//!
//! let headers = Headers::from_lines([
//!     ("Content-Type", "text/event-stream"),
//!     ("Access-Control-Allow-Origin", "https://app.example.com"),
//!     ("Access-Control-Allow-Credentials", "true"),
//!     ("Vary", "Origin"),
//! ]);
//! assertions::assert_event_source_opens(200, &headers, "https://app.example.com", Credentials::Include);
//! assertions::assert_cors_blocked(&headers, "https://evil.example", Credentials::Include);
//! ```
#![expect(clippy::panic, reason = "assertions are there to panic")]

use crate::{
    browser::{Credentials, Headers, Origin, cors_check, event_source_opens},
    report::{CheckReport, human, plain},
    target::Profile,
};

/// A page of `origin` may read a reply with these headers.
///
/// # Panics
///
/// It may not; the message says why.
#[track_caller]
pub fn assert_cors_allowed(headers: &Headers, origin: &str, credentials: Credentials) {
    if let Err(block) = cors_check(headers, &parse(origin), credentials) {
        panic!("a page of {origin} cannot read the reply: {block}");
    }
}

/// A page of `origin` may not read a reply with these headers.
///
/// # Panics
///
/// It may.
#[track_caller]
pub fn assert_cors_blocked(headers: &Headers, origin: &str, credentials: Credentials) {
    if cors_check(headers, &parse(origin), credentials).is_ok() {
        panic!("a page of {origin} can read the reply (credentials: {credentials})");
    }
}

/// An `EventSource` of a page of `origin` opens on this reply.
///
/// # Panics
///
/// It does not; the message says why.
#[track_caller]
pub fn assert_event_source_opens(
    status: u16,
    headers: &Headers,
    origin: &str,
    credentials: Credentials,
) {
    if let Err(refusal) = event_source_opens(status, headers, &parse(origin), credentials, false) {
        panic!("an EventSource of {origin} does not open: {refusal}");
    }
}

impl CheckReport {
    /// Nothing was found that a browser cannot use, nothing insecure, and every expectation is met.
    ///
    /// # Panics
    ///
    /// Something was; the message is the whole report.
    #[track_caller]
    pub fn assert_clean(&self) {
        self.assert_passes(Profile::Browser);
    }

    /// Nothing was found that fails a run of that profile.
    ///
    /// # Panics
    ///
    /// Something was; the message is the whole report.
    #[track_caller]
    pub fn assert_passes(&self, profile: Profile) {
        if !self.passes(profile) {
            let text = plain(&human(self, &self.software));
            panic!("by the profile {profile:?}:\n{text}");
        }
    }

    /// The check of that name was judged, and found nothing but advice.
    ///
    /// # Panics
    ///
    /// It was skipped, was not run, or found something; the message says which.
    #[track_caller]
    pub fn assert_passed(&self, check: &str) {
        match self.outcome(check) {
            Some(outcome) if outcome.passed() => {}
            Some(outcome) => panic!("`{check}` did not pass: {:#?}", outcome),
            None => panic!("`{check}` was not run"),
        }
    }
}

#[track_caller]
fn parse(origin: &str) -> Origin {
    match origin.parse() {
        Ok(origin) => origin,
        Err(why) => panic!("{why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "no Access-Control-Allow-Origin")]
    fn the_panic_says_what_is_missing() {
        assert_cors_allowed(
            &Headers::default(),
            "https://app.example.com",
            Credentials::Omit,
        );
    }

    #[test]
    #[should_panic(expected = "can read the reply")]
    fn an_open_door_panics() {
        let headers = Headers::from_lines([("Access-Control-Allow-Origin", "*")]);
        assert_cors_blocked(&headers, "https://evil.example", Credentials::Omit);
    }
}
