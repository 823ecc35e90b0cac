//! The one middleware for all guards: the plumbing around [`Exchange`].

use std::{
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
    http::{Method, StatusCode, header::CONTENT_TYPE},
};

use super::{
    Policy,
    admit::Admitted,
    exchange::{Exchange, Mount, Verdict},
    limit::Permit,
    panic::caught,
    refusal::Refusal,
};
use crate::{observe::RefusalReason, subscriber::Identity};

/// The part of a [`Policy`] for the companions of streams; see [`Policy::api`].
#[derive(Debug, Clone)]
pub struct ApiPolicy {
    policy: Policy,
    mount: Mount,
}

impl ApiPolicy {
    /// Asks nobody who they are: for endpoints that are there to sign in, or that take reports.
    #[must_use]
    pub fn without_auth(mut self) -> Self {
        if let Mount::Api(rules) = self.mount {
            self.mount = Mount::Open(rules);
        }
        self
    }
}

impl ApiPolicy {
    /// What a preflight may ask for; a route answers other methods with 405 by itself.
    const METHODS: [&'static str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

    pub(super) fn new(policy: &Policy) -> Self {
        let rules = policy
            .0
            .cors
            .preflight_rules(&Self::METHODS, &[CONTENT_TYPE]);
        Self {
            policy: policy.clone(),
            mount: Mount::Api(Arc::new(rules)),
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
        Guarded::around(service, self, &Mount::Streams)
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
        Guarded::around(service, &self.policy, &self.mount)
    }
}

/// A service behind the guards.
pub struct Guarded<S> {
    service: Rc<S>,
    policy: Policy,
    mount: Mount,
}

impl<S> Guarded<S> {
    /// Policies for streams and for their companions wrap a service alike.
    fn around(service: S, policy: &Policy, mount: &Mount) -> Ready<Result<Self, ()>> {
        ready(Ok(Self {
            service: Rc::new(service),
            policy: policy.clone(),
            mount: mount.clone(),
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
        let exchange = Exchange::new(&self.policy, &self.mount, &request);
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
        exchange.dress_answer(&mut response);
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
    let admission = match exchange.admit(request.request(), permit).await {
        Admitted::Goes(admission) => admission,
        Admitted::Ends(mut response) => {
            exchange.dress(response.headers_mut());
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
            if let Some(mut void) = exchange.name_the_void(&response, identity) {
                exchange.dress(void.headers_mut());
                return Ok(response.into_response(void));
            }
            // Boxed by whoever made it, a stream's body is boxed once on its whole way out: what is
            // between the connection and the stream is a step of every delivery.
            let mut response = response.map_into_boxed_body();
            if head_only && response.response().body().size() == BodySize::Stream {
                // A handler's own stream: it is not to be read, not even into nothing.
                response = response.map_body(|_, _| BoxBody::new(body::None::new()));
            }
            exchange.dress(response.headers_mut());
            Ok(response)
        }
        Ok(Err(error)) => Err(dressed(exchange, error)),
        Err(_panic) => {
            // An error and not a response, for there is no request left to respond to.
            exchange.report_panicked(identity);
            Err(dressed(exchange, HandlerPanicked.into()))
        }
    }
}

/// An error is made a response further out; it takes its dress along.
fn dressed(exchange: Exchange, mut error: Error) -> Error {
    error.add_response_mapper(move |mut response| {
        exchange.dress(response.headers_mut());
        response
    });
    error
}

/// A handler panicked: 500, readable by the page, where the connection would have been cut.
#[derive(Debug)]
struct HandlerPanicked;

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
        Refusal::new(RefusalReason::Internal).response()
    }
}
