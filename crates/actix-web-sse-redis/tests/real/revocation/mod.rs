//! Revocations reach every node: those that are there, that were cut off, that start later.

mod lost;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use actix_web::{
    App,
    dev::ServiceResponse,
    http::StatusCode,
    test::{TestRequest, call_service, init_service},
    web,
};
use actix_web_sse::{
    Hub, Identity, Policy, Subscriber,
    config::AuthConfig,
    observe::{CloseReason, End, Observer, Opened, StreamObserver},
    protect::{Attempt, AuthError, AuthFuture, Authenticator},
};
use actix_web_sse_redis::{RedisBackplane, RedisConfig};

use crate::{
    cut::{cut, cuttable, mend},
    node::{config, read, until},
    server::Server,
};

/// Goes by the token alone: `USER@MILLIS`, issued then.
struct Dated;

impl Authenticator for Dated {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        let identity = attempt.token.and_then(|token| {
            let (user, millis) = token.text.split_once('@')?;
            let issued = UNIX_EPOCH + Duration::from_millis(millis.parse().ok()?);
            Some(Identity::user(user).issued_at(issued))
        });
        Box::pin(async { identity.ok_or(AuthError::Invalid) })
    }
}

/// A token issued now.
pub(crate) fn token(user: &str) -> String {
    token_of(user, SystemTime::now())
}

/// A token issued then.
fn token_of(user: &str, issued: SystemTime) -> String {
    let since = issued.duration_since(UNIX_EPOCH).unwrap();
    format!("{user}@{}", since.as_millis())
}

/// Why streams ended.
#[derive(Clone, Default)]
struct Ends(Arc<Mutex<Vec<CloseReason>>>);

impl Observer for Ends {
    fn opened(&self, _: &Opened<'_>) -> Box<dyn StreamObserver> {
        Box::new(self.clone())
    }
}

impl StreamObserver for Ends {
    fn closed(self: Box<Self>, end: &End) {
        self.0.lock().unwrap().push(end.reason);
    }
}

/// A node with guards, as an application would have it.
pub(crate) struct Guarded {
    hub: Hub,
    pub(crate) backplane: RedisBackplane,
    pub(crate) policy: Policy,
    ends: Ends,
}

impl Guarded {
    pub(crate) fn start(config: RedisConfig) -> Self {
        Self::remembering(config, Duration::from_secs(3600))
    }

    fn remembering(config: RedisConfig, memory: Duration) -> Self {
        Self::by_clock(config, memory, SystemTime::now)
    }

    /// One whose clock is behind by so much.
    fn slow(config: RedisConfig, behind: Duration) -> Self {
        let hour = Duration::from_secs(3600);
        Self::by_clock(config, hour, move || SystemTime::now() - behind)
    }

    pub(crate) fn by_clock(
        config: RedisConfig,
        memory: Duration,
        clock: impl Fn() -> SystemTime + Send + Sync + 'static,
    ) -> Self {
        let backplane = RedisBackplane::connect(config).unwrap();
        let ends = Ends::default();
        let hub = Hub::builder().observer(ends.clone());
        let mut auth = AuthConfig::default();
        auth.required = true;
        auth.revocation_memory = memory;
        let policy = Policy::builder()
            .auth(auth)
            .authenticator(Dated)
            .clock(clock)
            .revocation_store(backplane.revocations());
        Self {
            hub: hub.backplane(backplane.clone()).build().unwrap(),
            policy: policy.build().unwrap(),
            backplane,
            ends,
        }
    }

    async fn open(&self, token: &str) -> ServiceResponse {
        let follow =
            |hub: Hub, subscriber: Subscriber| async move { hub.subscribe("t", subscriber) };
        let app = App::new().app_data(self.hub.clone()).service(
            web::resource("/")
                .wrap(self.policy.clone())
                .route(web::get().to(follow)),
        );
        let app = init_service(app).await;
        let request = TestRequest::get()
            .insert_header(("accept", "text/event-stream"))
            .insert_header(("authorization", format!("Bearer {token}")));
        call_service(&app, request.to_request())
            .await
            .map_into_boxed_body()
    }

    pub(crate) async fn answer(&self, token: &str) -> StatusCode {
        self.open(token).await.status()
    }

    /// As an application does when it signs somebody out.
    pub(crate) fn sign_out(&self, user: &str) {
        self.policy.revoke(user);
    }

    pub(crate) async fn until_refused(&self, token: &str) {
        until(|| {
            let known = self.backplane.stats().connected;
            known
                && futures_util::FutureExt::now_or_never(self.answer(token))
                    == Some(StatusCode::UNAUTHORIZED)
        })
        .await;
    }
}

#[actix_web::test]
async fn s82_what_one_node_revokes_all_refuse_those_that_start_later_too() {
    let server = Server::start();
    let (a, b) = (
        Guarded::start(config(&server)),
        Guarded::start(config(&server)),
    );
    let (alice, bob) = (token("alice"), token("bob"));
    let on_b = b.open(&alice).await;
    assert_eq!(on_b.status(), StatusCode::OK);
    let others = b.open(&bob).await;
    a.sign_out("alice");
    assert!(read(on_b, 1).await.ended);
    assert_eq!(*b.ends.0.lock().unwrap(), [CloseReason::Revoked]);
    // The revocation comes before the order to end the streams.
    let c = Guarded::start(config(&server));
    for node in [&a, &b, &c] {
        assert_eq!(node.answer(&alice).await, StatusCode::UNAUTHORIZED);
        assert_eq!(node.answer(&bob).await, StatusCode::OK);
    }
    let again = token_of("alice", a.policy.credentials_hold_from("alice"));
    for node in [&a, &b, &c] {
        assert_eq!(node.answer(&again).await, StatusCode::OK, "signed in again");
    }
    assert_eq!(b.hub.stats().streams, 1, "bob's");
    drop(others);
}

#[actix_web::test]
async fn h06_a_node_with_a_slow_clock_revokes_what_was_issued_up_to_now() {
    let server = Server::start();
    let slow = Guarded::slow(config(&server), Duration::from_millis(4500));
    let exact = Guarded::start(config(&server));
    let alice = token("alice");
    let on_exact = exact.open(&alice).await;
    assert_eq!(on_exact.status(), StatusCode::OK);
    slow.policy.revoke("alice");
    assert!(read(on_exact, 1).await.ended);
    for node in [&slow, &exact] {
        assert_eq!(node.answer(&alice).await, StatusCode::UNAUTHORIZED);
    }
}

#[actix_web::test]
async fn h06_a_second_revocation_by_a_slower_clock_ends_streams_again() {
    let server = Server::start();
    let exact = Guarded::start(config(&server));
    // Further behind than is tolerated: what it revokes lies before the first revocation.
    let slow = Guarded::slow(config(&server), Duration::from_secs(10));
    let before = token("alice");
    exact.policy.revoke("alice");
    slow.until_refused(&before).await;
    let again = token_of("alice", exact.policy.credentials_hold_from("alice"));
    let open = exact.open(&again).await;
    assert_eq!(open.status(), StatusCode::OK);
    slow.policy.revoke("alice");
    assert!(read(open, 1).await.ended);
    let ends = || exact.ends.0.lock().unwrap().clone();
    until(|| ends() == [CloseReason::Revoked]).await;
}

#[actix_web::test]
async fn s82_a_node_that_was_cut_off_learns_what_was_revoked_when_it_is_back() {
    let server = Server::start();
    let (a, b) = (
        Guarded::start(config(&server)),
        Guarded::start(cuttable(&server)),
    );
    let alice = token("alice");
    let on_b = b.open(&alice).await;
    cut(&server);
    until(|| !b.backplane.stats().connected).await;
    a.sign_out("alice");
    let a_said_so = || server.command(&["XLEN", "{sse}:revoked"]) == ":1\r\n";
    until(a_said_so).await;
    assert_eq!(b.answer(&alice).await, StatusCode::OK, "it cannot know");
    mend(&server);
    assert!(read(on_b, 1).await.ended);
    b.until_refused(&alice).await;
}

#[actix_web::test]
async fn s82_what_is_revoked_in_an_outage_is_sent_when_redis_is_back() {
    let mut server = Server::start();
    let (a, b) = (
        Guarded::start(config(&server)),
        Guarded::start(config(&server)),
    );
    let alice = token("alice");
    let on_b = b.open(&alice).await;
    server.kill();
    until(|| !a.backplane.stats().connected).await;
    a.sign_out("alice");
    assert_eq!(a.answer(&alice).await, StatusCode::UNAUTHORIZED, "at once");
    server.restart();
    assert!(read(on_b, 1).await.ended);
    b.until_refused(&alice).await;
    let c = Guarded::start(config(&server));
    assert_eq!(c.answer(&alice).await, StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn s82_a_node_that_starts_knows_however_many_were_revoked() {
    let server = Server::start();
    let a = Guarded::start(config(&server));
    let tokens: Vec<_> = (0..2500).map(|n| token(&format!("user {n}"))).collect();
    for n in 0..2500 {
        a.policy.revoke(&format!("user {n}"));
    }
    until(|| server.command(&["XLEN", "{sse}:revoked"]) == ":2500\r\n").await;
    let c = Guarded::start(config(&server));
    for n in [0, 999, 1000, 1999, 2000, 2499] {
        let answer = c.answer(&tokens[n]).await;
        assert_eq!(answer, StatusCode::UNAUTHORIZED, "{n}");
    }
    assert_eq!(c.answer(&token("nobody")).await, StatusCode::OK);
}

#[actix_web::test]
async fn s82_a_revocation_is_forgotten_when_no_token_can_be_that_old() {
    let server = Server::start();
    let brief = Duration::from_secs(6);
    let a = Guarded::remembering(config(&server), brief);
    let alice = token("alice");
    a.sign_out("alice");
    assert_eq!(a.answer(&alice).await, StatusCode::UNAUTHORIZED);
    let answers = || futures_util::FutureExt::now_or_never(a.answer(&alice));
    until(|| answers() == Some(StatusCode::OK)).await;
    // Whoever revokes next clears up.
    until(|| {
        a.policy.revoke("bob");
        !server
            .command(&["XRANGE", "{sse}:revoked", "-", "+"])
            .contains("alice")
    })
    .await;
}

#[actix_web::test]
async fn s82_with_a_grace_a_node_refuses_what_could_have_been_revoked_meanwhile() {
    let server = Server::start();
    let mut wary = cuttable(&server);
    wary.revocation_grace = Some(Duration::from_secs(2));
    let b = Guarded::start(wary);
    let alice = token("alice");
    let answers = || futures_util::FutureExt::now_or_never(b.answer(&alice));
    // Soon, where the machine was busy for two seconds.
    until(|| answers() == Some(StatusCode::OK)).await;
    cut(&server);
    until(|| answers() == Some(StatusCode::SERVICE_UNAVAILABLE)).await;
    assert!(b.backplane.stats().silent >= Duration::from_secs(2));
    mend(&server);
    until(|| answers() == Some(StatusCode::OK)).await;
}

/// Redis's time decides, however far behind the clock of the node that revokes is.
#[actix_web::test]
async fn h06_a_node_far_behind_revokes_on_the_others_what_was_issued_up_to_now() {
    let server = Server::start();
    let slow = Guarded::slow(config(&server), Duration::from_secs(10));
    let exact = Guarded::start(config(&server));
    let alice = token("alice");
    let open = exact.open(&alice).await;
    assert_eq!(open.status(), StatusCode::OK);
    slow.policy.revoke("alice");
    assert!(read(open, 1).await.ended);
    assert_eq!(exact.answer(&alice).await, StatusCode::UNAUTHORIZED);
}
