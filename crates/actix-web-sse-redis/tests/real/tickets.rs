//! Tickets that all nodes know.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use actix_web::{
    App, HttpRequest, body,
    dev::ServiceResponse,
    http::StatusCode,
    test::{TestRequest, call_service, init_service},
    web,
};
use actix_web_sse::{
    Hub, Identity, Policy, Subscriber,
    config::{TicketConfig, TicketMode},
    protect::{Attempt, AuthError, AuthFuture, Authenticator, PolicyBuilder},
};
use actix_web_sse_redis::{RedisBackplane, RedisConfig};

use crate::{
    cut::{cut, cuttable, mend},
    failover::{Pair, in_step},
    node::{config, until},
    server::Server,
};

/// Every token is the name of its user.
struct Trusting;

impl Authenticator for Trusting {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        let user = attempt.token.map(|token| token.text.to_owned());
        Box::pin(async move { user.map(Identity::user).ok_or(AuthError::Missing) })
    }
}

/// A clock that goes on when it is told to: however slow a machine is, a ticket of a second is fresh until then.
#[derive(Clone)]
struct Clock(Arc<Mutex<SystemTime>>);

impl Clock {
    fn standing() -> Self {
        Self(Arc::new(Mutex::new(SystemTime::now())))
    }

    fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }
}

/// A node that takes tickets.
#[derive(Clone)]
pub(crate) struct Ticketed {
    hub: Hub,
    pub(crate) backplane: RedisBackplane,
    policy: Policy,
}

impl Ticketed {
    pub(crate) fn start(config: RedisConfig, ttl: Duration, mode: TicketMode) -> Self {
        Self::by_clock(config, ttl, mode, SystemTime::now)
    }

    /// One whose tickets can be resumed, by a clock of the test's.
    fn resuming(config: RedisConfig, ttl: Duration, clock: &Clock) -> Self {
        let clock = clock.clone();
        let now = move || *clock.0.lock().unwrap();
        Self::by_clock(config, ttl, TicketMode::Resumable, now)
    }

    fn by_clock(
        config: RedisConfig,
        ttl: Duration,
        mode: TicketMode,
        clock: impl Fn() -> SystemTime + Send + Sync + 'static,
    ) -> Self {
        let backplane = RedisBackplane::connect(config).unwrap();
        let mut tickets = TicketConfig::new("reference-ticket-secret-of-32-bytes!!");
        tickets.mode = mode;
        tickets.ttl = ttl;
        let policy: PolicyBuilder = Policy::builder()
            .require_auth(true)
            .authenticator(Trusting)
            .clock(clock)
            .tickets(tickets)
            .ticket_store(backplane.tickets())
            .revocation_store(backplane.revocations());
        Self {
            hub: Hub::builder().backplane(backplane.clone()).build().unwrap(),
            policy: policy.build().unwrap(),
            backplane,
        }
    }

    async fn call(&self, request: TestRequest) -> ServiceResponse {
        let follow =
            |hub: Hub, subscriber: Subscriber| async move { hub.subscribe("t", subscriber) };
        let issue = |request: HttpRequest, policy: web::Data<Policy>| async move {
            policy.ticket(&request, "t")
        };
        let app = App::new()
            .app_data(self.hub.clone())
            .app_data(web::Data::from(Arc::new(self.policy.clone())))
            .service(
                web::resource("/ticket")
                    .wrap(self.policy.api())
                    .route(web::post().to(issue)),
            )
            .service(
                web::resource("/events")
                    .wrap(self.policy.clone())
                    .route(web::get().to(follow)),
            );
        let app = init_service(app).await;
        let response = call_service(&app, request.to_request()).await;
        response.map_into_boxed_body()
    }

    pub(crate) async fn ticket(&self, user: &str) -> String {
        let request = TestRequest::post()
            .uri("/ticket")
            .insert_header(("authorization", format!("Bearer {user}")));
        let answer = self.call(request).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let bytes = body::to_bytes(answer.into_body()).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (_, rest) = text.split_once("\"ticket\":\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }

    pub(crate) async fn open(&self, ticket: &str) -> ServiceResponse {
        let request = TestRequest::get()
            .uri(&format!("/events?ticket={ticket}"))
            .insert_header(("accept", "text/event-stream"));
        self.call(request).await
    }

    pub(crate) async fn answer(&self, ticket: &str) -> StatusCode {
        self.open(ticket).await.status()
    }

    async fn until_answer(&self, ticket: &str, expected: StatusCode) {
        let start = std::time::Instant::now();
        while self.answer(ticket).await != expected {
            assert!(start.elapsed() < crate::server::LIMIT, "never {expected}");
            actix_web::rt::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

const LONG: Duration = Duration::from_secs(60);

fn two(server: &Server, mode: TicketMode) -> [Ticketed; 2] {
    [(); 2].map(|()| Ticketed::start(config(server), LONG, mode))
}

/// How many streams of the one ticket nodes are said to have.
fn open_at_redis(server: &Server) -> usize {
    let keys = server.command(&["KEYS", "{sse}:ticket:*"]);
    let Some(key) = keys.split("\r\n").find(|line| line.starts_with("{sse}")) else {
        return 0;
    };
    let all = server.command(&["HGETALL", key]);
    let words: Vec<_> = all.split("\r\n").skip(1).collect();
    let texts: Vec<_> = words.chunks(2).filter_map(|pair| pair.get(1)).collect();
    let open = texts.chunks(2).filter(|pair| *pair[0] != "ended");
    open.filter_map(|pair| pair.get(1)?.parse::<usize>().ok())
        .sum()
}

#[actix_web::test]
async fn s82_a_single_use_ticket_is_used_once_on_whichever_node() {
    let server = Server::start();
    let [a, b] = two(&server, TicketMode::SingleUse);
    let ticket = a.ticket("alice").await;
    assert_eq!(b.answer(&ticket).await, StatusCode::OK);
    for node in [&a, &b] {
        assert_eq!(node.answer(&ticket).await, StatusCode::UNAUTHORIZED);
    }
}

#[actix_web::test]
async fn s82_of_many_who_show_one_ticket_to_many_nodes_at_once_one_is_let_in() {
    let server = Server::start();
    let nodes = two(&server, TicketMode::SingleUse);
    for _ in 0..20 {
        let ticket = nodes[0].ticket("alice").await;
        let shown = (0..8).map(|n| nodes[n % 2].answer(&ticket));
        let answers = futures_util::future::join_all(shown).await;
        let let_in = answers.iter().filter(|answer| **answer == StatusCode::OK);
        assert_eq!(let_in.count(), 1);
    }
}

#[actix_web::test]
async fn s82_a_resumable_ticket_is_resumed_on_another_node() {
    let server = Server::start();
    let [a, b] = two(&server, TicketMode::Resumable);
    let ticket = a.ticket("alice").await;
    let on_a = a.open(&ticket).await;
    assert_eq!(on_a.status(), StatusCode::OK);
    assert_eq!(open_at_redis(&server), 1);
    // The client is back before its old node has noticed that it left.
    let on_b = b.open(&ticket).await;
    assert_eq!(on_b.status(), StatusCode::OK);
    assert_eq!(open_at_redis(&server), 2);
    drop(on_a);
    until(|| open_at_redis(&server) == 1).await;
    drop(on_b);
    until(|| open_at_redis(&server) == 0).await;
    assert_eq!(a.answer(&ticket).await, StatusCode::OK, "for a while");
}

#[actix_web::test]
async fn s82_a_resumable_ticket_ends_a_while_after_its_last_stream_on_every_node() {
    let server = Server::start();
    let (brief, clock) = (Duration::from_secs(1), Clock::standing());
    let start = || Ticketed::resuming(config(&server), brief, &clock);
    let (a, b) = (start(), start());
    let ticket = a.ticket("alice").await;
    let on_a = a.open(&ticket).await;
    assert_eq!(on_a.status(), StatusCode::OK);
    // Past its own second, by Redis's clock too, it lives by its stream.
    clock.advance(brief * 2);
    actix_web::rt::time::sleep(brief * 2).await;
    let on_b = b.open(&ticket).await;
    assert_eq!(on_b.status(), StatusCode::OK);
    drop((on_a, on_b));
    until(|| server.command(&["KEYS", "{sse}:ticket:*"]) == "*0\r\n").await;
    for node in [&a, &b] {
        assert_eq!(node.answer(&ticket).await, StatusCode::UNAUTHORIZED);
    }
}

/// Whether the lease of the node that holds the ticket has been over for this long.
fn lease_over_for(server: &Server, least: Duration) -> bool {
    let script = "local t = redis.call('TIME') \
        local now = t[1] * 1000 + math.floor(t[2] / 1000) \
        local held = redis.call('HKEYS', redis.call('KEYS', '{sse}:ticket:*')[1]) \
        return now - redis.call('ZSCORE', '{sse}:nodes', held[1]) > tonumber(ARGV[1]) and 1 or 0";
    let least = least.as_millis().to_string();
    server.command(&["EVAL", script, "0", &least]) == ":1\r\n"
}

#[actix_web::test]
async fn s82_the_ticket_of_a_node_that_died_without_a_word_is_over_soon_after_its_lease() {
    let server = Server::start();
    let short = |mut config: RedisConfig| {
        config.lease = Duration::from_secs(2);
        config
    };
    let (ttl, clock) = (Duration::from_secs(6), Clock::standing());
    let a = Ticketed::resuming(short(cuttable(&server)), ttl, &clock);
    let b = Ticketed::resuming(short(config(&server)), ttl, &clock);
    let ticket = a.ticket("alice").await;
    let on_a = a.open(&ticket).await;
    assert_eq!(on_a.status(), StatusCode::OK);
    // To Redis and to the other nodes it is the same as if it had died.
    cut(&server);
    until(|| lease_over_for(&server, Duration::from_millis(200))).await;
    let on_b = b.open(&ticket).await;
    assert_eq!(
        on_b.status(),
        StatusCode::OK,
        "its client resumes elsewhere"
    );
    drop(on_b);
    until(|| server.command(&["KEYS", "{sse}:ticket:*"]) == "*0\r\n").await;
    clock.advance(ttl * 2);
    assert_eq!(b.answer(&ticket).await, StatusCode::UNAUTHORIZED);

    // And without a client that comes back.
    let other = b.ticket("bob").await;
    mend(&server);
    until(|| a.backplane.stats().connected).await;
    let again_on_a = a.open(&other).await;
    assert_eq!(again_on_a.status(), StatusCode::OK);
    cut(&server);
    until(|| lease_over_for(&server, ttl)).await;
    assert_eq!(b.answer(&other).await, StatusCode::UNAUTHORIZED);
    // It was not dead: its stream counts again when it is back.
    mend(&server);
    until(|| a.backplane.stats().connected).await;
    assert_eq!(b.answer(&other).await, StatusCode::OK);
    drop((on_a, again_on_a));
}

#[actix_web::test]
async fn s82_the_end_of_a_tickets_stream_in_an_outage_is_sent_when_redis_is_back() {
    let mut server = Server::start();
    let (brief, clock) = (Duration::from_secs(1), Clock::standing());
    let start = || Ticketed::resuming(config(&server), brief, &clock);
    let (a, b) = (start(), start());
    let ticket = a.ticket("alice").await;
    let on_a = a.open(&ticket).await;
    assert_eq!(on_a.status(), StatusCode::OK);
    server.kill();
    until(|| !a.backplane.stats().connected && !b.backplane.stats().connected).await;
    assert_eq!(b.answer(&ticket).await, StatusCode::SERVICE_UNAVAILABLE);
    drop(on_a);
    server.restart();
    until(|| a.backplane.stats().connected && b.backplane.stats().connected).await;
    // Without that command the ticket would live for as long as its node.
    until(|| server.command(&["KEYS", "{sse}:ticket:*"]) == "*0\r\n").await;
    clock.advance(brief * 2);
    assert_eq!(b.answer(&ticket).await, StatusCode::UNAUTHORIZED);
}

#[actix_web::test]
async fn s82_a_revoked_users_ticket_opens_nothing_on_any_node() {
    let server = Server::start();
    let [a, b] = two(&server, TicketMode::Resumable);
    let ticket = a.ticket("alice").await;
    let on_b = b.open(&ticket).await;
    assert_eq!(on_b.status(), StatusCode::OK);
    a.policy.revoke("alice");
    assert_eq!(a.answer(&ticket).await, StatusCode::UNAUTHORIZED);
    b.until_answer(&ticket, StatusCode::UNAUTHORIZED).await;
    let c = Ticketed::start(config(&server), LONG, TicketMode::Resumable);
    assert_eq!(c.answer(&ticket).await, StatusCode::UNAUTHORIZED);
}

/// One of them must not vouch for the others.
#[actix_web::test]
async fn s82_an_expired_ticket_that_is_shown_often_at_once_opens_nothing() {
    let server = Server::start();
    let (brief, clock) = (Duration::from_secs(1), Clock::standing());
    let a = Ticketed::resuming(config(&server), brief, &clock);
    let (used, unused) = (a.ticket("alice").await, a.ticket("bob").await);
    assert_eq!(a.answer(&used).await, StatusCode::OK);
    clock.advance(brief * 2);
    until(|| server.command(&["KEYS", "{sse}:ticket:*"]) == "*0\r\n").await;
    for ticket in [&used, &unused] {
        let shown = (0..8).map(|_| a.answer(ticket));
        let answers = futures_util::future::join_all(shown).await;
        assert_eq!(answers, [StatusCode::UNAUTHORIZED; 8]);
    }
    assert_eq!(server.command(&["KEYS", "{sse}:ticket:*"]), "*0\r\n");
}

/// What Redis says of the ticket after it is older than the end of its stream.
#[actix_web::test]
async fn s82_an_expired_ticket_whose_end_was_lost_at_a_fail_over_stays_expired() {
    let mut pair = Pair::start().await;
    let (brief, clock) = (Duration::from_secs(1), Clock::standing());
    let start = || Ticketed::resuming(pair.config(), brief, &clock);
    let (a, b) = (start(), start());
    let ticket = a.ticket("alice").await;
    let on_a = a.open(&ticket).await;
    assert_eq!(on_a.status(), StatusCode::OK);
    in_step(&pair.primary, &pair.replica).await;
    pair.wire.sever();
    drop(on_a);
    until(|| open_at_redis(&pair.primary) == 0).await;
    assert_eq!(open_at_redis(&pair.replica), 1);
    pair.fail_over();
    until(|| pair.replica.command(&["KEYS", "{sse}:ticket:*"]) == "*0\r\n").await;
    clock.advance(brief * 2);
    until(|| a.backplane.stats().connected && b.backplane.stats().connected).await;
    for node in [&a, &b] {
        assert_eq!(node.answer(&ticket).await, StatusCode::UNAUTHORIZED);
    }
}

/// Redis has counted the stream, and nobody takes the answer.
#[actix_web::test]
async fn s82_who_shows_a_ticket_and_goes_away_holds_nothing() {
    let server = Server::start();
    let a = Ticketed::resuming(config(&server), Duration::from_secs(1), &Clock::standing());
    let keys = || server.command(&["KEYS", "{sse}:ticket:*"]);
    for user in ["alice", "bob"] {
        let ticket = a.ticket(user).await;
        let mut asking = Box::pin(a.open(&ticket));
        // Otherwise the answer could come before the first look for it.
        server.signal("-STOP");
        assert!(futures_util::FutureExt::now_or_never(&mut asking).is_none());
        server.signal("-CONT");
        until(|| keys() != "*0\r\n").await;
        // Before the answer is taken, or with it.
        if user == "bob" {
            until(|| open_at_redis(&server) == 1).await;
        }
        drop(asking);
        until(|| keys() == "*0\r\n").await;
    }
}
