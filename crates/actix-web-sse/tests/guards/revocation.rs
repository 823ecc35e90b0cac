use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use actix_web_sse::{
    Identity, Policy,
    protect::{
        Attempt, AuthError, AuthFuture, Authenticator, PolicyBuilder, RevocationSink,
        RevocationStore, UserRevocation,
    },
};

use super::support::{APP, Recording, Reply, Server, reference, streams};

/// Goes by the token alone: `USER` was issued an hour ago, `USER+` in an hour; and `USER?` is
/// looked up.
struct Dated;

impl Authenticator for Dated {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        let now = SystemTime::now();
        let hour = Duration::from_secs(3600);
        let identity = attempt.token.map(|token| match token.text {
            text if text.ends_with('+') => {
                Identity::user(text.trim_end_matches('+')).issued_at(now + hour)
            }
            text if text.ends_with('?') => Identity::user(text.trim_end_matches('?')),
            text => Identity::user(text).issued_at(now - hour),
        });
        Box::pin(async { identity.ok_or(AuthError::Missing) })
    }
}

fn policy(change: impl FnOnce(PolicyBuilder) -> PolicyBuilder) -> (Policy, Arc<Recording>) {
    let recording: Arc<Recording> = Arc::default();
    let builder = reference(&recording)
        .require_auth(true)
        .authenticator(Dated);
    (change(builder).build().unwrap(), recording)
}

async fn bearer(server: &Server, token: &str) -> Reply {
    let lines = format!("Origin: {APP}\r\nAuthorization: Bearer {token}\r\n");
    server.get(&lines).await
}

async fn assert_refused(mut reply: Reply, status: u16, body: &[u8]) {
    reply.assert_err(status);
    reply.assert_readable_by(APP);
    assert_eq!(reply.body().await, body);
}

const INVALID: &[u8] = br#"{"error":"invalid_token"}"#;

#[actix_rt::test]
async fn a_revoked_users_tokens_hold_no_more_but_newer_ones_and_other_users_do() {
    let (policy, recording) = policy(|builder| builder);
    let server = Server::start(&recording, streams(policy.clone()));
    bearer(&server, "alice").await.assert_ok();
    policy.revoke("alice");
    assert_refused(bearer(&server, "alice").await, 401, INVALID).await;
    for token in ["alice+", "bob", "alice?"] {
        bearer(&server, token).await.assert_ok();
    }
}

/// Nodes in one process: what one is told, all are.
#[derive(Clone, Default)]
struct Gossip(Arc<Told>);

#[derive(Default)]
struct Told {
    sinks: Mutex<Vec<RevocationSink>>,
    so_far: Mutex<Vec<UserRevocation>>,
    stale: AtomicBool,
}

impl RevocationStore for Gossip {
    fn start(&self, sink: RevocationSink) {
        for revocation in self.0.so_far.lock().unwrap().iter() {
            sink.revoke(revocation);
        }
        self.0.sinks.lock().unwrap().push(sink);
    }

    fn revoke(&self, revocation: UserRevocation) {
        for sink in self.0.sinks.lock().unwrap().iter() {
            sink.revoke(&revocation);
        }
        self.0.so_far.lock().unwrap().push(revocation);
    }

    fn is_current(&self) -> bool {
        !self.0.stale.load(Ordering::SeqCst)
    }
}

#[actix_rt::test]
async fn a_revocation_reaches_every_policy_of_a_store_and_those_built_later() {
    let gossip = Gossip::default();
    let (here, _) = policy(|builder| builder.revocation_store(gossip.clone()));
    let (there, recording) = policy(|builder| builder.revocation_store(gossip.clone()));
    let there = Server::start(&recording, streams(there));
    bearer(&there, "alice").await.assert_ok();
    here.revoke("alice");
    assert_refused(bearer(&there, "alice").await, 401, INVALID).await;
    bearer(&there, "alice+").await.assert_ok();

    let (later, recording) = policy(|builder| builder.revocation_store(gossip.clone()));
    let later = Server::start(&recording, streams(later));
    assert_refused(bearer(&later, "alice").await, 401, INVALID).await;
    bearer(&later, "bob").await.assert_ok();

    let sinks = gossip.0.sinks.lock().unwrap();
    assert!(sinks.iter().all(RevocationSink::is_open));
    drop(here);
    assert!(!sinks[0].is_open());
}

#[actix_rt::test]
async fn a_node_that_cannot_know_what_was_revoked_says_so_and_lets_in_who_was_looked_up() {
    let gossip = Gossip::default();
    let (policy, recording) = policy(|builder| builder.revocation_store(gossip.clone()));
    let server = Server::start(&recording, streams(policy.clone()));
    gossip.0.stale.store(true, Ordering::SeqCst);
    let unavailable = br#"{"error":"auth_unavailable"}"#;
    assert_refused(bearer(&server, "alice").await, 503, unavailable).await;
    bearer(&server, "alice?").await.assert_ok();
    // What it does know it says all the same.
    policy.revoke("bob");
    assert_refused(bearer(&server, "bob").await, 401, INVALID).await;
    gossip.0.stale.store(false, Ordering::SeqCst);
    bearer(&server, "alice").await.assert_ok();
}
