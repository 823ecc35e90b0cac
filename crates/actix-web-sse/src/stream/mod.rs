//! One stream, whatever its events come from: when it is due for something, what is counted of it,
//! and the report of its end.

mod account;
mod carrier;
pub(crate) mod chunked;
mod jitter;
mod moment;
pub(crate) mod retry;
mod schedule;
mod turns;
mod wakes;

pub(crate) use self::{
    account::{Account, Ended},
    carrier::Carrier,
    jitter::{between, jitter},
    moment::Moment,
    schedule::{Due, Schedule},
    turns::give_way,
    wakes::Wakes,
};
