//! Requests under way: from the call of the application to the end of the response's body.

use std::{
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_http::Request;
use actix_service::{Service, ServiceFactory, apply_fn_factory};
use actix_web::{
    body::{BodySize, BoxBody, MessageBody},
    dev::Response,
    http::header,
    web::Bytes,
};
use pin_project_lite::pin_project;

use crate::lane::connection::{Connection, UnderWay, declared};

pin_project! {
    /// A body whose end is the end of its request.
    pub(super) struct Tracked<B> {
        #[pin]
        body: B,
        under_way: Option<UnderWay>,
    }
}

impl<B: MessageBody> MessageBody for Tracked<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.project().body.poll_next(cx)
    }

    fn try_into_bytes(self) -> Result<Bytes, Self> {
        let Self { body, under_way } = self;
        body.try_into_bytes()
            .map_err(|body| Self { body, under_way })
    }
}

/// Has connections know which of their requests are under way.
#[allow(
    clippy::type_complexity,
    reason = "what actix-http asks of a service, written out once"
)]
pub(super) fn tracked<S, B>(
    application: S,
) -> impl ServiceFactory<
    Request,
    Config = (),
    Response = Response<Tracked<B>>,
    Error = Response<BoxBody>,
    InitError = S::InitError,
    Service = impl Service<
        Request,
        Response = Response<Tracked<B>>,
        Error = Response<BoxBody>,
        Future = impl Future<Output = Result<Response<Tracked<B>>, Response<BoxBody>>> + 'static,
    > + 'static,
    Future: 'static,
>
where
    S: ServiceFactory<Request, Config = (), Error = Response<BoxBody>> + 'static,
    S::Response: Into<Response<B>>,
    S::Service: 'static,
    <S::Service as Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    apply_fn_factory(application, |request: Request, application: &S::Service| {
        let under_way = request
            .conn_data::<Rc<Connection>>()
            .map(|connection| connection.enter(body_of(&request)));
        let response = application.call(request);
        async move {
            let response: Response<B> = response.await?.into();
            Ok(response.map_body(|_, body| Tracked { body, under_way }))
        }
    })
}

/// How long the request's body is; `None` if nobody knows.
fn body_of(request: &Request) -> Option<usize> {
    let head = request.head();
    let endless = head.upgrade() || head.headers().contains_key(header::TRANSFER_ENCODING);
    (!endless).then(|| declared(head.headers()))
}
