//! The methods of a stream route.

use actix_web::http::{
    Method,
    header::{CONTENT_TYPE, HeaderName},
};

use crate::config::{Methods, OriginsConfig};

/// What MCP clients send beside what the streams' clients send.
const MCP_REQUEST_HEADERS: [&str; 4] = [
    "mcp-session-id",
    "mcp-protocol-version",
    "mcp-method",
    "mcp-name",
];

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
            Methods::Mcp => "GET, POST, DELETE, OPTIONS",
        }
    }

    /// What a preflight may ask for.
    pub(super) const fn cors(self) -> &'static [&'static str] {
        match self.0 {
            Methods::Get => &["GET", "HEAD"],
            Methods::Post => &["POST"],
            Methods::GetAndPost => &["GET", "HEAD", "POST"],
            Methods::Mcp => &["GET", "POST", "DELETE"],
        }
    }

    /// The request headers that these methods need, beside those of the configuration.
    pub(super) fn request_headers(self) -> &'static [HeaderName] {
        // A body of JSON has a content type, and it is not one that needs no preflight.
        static OF_BODIES: [HeaderName; 1] = [CONTENT_TYPE];
        match self.0 {
            Methods::Get => &[],
            Methods::Post | Methods::GetAndPost | Methods::Mcp => &OF_BODIES,
        }
    }

    pub(super) fn contain(self, method: &Method) -> bool {
        self.cors().contains(&method.as_str())
    }

    /// Whether a request with this method asks for a stream, and says so in `Accept`.
    pub(super) fn ask_for_a_stream(self, method: &Method) -> bool {
        !matches!(self.0, Methods::Mcp) || method == Method::GET
    }

    /// The section with the headers that the protocol on this route needs.
    pub(super) fn with_their_headers(self, origins: &OriginsConfig) -> OriginsConfig {
        let mut origins = origins.clone();
        if matches!(self.0, Methods::Mcp) {
            add(&mut origins.request_headers, &MCP_REQUEST_HEADERS);
            add(&mut origins.expose_headers, &["mcp-session-id"]);
        }
        origins
    }
}

/// Adds the names that are missing.
fn add(names: &mut Vec<String>, further: &[&str]) {
    for name in further {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push((*name).to_owned());
        }
    }
}
