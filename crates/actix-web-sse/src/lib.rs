//! Server-sent events for actix-web.

mod answer;
pub mod config;
mod encode;
mod event;
mod headers;
mod hub;
mod lane;
pub mod observe;
pub mod protect;
mod respond;
mod server;
mod sse;
mod subscriber;
pub mod test;
mod watch;

pub use answer::{Answer, AnswerError};
pub use config::ConfigError;
pub use event::{Event, EventError, EventId, EventName, Retry};
pub use hub::{
    Backplane, BackplaneError, BackplaneFuture, EventHead, History, Hub, HubBuilder, HubStats,
    IntoTopics, PublishError, Published, Revocation, Sink, Subscription,
};
pub use protect::Policy;
pub use server::{ForEventStreams, tune_socket};
pub use sse::{IntoEvent, Sse};
pub use subscriber::{Identity, Subscriber, TopicRights};
