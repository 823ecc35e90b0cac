//! A response that follows topics.

use std::{fmt, sync::Arc};

use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody};
use tokio::time::Instant;

use super::{
    Subscriber,
    opening::{Opening, Source},
    refusal::Refusal,
    topics::{IntoTopics, followable},
};
use crate::{
    hub::{EventHead, Filter, Hub, Topic},
    identity::TopicPattern,
    lane::{Ahead, Backlog, Make, Taking},
    observe::{RefusalReason, Resume},
};

impl Hub {
    /// The response that follows one topic or several: what was missed, then live events.
    ///
    /// One `Last-Event-ID` places the client in all of them: the hub numbers all its events in
    /// one sequence.
    ///
    /// With a [`TopicPattern`] it follows every topic that there is or will be below a prefix:
    ///
    /// ```
    /// # use actix_web::{Responder, get};
    /// # use actix_web_sse::{Hub, Subscriber, TopicPattern};
    /// #[get("/orders")]
    /// async fn orders(hub: Hub, subscriber: Subscriber) -> impl Responder {
    ///     hub.subscribe(TopicPattern::from("orders/*"), subscriber)
    /// }
    /// # let _ = orders;
    /// ```
    ///
    /// The events of all of them together are kept as those of one topic, by the settings of the first entry of
    /// [`topics`](crate::config::HubConfig::topics) that matches all of them, from the first stream that follows the
    /// pattern until [`replay_age`](crate::config::HubConfig::replay_age) after the last. A client that comes back
    /// gets what it missed, or an `event: reset` if some of that is gone; behind a
    /// [`Backplane`](crate::backplane::Backplane) it gets a reset if this node has not kept it. No pattern brings a last
    /// value, since those are of a topic; a [snapshot](Subscription::snapshot) says where all of them stand.
    pub fn subscribe(&self, topics: impl IntoTopics, subscriber: Subscriber) -> Subscription {
        Subscription {
            hub: self.clone(),
            topics: topics.into_topics(),
            subscriber,
            filter: None,
            make: None,
        }
    }
}

impl<T: ?Sized> Topic<T> {
    /// The response that follows this topic, as [`Hub::subscribe`] returns it.
    pub fn subscribe(&self, subscriber: Subscriber) -> Subscription {
        self.hub.subscribe(Arc::clone(&self.name), subscriber)
    }
}

/// An event stream of a hub's topics: the responder that [`Hub::subscribe`] returns.
///
/// It subscribes when actix turns it into a response. Refused are: more topics than a stream may
/// follow, and names that no topic can have (400 `invalid_request`, with a `message` that names the
/// limit: [`max_topics_per_stream`](crate::config::HubConfig::max_topics_per_stream),
/// [`max_topic_bytes`](crate::config::HubConfig::max_topic_bytes)); a topic that the identity may
/// not read or that the hub does not know (403 `insufficient_scope` for both, so that nobody
/// learns which topics exist), any topic while the hub drains, and new topics when there are as
/// many as there may be (both 503, or softly: [`Overload`](crate::config::Overload)), and
/// credentials that have ended or were revoked while the handler waited for something (401). A
/// `HEAD` is refused as its `GET` would be, and subscribes to nothing.
#[must_use = "a subscription does nothing until it is returned from a handler"]
pub struct Subscription {
    hub: Hub,
    topics: Vec<TopicPattern>,
    subscriber: Subscriber,
    filter: Option<Filter>,
    /// Makes a snapshot.
    pub(super) make: Option<Make>,
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
        let config = &self.hub.shared.config;
        let followable = followable(
            self.topics,
            config.max_topics_per_stream,
            config.max_topic_bytes,
        );
        let topics = match followable {
            Ok(topics) => topics,
            Err(unfollowable) => {
                return opening.refuse_as(Refusal {
                    message: Some(unfollowable.to_string().into()),
                    ..Refusal::new(RefusalReason::InvalidRequest)
                });
            }
        };
        let rights = &opening.subscriber.admission.identity.topics;
        let settings = &self.hub.shared.topics;
        let readable = |topic: &TopicPattern| {
            let known = topic.name().is_none_or(|name| self.hub.knows(name));
            known && settings.may_follow(rights, topic)
        };
        if topics.is_empty() || !topics.iter().all(readable) {
            return opening.refuse(RefusalReason::InsufficientScope);
        }
        if opening.is_head_only() {
            return opening.answer_head(|hub| hub.core().has_room(&topics, Instant::now()));
        }
        let last_event_id = opening.subscriber.last_event_id();
        let resumable = self.hub.shared.config.resume;
        let Ok(placed) = opening
            .local
            .attach(&topics, last_event_id.filter(|_| resumable))
        else {
            return opening.overloaded(RefusalReason::Capacity);
        };
        let backplane = self.hub.shared.backplane.as_ref();
        // An engine knows topics, and not which of them a pattern matches; of what is not shared it knows nothing.
        let names = topics.iter().map(TopicPattern::name);
        let asked = names.filter(|name| name.is_none_or(|name| settings.class(name).shared));
        let names: Option<Vec<_>> = asked.map(Option::<&_>::cloned).collect();
        let backlog = backplane.zip(placed.elsewhere).zip(names);
        let backlog = backlog.map(|((backplane, after), names)| {
            Backlog::new(after, backplane.history(names, after))
        });
        let resume = match last_event_id {
            Some(_) if !resumable => Resume::Gap,
            Some(_) if backlog.is_some() => Resume::Fresh,
            _ => placed.resume,
        };
        // Who gets what it missed needs none.
        let make = self.make.filter(|_| resume != Resume::Hit);
        let snapshot = make.map(|make| Taking::new(make, topics, config));
        // Whoever is to get one must not have an ID before it.
        let named = snapshot.is_none();
        opening.start(
            Source::Topics {
                places: placed.places,
                filter: self.filter,
                has: placed.ahead,
                ahead: Ahead::new(backlog, snapshot),
                anchor: placed.anchor.filter(|_| named),
                start: placed.start.filter(|_| named),
            },
            resume,
        )
    }
}
