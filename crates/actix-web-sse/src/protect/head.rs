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
    accept, cors::Reflection, fetch_metadata::FetchMetadata, limit::address::Said, rules::Rules,
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
    /// The header of the proxies that are trusted, and how many of them have spoken.
    proxies: Option<(ForwardedHeader, usize)>,
}

impl Source {
    pub(super) const fn scheme(self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// Whether a browser sends fetch metadata over such a connection (W3C Fetch Metadata § 2): to
    /// https, and to its own machine.
    fn is_trustworthy(self) -> bool {
        self.secure || self.address.is_some_and(|address| address.is_loopback())
    }

    /// What the trusted proxies say, if anything.
    fn said(self, said: Said, request: &HttpRequest) -> Option<&[u8]> {
        let (header, hops) = self.proxies?;
        let lines = request.headers().get_all(said.header(header));
        said.by_proxies(header, lines.map(HeaderValue::as_bytes), hops)
    }
}

impl Rules {
    /// Sees where the request comes from.
    pub(super) fn source(&self, request: &HttpRequest) -> Source {
        let peer = request.peer_addr().map(|peer| peer.ip().to_canonical());
        let mut source = Source {
            address: peer,
            secure: request.app_config().secure(),
            proxies: None,
        };
        if let Some(header) = self.proxies.header_for(peer) {
            let name = match header {
                ForwardedHeader::XForwardedFor => header::X_FORWARDED_FOR,
                ForwardedHeader::Forwarded => header::FORWARDED,
            };
            let lines = request.headers().get_all(name).map(HeaderValue::as_bytes);
            let client = self.proxies.client(header, peer, lines);
            source.address = client.address;
            source.proxies = Some((header, client.hops));
            let scheme = source.said(Said::Scheme, request);
            source.secure |= scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"https"));
        }
        source
    }

    /// Sees whose page is asking.
    pub(super) fn origin(&self, request: &HttpRequest, source: Source) -> OriginFindings {
        let headers = request.headers();
        let lines = headers.get_all(header::ORIGIN).map(HeaderValue::as_bytes);
        let header = OriginHeader::read(lines);
        let says_same_origin = fetch_metadata(request).says_same_origin();
        let authority = source
            .said(Said::Host, request)
            .or_else(|| authority(request));
        // A proxy that rewrites `Host` says nothing about the name that the page has; the browser
        // does, where it sends fetch metadata at all, and no page can forge those.
        let said = says_same_origin == Some(true)
            && source.is_trustworthy()
            && matches!(header, OriginHeader::Value(origin) if is_of_the_web(origin));
        let own =
            said || origin::is_same_origin(header, authority, source.scheme(), says_same_origin);
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

    /// The guard on the names under which we are served. Where a trusted proxy says to which name
    /// the client went, that name counts, and `Host` is the proxy's own affair.
    pub(super) fn check_host(&self, request: &HttpRequest, source: Source) -> Result<(), Refusal> {
        if self.hosts.is_empty() {
            return Ok(());
        }
        if let Some(host) = source.said(Said::Host, request) {
            return match self.hosts.allow(host) {
                true => Ok(()),
                false => Err(Refusal::new(RefusalReason::HostDenied)),
            };
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
        if !self.methods.ask_for_a_stream(request.method()) {
            return Ok(());
        }
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

/// An origin of pages that come by HTTP: those of extensions have no server of their own.
fn is_of_the_web(origin: &[u8]) -> bool {
    origin.starts_with(b"https://") || origin.starts_with(b"http://")
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
