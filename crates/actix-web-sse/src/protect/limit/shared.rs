//! The seam for a limit on the streams of a user that several nodes count together.

use std::{any::Any, fmt, future::Future, pin::Pin, sync::Arc};

/// One stream of a user, counted on all nodes until this is dropped.
pub struct UserSlot(#[expect(dead_code, reason = "it is there to be dropped")] Box<dyn Any + Send>);

impl UserSlot {
    /// What frees the slot when it is dropped. Dropping it must not block.
    pub fn new(held: impl Any + Send) -> Self {
        Self(Box::new(held))
    }
}

impl fmt::Debug for UserSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserSlot").finish_non_exhaustive()
    }
}

/// Why there is no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoUserSlot {
    /// The user has as many streams as they may, on all nodes together: 429.
    Full,
    /// Nobody could be asked, and the store would rather let nobody in: 503.
    Unavailable,
}

impl fmt::Display for NoUserSlot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the user has as many streams as they may",
            Self::Unavailable => "the streams of the user could not be counted",
        })
    }
}

impl std::error::Error for NoUserSlot {}

/// What a [`UserLimitStore`] returns.
pub type UserLimitFuture<'a> = Pin<Box<dyn Future<Output = Result<UserSlot, NoUserSlot>> + 'a>>;

/// Counts the streams of a user on all nodes together. The default is none: each node counts its
/// own. Where there is one, a node still counts its own first, by the same limit.
pub trait UserLimitStore: Send + Sync + 'static {
    /// Counts one more stream of a user who may have `limit` of them.
    ///
    /// What is to happen when nobody can be asked is the store's to say: it may go by what it
    /// knows. It is given five seconds; a panic is as if nobody could be asked, and so is an answer that
    /// takes longer: nobody is let in then.
    fn acquire<'a>(&'a self, user: &'a Arc<str>, limit: u32) -> UserLimitFuture<'a>;
}
