//! The guards in front of a stream: decided before anything is subscribed, the cheapest first.
//!
//! A [`Policy`] is built once and mounted as middleware around the stream routes. Each request
//! passes, in this order: method, host, origin and fetch metadata, `Accept`, limits; what is
//! refused is answered with a JSON error, reported to the
//! [`Observer`](crate::observe::Observer), and never reaches the handler.
//!
//! ```
//! use actix_web::{App, HttpResponse, web};
//! use actix_web_sse::protect::Policy;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Policy::builder()
//!     .allow_origin("https://app.example.com")
//!     .credentials(true)
//!     .build()?; // all faults at once
//!
//! let app = App::new()
//!     .service(
//!         web::resource("/events")
//!             .wrap(policy.clone())
//!             .route(web::get().to(HttpResponse::Ok)), // hub.subscribe(…)
//!     )
//!     .service(
//!         web::resource("/publish")
//!             .wrap(policy.api())
//!             .route(web::post().to(HttpResponse::Ok)),
//!     );
//! # let _ = app;
//! # Ok(())
//! # }
//! ```
//!
//! # Streams and their companions
//!
//! A [`Policy`] wraps routes that are streams, and nothing else: it asks for
//! `Accept: text/event-stream`, answers `HEAD` itself, and counts streams. Endpoints that belong
//! to the streams but are none (publishing, tickets, the report beacon) are wrapped in
//! [`Policy::api`]: same hosts, same origins, same CORS and preflight, but no `Accept` check and
//! no limits on streams. Either may stand around a scope, a resource or a whole `App`. Note that
//! `web::scope("")` takes every path: register what is not to be guarded before it.
//!
//! # CORS: ours, and why not actix-cors
//!
//! The policy does CORS itself, because a stream needs what `actix-cors` (0.7.2) does not do: it
//! lets foreign origins through to the handler unless told otherwise, and answers 400 when told;
//! it takes the first of two `Origin` headers; it accepts `https://x/` in its configuration,
//! which never matches anything; it reads only one line of `Access-Control-Request-Headers`; it
//! sends `Access-Control-Allow-Credentials` to origins that are not allowed. The subscription
//! must not happen for a foreign origin, and the refusal must be readable by an allowed one; so
//! the guard and the headers are one decision.
//!
//! An `actix_cors::Cors` around the policy is harmless but useless: it overwrites the CORS
//! headers with its own, never doubling them, and answers preflights before the policy sees them,
//! so it has to allow what the policy allows. Inside the policy, its headers are replaced by the
//! policy's. Best leave it off the streams.

pub(crate) mod accept;
pub(crate) mod auth;
mod builder;
mod cors;
mod csp;
mod exchange;
mod fetch_metadata;
mod host;
pub(crate) mod limit;
mod middleware;
pub(crate) mod origin;
mod outbound;
pub(crate) mod overload;
mod panic;
mod policy;
pub(crate) mod refusal;
pub(crate) mod ticket;
mod vary;

pub use accept::AcceptMode;
pub use auth::session_cookie::{CookieTemplate, InvalidCookieValue, SameSite, SessionCookie};
pub use auth::{Attempt, AuthError, AuthFuture, Authenticator, Token};
pub use builder::PolicyBuilder;
pub use middleware::{ApiPolicy, GuardFuture, Guarded};
pub use overload::Overload;
pub use policy::Policy;
pub use ticket::{TicketClaim, TicketFuture, TicketStore, TicketStoreUnavailable};
