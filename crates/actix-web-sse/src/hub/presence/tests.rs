//! Presence against a model: alone, and on streams that open and end in every way on a clock that stands still.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test helpers: a failure here is the test's failure"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use actix_web::{Responder, rt::System, test::TestRequest};
use proptest::prelude::*;
use tokio::time::{self, Instant, sleep};

use super::{Edge, Presence, PresentUser, Reader, registry::Registry};
use crate::{
    Event, Hub, PublishError,
    config::{PresenceConfig, PresenceMode, TopicConfig},
    hub::tests::{Client, publish, subscriber},
    identity::TopicPattern,
    observe::{Misconfiguration, Observer, Opened, Publication, StreamObserver},
};

const GRACE: Duration = Duration::from_secs(5);

fn config() -> PresenceConfig {
    PresenceConfig {
        grace: GRACE,
        ..PresenceConfig::default()
    }
}

fn users(present: &Presence) -> Vec<(&str, usize)> {
    let users = present.users.iter();
    users.map(|user| (&*user.user, user.streams)).collect()
}

/// What is done to a registry.
#[derive(Debug, Clone)]
enum Step {
    Open(usize, Option<usize>),
    End(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_usize, prop::option::weighted(0.9, 0..4_usize))
            .prop_map(|(topic, user)| Step::Open(topic, user)),
        4 => any::<usize>().prop_map(Step::End),
        3 => (0..7000_u64).prop_map(Step::Wait),
    ]
}

/// Who is there, as plainly as it can be said.
#[derive(Default)]
struct Model {
    /// The streams of each user in each topic, and when the last one ended.
    users: BTreeMap<(usize, usize), (usize, Option<Instant>)>,
    anonymous: [usize; 3],
    events: Vec<(usize, usize, Edge)>,
}

impl Model {
    fn open(&mut self, topic: usize, user: Option<usize>) {
        let Some(user) = user else {
            self.anonymous[topic] += 1;
            return;
        };
        let entry = self.users.entry((topic, user)).or_insert_with(|| {
            self.events.push((topic, user, Edge::Join));
            (0, None)
        });
        *entry = (entry.0 + 1, None);
    }

    fn end(&mut self, topic: usize, user: Option<usize>, now: Instant) {
        let Some(user) = user else {
            self.anonymous[topic] -= 1;
            return;
        };
        let entry = self.users.get_mut(&(topic, user)).unwrap();
        entry.0 -= 1;
        entry.1 = (entry.0 == 0).then_some(now);
    }

    fn settle(&mut self, now: Instant) {
        let is_over = |ended: Instant| ended + GRACE <= now;
        let mut over: Vec<_> = (self.users.iter())
            .filter_map(|(key, (_, ended))| Some((ended.filter(|at| is_over(*at))?, *key)))
            .collect();
        over.sort_unstable();
        for (_, (topic, user)) in over {
            self.users.remove(&(topic, user));
            self.events.push((topic, user, Edge::Leave));
        }
    }

    fn of(&self, topic: usize) -> BTreeSet<(String, usize)> {
        let users = self.users.range((topic, 0)..(topic + 1, 0));
        users
            .map(|((_, user), (streams, _))| (format!("u{user}"), *streams))
            .collect()
    }
}

fn name(topic: usize) -> Arc<str> {
    format!("t{topic}").into()
}

proptest! {
    #[test]
    fn presence_is_what_a_plain_model_says(steps in prop::collection::vec(step(), 1..60)) {
        let mut registry = Registry::new(config(), false);
        let (mut model, mut open) = (Model::default(), Vec::new());
        let mut now = Instant::now();
        for step in steps {
            match step {
                Step::Open(topic, user) => {
                    let named = user.map(|user| Arc::from(format!("u{user}")));
                    let mode = PresenceMode::Events;
                    let reader = registry.enter(&name(topic), mode, named.as_ref());
                    model.open(topic, user);
                    open.push((topic, user, reader));
                }
                Step::End(which) if !open.is_empty() => {
                    let (topic, user, reader) = open.swap_remove(which % open.len());
                    registry.leave(&name(topic), &reader, now);
                    model.end(topic, user, now);
                }
                Step::End(_) => {}
                Step::Wait(millis) => {
                    now += Duration::from_millis(millis);
                    registry.settle(now, usize::MAX);
                    model.settle(now);
                }
            }
            for topic in 0..3 {
                let present = registry.list(&name(topic));
                let there = users(&present).into_iter();
                let there: BTreeSet<_> = there.map(|(user, n)| (user.to_owned(), n)).collect();
                prop_assert_eq!(there, model.of(topic));
                prop_assert_eq!((present.anonymous, present.whole), (model.anonymous[topic], true));
            }
        }
        let events = registry.changes.iter().map(|change| {
            let Reader::User(user) = &change.reader else { unreachable!("only users have events") };
            (change.topic.to_string(), user.to_string(), change.edge.unwrap().0)
        });
        let expected = model.events.iter();
        let expected = expected.map(|(topic, user, edge)| (format!("t{topic}"), format!("u{user}"), *edge));
        prop_assert_eq!(events.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        for (topic, _, reader) in open {
            registry.leave(&name(topic), &reader, now);
        }
        registry.settle(now + GRACE, usize::MAX);
        prop_assert!(registry.is_empty(), "nothing is left behind");
    }

    #[test]
    fn users_beyond_a_bound_are_not_listed_and_leave_nothing_behind(
        steps in prop::collection::vec(step(), 1..60),
        (users_per_topic, most) in (1..4_usize, 1..6_usize),
    ) {
        let bounds = PresenceConfig { users_per_topic, users: most, ..config() };
        let mut registry = Registry::new(bounds, false);
        let mut now = Instant::now();
        let mut open = Vec::new();
        for step in steps {
            match step {
                Step::Open(topic, user) => {
                    let user = user.map(|user| Arc::from(format!("u{user}")));
                    let reader = registry.enter(&name(topic), PresenceMode::List, user.as_ref());
                    open.push((topic, reader));
                }
                Step::End(which) if !open.is_empty() => {
                    let (topic, reader) = open.swap_remove(which % open.len());
                    registry.leave(&name(topic), &reader, now);
                }
                Step::End(_) => {}
                Step::Wait(millis) => {
                    now += Duration::from_millis(millis);
                    registry.settle(now, usize::MAX);
                }
            }
            let lists = [0, 1, 2].map(|topic| registry.list(&name(topic)));
            prop_assert!(lists.iter().all(|list| list.users.len() <= users_per_topic));
            prop_assert!(lists.iter().map(|list| list.users.len()).sum::<usize>() <= most);
            for (topic, list) in lists.iter().enumerate() {
                let is_left_out = open.contains(&(topic, Reader::Unlisted));
                prop_assert_eq!(list.whole, !is_left_out);
            }
        }
        prop_assert!(registry.changes.is_empty(), "a list has no events");
        for (topic, reader) in open {
            registry.leave(&name(topic), &reader, now);
        }
        registry.settle(now + GRACE, usize::MAX);
        prop_assert!(registry.is_empty());
    }
}

/// A hub that knows who follows `room/*`, and publishes it.
fn hub(observer: impl Observer) -> Hub {
    let builder = Hub::builder().observer(observer).with(|hub, _| {
        hub.presence = config();
        hub.topics = vec![TopicConfig::of("room/*").presence(PresenceMode::Events)];
    });
    builder.build().unwrap()
}

fn present(hub: &Hub, topic: &str) -> Vec<(String, usize)> {
    let present = hub.presence(topic).unwrap();
    let users = users(&present).into_iter();
    users.map(|(user, n)| (user.to_owned(), n)).collect()
}

/// The joins and leaves that a client reads, up to a silence.
async fn news(client: &mut Client) -> Vec<String> {
    let mut news = Vec::new();
    let silence = Duration::from_millis(20);
    while let Ok(Some(piece)) = time::timeout(silence, client.next()).await {
        let text = String::from_utf8(piece.to_vec()).unwrap();
        let mut kind = "";
        for line in text.lines() {
            if let Some(value) = line.strip_prefix("event: ") {
                kind = value;
            } else if let Some(data) = line.strip_prefix("data: ") {
                let data: serde_json::Value = serde_json::from_str(data).unwrap();
                let (user, users) = (data["user"].as_str().unwrap(), &data["users"]);
                news.push(format!("{kind} {user} {users}"));
            }
        }
    }
    news
}

/// One that has read what came first.
async fn follower(hub: &Hub, topic: &str, user: Option<&str>) -> Client {
    let mut client = Client::open(hub, topic, user, None);
    client.next().await.unwrap();
    client
}

#[actix_rt::test]
async fn a_user_joins_with_the_first_stream_and_leaves_when_the_last_one_has_been_gone_for_the_grace()
 {
    time::pause();
    let hub = hub(());
    let mut news_of = follower(&hub, "presence/room/7", None).await;
    let first = follower(&hub, "room/7", Some("alice")).await;
    let second = follower(&hub, "room/7", Some("alice")).await;
    let _nobody = follower(&hub, "room/7", None).await;
    let _elsewhere = follower(&hub, "other", Some("alice")).await;
    assert_eq!(present(&hub, "room/7"), [("alice".to_owned(), 2)]);
    assert_eq!(hub.presence("room/7").unwrap().anonymous, 1);
    assert_eq!(hub.presence("other"), None);
    assert_eq!(news(&mut news_of).await, ["join alice 1"]);
    drop(first);
    sleep(GRACE * 2).await;
    drop(second);
    sleep(GRACE - Duration::from_millis(100)).await;
    assert_eq!(present(&hub, "room/7"), [("alice".to_owned(), 0)]);
    let back = follower(&hub, "room/7", Some("alice")).await;
    sleep(GRACE * 2).await;
    assert_eq!(news(&mut news_of).await, [""; 0], "a reload is no leave");
    drop(back);
    let gone = Instant::now();
    loop {
        let piece = news_of.next().await.unwrap();
        let text = String::from_utf8_lossy(&piece);
        if text
            .contains("event: leave\ndata: {\"user\":\"alice\",\"users\":0,\"topic\":\"room/7\"}")
        {
            break;
        }
        assert!(!text.contains("event:"), "{text}");
    }
    let waited = gone.elapsed();
    let late = GRACE + Duration::from_millis(10);
    assert!(waited >= GRACE && waited <= late, "{waited:?}");
    assert_eq!(present(&hub, "room/7"), []);
}

#[actix_rt::test]
async fn the_leave_is_published_although_the_worker_has_no_stream_left() {
    time::pause();
    let seen = Seen::default();
    let hub = hub(seen.clone());
    drop(follower(&hub, "room/7", Some("alice")).await);
    sleep(GRACE + Duration::from_millis(10)).await;
    assert_eq!(seen.published.lock().unwrap().len(), 2);
    // And then the worker ends as any other.
    sleep(Duration::from_secs(60)).await;
    assert_eq!(present(&hub, "room/7"), []);
}

#[actix_rt::test]
async fn a_crowd_that_leaves_at_once_gives_others_their_turns() {
    time::pause();
    let seen = Seen::default();
    let hub = hub(seen.clone());
    let mut crowd = Vec::new();
    for user in 0..1000 {
        crowd.push(follower(&hub, "room/7", Some(&format!("u{user}"))).await);
    }
    drop(crowd);
    let published = || seen.published.lock().unwrap().len();
    let (mut before, mut most) = (published(), 0);
    assert_eq!(before, 1000);
    sleep(GRACE - Duration::from_millis(1)).await;
    time::advance(Duration::from_millis(2)).await;
    while before < 2000 {
        // Whoever else is ready is polled between two turns of the worker.
        let now = published();
        (before, most) = (now, most.max(now - before));
        tokio::task::yield_now().await;
    }
    assert!(most <= 256, "{most} in one turn");
    assert_eq!(present(&hub, "room/7"), []);
}

/// However full the hub is, and whatever they leave behind takes no place from others.
#[actix_rt::test]
async fn who_follows_all_joins_gets_them_where_there_is_no_room_for_their_topics() {
    time::pause();
    let hub = Hub::builder()
        .with(|hub, _| {
            hub.presence = config();
            hub.max_topics = 8;
            hub.topics = vec![
                TopicConfig::of("room/*").presence(PresenceMode::Events),
                TopicConfig::of("presence/room/*").max_topics(1),
            ];
        })
        .build()
        .unwrap();
    let request = TestRequest::get().to_http_request();
    let all = hub.subscribe(
        TopicPattern::from("presence/room/*"),
        subscriber(&request, None, None),
    );
    let mut all = Client(Box::pin(all.respond_to(&request).into_body()));
    all.next().await.unwrap();
    let _one = follower(&hub, "presence/room/0", None).await;
    for room in 1..100 {
        drop(follower(&hub, &format!("room/{room}"), Some("alice")).await);
    }
    let joins = news(&mut all).await;
    assert_eq!(joins.len(), 99, "{joins:?}");
    sleep(GRACE + Duration::from_millis(10)).await;
    let leaves = news(&mut all).await;
    assert_eq!(leaves, vec!["leave alice 0"; 99]);
    // The pattern and the one topic that is followed.
    assert_eq!(hub.stats().topics, 2);
}

/// Nor is it kept what nobody follows; who comes back is told so.
#[actix_rt::test]
async fn who_comes_back_to_joins_that_nobody_followed_is_told_of_a_gap() {
    time::pause();
    let hub = hub(());
    let id = hub.shared.core().id(0);
    drop(follower(&hub, "room/7", Some("alice")).await);
    assert_eq!(hub.stats().topics, 0);
    let request = TestRequest::get().insert_header(("last-event-id", id));
    let request = request.to_http_request();
    let back = hub.subscribe("presence/room/7", subscriber(&request, None, None));
    let mut back = Client(Box::pin(back.respond_to(&request).into_body()));
    let first = String::from_utf8(back.next().await.unwrap().to_vec()).unwrap();
    assert!(first.contains("event: reset"), "{first}");
}

/// Keeps what was published and reported.
#[derive(Clone, Default)]
struct Seen {
    published: Arc<Mutex<Vec<String>>>,
    mistakes: Arc<Mutex<Vec<Misconfiguration>>>,
}

impl Observer for Seen {
    fn opened(&self, _: &Opened<'_>) -> Box<dyn StreamObserver> {
        Box::new(())
    }

    fn published(&self, publication: &Publication<'_>) {
        let topic = publication.topic.to_owned();
        self.published.lock().unwrap().push(topic);
    }

    fn misconfigured(&self, mistake: Misconfiguration) {
        self.mistakes.lock().unwrap().push(mistake);
    }
}

#[actix_rt::test]
async fn streams_that_end_in_any_way_are_counted_out() {
    time::pause();
    for seed in 0..30 {
        let mut random = fastrand::Rng::with_seed(seed);
        ends_in_any_way(&mut random).await;
    }
}

async fn ends_in_any_way(random: &mut fastrand::Rng) {
    let hub = hub(());
    let mut news_of = follower(&hub, "presence/room/0", None).await;
    let mut heard = Vec::new();
    let (mut model, mut open) = (Model::default(), Vec::new());
    for _ in 0..40 {
        let (topic, user) = (random.usize(0..3), random.usize(0..4));
        let is_there = |at: &(usize, usize, Client)| at.0 == topic && at.1 == user;
        match random.u32(0..10) {
            0..=3 => {
                let room = format!("room/{topic}");
                let client = follower(&hub, &room, Some(&format!("u{user}"))).await;
                model.open(topic, Some(user));
                open.push((topic, user, client));
            }
            4 => {
                if let Some(at) = open.iter().position(is_there) {
                    drop(open.swap_remove(at));
                    model.end(topic, Some(user), Instant::now());
                }
            }
            5 => {
                let now = Instant::now();
                hub.disconnect(&format!("u{user}"));
                sleep(Duration::from_millis(1)).await;
                end(&mut open, &mut model, now, |at| at.1 == user);
            }
            6 => {
                let now = Instant::now();
                hub.disconnect_topic(&format!("room/{topic}"));
                sleep(Duration::from_millis(1)).await;
                end(&mut open, &mut model, now, |at| at.0 == topic);
            }
            _ => sleep(Duration::from_millis(random.u64(0..4000))).await,
        }
        // Streams that nobody reads are not to end as stalled here.
        for (_, _, client) in &mut open {
            client.read_on().await;
        }
        heard.extend(news(&mut news_of).await);
        model.settle(Instant::now());
        for topic in 0..3 {
            let there = present(&hub, &format!("room/{topic}"));
            assert_eq!(BTreeSet::from_iter(there), model.of(topic));
        }
    }
    sleep(GRACE).await;
    model.settle(Instant::now());
    heard.extend(news(&mut news_of).await);
    let heard = heard
        .iter()
        .map(|text| text.rsplit_once(' ').unwrap().0.to_owned());
    let expected = model.events.iter().filter(|(topic, ..)| *topic == 0);
    let expected = expected.map(|(_, user, edge)| match edge {
        Edge::Join => format!("join u{user}"),
        Edge::Leave => format!("leave u{user}"),
    });
    assert_eq!(heard.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    hub.drain_within(Duration::ZERO).await;
    drop(open);
    sleep(GRACE * 2).await;
    for topic in 0..3 {
        assert_eq!(present(&hub, &format!("room/{topic}")), []);
    }
}

/// These streams were ended by the server.
fn end(
    open: &mut Vec<(usize, usize, Client)>,
    model: &mut Model,
    now: Instant,
    ended: impl Fn(&(usize, usize, Client)) -> bool,
) {
    let (gone, rest): (Vec<_>, Vec<_>) = std::mem::take(open).into_iter().partition(ended);
    for (topic, user, _) in &gone {
        model.end(*topic, Some(*user), now);
    }
    *open = rest;
}

#[actix_rt::test]
async fn a_stream_whose_peer_takes_nothing_is_counted_out_when_it_ends_as_stalled() {
    time::pause();
    let hub = hub(());
    let _stalled = follower(&hub, "room/7", Some("alice")).await;
    publish(&hub, "room/7");
    sleep(Duration::from_secs(300)).await;
    assert_eq!(hub.stats().streams, 0);
    assert_eq!(present(&hub, "room/7"), []);
}

#[test]
fn the_streams_of_a_worker_that_ends_are_counted_out() {
    let hub = hub(());
    let there = hub.clone();
    let worker = thread::spawn(move || {
        System::new().block_on(async {
            let client = follower(&there, "room/7", Some("alice")).await;
            assert_eq!(present(&there, "room/7"), [("alice".to_owned(), 1)]);
            // Its body is never dropped.
            std::mem::forget(client);
        });
    });
    worker.join().unwrap();
    assert_eq!(present(&hub, "room/7"), [("alice".to_owned(), 0)]);
}

#[actix_rt::test]
async fn who_is_beyond_the_bound_has_a_stream_and_it_is_reported_once() {
    time::pause();
    let seen = Seen::default();
    let builder = Hub::builder().observer(seen.clone()).with(|hub, _| {
        hub.presence.users_per_topic = 1;
        hub.topics = vec![TopicConfig::of("room/*").presence(PresenceMode::Events)];
    });
    let hub = builder.build().unwrap();
    let alice = follower(&hub, "room/7", Some("alice")).await;
    assert!(hub.presence("room/7").unwrap().whole);
    let mut bob = follower(&hub, "room/7", Some("bob")).await;
    let _carol = follower(&hub, "room/7", Some("carol")).await;
    let listed = hub.presence("room/7").unwrap();
    assert_eq!(listed.users, [PresentUser::new("alice".into(), 1)]);
    assert!(!listed.whole);
    hub.publish("room/7", Event::data("hello")).unwrap();
    assert!(bob.next().await.unwrap().ends_with(b"data: hello\n\n"));
    assert_eq!(
        *seen.mistakes.lock().unwrap(),
        [Misconfiguration::PresenceFull]
    );
    drop((alice, bob));
    let joins = seen.published.lock().unwrap().clone();
    assert_eq!(joins, ["presence/room/7", "room/7"], "alice's join alone");
}

#[actix_rt::test]
async fn only_the_hub_publishes_joins_and_whoever_may_read_the_topic_may_not_read_them() {
    let hub = hub(());
    let forged = hub.publish("presence/room/7", Event::data("{}"));
    let reserved = PublishError::Reserved("presence/room/7".to_owned());
    assert_eq!(forged, Err(reserved));
    for free in ["presence/news", "room/7", "presence/presence/room/7"] {
        assert!(hub.publish(free, Event::data("x")).is_ok(), "{free}");
    }
    let status = |rights: &'static str, topic: &str| {
        let request = TestRequest::get().to_http_request();
        let mut subscriber = subscriber(&request, Some("alice"), None);
        let admission = std::rc::Rc::get_mut(&mut subscriber.admission).unwrap();
        admission.identity.topics = crate::TopicRights::matching([rights]);
        hub.subscribe(topic, subscriber)
            .respond_to(&request)
            .status()
            .as_u16()
    };
    assert_eq!(status("room/*", "room/7"), 200);
    assert_eq!(status("room/*", "presence/room/7"), 403);
    assert_eq!(status("presence/room/*", "presence/room/7"), 200);
    assert_eq!(status("presence/room/*", "room/7"), 403);
}

#[actix_rt::test]
async fn a_hub_that_knows_its_topics_knows_their_joins_and_nobody_follows_those_visibly() {
    time::pause();
    let builder = Hub::builder().topics(|topic| topic == "room/7");
    let builder = builder.with(|hub, _| {
        hub.topics = vec![TopicConfig::of("*").presence(PresenceMode::Events)];
    });
    let hub = builder.build().unwrap();
    assert!(hub.knows("presence/room/7") && !hub.knows("presence/room/8"));
    let _follower = follower(&hub, "presence/room/7", Some("bob")).await;
    assert_eq!(hub.presence("presence/room/7"), None);
    let _reader = follower(&hub, "room/7", Some("alice")).await;
    assert_eq!(present(&hub, "room/7"), [("alice".to_owned(), 1)]);
}

#[actix_rt::test]
async fn an_observer_may_open_streams_when_a_join_is_published() {
    /// Opens a stream of another user the first time.
    #[derive(Clone, Default)]
    struct Opens(Arc<Mutex<Option<Hub>>>, Seen);
    impl Observer for Opens {
        fn opened(&self, opened: &Opened<'_>) -> Box<dyn StreamObserver> {
            self.1.opened(opened)
        }

        fn published(&self, publication: &Publication<'_>) {
            let hub = self.0.lock().unwrap().take();
            if let Some(hub) = hub {
                drop(Client::open(&hub, "room/7", Some("bob"), None));
            }
            self.1.published(publication);
        }
    }
    time::pause();
    let opens = Opens::default();
    let hub = hub(opens.clone());
    opens.0.lock().unwrap().replace(hub.clone());
    let mut news_of = follower(&hub, "presence/room/7", None).await;
    let _alice = follower(&hub, "room/7", Some("alice")).await;
    let expected = ["join alice 1", "join bob 2"];
    assert_eq!(news(&mut news_of).await, expected, "in their order");
    sleep(GRACE * 2).await;
    assert_eq!(present(&hub, "room/7"), [("alice".to_owned(), 1)]);
}

#[actix_rt::test]
async fn an_observer_that_panics_at_each_join_ends_no_stream_and_they_are_published() {
    struct Panics;
    impl Observer for Panics {
        fn opened(&self, _: &Opened<'_>) -> Box<dyn StreamObserver> {
            Box::new(())
        }

        fn published(&self, _: &Publication<'_>) {
            panic!("as the test wants it");
        }
    }
    time::pause();
    let hub = hub(Panics);
    let mut news_of = follower(&hub, "presence/room/7", None).await;
    let alice = follower(&hub, "room/7", Some("alice")).await;
    let _bob = follower(&hub, "room/7", Some("bob")).await;
    assert_eq!(hub.subscribers("room/7"), 2);
    drop(alice);
    sleep(GRACE * 2).await;
    let heard = news(&mut news_of).await;
    assert_eq!(heard, ["join alice 1", "join bob 2", "leave alice 1"]);
    assert_eq!(hub.stats().streams, 2);
}

#[actix_rt::test]
async fn the_streams_of_a_user_are_described_and_no_others() {
    let hub = hub(());
    let mut streams = Vec::new();
    for (topic, user) in [
        ("a", "alice"),
        ("b", "alice"),
        ("a", "bob"),
        ("a", "alicea"),
    ] {
        streams.push(follower(&hub, topic, Some(user)).await);
    }
    streams.push(follower(&hub, "a", None).await);
    let found = hub.streams_of("alice").await;
    let topics: BTreeSet<_> = found.iter().flat_map(|stream| &stream.topics).collect();
    assert_eq!(found.len(), 2);
    assert_eq!(topics, BTreeSet::from([&"a".into(), &"b".into()]));
    assert_eq!(hub.streams_of("carol").await, []);
    hub.disconnect("alice");
    assert_eq!(
        hub.streams_of("alice").await,
        [],
        "they are ended before the question"
    );
}

#[test]
fn at_most_a_thousand_streams_of_a_user_are_described() {
    System::new().block_on(async {
        let hub = hub(());
        let streams = (0..1100).map(|_| Client::open(&hub, "a", Some("alice"), None));
        let _streams: Vec<_> = streams.collect();
        assert_eq!(hub.streams_of("alice").await.len(), 1000);
    });
}

#[test]
fn bounds_without_sense_are_refused() {
    let faults = Hub::builder().with(|hub, _| {
        hub.presence.grace = Duration::from_secs(601);
        hub.presence.users = 0;
        hub.presence.users_per_topic = 0;
    });
    let text = faults.build().unwrap_err().to_string();
    for key in ["grace", "users", "users_per_topic"] {
        assert!(text.contains(&format!("hub.presence.{key}")), "{text}");
    }
}
