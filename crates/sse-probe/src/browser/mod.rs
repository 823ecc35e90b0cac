//! What a browser decides: the Fetch standard's CORS check, preflights and redirects, and whether an `EventSource` opens.
//!
//! Pure functions of what was sent and received; no clock, no socket.

pub(crate) mod cors;
pub(crate) mod event_source;
pub(crate) mod headers;
mod origin;
pub(crate) mod page;
mod redirect;

pub use self::{
    cors::{Block, Credentials, PreflightBlock, cors_check, preflight_check},
    event_source::{Refusal, event_source_opens},
    headers::Headers,
    origin::{LookAlike, Mistake, Origin, OriginError},
    redirect::{Redirect, RedirectBlock, Route},
};
