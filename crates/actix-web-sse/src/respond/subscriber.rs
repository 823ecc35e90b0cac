//! Who opens a stream: an extractor.

use std::{future::Ready, net::IpAddr, rc::Rc};

use actix_web::{FromRequest, HttpRequest, dev::Payload};

use crate::{
    identity::{Admission, Identity},
    observe::last_event_id,
};

/// Who opens the stream of this request: an extractor, to be handed to
/// [`Hub::subscribe`](crate::Hub::subscribe) or an [`Sse`](crate::Sse).
///
/// Behind a `Policy` it carries the identity, the rights and the permit; without one it stands for
/// an anonymous client. It can be extracted as often as anybody likes, in any order with
/// [`Identity`]: each has the same rights and the same deadline. All streams of one request share
/// its one permit, which is free again when the last of them has ended.
///
/// One that was extracted before the request had passed its guards, by a middleware around them,
/// has the rights that they granted all the same: a stream goes by the request that it answers.
#[derive(Debug)]
pub struct Subscriber {
    pub(crate) admission: Rc<Admission>,
    pub(crate) last_event_id: Option<String>,
}

impl Subscriber {
    /// What the guards found out about this request.
    #[must_use]
    pub fn of(request: &HttpRequest) -> Self {
        let admission = Admission::left_in(request);
        Self {
            admission: admission.unwrap_or_else(|| Rc::new(Admission::unguarded(request))),
            last_event_id: last_event_id(request),
        }
    }

    /// The subscriber as this request's guards know it now, whenever it was extracted.
    pub(crate) fn known_to(mut self, request: &HttpRequest) -> Self {
        if let Some(admission) = Admission::left_in(request) {
            self.admission = admission;
        }
        self
    }

    /// Who the client is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.admission.identity
    }

    /// The `Last-Event-ID` that the client sent, if any: the header, or where that is missing or
    /// empty the last of the query parameters that stand for it. Those are `lastEventId`,
    /// `lastEventID`, `last_event_id`, `Last-Event-ID` and the like, whatever their case. An ID that
    /// is longer than 256 bytes or no UTF-8 is handed out cut, or with replacement characters, so
    /// that it is no ID that a stream has given.
    #[must_use]
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }

    /// The client's address: the peer's, or what a trusted proxy says.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.admission.address
    }
}

impl FromRequest for Subscriber {
    type Error = std::convert::Infallible;
    type Future = Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Ok(Self::of(request)))
    }
}
