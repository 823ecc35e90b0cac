//! From a request to an open stream, or to a refusal.

mod answer;
pub(crate) mod headers;
pub(crate) mod mounting;
mod opening;
pub(crate) mod overload;
pub(crate) mod refusal;
mod snapshot;
mod sse;
mod subscriber;
mod subscription;
mod topics;
pub(crate) mod vary;

pub use self::{
    answer::{Answer, AnswerError},
    snapshot::{IntoSnapshot, Snapshot},
    sse::{Heartbeats, IntoEvent, Sse},
    subscriber::Subscriber,
    subscription::Subscription,
    topics::IntoTopics,
};
