//! What stands in for a bad proxy and a bad network, around everything that the server observes.
//!
//! On one route it takes the CORS headers out of the reply. On another it can cut the connection in the
//! middle of the stream, when the page asks for it.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    Error,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::HeaderMap,
    middleware::Next,
    web::{Bytes, Data},
};

use super::{CUT_WIRE, LOST_HEADER, Sessions};

/// The middleware: it goes around the application last.
///
/// # Errors
/// Those of the application.
pub(crate) async fn faulty(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let strips = request.path() == LOST_HEADER;
    let cuts = request.path() == CUT_WIRE;
    let mut reply = next.call(request).await?.map_into_boxed_body();
    if strips {
        strip(reply.headers_mut());
    }
    let session = reply
        .request()
        .app_data::<Data<Sessions>>()
        .filter(|_| cuts && reply.status().is_success())
        .and_then(|sessions| sessions.of(reply.request()));
    Ok(match session {
        None => reply,
        Some(session) => {
            let mut cuts = session.cuts();
            let cut = Box::pin(async move {
                // An error is the end of the session, whose streams go on.
                if cuts.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            });
            reply.map_body(|_, body| {
                BoxBody::new(CutBody {
                    body,
                    rest: None,
                    cut,
                })
            })
        }
    })
}

fn strip(headers: &mut HeaderMap) {
    let cors: Vec<_> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("access-control-"))
        .cloned()
        .collect();
    for name in cors {
        headers.remove(name);
    }
}

/// A body whose connection can be cut: the error has the server close it in the middle of the reply.
struct CutBody {
    body: BoxBody,
    /// The second half of a piece. Halved pieces keep the stream where this body is asked for them: a
    /// stream that finds its bytes changed does not take its socket over.
    rest: Option<Bytes>,
    cut: Pin<Box<dyn Future<Output = ()>>>,
}

#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the tour has cut the connection")
    }
}

impl std::error::Error for Cut {}

impl MessageBody for CutBody {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        if this.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(Box::new(io::Error::other(Cut)))));
        }
        if let Some(rest) = this.rest.take() {
            return Poll::Ready(Some(Ok(rest)));
        }
        Pin::new(&mut this.body).poll_next(cx).map_ok(|mut piece| {
            let rest = piece.split_off(piece.len() / 2);
            if piece.is_empty() {
                return rest;
            }
            this.rest = Some(rest);
            piece
        })
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{self, HeaderValue};

    use super::*;

    #[test]
    fn every_cors_header_goes_and_the_others_stay() {
        let mut headers = HeaderMap::new();
        for name in [
            header::ACCESS_CONTROL_ALLOW_ORIGIN,
            header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
            header::VARY,
        ] {
            headers.insert(name, HeaderValue::from_static("x"));
        }
        strip(&mut headers);
        let left: Vec<_> = headers.keys().map(header::HeaderName::as_str).collect();
        assert_eq!(left, ["vary"]);
    }
}
