//! How a stream's bytes reach its connection.

mod backlog;
pub(crate) mod body;
pub(crate) mod connection;
pub(crate) mod socket;
mod unasked;

pub(crate) use self::backlog::Backlog;
