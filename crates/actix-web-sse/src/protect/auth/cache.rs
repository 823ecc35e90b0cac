//! Remembered tokens: bounded in number, and never for longer than they hold.

use std::{sync::Arc, time::Duration};

use quick_cache::sync;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::{Attempt, CacheKey, Token};
use crate::{config::CacheConfig, identity::Identity, protect::revoked::Revoked};

/// A digest of the token and of whatever else the answer depends on: neither is kept.
pub(super) type Key = [u8; 32];

#[derive(Clone)]
struct Entry {
    identity: Identity,
    until: Instant,
    /// The newest revocation before the authenticator was asked.
    seen: u64,
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

    /// What an attempt is remembered by, if it may be. The same token in a cookie and in a header is
    /// two: the identity says where it was.
    pub(super) fn key(attempt: &Attempt<'_>, by: &CacheKey) -> Option<Key> {
        let Token { text, method } = attempt.token?;
        let beside = match by {
            CacheKey::Never => return None,
            CacheKey::Token => None,
            CacheKey::TokenAnd(beside) => Some(beside),
        };
        let mut digest = Sha256::new();
        // Each with its length before it, so that no two of them read as one of another cut.
        for part in [method.as_str(), text]
            .into_iter()
            .chain(beside.map(String::as_str))
        {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Some(digest.finalize().into())
    }

    /// Who it was, and the newest revocation before the authenticator said so. An answer that was
    /// given before the user was revoked is none, even if it was put here afterwards.
    pub(super) fn get(&self, key: &Key, revoked: &Revoked) -> Option<(Identity, u64)> {
        let entry = self.entries.get(key)?;
        let user = entry.identity.user.as_deref();
        let stale = |user| revoked.since(entry.seen, user, None);
        if entry.until <= Instant::now() || user.is_some_and(stale) {
            self.entries.remove(key);
            return None;
        }
        Some((entry.identity.clone(), entry.seen))
    }

    /// Remembers what the authenticator said that was asked when this was the newest revocation.
    pub(super) fn put(&self, key: Key, identity: &Identity, seen: u64) {
        // A time to live that no clock holds is not one.
        let Some(until) = Instant::now().checked_add(self.ttl) else {
            return;
        };
        let until = identity
            .deadline
            .map_or(until, |deadline| deadline.min(until));
        let identity = identity.clone();
        let entry = Entry {
            identity,
            until,
            seen,
        };
        self.entries.insert(key, Arc::new(entry));
    }

    pub(super) fn forget(&self, user: &str) {
        self.entries
            .retain(|_, entry| entry.identity.user.as_deref() != Some(user));
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::{observe::AuthMethod, protect::revoked::UserRevocation};

    fn cache(entries: usize, ttl: u64) -> Cache {
        let ttl = Duration::from_secs(ttl);
        Cache::new(&CacheConfig { entries, ttl })
    }

    fn key_of(text: &str, method: AuthMethod, by: &CacheKey) -> Option<Key> {
        let request = TestRequest::get().to_http_request();
        let attempt = Attempt {
            token: Some(Token { text, method }),
            address: None,
            request: &request,
        };
        Cache::key(&attempt, by)
    }

    fn key(text: &str) -> Key {
        key_of(text, AuthMethod::Bearer, &CacheKey::Token).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_lives_no_longer_than_the_token() {
        let (cache, revoked) = (cache(10, 30), Revoked::default());
        let short = Identity::user("a").expiring_in(Duration::from_secs(10));
        cache.put(key("short"), &short, 0);
        cache.put(key("long"), &Identity::user("b"), 0);
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(cache.get(&key("short"), &revoked).is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(cache.get(&key("short"), &revoked).is_none());
        assert!(cache.get(&key("long"), &revoked).is_some());
        tokio::time::advance(Duration::from_secs(20)).await;
        assert!(cache.get(&key("long"), &revoked).is_none());
    }

    #[tokio::test]
    async fn the_number_of_entries_is_bounded() {
        let cache = cache(100, 30);
        for n in 0..10_000 {
            cache.put(key(&n.to_string()), &Identity::user("a"), 0);
        }
        assert!(cache.entries.len() <= 100);
    }

    #[tokio::test]
    async fn a_user_can_be_forgotten() {
        let (cache, revoked) = (cache(10, 30), Revoked::default());
        cache.put(key("1"), &Identity::user("a"), 0);
        cache.put(key("2"), &Identity::user("b"), 0);
        cache.forget("a");
        assert!(cache.get(&key("1"), &revoked).is_none());
        assert!(cache.get(&key("2"), &revoked).is_some());
    }

    #[tokio::test]
    async fn h06_what_is_put_after_the_user_was_forgotten_is_not_believed() {
        let (cache, revoked) = (cache(10, 30), Revoked::default());
        let seen = revoked.newest();
        // The authenticator is asked, and meanwhile:
        revoked.add(&UserRevocation::new(
            "a",
            std::time::SystemTime::now(),
            Duration::from_secs(60),
        ));
        cache.forget("a");
        cache.put(key("a"), &Identity::user("a"), seen);
        cache.put(key("b"), &Identity::user("b"), seen);
        assert!(cache.get(&key("a"), &revoked).is_none());
        assert!(cache.get(&key("b"), &revoked).is_some());
        let asked_again = revoked.newest();
        cache.put(key("a"), &Identity::user("a"), asked_again);
        assert_eq!(cache.get(&key("a"), &revoked).unwrap().1, asked_again);
    }

    #[test]
    fn a_cookie_is_no_bearer_token() {
        let cookie = key_of("x", AuthMethod::Cookie, &CacheKey::Token);
        assert_ne!(cookie.unwrap(), key("x"));
    }

    #[test]
    fn what_is_remembered_by_more_than_the_token_differs_with_it() {
        let by = |text, tenant: &str| {
            key_of(text, AuthMethod::Bearer, &CacheKey::TokenAnd(tenant.into())).unwrap()
        };
        let keys = [
            by("x", "a"),
            by("x", "b"),
            by("xa", ""),
            key("xa"),
            key("x"),
        ];
        let distinct = keys.iter().collect::<std::collections::HashSet<_>>();
        assert_eq!(distinct.len(), keys.len());
        assert_eq!(key_of("x", AuthMethod::Bearer, &CacheKey::Never), None);
    }
}
