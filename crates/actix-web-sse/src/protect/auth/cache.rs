//! Remembered tokens: bounded in number, and never for longer than they hold.

use std::{sync::Arc, time::Duration};

use quick_cache::sync;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::Token;
use crate::{config::CacheConfig, subscriber::Identity};

/// A token's digest: the tokens themselves are not kept.
pub(super) type Key = [u8; 32];

#[derive(Clone)]
struct Entry {
    identity: Identity,
    until: Instant,
}

pub(super) struct Cache {
    entries: sync::Cache<Key, Arc<Entry>>,
    ttl: Duration,
}

impl Cache {
    pub(super) fn new(config: &CacheConfig) -> Self {
        Self {
            entries: sync::Cache::new(config.entries),
            ttl: config.ttl,
        }
    }

    /// The same token in a cookie and in a header is two: the identity says where it was.
    pub(super) fn key(token: Token<'_>) -> Key {
        let mut digest = Sha256::new();
        digest.update(token.method.as_str());
        digest.update([0]);
        digest.update(token.text);
        digest.finalize().into()
    }

    pub(super) fn get(&self, key: &Key) -> Option<Identity> {
        let entry = self.entries.get(key)?;
        if entry.until <= Instant::now() {
            self.entries.remove(key);
            return None;
        }
        Some(entry.identity.clone())
    }

    pub(super) fn put(&self, key: Key, identity: &Identity) {
        let until = Instant::now() + self.ttl;
        let until = identity
            .deadline
            .map_or(until, |deadline| deadline.min(until));
        let identity = identity.clone();
        self.entries
            .insert(key, Arc::new(Entry { identity, until }));
    }

    pub(super) fn forget(&self, user: &str) {
        self.entries
            .retain(|_, entry| entry.identity.user.as_deref() != Some(user));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::AuthMethod;

    fn cache(entries: usize, ttl: u64) -> Cache {
        let ttl = Duration::from_secs(ttl);
        Cache::new(&CacheConfig { entries, ttl })
    }

    fn key(text: &str) -> Key {
        Cache::key(Token {
            text,
            method: AuthMethod::Bearer,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_lives_no_longer_than_the_token() {
        let cache = cache(10, 30);
        let short = Identity::user("a").expiring_in(Duration::from_secs(10));
        cache.put(key("short"), &short);
        cache.put(key("long"), &Identity::user("b"));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(cache.get(&key("short")).is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(cache.get(&key("short")).is_none());
        assert!(cache.get(&key("long")).is_some());
        tokio::time::advance(Duration::from_secs(20)).await;
        assert!(cache.get(&key("long")).is_none());
    }

    #[tokio::test]
    async fn the_number_of_entries_is_bounded() {
        let cache = cache(100, 30);
        for n in 0..10_000 {
            cache.put(key(&n.to_string()), &Identity::user("a"));
        }
        assert!(cache.entries.len() <= 100);
    }

    #[tokio::test]
    async fn a_user_can_be_forgotten() {
        let cache = cache(10, 30);
        cache.put(key("1"), &Identity::user("a"));
        cache.put(key("2"), &Identity::user("b"));
        cache.forget("a");
        assert!(cache.get(&key("1")).is_none());
        assert!(cache.get(&key("2")).is_some());
    }

    #[test]
    fn a_cookie_is_no_bearer_token() {
        let cookie = Token {
            text: "x",
            method: AuthMethod::Cookie,
        };
        assert_ne!(Cache::key(cookie), key("x"));
    }
}
