//! Server-sent events for actix-web.

pub mod config;
mod event;
mod headers;
pub mod observe;
pub mod protect;
mod subscriber;

pub use config::ConfigError;
pub use event::{Event, EventError, EventId, EventName, Retry};
pub use protect::Policy;
pub use subscriber::{Identity, Subscriber, TopicRights};
