//! Many event streams in one process, on one epoll.

mod crowd;
mod scan;

pub(crate) use self::crowd::Crowd;
