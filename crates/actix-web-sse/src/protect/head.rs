//! The decisions that need no more than the head of the request.

use std::net::IpAddr;

use actix_web::{
    HttpRequest,
    http::{
        Method, Version,
        header::{self, HeaderValue},
    },
};

use super::{
    accept, cors::Reflection, fetch_metadata::FetchMetadata, limit::address::forwarded_https,
    policy::Inner,
};
use crate::{
    config::ForwardedHeader,
    observe::{CorsVerdict, OriginClass, RefusalReason},
    origin::{self, OriginHeader, Reflects},
    respond::refusal::Refusal,
};

/// What the policy makes of a request's origin.
#[derive(Debug)]
pub(super) struct OriginFindings {
    pub(super) class: OriginClass,
    pub(super) cors: CorsVerdict,
    pub(super) reflection: Reflection,
    /// Why it is not let through.
    pub(super) refusal: Option<RefusalReason>,
    /// The candidate list would have refused it.
    pub(super) candidate_refuses: bool,
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    pub(super) address: Option<IpAddr>,
    /// The client came by https, to us or to a proxy that is trusted.
    pub(super) secure: bool,
}

impl Source {
    pub(super) const fn scheme(self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
}

impl Inner {
    /// Sees where the request comes from.
    pub(super) fn source(&self, request: &HttpRequest) -> Source {
        let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
        let secure = request.app_config().secure();
        let Some(header) = self.proxies.header_for(peer) else {
            return Source {
                address: peer,
                secure,
            };
        };
        let lines = |name| request.headers().get_all(name).map(HeaderValue::as_bytes);
        let (name, proto) = match header {
            ForwardedHeader::XForwardedFor => (header::X_FORWARDED_FOR, header::X_FORWARDED_PROTO),
            ForwardedHeader::Forwarded => (header::FORWARDED, header::FORWARDED),
        };
        let says_https = lines(proto)
            .next_back()
            .is_some_and(|line| forwarded_https(header, line));
        Source {
            address: self.proxies.client(header, peer, lines(name)),
            secure: secure || says_https,
        }
    }

    /// Sees whose page is asking.
    pub(super) fn origin(&self, request: &HttpRequest, scheme: &str) -> OriginFindings {
        let headers = request.headers();
        let lines = headers.get_all(header::ORIGIN).map(HeaderValue::as_bytes);
        let header = OriginHeader::read(lines);
        let says_same_origin = fetch_metadata(request).says_same_origin();
        let own = origin::is_same_origin(header, authority(request), scheme, says_same_origin);
        let verdict = origin::judge(header, own, &self.origins);
        let reflection = match (verdict.reflects, headers.get(header::ORIGIN)) {
            (Reflects::Any, _) => Reflection::Any,
            (Reflects::Sent, Some(origin)) => Reflection::Origin(origin.clone()),
            _ => Reflection::None,
        };
        let candidate = self.candidate.as_ref();
        OriginFindings {
            class: verdict.class,
            cors: verdict.cors,
            reflection,
            refusal: verdict.refusal,
            candidate_refuses: candidate
                .is_some_and(|candidate| origin::would_refuse(header, own, candidate)),
        }
    }

    /// The guard on the method of a stream route.
    pub(super) fn check_method(&self, method: &Method) -> Result<(), Refusal> {
        if self.methods.contain(method) {
            return Ok(());
        }
        Err(Refusal {
            allow: Some(self.allow.clone()),
            ..Refusal::new(RefusalReason::MethodNotAllowed)
        })
    }

    /// The guard on the names under which we are served.
    pub(super) fn check_host(&self, request: &HttpRequest) -> Result<(), Refusal> {
        if self.hosts.is_empty() {
            return Ok(());
        }
        let mut lines = request
            .headers()
            .get_all(header::HOST)
            .map(HeaderValue::as_bytes);
        let host = (lines.next(), lines.next());
        let authority = request
            .uri()
            .authority()
            .map(|name| name.as_str().as_bytes());
        let allowed = match (authority, host) {
            (_, (Some(_), Some(_))) => false,
            (Some(authority), (Some(host), None)) => {
                self.hosts.allow(authority) && self.hosts.allow(host)
            }
            (Some(name), (None, _)) | (None, (Some(name), None)) => self.hosts.allow(name),
            // Only HTTP/1.0 may leave it out, and no browser speaks that.
            (None, (None, _)) => request.version() < Version::HTTP_11,
        };
        if allowed {
            Ok(())
        } else {
            Err(Refusal::new(RefusalReason::HostDenied))
        }
    }

    /// The guard on `Accept`.
    pub(super) fn check_accept(&self, request: &HttpRequest) -> Result<(), Refusal> {
        let lines = request
            .headers()
            .get_all(header::ACCEPT)
            .map(HeaderValue::as_bytes);
        let demand = accept::Demand::of(request.method(), self.accept);
        if accept::accepts(lines, demand) {
            Ok(())
        } else {
            Err(Refusal::new(RefusalReason::NotAcceptable))
        }
    }
}

/// A preflight (WHATWG Fetch § 3.2.2): any other `OPTIONS` is just a method.
pub(super) fn is_preflight(request: &HttpRequest) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

pub(super) fn fetch_metadata(request: &HttpRequest) -> FetchMetadata<'_> {
    let header = |name: &str| request.headers().get(name).map(HeaderValue::as_bytes);
    FetchMetadata {
        site: header("sec-fetch-site"),
        mode: header("sec-fetch-mode"),
        dest: header("sec-fetch-dest"),
    }
}

/// The name that the request went to.
fn authority(request: &HttpRequest) -> Option<&[u8]> {
    match request.uri().authority() {
        Some(authority) => Some(authority.as_str().as_bytes()),
        None => request
            .headers()
            .get(header::HOST)
            .map(HeaderValue::as_bytes),
    }
}
