//! The one middleware for all guards: the plumbing around [`Exchange`].

use std::{
    any::Any,
    cell::Cell,
    fmt,
    future::{Future, Ready, ready},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use actix_web::{
    Error, HttpResponse, ResponseError,
    body::{self, BodySize, BoxBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
    http::{
        Method, StatusCode,
        header::{CONTENT_TYPE, HeaderName},
    },
};

use super::{
    Policy,
    exchange::{Exchange, Mount, Verdict},
    held::holding,
    identify::Admitted,
    limit::Permit,
    panic::caught,
};
use crate::{
    config::Hints,
    identity::{Admission, Identity},
    observe::{Misconfiguration, RefusalReason},
    respond::{
        mounting::{self, Mounted},
        refusal::Refusal,
    },
};

/// What a preflight of a companion may ask for; a route answers other methods with 405 by itself.
pub(crate) const API_METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// What a companion takes beside the request headers of the streams.
pub(crate) const API_REQUEST_HEADERS: [HeaderName; 1] = [CONTENT_TYPE];

/// The part of a [`Policy`] for the companions of streams; see [`Policy::api`].
#[derive(Debug, Clone)]
pub struct ApiPolicy {
    policy: Policy,
    mount: Mount,
}

impl Policy {
    /// The part of the policy that goes around companions of the streams: endpoints that publish,
    /// hand out tickets, take reports. Host, origin, CORS and preflight as for the streams; no
    /// `Accept` check, no limits on streams, methods left to the route.
    #[must_use]
    pub fn api(&self) -> ApiPolicy {
        ApiPolicy::new(self)
    }
}

impl ApiPolicy {
    /// Asks nobody who they are: for endpoints that are there to sign in, or that take reports.
    #[must_use]
    pub fn without_auth(mut self) -> Self {
        self.mount = Mount::Open;
        self
    }
}

impl ApiPolicy {
    pub(super) fn new(policy: &Policy) -> Self {
        Self {
            policy: policy.clone(),
            mount: Mount::Api,
        }
    }
}

impl<S, B> Transform<S, ServiceRequest> for Policy
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Transform = Guarded<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, Self::InitError>>;

    fn new_transform(&self, service: S) -> Self::Future {
        Guarded::around(service, self, Mount::Streams)
    }
}

impl<S, B> Transform<S, ServiceRequest> for ApiPolicy
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Transform = Guarded<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, Self::InitError>>;

    fn new_transform(&self, service: S) -> Self::Future {
        Guarded::around(service, &self.policy, self.mount)
    }
}

/// A service behind the guards.
pub struct Guarded<S> {
    service: Rc<S>,
    policy: Policy,
    mount: Mount,
    /// A request has come.
    asked: Cell<bool>,
}

impl<S> Guarded<S> {
    /// Policies for streams and for their companions wrap a service alike.
    fn around(service: S, policy: &Policy, mount: Mount) -> Ready<Result<Self, ()>> {
        let mounted: Arc<dyn Mounted> = Arc::clone(&policy.0) as _;
        mounting::mounted(&mounted);
        policy.0.auth.warm_up();
        ready(Ok(Self {
            service: Rc::new(service),
            policy: policy.clone(),
            mount,
            asked: Cell::new(false),
        }))
    }
}

impl<S> fmt::Debug for Guarded<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded")
            .field("policy", &self.policy)
            .field("mount", &self.mount)
            .finish_non_exhaustive()
    }
}

impl<S, B> Service<ServiceRequest> for Guarded<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = GuardFuture;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        if !self.asked.replace(true) && self.mount.is_streams() {
            mounting::first_request(&*self.policy.0, &request);
        }
        if self.mount.is_streams()
            && let Some(outer) = outer_policy(&request)
        {
            let policy = &self.policy.0;
            let mistake = Misconfiguration::NestedPolicy;
            policy.reported.report(&*policy.observer, mistake);
            if outer == self.policy.number() {
                return GuardFuture::Running {
                    running: Box::pin(pass(Rc::clone(&self.service), request)),
                };
            }
        }
        let exchange = Exchange::new(&self.policy, self.mount, &request);
        exchange.announce(request.request());
        match exchange.judge(request.request()) {
            Verdict::Answer(response) => GuardFuture::decided(&exchange, request, response),
            Verdict::Refuse(refusal) => {
                let response = exchange.refuse(request.request(), refusal, &Identity::anonymous());
                GuardFuture::decided(&exchange, request, response)
            }
            Verdict::Admit(permit) => GuardFuture::Running {
                running: Box::pin(run(Rc::clone(&self.service), exchange, request, permit)),
            },
        }
    }
}

pin_project_lite::pin_project! {
    /// The reply of a guarded service. A refusal is there at once, and costs no allocation of a
    /// future.
    #[project = Project]
    pub enum GuardFuture {
        #[doc(hidden)]
        Decided { response: Option<ServiceResponse<BoxBody>> },
        #[doc(hidden)]
        Running { running: Running },
    }
}

type Reply = Result<ServiceResponse<BoxBody>, Error>;
type Running = Pin<Box<dyn Future<Output = Reply>>>;

impl fmt::Debug for GuardFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardFuture").finish_non_exhaustive()
    }
}

impl GuardFuture {
    fn decided(exchange: &Exchange, request: ServiceRequest, mut response: HttpResponse) -> Self {
        exchange.finish_answer(&mut response);
        Self::Decided {
            response: Some(request.into_response(response)),
        }
    }
}

impl Future for GuardFuture {
    type Output = Reply;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Project::Decided { response } => match response.take() {
                Some(response) => Poll::Ready(Ok(response)),
                None => Poll::Pending,
            },
            Project::Running { running } => running.as_mut().poll(cx),
        }
    }
}

/// The policy further out that has admitted this request, if there is one.
fn outer_policy(request: &ServiceRequest) -> Option<usize> {
    Admission::left_in(request.request())
        .map(|outer| outer.policy)
        .filter(|number| *number != 0)
}

/// This very policy has admitted the request further out: to do it again would take a second
/// permit, and spend a single-use ticket that is spent already.
async fn pass<S, B>(service: Rc<S>, request: ServiceRequest) -> Reply
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    let response = service.call(request).await?;
    Ok(response.map_into_boxed_body())
}

async fn run<S, B>(
    service: Rc<S>,
    exchange: Exchange,
    mut request: ServiceRequest,
    permit: Permit,
) -> Reply
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    let (admission, place) = match exchange.admit(request.request(), permit).await {
        Admitted::Goes(admission, place) => (admission, place),
        Admitted::Ends(mut response) => {
            exchange.add_headers(response.headers_mut());
            return Ok(request.into_response(response));
        }
    };
    let admission = admission.leave_in(request.request());
    let identity = &admission.identity;
    let head_only = exchange.stands_for_get(request.request());

    let answering = async {
        if head_only {
            // Panics if somebody further out holds the request, as actix's routing does.
            request.head_mut().method = Method::GET;
        }
        service.call(request).await
    };
    match caught(answering).await {
        Ok(Ok(response)) => {
            if let Some(mut answer) = exchange.explain_not_found(&response, identity) {
                exchange.add_headers(answer.headers_mut());
                return Ok(response.into_response(answer));
            }
            // Boxed by whoever made it, a stream's body is boxed once on its whole way out: what is
            // between the connection and the stream is a step of every delivery.
            let mut response = response.map_into_boxed_body();
            if head_only && response.response().body().size() == BodySize::Stream {
                // A handler's own stream: it is not to be read, not even into nothing.
                response = response.map_body(|_, _| BoxBody::new(body::None::new()));
            }
            exchange.add_headers(response.headers_mut());
            if opens_a_stream(&response) {
                if let Some(place) = place {
                    place.keep();
                }
                if let Some(permit) = unheld(&admission, &exchange) {
                    response = response.map_body(|_, body| holding(permit, body));
                }
            }
            Ok(response)
        }
        Ok(Err(error)) => Err(with_headers(exchange, error)),
        Err(_panic) => {
            // An error and not a response, for there is no request left to respond to.
            exchange.report_panicked(identity);
            let hints = exchange.rules.hints;
            Err(with_headers(exchange, HandlerPanicked(hints).into()))
        }
    }
}

/// The permit of a stream that does not hold it by itself: a handler's own.
fn unheld(admission: &Admission, exchange: &Exchange) -> Option<Rc<dyn Any>> {
    let permit = admission.permit.as_ref()?;
    (exchange.mount.is_streams() && Rc::strong_count(permit) == 1).then(|| Rc::clone(permit))
}

/// Whether a handler has answered with a stream, and not with a refusal of its own.
fn opens_a_stream(response: &ServiceResponse) -> bool {
    response.status().is_success() && response.response().body().size() == BodySize::Stream
}

/// An error is made a response further out; it takes its headers along.
fn with_headers(exchange: Exchange, mut error: Error) -> Error {
    error.add_response_mapper(move |mut response| {
        exchange.add_headers(response.headers_mut());
        response
    });
    error
}

/// A handler panicked: 500, readable by the page, where the connection would have been cut.
#[derive(Debug)]
struct HandlerPanicked(Hints);

impl fmt::Display for HandlerPanicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the handler panicked")
    }
}

impl ResponseError for HandlerPanicked {
    fn status_code(&self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }

    fn error_response(&self) -> HttpResponse {
        Refusal::new(RefusalReason::Internal).response(self.0)
    }
}
