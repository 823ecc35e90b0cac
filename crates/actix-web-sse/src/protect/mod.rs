//! The guards in front of a stream: decided before anything is subscribed, the cheapest first.

pub mod overload;
pub(crate) mod refusal;
