//! What the demo answers, beside its page and the metrics.

mod error;
mod events;
mod health;
mod publish;
mod ticket;

pub(crate) use self::{
    events::{DEFAULT_TOPIC, events, query_config},
    health::{healthz, readyz},
    publish::publish,
    ticket::ticket,
};
