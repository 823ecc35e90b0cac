//! A handler's own stream holds the permit of its request.

use std::{
    any::Any,
    error::Error,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_web::{
    body::{BodySize, BoxBody, MessageBody},
    web::Bytes,
};

/// A body whose slots are taken until it is dropped. The streams of this crate hold their permit
/// themselves; this is around those of others, an MCP server's for example.
struct Held {
    body: BoxBody,
    _permit: Rc<dyn Any>,
}

/// Has the body hold the permit.
pub(super) fn holding(permit: Rc<dyn Any>, body: BoxBody) -> BoxBody {
    BoxBody::new(Held {
        body,
        _permit: permit,
    })
}

impl MessageBody for Held {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
