//! How a stream's bytes reach its connection.

pub(crate) mod body;
pub(crate) mod connection;
pub(crate) mod missed;
pub(crate) mod schedule;
pub(crate) mod socket;
mod unasked;
