//! What an authenticator's answers are remembered by.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use actix_web_sse::{
    Identity,
    config::AuthConfig,
    protect::{Attempt, AuthFuture, Authenticator, CacheKey},
};

use super::reply::over_both;
use super::support::{Recording, Server, reference, streams};

fn remembering() -> AuthConfig {
    let mut auth = AuthConfig::default();
    auth.required = true;
    auth.cache = Some(Default::default());
    auth
}

/// One token in two tenants is two users: the host says whose it is.
struct Tenants {
    asked: Arc<AtomicUsize>,
    declares: bool,
}

fn tenant(attempt: &Attempt<'_>) -> String {
    attempt.request.connection_info().host().to_owned()
}

impl Authenticator for Tenants {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let topic = tenant(&attempt);
        Box::pin(async move { Ok(Identity::user("alice").reading([topic])) })
    }

    fn cache_key(&self, attempt: &Attempt<'_>) -> CacheKey {
        match self.declares {
            true => CacheKey::TokenAnd(tenant(attempt)),
            false => CacheKey::Never,
        }
    }
}

/// Asks for what the tenant of `host` has, and for what the one of `topic` has.
async fn tenants(declares: bool) -> (usize, Vec<u16>) {
    let recording: Arc<Recording> = Arc::default();
    let asked = Arc::new(AtomicUsize::new(0));
    let policy = reference(&recording)
        .auth(remembering())
        .authenticator(Tenants {
            asked: Arc::clone(&asked),
            declares,
        })
        .topic(|request| Some(request.query_string().to_owned()))
        .build()
        .unwrap();
    let server = Server::start(&recording, streams(policy));
    let mut statuses = Vec::new();
    for (host, topic) in [
        ("api.example.com", "api.example.com"),
        ("localhost", "localhost"),
        ("localhost", "api.example.com"),
        ("api.example.com", "localhost"),
        ("api.example.com", "api.example.com"),
    ] {
        let request = format!(
            "GET /events?{topic} HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n\
             Authorization: Bearer shared\r\n\r\n"
        );
        statuses.push(server.raw(request).await.status);
    }
    (asked.load(Ordering::SeqCst), statuses)
}

async fn one_token_in_two_tenants_is_remembered_for_neither_unless_declared() {
    let expected = vec![200, 200, 403, 403, 200];
    assert_eq!(tenants(false).await, (5, expected.clone()));
    assert_eq!(tenants(true).await, (2, expected));
}

/// What looks at more than the token and says nothing, as the trait's default has it.
struct Silent(Arc<AtomicUsize>);

impl Authenticator for Silent {
    fn authenticate<'a>(&'a self, _: Attempt<'a>) -> AuthFuture<'a> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { Ok(Identity::user("alice")) })
    }
}

async fn what_declares_nothing_is_asked_each_time() {
    let recording: Arc<Recording> = Arc::default();
    let asked = Arc::new(AtomicUsize::new(0));
    let policy = reference(&recording)
        .auth(remembering())
        .authenticator(Silent(Arc::clone(&asked)))
        .build()
        .unwrap();
    let server = Server::start(&recording, streams(policy));
    for _ in 0..3 {
        let reply = server.get("Authorization: Bearer x\r\n").await;
        reply.assert_ok();
    }
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

over_both! {
    one_token_in_two_tenants_is_remembered_for_neither_unless_declared,
    what_declares_nothing_is_asked_each_time,
}
