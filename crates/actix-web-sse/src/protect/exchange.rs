//! One request on its way through the guards, and its reply on the way out.

use std::{any::Any, rc::Rc, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BodySize, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode, Version,
        header::{self, HeaderMap, HeaderValue},
    },
};

use super::{
    Policy,
    head::{OriginFindings, Source, fetch_metadata, is_preflight},
    limit::Permit,
    rules::Rules,
};
use crate::{
    identity::{Admission, AllowedPage, Findings, Identity, Pages},
    observe::{CorsVerdict, RefusalMode, RefusalReason, Refused, Route, Visitor},
    respond::{overload, refusal::Refusal, vary},
};

/// What the policy is mounted around.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mount {
    /// Streams.
    Streams,
    /// Companions of streams.
    Api,
    /// The same, where nobody is asked who they are.
    Open,
}

impl Mount {
    pub(super) const fn is_streams(self) -> bool {
        matches!(self, Self::Streams)
    }
}

/// What the guards make of a request.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It goes on to the handler.
    Admit(Permit),
    /// It has its answer, and nothing was refused: a preflight.
    Answer(HttpResponse),
    /// It is refused.
    Refuse(Refusal),
}

/// One request: what is known of it, kept for the reply.
pub(super) struct Exchange {
    pub(super) policy: Policy,
    /// Those of its beginning, until its end.
    pub(super) rules: Arc<Rules>,
    /// How often rules had been replaced before.
    replacements: u64,
    pub(super) mount: Mount,
    pub(super) route: Route,
    pub(super) origin: OriginFindings,
    pub(super) source: Source,
    version: Version,
    preflight: bool,
}

impl Exchange {
    pub(super) fn new(policy: &Policy, mount: Mount, request: &ServiceRequest) -> Self {
        let request = request.request();
        // Before the rules: if they are replaced in between, the request goes by the new ones.
        let replacements = policy.0.replacements();
        let rules = policy.0.rules();
        let source = rules.source(request);
        Self {
            policy: policy.clone(),
            replacements,
            mount,
            route: Route::of(request),
            origin: rules.origin(request, source),
            rules,
            source,
            version: request.version(),
            preflight: is_preflight(request),
        }
    }

    /// Tells the observer that somebody is at the door.
    pub(super) fn announce(&self, request: &HttpRequest) {
        let identity = Identity::anonymous();
        self.policy
            .0
            .observer
            .attempted(&self.visitor(request, &identity));
    }

    /// Whatever can be decided on the head of the request alone, the cheapest first.
    pub(super) fn judge(&self, request: &HttpRequest) -> Verdict {
        self.try_judge(request).unwrap_or_else(Verdict::Refuse)
    }

    fn try_judge(&self, request: &HttpRequest) -> Result<Verdict, Refusal> {
        let rules = &self.rules;
        if matches!(self.mount, Mount::Streams) && !self.preflight {
            rules.check_method(request.method())?;
        }
        rules.check_host(request, self.source)?;
        self.check_origin(request)?;
        if self.preflight {
            return self.preflight(request).map(Verdict::Answer);
        }
        let metadata = fetch_metadata(request);
        let has_origin = request.headers().contains_key(header::ORIGIN);
        let allowed = match self.mount {
            Mount::Streams => metadata.may_open_a_stream(has_origin),
            Mount::Api | Mount::Open => metadata.may_call_the_api(has_origin),
        };
        if !allowed {
            return Err(Refusal::new(RefusalReason::FetchMetadataDenied));
        }
        if matches!(self.mount, Mount::Streams) {
            rules.check_accept(request)?;
        }
        self.take_slots().map(Verdict::Admit)
    }

    /// The limits count streams, so they hold nothing for the others.
    fn take_slots(&self) -> Result<Permit, Refusal> {
        let limits = &self.policy.0.limits;
        let (rules, address) = (&self.rules.limits, self.source.address);
        let permit = match self.mount {
            Mount::Streams => limits.admit(rules, address),
            Mount::Api => limits.admit_companion(rules, address),
            Mount::Open => Ok(Permit::default()),
        };
        permit.map_err(Refusal::from)
    }

    fn check_origin(&self, request: &HttpRequest) -> Result<(), Refusal> {
        match self.origin.refusal {
            Some(reason) if self.rules.enforce => return Err(Refusal::new(reason)),
            Some(reason) => self.report_only(request, reason),
            None if self.origin.candidate_refuses => {
                self.report_only(request, RefusalReason::OriginDenied);
            }
            None => {}
        }
        Ok(())
    }

    fn preflight(&self, request: &HttpRequest) -> Result<HttpResponse, Refusal> {
        let rules = match self.mount {
            Mount::Streams => &self.rules.preflight,
            Mount::Api | Mount::Open => &self.rules.api_preflight,
        };
        let lines = |name| request.headers().get_all(name).map(HeaderValue::as_bytes);
        if !rules.allow(
            lines(header::ACCESS_CONTROL_REQUEST_METHOD),
            lines(header::ACCESS_CONTROL_REQUEST_HEADERS),
        ) {
            return Err(Refusal::new(RefusalReason::PreflightDenied));
        }
        let mut response = HttpResponse::NoContent().finish();
        self.rules.cors.add_preflight_headers(
            rules,
            &self.origin.reflection,
            response.headers_mut(),
        );
        Ok(response)
    }

    /// Reports a refusal, and makes its answer.
    pub(super) fn refuse(
        &self,
        request: &HttpRequest,
        refusal: Refusal,
        identity: &Identity,
    ) -> HttpResponse {
        let visitor = self.visitor(request, identity);
        let reason = refusal.reason;
        let (response, mode) = match (refusal.retry_after, self.mount) {
            (Some(retry), Mount::Streams) => {
                let rules = &self.rules;
                overload::refuse(rules.overload, rules.hints, request, reason, retry)
            }
            _ => (refusal.response(self.rules.hints), RefusalMode::Hard),
        };
        self.report(&visitor, reason, mode, response.status());
        response
    }

    fn report_only(&self, request: &HttpRequest, reason: RefusalReason) {
        let identity = Identity::anonymous();
        let visitor = self.visitor(request, &identity);
        let status = Refusal::new(reason).status();
        self.report(&visitor, reason, RefusalMode::ReportOnly, status);
    }

    fn report(
        &self,
        visitor: &Visitor<'_>,
        reason: RefusalReason,
        mode: RefusalMode,
        status: StatusCode,
    ) {
        let refused = Refused::new(visitor, reason, mode, status.as_u16());
        self.policy.0.observer.refused(&refused);
    }

    /// The handler panicked, and took the request with it: what is reported is who asked, as the
    /// guards know it. Keeping the request is not possible: actix routes a request by changing it,
    /// and panics if somebody else holds it meanwhile.
    pub(super) fn report_panicked(&self, identity: &Identity) {
        let lost = Visitor::lost(self.version, self.route.as_str());
        let visitor = self.known_of(identity, &lost);
        let status = Refusal::new(RefusalReason::Internal).status();
        self.report(&visitor, RefusalReason::Internal, RefusalMode::Hard, status);
    }

    /// What the handler is to know.
    pub(super) fn admission(
        &self,
        request: &HttpRequest,
        permit: Rc<dyn Any>,
        identity: Identity,
    ) -> Admission {
        Admission {
            origin: self.origin.class.clone(),
            cors: self.origin.cors,
            address: self.source.address,
            identity,
            overload: self.rules.overload,
            hints: self.rules.hints,
            page: self.page(request),
            permit: Some(permit),
            guarded: true,
            head_only: Self::is_head(request),
            policy: if self.mount.is_streams() {
                self.policy.number()
            } else {
                0
            },
        }
    }

    /// The foreign page that reads, if one does.
    fn page(&self, request: &HttpRequest) -> Option<Arc<AllowedPage>> {
        if self.origin.cors != CorsVerdict::Allowed {
            return None;
        }
        let origin = request.headers().get(header::ORIGIN)?.to_str().ok()?;
        let policy = Arc::clone(&self.policy.0) as Arc<dyn Pages>;
        let pages = &self.policy.0.pages;
        Some(pages.get(&policy, origin, self.replacements))
    }

    /// Whether it is a `HEAD`, one that a policy around this one made a `GET` of included.
    pub(super) fn is_head(request: &HttpRequest) -> bool {
        request.method() == Method::HEAD
            || Admission::left_in(request).is_some_and(|outer| outer.head_only)
    }

    /// A `HEAD` on a stream goes through the handler as the `GET` that it stands for: the handler
    /// knows the topic, and most are mounted for `GET` alone. Where nothing is mounted it stays
    /// what it is.
    pub(super) fn stands_for_get(&self, request: &HttpRequest) -> bool {
        matches!(self.mount, Mount::Streams)
            && request.method() == Method::HEAD
            && self.route.is_matched()
    }

    /// Sets the headers of a reply on its way out.
    pub(super) fn add_headers(&self, headers: &mut HeaderMap) {
        let rules = &self.rules;
        rules.cors.add_headers(&self.origin.reflection, headers);
        rules.outbound.add_headers(headers, self.source.secure);
    }

    /// The answer to a preflight has its headers since it was made; a refused one needs `Vary`.
    pub(super) fn finish_answer(&self, response: &mut HttpResponse) {
        if self.preflight && response.status() == StatusCode::NO_CONTENT {
            return;
        }
        self.add_headers(response.headers_mut());
        if self.preflight {
            vary::add(response.headers_mut(), vary::PREFLIGHT);
        }
    }

    /// Where no route took the request, the framework's empty 404 becomes one that says so.
    pub(super) fn explain_not_found<B: MessageBody>(
        &self,
        response: &ServiceResponse<B>,
        identity: &Identity,
    ) -> Option<HttpResponse> {
        let unmatched = !self.route.is_matched()
            && response.status() == StatusCode::NOT_FOUND
            && matches!(
                response.response().body().size(),
                BodySize::None | BodySize::Sized(0)
            );
        unmatched.then(|| {
            self.refuse(
                response.request(),
                Refusal::new(RefusalReason::NotFound),
                identity,
            )
        })
    }

    fn visitor<'a>(&'a self, request: &'a HttpRequest, identity: &'a Identity) -> Visitor<'a> {
        self.known_of(identity, &Visitor::unknown(request, self.route.as_str()))
    }

    /// Adds what the guards know.
    fn known_of<'a>(&'a self, identity: &'a Identity, visitor: &Visitor<'a>) -> Visitor<'a> {
        let findings = Findings {
            origin: &self.origin.class,
            cors: self.origin.cors,
            address: self.source.address,
            identity,
        };
        findings.visitor(visitor)
    }
}
