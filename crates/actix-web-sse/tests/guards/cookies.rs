//! Several cookies of one name.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use actix_web_sse::{
    Identity,
    protect::{Attempt, AuthError, AuthFuture, Authenticator},
};

use super::auth::{auth, serve};
use super::reply::over_both;
use super::support::{APP, Recording, Server, reference, streams};

fn cookies(values: &[&str]) -> String {
    let pairs: Vec<_> = values
        .iter()
        .map(|value| format!("__Host-sid={value}"))
        .collect();
    format!("Origin: {APP}\r\nCookie: {}\r\n", pairs.join("; "))
}

async fn w10_of_several_cookies_the_first_that_holds_counts() {
    let (server, asked) = serve(|builder| builder.topic(|_| Some("demo".into())));
    for (values, status, checked) in [
        (&["old", "alice"][..], 200, 2),
        (&["ended", "", "old", "alice"], 200, 3),
        (&["alice", "old"], 200, 1),
        // Each once.
        (&["old", "old", "alice"], 200, 2),
        (&["old", "older"], 401, 2),
        (&["1", "2", "3", "4", "5", "6", "7", "alice"], 200, 8),
        (&["1", "2", "3", "4", "5", "6", "7", "8", "alice"], 401, 8),
        // It holds, and does not suffice: no other is looked for.
        (&["old", "forbidden", "alice"], 403, 2),
        (&["bob", "alice"], 403, 1),
        // It could not be checked.
        (&["old", "broken", "alice"], 503, 2),
    ] {
        asked.store(0, Ordering::SeqCst);
        let reply = server.get(&cookies(values)).await;
        assert_eq!(reply.status, status, "{values:?}");
        assert_eq!(asked.load(Ordering::SeqCst), checked, "{values:?}");
        reply.assert_readable_by(APP);
    }
}

/// A leftover that was signed out, beside the new session.
async fn w10_a_revoked_cookie_does_not_hold() {
    let recording: Arc<Recording> = Arc::default();
    let policy = reference(&recording)
        .auth(auth(|auth| auth.revocation_skew = Duration::ZERO))
        .authenticator(Dated)
        .build()
        .unwrap();
    let server = Server::start(&recording, streams(policy.clone()));
    let now = Dated::seconds(SystemTime::now());
    let (old, new) = ((now - 60).to_string(), (now + 60).to_string());
    server.get(&cookies(&[&old])).await.assert_ok();
    policy.revoke("ada");
    server.get(&cookies(&[&old])).await.assert_err(401);
    server.get(&cookies(&[&old, &new])).await.assert_ok();
}

/// Whose tokens are the moment of their issue.
struct Dated;

impl Dated {
    fn seconds(time: SystemTime) -> u64 {
        time.duration_since(UNIX_EPOCH).unwrap().as_secs()
    }
}

impl Authenticator for Dated {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        let issued = attempt.token.unwrap().text.parse().map(Duration::from_secs);
        Box::pin(async move {
            let issued = UNIX_EPOCH + issued.map_err(|_| AuthError::Invalid)?;
            Ok(Identity::user("ada").issued_at(issued))
        })
    }
}

/// Eight slow answers have the time of one.
async fn w10_all_cookies_together_have_the_time_of_one() {
    // With a time for each they would all be found not to hold.
    let (server, _) = serve(|builder| builder);
    let slow: Vec<_> = (0..8).map(|n| format!("slow-{n}")).collect();
    let slow: Vec<_> = slow.iter().map(String::as_str).collect();
    server.get(&cookies(&slow)).await.assert_err(503);
}

/// Whoever guesses with cookies has no more guesses than with tokens.
async fn w10_each_cookie_is_an_attempt_of_its_address() {
    let (server, asked) = serve(|builder| builder.attempts_per_ip(4));
    let reply = server.get(&cookies(&["1", "2", "3", "4", "5", "6"])).await;
    reply.assert_err(429);
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

over_both! {
    w10_of_several_cookies_the_first_that_holds_counts,
    w10_a_revoked_cookie_does_not_hold,
    w10_all_cookies_together_have_the_time_of_one,
    w10_each_cookie_is_an_attempt_of_its_address,
}
