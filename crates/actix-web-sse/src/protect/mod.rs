//! The guards in front of a stream: decided before anything is subscribed, the cheapest first.
//!
//! A [`Policy`] is built once and mounted as middleware around the stream routes. Each request
//! passes them in the order below; what is refused is answered with a JSON error, reported to the
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
//! # Order
//!
//! | guard | refusal | notes |
//! |---|---|---|
//! | method | 405 `method_not_allowed` | `HEAD` is decided as the `GET` would be, by guards and handler, and opens nothing |
//! | host | 421 `host_denied` | only where [`hosts`](crate::config::PolicyConfig::hosts) are listed |
//! | origin | 403 `origin_denied`, `origin_malformed` | compared byte by byte; a page of the server's own origin is no foreigner |
//! | fetch metadata | 403 `fetch_metadata_denied` | a browser says what asks: only a script may |
//! | `Accept` | 406 `not_acceptable` | |
//! | address, process | 429 `rate_limit`, `ip_limit`; 503 `capacity` | before authentication, so that nobody makes it work for nothing: the address's requests a second, its streams, all streams |
//! | credentials | 401 `unauthorized`, `invalid_token`, `invalid_ticket`; 400 `invalid_request`; 503 `auth_unavailable` | RFC 6750; all that is wrong with a token looks alike |
//! | topic | 403 `insufficient_scope` | where [`topic`](PolicyBuilder::topic) tells which it is; otherwise the subscription says so |
//! | user | 429 `user_limit` | |
//! | rate | 429 `rate_limit` | streams opened a second, of the address and of all; only what opens counts |
//! | ticket | 401 `invalid_ticket` | used up only now |
//!
//! A refusal is `{"error":"…","hint":"…"}`, and readable by the page if its origin is allowed. The
//! hint is [what to do](crate::observe::RefusalReason::hint); [`Hints`](crate::config::Hints) leaves
//! it out. One that
//! passes (429, 503) is answered by who is asking, see [`Overload`]: a native `EventSource` would
//! take the status for an end, and so is sent away with an event stream that holds only `retry:`.
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
//! Mount one policy around the streams, once. A policy that is mounted inside itself lets what it
//! has admitted pass: no second permit is taken, and no ticket is claimed twice. Of two policies
//! inside each other both check every request and hold their own permits, and a ticket that the
//! outer one has claimed is not claimed again. Either is reported as
//! [`Misconfiguration`](crate::observe::Misconfiguration), as is a policy without
//! [`hosts`](crate::config::PolicyConfig::hosts) on a server that listens beyond the loopback.
//!
//! # MCP over streamable HTTP
//!
//! The Model Context Protocol has `GET`, `POST` and `DELETE` on one path. One policy with
//! [`Methods::Mcp`](crate::config::Methods::Mcp) guards it: a foreign `Origin` gets 403 (DNS
//! rebinding is what the protocol's own text warns of), other methods 405, and its headers are
//! allowed across origins. Where the server answers `POST` alone, `methods = "post"` answers 405
//! to `GET` and `DELETE`. `examples/mcp` mounts `rmcp` behind such a policy.
//!
//! The streams are the handler's own: they count in the limits as long as they are open, but
//! heartbeats, the end of a token's time, [`Policy::revoke`] and the drain do not reach them, and no
//! observer hears of their opening and end. Authenticate every request, and end the sessions when
//! the server stops.
//!
//! # CORS: ours, and why not actix-cors
//!
//! The policy does CORS itself, because a stream needs what `actix-cors` (0.7.2) does not do: it
//! lets foreign origins through to the handler by default, and answers 400 if set to block;
//! it takes the first of two `Origin` headers; it accepts `https://x/` in its configuration,
//! which never matches anything; it reads only one line of `Access-Control-Request-Headers`; it
//! sends `Access-Control-Allow-Credentials` to origins that are not allowed. The subscription
//! must not happen for a foreign origin, and the refusal must be readable by an allowed one; so
//! the guard and the headers are one decision.
//!
//! An `actix_cors::Cors` around the policy is harmless but useless: it overwrites the CORS
//! headers with its own, never doubling them, and answers preflights before the policy sees them,
//! so it has to allow what the policy allows. Inside the policy, its headers are replaced by the
//! policy's. Best leave it off the streams. For the application's other routes `Policy::cors`
//! (feature `actix-cors`) makes one of the same allow-list.
//!
//! # Signing in
//!
//! | | works with `EventSource` | across sites | on reconnect |
//! |---|---|---|---|
//! | cookie ([`SessionCookie`]) | yes, `withCredentials: true` across origins | only `SameSite=None; Partitioned`, and only where the browser allows it | sent again |
//! | bearer token | no: it cannot set headers; `fetch` can | yes | set again by the script |
//! | ticket, `single-use` | yes | yes | refused: the page fetches another |
//! | ticket, `resumable` | yes | yes | accepted while its stream is open and for its `ttl` after |
//!
//! Sub-domains of one site (`app.example.com`, `api.example.com`) are the same site: a cookie with
//! `SameSite=Strict` travels between them, and the request is cross-origin all the same.
//!
//! With `credentials = false` a cookie from another origin does not count, whatever the browser
//! sends. After a token has expired nobody goes on as anonymous: the stream ends with
//! `event: auth_expired`, and the next request is refused with 401.
//!
//! Tokens are JSON Web Tokens signed with a shared key
//! ([`jwt_hs256_secret`](crate::config::AuthConfig::jwt_hs256_secret), feature `jwt`) or with the published
//! keys of an issuer ([`JwksConfig`](crate::config::JwksConfig), feature `jwks`), or whatever an
//! [`Authenticator`] understands.
//!
//! A token may name the topics that its user reads: `"topics": ["prices", "orders/*"]`, or `["*"]`
//! for all; the grammar is at [`TopicRights`](crate::TopicRights).
//!
//! ## Tickets
//!
//! The page fetches a ticket with its real credentials ([`Policy::ticket`] answers), and puts it
//! into the URL:
//!
//! ```js
//! // mode = "resumable": the browser reconnects by itself, with Last-Event-ID.
//! async function open(topic) {
//!   const answer = await fetch(`${api}/ticket?topic=${topic}`, { method: "POST", credentials: "include" });
//!   const { ticket } = await answer.json();
//!   return new EventSource(`${api}/events?topic=${topic}&ticket=${ticket}`);
//! }
//! ```
//!
//! A single-use ticket is spent when the stream opens. The reconnect of the browser is refused
//! with 401, which ends the `EventSource` for good (`readyState` is 2): the page makes a new one,
//! with a new ticket, and says itself where it left off:
//!
//! ```js
//! // mode = "single-use"
//! async function follow(topic, on) {
//!   let last = "";
//!   for (let wait = 1000; ; wait = Math.min(wait * 2, 30000)) {
//!     try {
//!       const answer = await fetch(`${api}/ticket?topic=${topic}`, { method: "POST", credentials: "include" });
//!       if (answer.status === 401 || answer.status === 403) return;   // sign in again
//!       const { ticket } = await answer.json();
//!       const resume = last && `&lastEventId=${encodeURIComponent(last)}`;
//!       const source = new EventSource(`${api}/events?topic=${topic}&ticket=${ticket}${resume}`);
//!       await new Promise((ended) => {
//!         source.onopen = () => { wait = 1000; };
//!         source.onmessage = (event) => { last = event.lastEventId; on(event); };
//!         source.onerror = () => { if (source.readyState === 2) ended(); };
//!       });
//!     } catch { /* the network: try again */ }
//!     await new Promise((later) => setTimeout(later, wait * (0.5 + Math.random())));
//!   }
//! }
//! ```
//!
//! Tell the policy which topic a request is about ([`PolicyBuilder::topic`]). Only then can it
//! refuse a ticket for another topic as one that does not hold, and leave it unused: the ticket is
//! used up before the handler runs, and a subscription to the wrong topic is refused with 403 when
//! a single-use ticket is already spent.
//!
//! Tickets are signed, not encrypted, and stand in a URL: keep query strings out of logs. Several
//! nodes share the key, and a [`TicketStore`] that remembers which tickets were used.
//!
//! # Revocation
//!
//! [`Policy::revoke`] takes back what a user holds: tokens and tickets issued up to that moment are
//! refused for [`revocation_memory`](crate::config::AuthConfig::revocation_memory), which is to be
//! as long as a token can live. It goes by when they were issued, as the issuer says (`iat`), so
//! that whoever signs in again is let in; a token that does not say is refused while the revocation
//! is remembered. The clocks of issuers and nodes may be apart by
//! [`revocation_skew`](crate::config::AuthConfig::revocation_skew): so much of what comes after a
//! revocation is taken for older than it, see [`Policy::revoke`].
//!
//! The same call ends the streams that the policy let in and refuses requests that wait for
//! something: the identity is checked again when its stream opens, and by a handler that asks
//! [`Identity::still_holds`](crate::Identity::still_holds).
//!
//! Several nodes share revocations through a [`RevocationStore`]; otherwise a revocation ends at
//! its process, and with it.
//!
//! # One address and all others
//!
//! Whatever all clients share is divided by address first (by prefix for IPv6), so that one address
//! cannot use it up:
//!
//! | shared | an address's part | section `[policy.limits]` |
//! |---|---|---|
//! | the authenticator, tickets | requests a second, counted before authentication | `attempts_per_ip` |
//! | streams opened a second (`connects_per_second`) | half of them | `connects_per_ip` |
//! | streams at a time (`total`), and with them topics and replay | streams at a time | `per_ip` |
//!
//! 1. A request for a stream takes one of its address's requests of this second, then the
//!    address's slot, then one of `total`. It is refused at the first that is missing.
//! 2. After authentication it takes the user's slot.
//! 3. As the last check it takes a place in this second, of its address's part and of all. If the
//!    stream does not open after all (the ticket was used, the topic is unknown), the place is given
//!    back.
//! 4. On companions of the streams ([`Policy::api`]) a request counts only if its credentials do
//!    not hold.
//!
//! The table of addresses has 65 536 entries at most, and only those of the last second. When it is
//! full, addresses without an entry share 1024 budgets: the limit holds, and no known address is
//! locked out. Many addresses together can still use up what is shared; then `rate_limit` and
//! `capacity` protect the streams that are open.
//!
//! **An office behind one address** has one budget. With the defaults it asks for 100 streams a
//! second, and holds 100; who is refused comes back by itself after 5 to 7.5 s. Raise its limits by an entry
//! of `overrides`, and let `per_user` divide it:
//!
//! ```toml
//! [[policy.limits.overrides]]
//! network = "203.0.113.0/24"
//! per_ip = 2000
//! attempts_per_ip = 500
//! ```
//!
//! # Changing the rules
//!
//! [`Policy::reconfigure`] replaces the section `[policy]` while the policy is in use: origins from a
//! database, say, without a restart. Streams, permits, used tickets and revocations stay. Streams of
//! origins that are on the list no more go on, or end, as [`RemovedOrigins`] says.
//!
//! # Behind a proxy
//!
//! - **List it in [`trusted_proxies`](crate::config::LimitsConfig::trusted_proxies).** Otherwise
//!   all clients share its address, and with it one limit.
//! - It must pass `Host` on as the browser sent it. If it cannot, add the server's public origin
//!   to the allow-list: the policy cannot know it.
//! - It must add to `X-Forwarded-For` (or `Forwarded`, as configured) and pass `Origin` and
//!   `Accept` on. A cache in it must honour `Vary`; none of our replies may be stored anyway.
//! - `http/1.0` between proxy and server, which nginx speaks by default, works; `1.1` is better.

pub(crate) mod accept;
mod allow_list;
#[cfg(feature = "actix-cors")]
mod api_cors;
pub(crate) mod auth;
mod builder;
mod caller;
pub(crate) mod cors;
mod csp;
mod exchange;
mod expiring;
mod fetch_metadata;
mod head;
mod held;
pub(crate) mod host;
mod identify;
mod issue;
pub(crate) mod limit;
mod lines;
mod methods;
mod middleware;
mod outbound;
mod pages;
mod panic;
mod policy;
mod reconfigure;
mod revocation;
mod revocation_store;
mod revoked;
mod rules;
pub(crate) mod ticket;

pub use crate::config::{AcceptMode, Overload};
pub use auth::session_cookie::{CookieTemplate, InvalidCookieValue, SameSite, SessionCookie};
pub use auth::{Attempt, AuthError, AuthFuture, Authenticator, CacheKey, Token};
pub use builder::PolicyBuilder;
pub use caller::Caller;
pub use limit::{NoUserSlot, UserLimitFuture, UserLimitStore, UserSlot};
pub use middleware::{ApiPolicy, GuardFuture, Guarded};
pub use policy::Policy;
pub use reconfigure::RemovedOrigins;
pub use revocation_store::{RevocationSink, RevocationStore};
pub use revoked::UserRevocation;
pub use ticket::{TicketClaim, TicketFuture, TicketStore, TicketStoreUnavailable};
