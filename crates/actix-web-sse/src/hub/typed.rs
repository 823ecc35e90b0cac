//! A topic whose events are values of one type.

use std::{fmt, marker::PhantomData, sync::Arc};

use serde::Serialize;

use super::{Hub, PublishError, Published};
use crate::event::{Event, EventError, EventName};

/// A topic of a [`Hub`] whose events are values of one type, as JSON: so that nobody publishes another there by
/// mistake. A handle, as the hub is: clones are the same topic.
///
/// ```
/// # use actix_web_sse::{Hub, Topic};
/// #[derive(serde::Serialize)]
/// struct Quote {
///     symbol: &'static str,
///     price: f64,
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let hub = Hub::builder().build()?;
/// let quotes: Topic<Quote> = hub.topic("prices").event("quote")?;
/// quotes.publish(&Quote { symbol: "ACME", price: 12.5 })?;
/// // event: quote
/// // data: {"symbol":"ACME","price":12.5}
/// # Ok(())
/// # }
/// ```
///
/// A handler returns [`subscribe`](Self::subscribe) of it, as of the hub.
pub struct Topic<T: ?Sized> {
    pub(crate) hub: Hub,
    pub(crate) name: Arc<str>,
    event: Option<EventName>,
    values: PhantomData<fn(&T)>,
}

impl<T: ?Sized> Clone for Topic<T> {
    fn clone(&self) -> Self {
        Self {
            hub: self.hub.clone(),
            name: Arc::clone(&self.name),
            event: self.event.clone(),
            values: PhantomData,
        }
    }
}

impl<T: ?Sized> fmt::Debug for Topic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Hub {
    /// A topic whose events are values of one type. Whether there can be a topic of this name is checked when something is
    /// published or somebody subscribes.
    #[must_use]
    pub fn topic<T: Serialize + ?Sized>(&self, name: impl Into<Arc<str>>) -> Topic<T> {
        Topic {
            hub: self.clone(),
            name: name.into(),
            event: None,
            values: PhantomData,
        }
    }
}

impl<T: Serialize + ?Sized> Topic<T> {
    /// Gives its events a type, which a page listens for. Without one they are messages.
    ///
    /// # Errors
    /// As [`EventName::new`].
    pub fn event<N>(mut self, name: N) -> Result<Self, EventError>
    where
        N: TryInto<EventName>,
        EventError: From<N::Error>,
    {
        self.event = Some(name.try_into()?);
        Ok(self)
    }

    /// The name of the topic.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Publishes a value to everybody who follows the topic, as [`Hub::publish`] does.
    ///
    /// # Errors
    /// [`PublishError`]; nothing was sent then. [`PublishError::Event`] when the value has no JSON form.
    pub fn publish(&self, value: &T) -> Result<Published, PublishError> {
        self.hub.publish(&self.name, self.encode(value)?)
    }

    /// The same on every node, as [`Hub::publish_shared`] does.
    ///
    /// # Errors
    /// As [`publish`](Self::publish), and [`PublishError::Backplane`] when the engine did not take the event.
    pub async fn publish_shared(&self, value: &T) -> Result<Published, PublishError> {
        let event = self.encode(value)?;
        self.hub.publish_shared(&self.name, event).await
    }

    fn encode(&self, value: &T) -> Result<Event, PublishError> {
        let event = Event::json(value);
        let event = event.and_then(|event| match self.event.clone() {
            Some(name) => event.name(name),
            None => Ok(event),
        });
        event.map_err(PublishError::Event)
    }
}
