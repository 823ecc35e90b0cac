//! A look at the CORS headers of streams as they leave.

use std::{
    cell::Cell,
    fmt,
    future::{Future, Ready, ready},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready as some},
};

use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
    http::header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, COOKIE, HeaderMap, ORIGIN,
    },
};

use super::CorsVerdict;

/// A middleware that looks at the CORS headers of each stream as they leave, so that observers get
/// what the browser will decide and not what the handler could see.
///
/// A [`Policy`](crate::Policy) knows what it sends. Where a route has none, nothing within it can
/// tell whether another middleware around it, `actix_cors::Cors` say, adds the headers: without a
/// witness such a cross-origin stream counts as `denied`, as if its guard had been forgotten. With
/// one it is `allowed` or `denied` by what leaves. What a middleware further out does, it does not
/// see: wrap it around everything, that is, last.
///
/// ```
/// use actix_web::App;
/// use actix_web_sse::observe::CorsWitness;
///
/// let app = App::new()
///     // routes, and .wrap(actix_cors::Cors::…)
///     .wrap(CorsWitness);
/// # drop(app);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct CorsWitness;

impl<S, B> Transform<S, ServiceRequest> for CorsWitness
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = Witnessed<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, Self::InitError>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(Witnessed { service }))
    }
}

/// A service whose streams have a witness.
pub struct Witnessed<S> {
    service: S,
}

impl<S> fmt::Debug for Witnessed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witnessed").finish_non_exhaustive()
    }
}

impl<S, B> Service<ServiceRequest> for Witnessed<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = WitnessFuture<S::Future>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        if request.headers().contains_key(ORIGIN) {
            request.extensions_mut().insert(Present);
        }
        WitnessFuture {
            reply: self.service.call(request),
        }
    }
}

pin_project_lite::pin_project! {
    /// The reply of a witnessed service.
    pub struct WitnessFuture<F> {
        #[pin]
        reply: F,
    }
}

impl<F> fmt::Debug for WitnessFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WitnessFuture").finish_non_exhaustive()
    }
}

impl<F, B> Future for WitnessFuture<F>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let reply = some!(self.project().reply.poll(cx));
        if let Ok(reply) = &reply {
            let pending = reply
                .request()
                .extensions()
                .get::<PendingVerdict>()
                .cloned();
            if let Some(PendingVerdict(verdict)) = pending {
                verdict.set(judge(reply.request(), reply.headers()));
            }
        }
        Poll::Ready(reply)
    }
}

/// Left in a request's extensions: there is a witness further out.
struct Present;

/// What a witness has to say of a stream. A stream's first bytes are asked for after its head has
/// gone through every middleware, so by then it has said it. All streams of a request share it.
#[derive(Debug, Clone)]
pub(crate) struct PendingVerdict(Rc<Cell<CorsVerdict>>);

impl PendingVerdict {
    /// Of the witness around this request, if there is one; until it speaks, what is presumed.
    pub(crate) fn of(request: &HttpRequest, presumed: CorsVerdict) -> Option<Self> {
        let mut extensions = request.extensions_mut();
        extensions.get::<Present>()?;
        if let Some(known) = extensions.get::<Self>() {
            return Some(known.clone());
        }
        let pending = Self(Rc::new(Cell::new(presumed)));
        extensions.insert(pending.clone());
        Some(pending)
    }

    pub(crate) fn get(&self) -> CorsVerdict {
        self.0.get()
    }
}

/// The CORS check of the Fetch standard (§ 4.10), as far as a server can make it: whether the page
/// asked for credentials is known only if there were any.
fn judge(request: &HttpRequest, reply: &HeaderMap) -> CorsVerdict {
    let mut allowed = reply.get_all(ACCESS_CONTROL_ALLOW_ORIGIN);
    // Two lines are joined by a comma, and are no origin then.
    let (Some(allowed), None) = (allowed.next(), allowed.next()) else {
        return CorsVerdict::Denied;
    };
    let with_cookies = request.headers().contains_key(COOKIE);
    let credentials = reply.get(ACCESS_CONTROL_ALLOW_CREDENTIALS);
    let passes = if allowed == "*" {
        !with_cookies
    } else {
        request.headers().get(ORIGIN) == Some(allowed)
            && (!with_cookies || credentials.is_some_and(|value| value == "true"))
    };
    if passes {
        CorsVerdict::Allowed
    } else {
        CorsVerdict::Denied
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{
        http::header::{HeaderName, HeaderValue},
        test::TestRequest,
    };

    use super::*;

    fn verdict(cookie: bool, reply: &[(&HeaderName, &'static str)]) -> CorsVerdict {
        let mut request = TestRequest::get().insert_header((ORIGIN, "https://app.example.com"));
        if cookie {
            request = request.insert_header((COOKIE, "sid=1"));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in reply {
            headers.append((*name).clone(), HeaderValue::from_static(value));
        }
        judge(&request.to_http_request(), &headers)
    }

    #[test]
    fn the_verdict_is_that_of_the_fetch_standard() {
        let origin = (&ACCESS_CONTROL_ALLOW_ORIGIN, "https://app.example.com");
        let other = (&ACCESS_CONTROL_ALLOW_ORIGIN, "https://app.example.com:8443");
        let any = (&ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        let credentials = (&ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
        let wrong = (&ACCESS_CONTROL_ALLOW_CREDENTIALS, "True");
        for (cookie, reply, expected) in [
            (false, &[origin][..], CorsVerdict::Allowed),
            (false, &[any], CorsVerdict::Allowed),
            (false, &[], CorsVerdict::Denied),
            (false, &[other], CorsVerdict::Denied),
            (false, &[origin, origin], CorsVerdict::Denied),
            (true, &[origin], CorsVerdict::Denied),
            (true, &[origin, wrong], CorsVerdict::Denied),
            (true, &[origin, credentials], CorsVerdict::Allowed),
            (true, &[any, credentials], CorsVerdict::Denied),
        ] {
            assert_eq!(verdict(cookie, reply), expected, "{cookie} {reply:?}");
        }
    }
}
