//! A response that follows topics.

use std::{fmt, sync::Arc};

use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody};
use tokio::time::Instant;

use super::Hub;
use crate::{
    lane::missed::Missed,
    observe::{RefusalReason, Resume},
    respond::{Opening, Source},
    subscriber::Subscriber,
};

/// What a filter sees of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventHead<'a> {
    /// The event type, if it has one.
    pub name: Option<&'a str>,
    /// The publisher's tag, if it has one.
    pub tag: Option<&'a str>,
}

pub(crate) type Filter = Box<dyn Fn(&EventHead<'_>) -> bool>;

/// One topic or several: `"prices"`, `["prices", "news"]`, a `Vec<String>`.
pub trait IntoTopics {
    /// The names; the same name twice counts once.
    fn into_topics(self) -> Vec<Arc<str>>;
}

macro_rules! one_topic {
    ($($text:ty),+) => {$(
        impl IntoTopics for $text {
            fn into_topics(self) -> Vec<Arc<str>> {
                vec![Arc::from(self)]
            }
        }
    )+};
}
one_topic!(&str, String, Arc<str>);

impl IntoTopics for &String {
    fn into_topics(self) -> Vec<Arc<str>> {
        vec![Arc::from(self.as_str())]
    }
}

impl<T: Into<Arc<str>>, const N: usize> IntoTopics for [T; N] {
    fn into_topics(self) -> Vec<Arc<str>> {
        self.into_iter().map(Into::into).collect()
    }
}

impl<T: Into<Arc<str>>> IntoTopics for Vec<T> {
    fn into_topics(self) -> Vec<Arc<str>> {
        self.into_iter().map(Into::into).collect()
    }
}

/// An event stream of a hub's topics: the responder that [`Hub::subscribe`] returns.
///
/// It subscribes when actix turns it into a response. Refused are: a topic that the identity may
/// not read or that the hub does not know (403 `insufficient_scope` for both, so that nobody
/// learns which topics exist), any topic while the hub drains, and new topics when there are as
/// many as there may be (both 503, or softly: [`Overload`](crate::protect::overload::Overload)), and
/// credentials that have ended or were revoked while the handler waited for something (401). A
/// `HEAD` is refused as its `GET` would be, and subscribes to nothing.
#[must_use = "a subscription does nothing until it is returned from a handler"]
pub struct Subscription {
    hub: Hub,
    topics: Vec<Arc<str>>,
    subscriber: Subscriber,
    filter: Option<Filter>,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("topics", &self.topics)
            .field("subscriber", &self.subscriber)
            .finish_non_exhaustive()
    }
}

impl Subscription {
    pub(super) fn new(hub: Hub, topics: Vec<Arc<str>>, subscriber: Subscriber) -> Self {
        Self {
            hub,
            topics,
            subscriber,
            filter: None,
        }
    }

    /// Passes on only the events for which this returns true; on replay too. It sees the event's
    /// name and [tag](crate::Event::tag) and runs on the worker for each event: keep it cheap. If
    /// it panics, this stream ends with the reason `error`, and no other.
    pub fn filter(mut self, wanted: impl Fn(&EventHead<'_>) -> bool + 'static) -> Self {
        self.filter = Some(Box::new(wanted));
        self
    }
}

impl Responder for Subscription {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let opening = match Opening::new(request, self.subscriber, &self.hub) {
            Ok(opening) => opening,
            Err(answer) => return *answer,
        };
        let rights = &opening.subscriber.admission.identity.topics;
        let readable = |topic: &Arc<str>| rights.allow(topic) && self.hub.knows(topic);
        if self.topics.is_empty() || !self.topics.iter().all(readable) {
            return opening.refuse(RefusalReason::InsufficientScope);
        }
        if opening.is_head_only() {
            return opening.answer_head(|hub| hub.core().has_room(&self.topics, Instant::now()));
        }
        let last_event_id = opening.subscriber.last_event_id();
        let resumable = self.hub.shared.config.resume;
        let Ok(placed) = opening
            .local
            .attach(&self.topics, last_event_id.filter(|_| resumable))
        else {
            return opening.overloaded(RefusalReason::Capacity);
        };
        let backplane = self.hub.shared.backplane.as_ref();
        let history = backplane
            .zip(placed.elsewhere)
            .map(|(backplane, after)| Missed::new(after, backplane.history(self.topics, after)));
        let resume = match last_event_id {
            Some(_) if !resumable => Resume::Gap,
            Some(_) if history.is_some() => Resume::Fresh,
            _ => placed.resume,
        };
        opening.start(
            Source::Topics {
                places: placed.places,
                filter: self.filter,
                missed: history,
                anchor: placed.anchor,
            },
            resume,
        )
    }
}
