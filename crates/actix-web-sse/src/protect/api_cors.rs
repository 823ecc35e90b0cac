//! The allow-list for the application's other routes, as an [`actix_cors::Cors`].

use std::sync::Arc;

use actix_cors::Cors;
use actix_web::{
    dev::RequestHead,
    http::header::{self, HeaderValue},
};

use super::{
    Policy,
    middleware::{API_METHODS, API_REQUEST_HEADERS},
    rules::Rules,
};
use crate::origin::{OriginHeader, is_own};

impl Policy {
    /// The same allow-list as an `actix_cors::Cors`, for routes of the application that have nothing
    /// to do with streams: one list rules both. Needs the feature `actix-cors`.
    ///
    /// Taken over are the origins, whether credentials may come along, request and response headers,
    /// the age of a preflight; methods and `Content-Type` as for [`Policy::api`]. A foreign origin
    /// is blocked before the handler. What [`reconfigure`](Self::reconfigure) changes in the list of
    /// origins holds here at once; for all else, such as credentials, the application is to be
    /// started again: until then a changed one is no allow-list for these routes, and lets no
    /// foreign page read.
    ///
    /// A `Cors` belongs to one thread: call this in the factory of
    /// the `App`.
    ///
    /// ```
    /// use actix_web::{App, HttpResponse, web};
    /// use actix_web_sse::Policy;
    ///
    /// let policy = Policy::builder()
    ///     .allow_origin("https://app.example.com")
    ///     .credentials(true)
    ///     .build()?;
    /// let app = move || {
    ///     App::new()
    ///         .service(web::scope("/api").wrap(policy.cors()).route("/me", web::get().to(HttpResponse::Ok)))
    ///         .service(web::resource("/events").wrap(policy.clone()))
    /// };
    /// # let _ = app();
    /// # Ok::<(), actix_web_sse::ConfigError>(())
    /// ```
    ///
    /// # What it does otherwise than `Policy::api`
    ///
    /// A browser decides the same in every case but these; `actix-cors` (0.7.2) is the cause of all
    /// of them:
    ///
    /// | | [`Policy::api`] | this |
    /// |---|---|---|
    /// | a blocked origin | 403 with a JSON error | 400 with text |
    /// | a preflight that is granted | 204 | 200 |
    /// | a preflight that is refused | 403 | 400 |
    /// | `Access-Control-Request-Headers` on two lines | both are read | the first is read |
    /// | an empty `Access-Control-Request-Headers` | asks for nothing | is refused |
    /// | a method in a preflight with wrong capitals | is refused | is refused |
    /// | `Access-Control-Allow-Credentials`, `-Expose-Headers` | to allowed origins | on every reply |
    /// | `Vary` | what the reply depends on | always all three headers |
    /// | a same-origin `POST` without fetch metadata | by scheme and `Host` | over https only: else list the own origin |
    /// | hosts, fetch metadata, credentials, limits, reports | checked | not looked at |
    pub fn cors(&self) -> Cors {
        let policy = Arc::clone(&self.0);
        let taken_over = policy.rules();
        let rules = &taken_over.cors;
        let then = (rules.credentials(), rules.is_public());
        let mut cors = Cors::default()
            .allowed_origin_fn(move |_, head| {
                let rules = policy.rules();
                // An origin of a list without credentials is not to be let in with them.
                let now = (rules.cors.credentials(), rules.cors.is_public());
                now == then && rules.lets_read(head)
            })
            .block_on_origin_mismatch(true)
            .allowed_methods(API_METHODS)
            .allowed_headers(rules.request_headers())
            .allowed_headers(API_REQUEST_HEADERS)
            .expose_headers(rules.expose())
            .max_age(usize::try_from(rules.max_age().as_secs()).ok());
        if rules.credentials() {
            cors = cors.supports_credentials();
        }
        if rules.is_public() {
            cors = cors.allow_any_origin().send_wildcard();
        }
        cors
    }
}

impl Rules {
    /// Whether a page of this request's origin may read the reply. An own page is one of which the
    /// browser says so, which no page can forge; or one over https, where the browser says nothing:
    /// how the request came cannot be seen from here.
    fn lets_read(&self, head: &RequestHead) -> bool {
        let headers = head.headers();
        let lines = headers.get_all(header::ORIGIN).map(HeaderValue::as_bytes);
        let origin = match OriginHeader::read(lines) {
            OriginHeader::Value(origin) => origin,
            OriginHeader::Null => return self.origins.is_public(),
            OriginHeader::Absent | OriginHeader::Malformed => return false,
        };
        if self.origins.find(origin).is_some() {
            return true;
        }
        let says_same_origin = headers
            .get("sec-fetch-site")
            .map(|site| site == "same-origin");
        let of_the_web = origin.starts_with(b"https://") || origin.starts_with(b"http://");
        if says_same_origin == Some(true) && of_the_web {
            return true;
        }
        let authority = head.uri.authority().map(|name| name.as_str().as_bytes());
        let host = || headers.get(header::HOST).map(HeaderValue::as_bytes);
        is_own(origin, authority.or_else(host), "https", says_same_origin)
    }
}
