use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use actix_web_sse::{
    Identity,
    protect::{
        Attempt, AuthError, AuthFuture, Authenticator, NoUserSlot, PolicyBuilder, UserLimitFuture,
        UserLimitStore, UserSlot,
    },
};

use super::support::{APP, Recording, Reply, Server, reference, refusal, streams, wait_until};

/// Every token is the name of its user.
struct Trusting;

impl Authenticator for Trusting {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        let user = attempt.token.map(|token| token.text.to_owned());
        Box::pin(async move { user.map(Identity::user).ok_or(AuthError::Missing) })
    }
}

/// What several nodes would share: users do by name what is to happen.
#[derive(Clone, Default)]
struct Everywhere(Arc<Counts>);

#[derive(Default)]
struct Counts {
    asked: AtomicUsize,
    held: AtomicUsize,
}

struct Held(Arc<Counts>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::SeqCst);
    }
}

impl UserLimitStore for Everywhere {
    fn acquire<'a>(&'a self, user: &'a Arc<str>, limit: u32) -> UserLimitFuture<'a> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        assert_eq!(limit, 5);
        assert_ne!(&**user, "panic-now", "provoked");
        Box::pin(async move {
            match &**user {
                "full" => Err(NoUserSlot::Full),
                "unknown" => Err(NoUserSlot::Unavailable),
                "panic" => panic!("provoked"),
                _ => {
                    self.0.held.fetch_add(1, Ordering::SeqCst);
                    Ok(UserSlot::new(Held(Arc::clone(&self.0))))
                }
            }
        })
    }
}

fn serve(change: impl FnOnce(PolicyBuilder) -> PolicyBuilder) -> (Server, Arc<Counts>) {
    let recording: Arc<Recording> = Arc::default();
    let store = Everywhere::default();
    let counts = Arc::clone(&store.0);
    let builder = reference(&recording)
        .authenticator(Trusting)
        .streams_per_user(5)
        .user_limit_store(store);
    let policy = change(builder).build().unwrap();
    (Server::start(&recording, streams(policy)), counts)
}

async fn open(server: &Server, user: &str) -> Reply {
    let lines = format!("Origin: {APP}\r\nAuthorization: Bearer {user}\r\n");
    server.get(&lines).await
}

#[actix_rt::test]
async fn a_stream_holds_its_slot_on_all_nodes_to_its_end() {
    let (server, counts) = serve(|builder| builder);
    let first = open(&server, "alice").await;
    first.assert_ok();
    let second = open(&server, "alice").await;
    second.assert_ok();
    assert_eq!(counts.held.load(Ordering::SeqCst), 2);
    drop((first, second));
    wait_until("the slots are free", || {
        counts.held.load(Ordering::SeqCst) == 0
    })
    .await;
}

#[actix_rt::test]
async fn who_has_too_many_on_all_nodes_together_is_told_as_on_one() {
    let (server, _) = serve(|builder| builder);
    let mut reply = open(&server, "full").await;
    reply.assert_err(429);
    reply.assert_readable_by(APP);
    assert_eq!(reply.body().await, refusal("user_limit"));
}

#[actix_rt::test]
async fn who_cannot_be_counted_is_not_let_in_if_the_store_says_so_or_fails() {
    let (server, _) = serve(|builder| builder);
    for user in ["unknown", "panic", "panic-now"] {
        let mut reply = open(&server, user).await;
        reply.assert_err(503);
        assert!(reply.header("retry-after").is_some());
        assert_eq!(reply.body().await, refusal("capacity"), "{user}");
    }
    // And nothing is left behind of them.
    open(&server, "alice").await.assert_ok();
}

#[actix_rt::test]
async fn nobody_is_asked_about_who_is_not_counted() {
    let (server, counts) = serve(|builder| builder);
    server.get(&format!("Origin: {APP}\r\n")).await.assert_ok();
    let head = "Accept: text/event-stream\r\nAuthorization: Bearer alice\r\n";
    server.request("HEAD", "/events", head).await.assert_ok();
    assert_eq!(counts.asked.load(Ordering::SeqCst), 0);
}

#[actix_rt::test]
async fn a_node_counts_its_own_first() {
    let (server, counts) = serve(|builder| builder);
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(open(&server, "alice").await);
    }
    held.iter().for_each(Reply::assert_ok);
    open(&server, "alice").await.assert_err(429);
    assert_eq!(counts.asked.load(Ordering::SeqCst), 5);
}
