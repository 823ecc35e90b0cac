//! The route of a request, as reports name it.

use actix_web::HttpRequest;

/// The `route` of requests that no route takes.
const UNMATCHED: &str = "unmatched";

/// The match pattern of a request's route (`/events/{topic}`), never the path that the client sent.
#[derive(Debug, Clone)]
pub(crate) struct Route(Option<String>);

impl Route {
    pub(crate) fn of(request: &HttpRequest) -> Self {
        Self(request.match_pattern())
    }

    /// Whether a route takes the request.
    pub(crate) const fn is_matched(&self) -> bool {
        self.0.is_some()
    }

    /// The pattern, or `unmatched`.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or(UNMATCHED)
    }
}
