//! Checks event streams from outside, as a browser would judge them.
//!
//! ```no_run
//! use sse_probe::{Credentials, Target};
//!
//! # async fn test() -> Result<(), Box<dyn std::error::Error>> {
//! let target = Target::new("http://127.0.0.1:8080/events")?
//!     .origin("https://app.example.com")?
//!     .credentials(Credentials::Include)
//!     .bearer("token")
//!     .hold(std::time::Duration::from_secs(3));
//! let report = sse_probe::check(target).await?;
//! report.assert_clean(); // panics with the whole report otherwise
//! # Ok(())
//! # }
//! ```
//!
//! [`check()`] makes some twenty exchanges, and each [check](checks::CHECKS) judges them without further traffic. A finding
//! is of one of three [kinds](checks::FindingKind): a browser cannot use the stream, somebody can who should not, or advice;
//! only the first two fail the [profile](checks::Profile) `browser`. For tests of headers that one has already, there are
//! [`assertions`], [`cors_check`] and [`event_source_opens`], which need no network.
//!
//! # When it goes wrong
//!
//! A target that gives no reply is an [`AttemptError`], not a report; a refusal such as 429 or 503 is a report. Whatever a
//! server sends, memory is bounded: heads of 256 KiB, 256 KiB of a line, 64 KiB of each event, 32 MiB of a body.
//!
//! # Rooms
//!
//! Each uses only those below it.
//!
//! ```text
//! cli                  the commands: what they take, print and return
//! exporter             rounds, `/probe`, `/metrics`, reloads
//! assertions, options  users' tests; how to probe
//! compare              the same stream at two addresses
//! report               a result and its forms
//! checks               one table; what is found, why it matters, what to change
//! observe              all exchanges of a survey, as pages in browsers make them
//! target               what to probe, as whom, what is expected
//! http                 one exchange: connect, TLS, head, body as it arrives
//! stream               the format, positions, arrival times
//! browser              CORS, preflights, redirects, content types, policies of pages
//! macros               enumerations whose members have names, setters
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

#[macro_use]
mod macros;

pub mod assertions;
mod browser;
pub mod checks;
#[doc(hidden)]
pub mod cli;
#[doc(hidden)]
pub mod compare;
#[doc(hidden)]
pub mod exporter;
#[doc(hidden)]
pub mod http;
mod observe;
#[doc(hidden)]
pub mod options;
pub mod report;
#[doc(hidden)]
pub mod stream;
mod target;

pub use self::{
    browser::{
        Block, Credentials, Headers, LookAlike, Mistake, Origin, OriginError, PreflightBlock,
        Redirect, RedirectBlock, Refusal, Route, cors_check, event_source_opens, preflight_check,
    },
    checks::{Finding, FindingKind, Profile},
    http::AttemptError,
    observe::{Listener, Progress},
    report::{CheckReport, Checked, check, check_with},
    target::{
        Access, Expectation, Publish, Secret, ServerPolicy, Target, TargetError, TicketSource,
        USER_AGENT, parse_header,
    },
};
