//! What must be so at this target, beyond what every stream needs.

use std::{str::FromStr, time::Duration};

use http::{HeaderName, HeaderValue};

use super::{TargetError, parse_header};

/// Something that must be so.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expectation {
    /// No longer silence than this.
    Heartbeat(Duration),
    /// The first byte of the body within this time.
    FirstByte(Duration),
    /// The first event within this time.
    FirstEvent(Duration),
    /// At least one event while the stream is held.
    Event,
    /// HTTP/2.
    Http2,
    /// Replay after `Last-Event-ID`.
    Resume,
    /// 401 without credentials.
    Auth,
    /// Every origin may read: `*`.
    Public,
    /// The certificate is valid for at least this long.
    Certificate(Duration),
    /// A header with exactly this value.
    Header(HeaderName, HeaderValue),
}

/// The forms, for help and errors.
pub(super) const FORMS: &str = "heartbeat=20s, first-byte=1s, first-event=5s, event, http2, resume, auth, public, \
                                certificate=14days, header=Name: value";

impl FromStr for Expectation {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let wrong = || TargetError::Expectation(text.to_owned());
        let (key, value) = match text.split_once('=') {
            Some((key, value)) => (key, Some(value.trim())),
            None => (text, None),
        };
        let time = || {
            value
                .and_then(|v| humantime::parse_duration(v).ok())
                .ok_or_else(wrong)
        };
        match (key.trim(), value) {
            ("heartbeat", _) => Ok(Self::Heartbeat(time()?)),
            ("first-byte", _) => Ok(Self::FirstByte(time()?)),
            ("first-event", _) => Ok(Self::FirstEvent(time()?)),
            ("certificate", _) => Ok(Self::Certificate(time()?)),
            ("event", None) => Ok(Self::Event),
            ("http2", None) => Ok(Self::Http2),
            ("resume", None) => Ok(Self::Resume),
            ("auth", None) => Ok(Self::Auth),
            ("public", None) => Ok(Self::Public),
            ("header", Some(line)) => {
                let (name, value) = parse_header(line)?;
                Ok(Self::Header(name, value))
            }
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expectations_are_read() {
        assert_eq!(
            "heartbeat=20s".parse(),
            Ok(Expectation::Heartbeat(Duration::from_secs(20)))
        );
        assert_eq!("resume".parse(), Ok(Expectation::Resume));
        assert!(matches!(
            "header=X-A: b".parse(),
            Ok(Expectation::Header(..))
        ));
        for bad in [
            "",
            "heartbeat",
            "heartbeat=soon",
            "resume=yes",
            "header=x",
            "colour=red",
        ] {
            let error = bad.parse::<Expectation>().unwrap_err().to_string();
            assert!(!error.is_empty(), "{bad}");
        }
    }
}
