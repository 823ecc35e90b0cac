//! What the demo answers, beside its page and the metrics.

mod error;
mod events;
mod health;
mod publish;
mod session;
mod ticket;

pub(crate) use self::{
    error::{error, reply},
    events::{DEFAULT_TOPIC, events, query_config, topic},
    health::{healthz, readyz, state},
    publish::{Publishers, publish},
    session::{sign_in, sign_out},
    ticket::ticket,
};
