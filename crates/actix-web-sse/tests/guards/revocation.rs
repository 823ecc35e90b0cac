use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};

use actix_web_sse::{
    Identity, Policy,
    config::AuthConfig,
    protect::{
        Attempt, AuthError, AuthFuture, Authenticator, PolicyBuilder, RevocationSink,
        RevocationStore, UserRevocation,
    },
};

use super::support::{APP, Recording, Reply, Server, reference, refusal, streams};

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

async fn assert_refused(mut reply: Reply, status: u16, code: &str) {
    reply.assert_err(status);
    reply.assert_readable_by(APP);
    assert_eq!(reply.body().await, refusal(code));
}

const INVALID: &str = "invalid_token";

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

/// `USER@MILLIS`, issued then.
struct DatedExactly;

impl Authenticator for DatedExactly {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        let identity = attempt.token.and_then(|token| {
            let (user, millis) = token.text.split_once('@')?;
            let issued = Duration::from_millis(millis.parse().ok()?);
            Some(Identity::user(user).issued_at(SystemTime::UNIX_EPOCH + issued))
        });
        Box::pin(async { identity.ok_or(AuthError::Invalid) })
    }
}

fn dated(user: &str, issued: SystemTime) -> String {
    let since = issued.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    format!("{user}@{}", since.as_millis())
}

/// A policy whose clock differs from the issuer's, tolerating so much.
fn off_by(offset: impl Fn(SystemTime) -> SystemTime + Send + Sync + 'static, skew: u64) -> Policy {
    let recording: Arc<Recording> = Arc::default();
    let mut auth = AuthConfig::default();
    auth.required = true;
    auth.revocation_skew = Duration::from_secs(skew);
    reference(&recording)
        .auth(auth)
        .authenticator(DatedExactly)
        .clock(move || offset(SystemTime::now()))
        .build()
        .unwrap()
}

async fn status(policy: &Policy, token: &str) -> u16 {
    let server = Server::start(&Arc::default(), streams(policy.clone()));
    bearer(&server, token).await.status
}

#[actix_rt::test]
async fn h06_the_tolerated_skew_is_held_and_no_more() {
    let seconds = Duration::from_secs;
    let now = SystemTime::now();
    for (behind, skew, status_of_now) in [
        (4, 5, 401),
        (6, 5, 200),
        (0, 0, 401),
        (2, 0, 200),
        (14, 15, 401),
    ] {
        let policy = off_by(move |now| now - seconds(behind), skew);
        let hold_from = policy.revoke("alice");
        let token = dated("alice", now);
        assert_eq!(
            status(&policy, &token).await,
            status_of_now,
            "{behind} {skew}"
        );
        // Whoever issues as of then is let in, and not a millisecond before.
        assert_eq!(status(&policy, &dated("alice", hold_from)).await, 200);
        let before = dated("alice", hold_from - Duration::from_millis(1));
        assert_eq!(status(&policy, &before).await, 401);
        assert_eq!(status(&policy, &dated("bob", now)).await, 200);
    }
    // A clock that is ahead covers more.
    let policy = off_by(move |now| now + seconds(3), 5);
    let hold_from = policy.revoke("alice");
    assert!(hold_from > now + seconds(7), "{hold_from:?}");
    assert_eq!(policy.credentials_hold_from("alice"), hold_from);
    assert!(policy.credentials_hold_from("bob") < hold_from);
}

#[actix_rt::test]
async fn h06_a_second_revocation_counts_though_the_clock_was_set_back() {
    let hour = AtomicBool::new(false);
    let set_back = Arc::new(hour);
    let flag = Arc::clone(&set_back);
    let policy = off_by(
        move |now| match flag.load(Ordering::SeqCst) {
            true => now - Duration::from_secs(3600),
            false => now,
        },
        5,
    );
    let first = policy.revoke("alice");
    let again = dated("alice", first);
    assert_eq!(status(&policy, &again).await, 200);
    set_back.store(true, Ordering::SeqCst);
    assert!(policy.revoke("alice") > first);
    assert_eq!(status(&policy, &again).await, 401);
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
    let unavailable = "auth_unavailable";
    assert_refused(bearer(&server, "alice").await, 503, unavailable).await;
    bearer(&server, "alice?").await.assert_ok();
    // What it does know it says all the same.
    policy.revoke("bob");
    assert_refused(bearer(&server, "bob").await, 401, INVALID).await;
    gossip.0.stale.store(false, Ordering::SeqCst);
    bearer(&server, "alice").await.assert_ok();
}
