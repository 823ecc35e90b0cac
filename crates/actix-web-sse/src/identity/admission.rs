//! What the guards found out about a request, handed from the middleware to the responder.

use std::{any::Any, fmt, net::IpAddr, rc::Rc, sync::Arc};

use actix_web::{
    HttpMessage, HttpRequest,
    http::{Method, header},
};

use super::{AllowedPage, Findings, Identity};
use crate::{
    config::{Hints, Overload},
    observe::{CorsVerdict, OriginClass, Route, Visitor},
    origin::is_own,
};

/// The guards' findings about one admitted request. The middleware leaves them in the request's
/// extensions, where they stay: whoever asks during the request finds the same.
pub(crate) struct Admission {
    pub(crate) origin: OriginClass,
    pub(crate) cors: CorsVerdict,
    pub(crate) address: Option<IpAddr>,
    pub(crate) identity: Identity,
    /// How a refusal for want of capacity is to be answered.
    pub(crate) overload: Overload,
    /// Whether a refusal says what to do.
    pub(crate) hints: Hints,
    /// Frees the slots of the limits when the last holder drops it: the request, and each of its
    /// streams.
    pub(crate) permit: Option<Rc<dyn Any>>,
    /// A `Policy` is mounted around the handler and sets the CORS headers and `Vary`.
    pub(crate) guarded: bool,
    /// The request is a `HEAD`: to be answered as the `GET` would be, without opening anything.
    pub(crate) head_only: bool,
    /// The foreign page that reads, if one does.
    pub(crate) page: Option<Arc<AllowedPage>>,
    /// Which policy around streams admitted the request, by its address; 0 where none did.
    pub(crate) policy: usize,
}

impl Admission {
    /// What is known where no `Policy` is mounted.
    pub(crate) fn unguarded(request: &HttpRequest) -> Self {
        let (origin, cors) = unguarded_origin(request);
        Self {
            origin,
            cors,
            address: request.peer_addr().map(|peer| peer.ip()),
            identity: Identity::anonymous(),
            overload: Overload::default(),
            hints: Hints::default(),
            permit: None,
            guarded: false,
            head_only: request.method() == Method::HEAD,
            page: None,
            policy: 0,
        }
    }

    /// What the guards left in this request; `None` where there are none.
    pub(crate) fn left_in(request: &HttpRequest) -> Option<Rc<Self>> {
        request.extensions().get::<Rc<Self>>().map(Rc::clone)
    }

    /// Leaves this in the request, for everybody who asks from now on. A policy around this one
    /// has left its own findings: they count too, and its permit is kept as well.
    pub(crate) fn leave_in(mut self, request: &HttpRequest) -> Rc<Self> {
        if let Some(outer) = Self::left_in(request) {
            self.identity = self.identity.within(&outer.identity);
            self.head_only |= outer.head_only;
            self.page = AllowedPage::within(self.page.take(), outer.page.as_ref());
            self.permit = match (self.permit.take(), outer.permit.clone()) {
                (Some(own), Some(outer)) => Some(Rc::new((own, outer))),
                (own, outer) => own.or(outer),
            };
        }
        let admission = Rc::new(self);
        request.extensions_mut().insert(Rc::clone(&admission));
        admission
    }

    /// This admission as observers see it.
    pub(crate) fn visitor<'a>(&'a self, request: &'a HttpRequest, route: &'a Route) -> Visitor<'a> {
        let findings = Findings {
            origin: &self.origin,
            cors: self.cors,
            address: self.address,
            identity: &self.identity,
        };
        findings.visitor(&Visitor::unknown(request, route.as_str()))
    }
}

/// What a browser makes of a reply to which no `Policy` adds CORS headers: it keeps it from the
/// page of any other origin. Another middleware that adds them is not seen from here, but by a
/// [`CorsWitness`](crate::observe::CorsWitness).
fn unguarded_origin(request: &HttpRequest) -> (OriginClass, CorsVerdict) {
    let headers = request.headers();
    let Some(origin) = headers.get(header::ORIGIN) else {
        return (OriginClass::None, CorsVerdict::NoOrigin);
    };
    let says_same_origin = headers
        .get("sec-fetch-site")
        .map(|site| site == "same-origin");
    let scheme = if request.app_config().secure() {
        "https"
    } else {
        "http"
    };
    let authority = match request.uri().authority() {
        Some(authority) => Some(authority.as_str().as_bytes()),
        None => headers.get(header::HOST).map(|host| host.as_bytes()),
    };
    // Behind a proxy that rewrites `Host` only the browser knows, and no page can forge its word.
    let own = is_own(origin.as_bytes(), authority, scheme, says_same_origin);
    if says_same_origin == Some(true) || own {
        (OriginClass::SameOrigin, CorsVerdict::SameOrigin)
    } else if origin == "null" {
        (OriginClass::Null, CorsVerdict::Denied)
    } else {
        (OriginClass::Other, CorsVerdict::Denied)
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("origin", &self.origin)
            .field("address", &self.address)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn without_a_policy_a_browser_of_another_origin_is_denied() {
        let verdict = |headers: &[(&'static str, &str)]| {
            let mut request = TestRequest::get().insert_header(("host", "api.example.com"));
            for (name, value) in headers {
                request = request.insert_header((*name, *value));
            }
            let request = request.to_http_request();
            Admission::unguarded(&request).cors
        };
        let foreign = ("origin", "https://app.example.com");
        let own = ("origin", "http://api.example.com");
        assert_eq!(verdict(&[]), CorsVerdict::NoOrigin);
        assert_eq!(verdict(&[foreign]), CorsVerdict::Denied);
        assert_eq!(verdict(&[("origin", "null")]), CorsVerdict::Denied);
        assert_eq!(verdict(&[own]), CorsVerdict::SameOrigin);
        let same_origin = ("sec-fetch-site", "same-origin");
        assert_eq!(verdict(&[foreign, same_origin]), CorsVerdict::SameOrigin);
        let cross_site = ("sec-fetch-site", "cross-site");
        assert_eq!(verdict(&[own, cross_site]), CorsVerdict::Denied);
    }
}
