//! What is wrong with what was asked for.

use std::{error::Error, fmt};

use crate::browser::OriginError;

/// What is wrong with a target.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetError {
    /// Not a URL that can be probed, and why.
    Url(String, String),
    /// Not an origin.
    Origin(OriginError),
    /// Not a header line.
    Header(String),
    /// Not an expectation.
    Expectation(String),
    /// No check of that name; and the names that there are.
    UnknownCheck(String, Vec<&'static str>),
    /// A server's policy that cannot be read, and why.
    Policy(String),
    /// A browser sends cookies across origins only in the credentials mode `include`.
    CookieWithoutCredentials,
    /// The same origin is to be let in and to be kept out.
    AllowedAndDenied(String),
    /// A token or cookie with bytes that a header cannot hold.
    SecretNotAHeader,
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(text, why) => write!(f, "`{}` cannot be probed: {why}", text.escape_debug()),
            Self::Origin(why) => write!(f, "{why}"),
            Self::Header(text) => write!(
                f,
                "`{}` is not a header line that can be added; write `Name: value`",
                text.escape_debug()
            ),
            Self::Expectation(text) => write!(
                f,
                "`{}` is not an expectation; there are: {}",
                text.escape_debug(),
                super::expectation::FORMS
            ),
            Self::UnknownCheck(text, names) => write!(
                f,
                "there is no check `{}`; there are: {}",
                text.escape_debug(),
                names.join(", ")
            ),
            Self::Policy(why) => f.write_str(why),
            Self::CookieWithoutCredentials => f.write_str(
                "a browser sends a cookie across origins only with credentials; add --credentials",
            ),
            Self::AllowedAndDenied(origin) => {
                write!(
                    f,
                    "`{origin}` is both an origin to let in and one to keep out; remove it from one of the two"
                )
            }
            Self::SecretNotAHeader => f.write_str(
                "the token or cookie holds a line break or another byte that no header can carry",
            ),
        }
    }
}

impl Error for TargetError {}
