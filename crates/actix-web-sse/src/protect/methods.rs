//! The methods of a stream route.

use actix_web::http::{
    Method,
    header::{CONTENT_TYPE, HeaderName},
};

use crate::config::Methods;

/// The methods of a stream route.
#[derive(Debug, Clone, Copy)]
pub(super) struct StreamMethods(Methods);

impl StreamMethods {
    pub(super) const fn of(methods: Methods) -> Self {
        Self(methods)
    }

    /// The value of `Allow`.
    pub(super) const fn allow(self) -> &'static str {
        match self.0 {
            Methods::Get => "GET, HEAD, OPTIONS",
            Methods::Post => "POST, OPTIONS",
            Methods::GetAndPost => "GET, HEAD, POST, OPTIONS",
        }
    }

    /// What a preflight may ask for.
    pub(super) const fn cors(self) -> &'static [&'static str] {
        match self.0 {
            Methods::Get => &["GET", "HEAD"],
            Methods::Post => &["POST"],
            Methods::GetAndPost => &["GET", "HEAD", "POST"],
        }
    }

    /// The request headers that these methods need, beside those of the configuration.
    pub(super) fn request_headers(self) -> &'static [HeaderName] {
        // A body of JSON has a content type, and it is not one that needs no preflight.
        static OF_BODIES: [HeaderName; 1] = [CONTENT_TYPE];
        match self.0 {
            Methods::Get => &[],
            Methods::Post | Methods::GetAndPost => &OF_BODIES,
        }
    }

    pub(super) fn contain(self, method: &Method) -> bool {
        self.cors().contains(&method.as_str())
    }
}
