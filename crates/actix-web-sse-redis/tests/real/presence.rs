//! Who follows a topic, on all nodes together.

use std::{collections::BTreeSet, time::Duration};

use actix_web::{
    App, Responder,
    dev::ServiceResponse,
    rt::time::sleep,
    test::{TestRequest, call_service, init_service},
    web,
};
use actix_web_sse::{
    Hub, Identity, Policy, Subscriber,
    config::{PresenceMode, TopicConfig},
    protect::{Attempt, AuthFuture, Authenticator, UserLimitStore as _},
};
use actix_web_sse_redis::{RedisBackplane, RedisConfig, UserLimits};

use crate::{
    cluster::{Moving, cluster, owner_first},
    moving::turned_away,
    node::{Node, config, data, read, until},
    relay::Relay,
    server::Server,
};

const GRACE: Duration = Duration::from_millis(300);
/// So short that a node soon counts as dead.
const LEASE: Duration = Duration::from_secs(3);
/// So short that it can be waited for, and longer than a node may be without a processor.
const SHORT: Duration = Duration::from_secs(10);
/// So long that no node does.
const LONG: Duration = Duration::from_secs(30);
const ROOM: &str = "room/7";

/// Whoever says a name is its user.
struct Names;

impl Authenticator for Names {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        let user = attempt.token.map(|token| Identity::user(token.text));
        Box::pin(async { Ok(user.unwrap_or_else(Identity::anonymous)) })
    }
}

fn start(mut config: RedisConfig, lease: Duration, grace: Duration) -> Node {
    config.lease = lease;
    let backplane = RedisBackplane::connect(config).unwrap();
    let builder = Hub::builder().with(|hub, _| {
        hub.presence.grace = grace;
        hub.topics = vec![TopicConfig::of("room/*").presence(PresenceMode::Events)];
    });
    let hub = builder.backplane(backplane.clone()).build().unwrap();
    Node { hub, backplane }
}

/// A node on a wire of its own.
fn wired(server: &Server, lease: Duration) -> (Relay, Node) {
    let wire = Relay::to(server.port);
    let mut config = config(server);
    config.redis = wire.url().into();
    let node = start(config, lease, GRACE);
    (wire, node)
}

async fn open(node: &Node, topic: &str, user: &str) -> ServiceResponse {
    async fn follow(hub: Hub, subscriber: Subscriber, topic: web::Path<String>) -> impl Responder {
        hub.subscribe(topic.into_inner(), subscriber)
    }
    let policy = Policy::builder().require_auth(true).authenticator(Names);
    let app = App::new()
        .app_data(node.hub.clone())
        .wrap(policy.build().unwrap())
        .route("/{topic:.*}", web::get().to(follow));
    let app = init_service(app).await;
    let request = TestRequest::get()
        .uri(&format!("/{topic}"))
        .insert_header(("accept", "text/event-stream"))
        .insert_header(("authorization", format!("Bearer {user}")));
    let response = call_service(&app, request.to_request()).await;
    assert_eq!(response.status(), 200);
    response
}

/// What was published, in its order: `+alice` for a join, `-alice` for a leave.
fn published(server: &Server) -> Vec<String> {
    let events = server.events_of("presence/room/7").into_iter();
    let short = events.map(|(name, data)| {
        let user = data.split('"').nth(3).unwrap().to_owned();
        let sign = match name.as_str() {
            "join" => '+',
            "leave" => '-',
            other => panic!("{other}"),
        };
        format!("{sign}{user}")
    });
    short.collect()
}

/// Who is there on all nodes, with their streams.
async fn present(node: &Node) -> Option<BTreeSet<(String, usize)>> {
    let present = node.hub.presence_shared(ROOM).await.ok()?.unwrap();
    let users = present.users.into_iter();
    Some(
        users
            .map(|user| (user.user.to_string(), user.streams))
            .collect(),
    )
}

async fn until_present(node: &Node, expected: &[(&str, usize)]) {
    let expected = expected.iter().map(|(user, n)| ((*user).to_owned(), *n));
    let expected = Some(expected.collect());
    let start = std::time::Instant::now();
    loop {
        let there = present(node).await;
        if there == expected {
            return;
        }
        assert!(start.elapsed() < crate::server::LIMIT, "{there:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[actix_web::test]
async fn a_user_joins_and_leaves_once_on_whichever_nodes_it_is() {
    let server = Server::start();
    let [a, b] = [(); 2].map(|()| start(config(&server), LONG, GRACE));
    let news = open(&b, "presence/room/7", "host").await;
    until(|| b.backplane.stats().topics >= 1).await;
    let first = open(&a, ROOM, "alice").await;
    let second = open(&b, ROOM, "alice").await;
    let third = open(&b, ROOM, "alice").await;
    until_present(&a, &[("alice", 3)]).await;
    assert_eq!(a.hub.presence(ROOM).unwrap().users[0].streams, 1);
    drop((first, second));
    until_present(&b, &[("alice", 1)]).await;
    let bob = open(&a, ROOM, "bob").await;
    until_present(&b, &[("alice", 1), ("bob", 1)]).await;
    drop(third);
    until_present(&a, &[("bob", 1)]).await;
    drop(bob);
    until_present(&a, &[]).await;
    until(|| published(&server).len() >= 4).await;
    assert_eq!(published(&server), ["+alice", "+bob", "-alice", "-bob"]);
    let news = read(news, 4).await;
    let expected = [("alice", 1), ("bob", 2), ("alice", 1), ("bob", 0)];
    let expected = expected
        .map(|(user, users)| format!(r#"{{"user":"{user}","users":{users},"topic":"room/7"}}"#));
    assert_eq!(data(&news), expected);
    assert_eq!(server.command(&["KEYS", "{sse}:readers:*"]), "*0\r\n");
    assert_eq!(server.command(&["KEYS", "{sse}:announced:*"]), "*0\r\n");
}

#[actix_web::test]
async fn a_user_who_comes_back_at_another_node_within_the_grace_does_not_leave() {
    let server = Server::start();
    let [a, b] = [(); 2].map(|()| start(config(&server), LONG, Duration::from_secs(8)));
    let at_a = open(&a, ROOM, "alice").await;
    until_present(&b, &[("alice", 1)]).await;
    drop(at_a);
    until_present(&b, &[("alice", 0)]).await;
    let _at_b = open(&b, ROOM, "alice").await;
    until_present(&a, &[("alice", 1)]).await;
    until(|| a.hub.presence(ROOM).unwrap().users.is_empty()).await;
    let _bob = open(&a, ROOM, "bob").await;
    until_present(&b, &[("alice", 1), ("bob", 1)]).await;
    assert_eq!(published(&server), ["+alice", "+bob"]);
}

#[actix_web::test]
async fn another_node_says_that_the_users_of_a_dead_one_have_left_and_they_join_when_it_is_back() {
    let server = Server::start();
    let ((wire, a), b) = (wired(&server, SHORT), start(config(&server), SHORT, GRACE));
    let _alice = [open(&a, ROOM, "alice").await, open(&b, ROOM, "alice").await];
    let _bob = open(&a, ROOM, "bob").await;
    until_present(&b, &[("alice", 2), ("bob", 1)]).await;
    wire.sever();
    until_present(&b, &[("alice", 1)]).await;
    until(|| published(&server).len() >= 3).await;
    assert_eq!(published(&server), ["+alice", "+bob", "-bob"]);
    assert_eq!(present(&a).await, None, "Redis cannot be asked");
    assert_eq!(a.hub.presence(ROOM).unwrap().users.len(), 2);
    wire.mend();
    until_present(&b, &[("alice", 2), ("bob", 1)]).await;
    assert_eq!(published(&server), ["+alice", "+bob", "-bob", "+bob"]);
    // Nothing is left of the lease that was over.
    until(|| server.number(&["SCARD", "{sse}:attending"]) == 2).await;
}

#[actix_web::test]
async fn keys_of_another_type_keep_no_other_reader_from_being_counted() {
    let server = Server::start();
    let mut config = config(&server);
    config.user_limits = UserLimits::Shared;
    let node = start(config, LONG, GRACE);
    let limits = node.backplane.user_limits().unwrap();
    let slot = limits.acquire(&"mallory".into(), 3).await.unwrap();
    let theirs = ["readers:room/6", "user:mallory"].map(|key| format!("{{sse}}:{key}"));
    for key in &theirs {
        assert_eq!(server.command(&["SET", key, "theirs"]), "+OK\r\n");
    }
    drop(slot);
    // More than are sent at once.
    let mut refused = Vec::new();
    for user in 0..150 {
        refused.push(open(&node, "room/6", &format!("u{user}")).await);
    }
    let _alice = open(&node, ROOM, "alice").await;
    until_present(&node, &[("alice", 1)]).await;
    assert_eq!(published(&server), ["+alice"]);
    for key in &theirs {
        assert_eq!(server.command(&["GET", key]), "$6\r\ntheirs\r\n");
    }
}

/// In two ways: some of the keys are elsewhere (`TRYAGAIN`), or all that a count needs (`ASK`).
#[actix_web::test]
async fn s82_who_comes_and_goes_while_a_slot_is_half_moved_is_known_when_it_has_moved() {
    let some: &[&str] = &["{sse}:nodes"];
    let all = [
        "head",
        "log",
        "topics",
        "topic:presence/room/7",
        "nodes",
        "readers:room/7",
        "announced:room/7",
        "attending",
    ];
    let all = all.map(|key| format!("{{sse}}:{key}"));
    let all: Vec<_> = all.iter().map(String::as_str).collect();
    for half in [some, &all] {
        let servers = cluster().await;
        let [from, to] = owner_first(&servers);
        let (a, b) = (
            start(config(from), LONG, GRACE),
            start(config(to), LONG, GRACE),
        );
        let (alice, _bob) = (open(&a, ROOM, "alice").await, open(&b, ROOM, "bob").await);
        until_present(&b, &[("alice", 1), ("bob", 1)]).await;
        let moving = Moving::begin(from, to);
        moving.keys(half);
        let away = turned_away(from, "evalsha");
        drop(alice);
        let _carol = [open(&a, ROOM, "carol").await, open(&b, ROOM, "carol").await];
        until(|| a.hub.presence(ROOM).unwrap().users.len() == 1).await;
        until(|| turned_away(from, "evalsha") > away + 3).await;
        moving.end();
        for node in [&a, &b] {
            until_present(node, &[("bob", 1), ("carol", 2)]).await;
        }
        let mut published = published(to);
        published.sort_unstable();
        assert_eq!(published, ["+alice", "+bob", "+carol", "-alice"]);
    }
}

#[actix_web::test]
async fn what_happens_while_a_node_is_cut_off_for_a_moment_is_published_when_it_is_back() {
    let server = Server::start();
    let ((wire, a), b) = (wired(&server, LONG), start(config(&server), LONG, GRACE));
    let [alice, bob] = [open(&a, ROOM, "alice").await, open(&a, ROOM, "bob").await];
    until_present(&b, &[("alice", 1), ("bob", 1)]).await;
    wire.sever();
    drop(alice);
    let _carol = open(&a, ROOM, "carol").await;
    until(|| a.hub.presence(ROOM).unwrap().users.len() == 2).await;
    wire.mend();
    until_present(&b, &[("bob", 1), ("carol", 1)]).await;
    let events: BTreeSet<_> = published(&server).into_iter().collect();
    let expected = ["+alice", "+bob", "+carol", "-alice"].map(str::to_owned);
    assert_eq!(events, BTreeSet::from(expected));
    drop(bob);
}

#[actix_web::test]
async fn a_redis_that_starts_again_changes_nothing_and_one_that_is_empty_is_told_again() {
    let mut server = Server::start();
    let [a, b] = [(); 2].map(|()| start(config(&server), LONG, GRACE));
    let alice = open(&a, ROOM, "alice").await;
    until_present(&b, &[("alice", 1)]).await;
    server.kill();
    server.restart();
    let _bob = open(&b, ROOM, "bob").await;
    until_present(&a, &[("alice", 1), ("bob", 1)]).await;
    assert_eq!(published(&server), ["+alice", "+bob"]);
    server.command(&["FLUSHALL"]);
    // A new numbering ends the streams; their clients come back.
    until(|| a.hub.stats().streams + b.hub.stats().streams == 0).await;
    drop(alice);
    let _alice = open(&a, ROOM, "alice").await;
    until_present(&b, &[("alice", 1)]).await;
    let events = published(&server);
    assert!(events.contains(&"+alice".to_owned()), "{events:?}");
}

/// Streams come and go on two nodes, which are cut off for a while now and then, while Redis starts again.
#[actix_web::test]
async fn after_any_faults_all_nodes_say_who_is_there_and_each_user_has_joined_and_left_in_turn() {
    let seeds = std::env::var("SEEDS").map_or(2, |seeds| seeds.parse().unwrap());
    for seed in 0..seeds {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut server = Server::start();
        let nodes = [wired(&server, LEASE), wired(&server, LEASE)];
        let mut streams: Vec<(String, ServiceResponse)> = Vec::new();
        for _ in 0..60 {
            let user = format!("u{}", random.u32(0..4));
            let (wire, node) = &nodes[random.usize(0..2)];
            match random.u32(0..20) {
                0..=8 => {
                    let stream = open(node, ROOM, &user).await;
                    streams.push((user, stream));
                }
                9..=15 if !streams.is_empty() => {
                    let which = random.usize(0..streams.len());
                    drop(streams.swap_remove(which));
                }
                16 | 17 => {
                    wire.sever();
                    let pause = LEASE.mul_f64(random.f64() * 2.0);
                    sleep(pause).await;
                    wire.mend();
                }
                18 => {
                    server.kill();
                    sleep(Duration::from_millis(random.u64(0..500))).await;
                    server.restart();
                }
                _ => sleep(Duration::from_millis(random.u64(0..500))).await,
            }
        }
        let mut there = std::collections::BTreeMap::<&str, usize>::new();
        for (user, _) in &streams {
            *there.entry(user).or_default() += 1;
        }
        let expected: Vec<_> = there.iter().map(|(user, n)| (*user, *n)).collect();
        for (_, node) in &nodes {
            until_present(node, &expected).await;
        }
        let there: BTreeSet<&str> = there.keys().copied().collect();
        // With a lease as short as this a node that has no processor for a while leaves, and joins again.
        let joined = || {
            let mut last = std::collections::BTreeMap::new();
            for event in published(&server) {
                let (sign, user) = event.split_at(1);
                let before = last.insert(user.to_owned(), sign.to_owned());
                let in_turn = before.as_deref().unwrap_or("-") != sign;
                assert!(in_turn, "seed {seed}: {event} twice");
            }
            last.retain(|_, sign| sign == "+");
            last.into_keys().collect::<BTreeSet<_>>()
        };
        until(|| {
            joined()
                .iter()
                .map(String::as_str)
                .eq(there.iter().copied())
        })
        .await;
    }
}
