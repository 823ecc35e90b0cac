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
//! [`check()`] makes some twenty exchanges (a [`Survey`]), and each [`Check`](check::Check) judges them without further
//! traffic. [`diff`](diff::compare) compares the same stream at two addresses. For tests of headers that one has
//! already, there are [`assertions`], [`cors_check`] and [`event_source_opens`], which need no network.
//!
//! # When it goes wrong
//!
//! A target that gives no reply is an [`AttemptError`], not a report. Whatever a server sends, memory is bounded: heads
//! of 64 KiB, 256 KiB of a line, 64 KiB of each event, 32 MiB of a body. A server that answers 429 or 503 is asked again,
//! up to four times in all.

pub mod advice;
pub mod assertions;
pub mod check;
pub mod diff;
pub mod exchange;
mod finding;
mod headers;
mod mime;
mod origin;
mod preflight;
pub mod report;
pub mod stream;
mod survey;
pub mod tail;
mod target;
pub mod timing;
mod verdict;
pub mod watch;

pub use self::{
    finding::{Finding, Level},
    headers::Headers,
    origin::{LookAlike, Origin, OriginError, Trick},
    preflight::{PreflightBlock, preflight_check},
    report::CheckReport,
    survey::{
        Attempt, AttemptError, Denied, Listener, Progress, Resumed, Resumption, Stranger, Survey,
    },
    target::{
        Access, Expectation, Secret, Target, TargetError, TicketSource, USER_AGENT, parse_header,
    },
    verdict::{Block, Credentials, Refusal, cors_check, event_source_opens},
};

/// Checks a stream by every check.
///
/// # Errors
///
/// The stream's URL gave no reply.
pub async fn check(target: Target) -> Result<CheckReport, AttemptError> {
    check_with(target, &|_| {}).await
}

/// The same, telling of its progress.
///
/// # Errors
///
/// The stream's URL gave no reply.
pub async fn check_with(target: Target, tell: Listener<'_>) -> Result<CheckReport, AttemptError> {
    let begun = std::time::Instant::now();
    let survey = Survey::make(target, tell).await?;
    Ok(CheckReport::new(&survey, begun.elapsed()))
}
