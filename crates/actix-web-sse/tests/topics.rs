//! Topics by pattern: streams that follow all that match, and settings of those that match.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

use std::time::Duration;

use actix_web::{
    App, HttpRequest, Responder,
    dev::ServiceResponse,
    http::StatusCode,
    test::{TestRequest, call_service, init_service},
    web,
};
use actix_web_sse::{
    Event, Hub, Identity, Policy, Position, PublishError, Snapshot, Subscriber, TopicPattern,
    config::{HubConfig, TopicAccess, TopicConfig},
    protect::{Attempt, AuthFuture, Authenticator},
    test::{Reading, assert_event_stream, read_events},
};

/// Everybody has these rights.
struct Rights(&'static [&'static str]);

impl Authenticator for Rights {
    fn authenticate<'a>(&'a self, _: Attempt<'a>) -> AuthFuture<'a> {
        let who = Identity::user("u").reading_matching(self.0.iter().copied());
        Box::pin(async { Ok(who) })
    }

    fn needs_token(&self) -> bool {
        false
    }
}

/// Opens a stream of the patterns named in the path, `a/*+b`, as somebody with these rights.
async fn open_with(
    hub: &Hub,
    patterns: &str,
    rights: &'static [&'static str],
    id: Option<&str>,
) -> ServiceResponse {
    async fn follow(
        hub: Hub,
        subscriber: Subscriber,
        patterns: web::Path<String>,
        request: HttpRequest,
    ) -> impl Responder {
        let patterns = patterns
            .split('+')
            .map(TopicPattern::from)
            .collect::<Vec<_>>();
        let subscription = hub.subscribe(patterns, subscriber);
        match request.query_string() {
            "" => subscription,
            // Where the state stands.
            position => {
                let position = position.parse::<Position>().unwrap();
                subscription.snapshot(async move |_| {
                    Snapshot::of(Event::data("state")).at(position.clone())
                })
            }
        }
    }
    let policy = Policy::builder()
        .authenticator(Rights(rights))
        .build()
        .unwrap();
    let app = App::new().app_data(hub.clone()).service(
        web::resource("/{patterns:.+}")
            .wrap(policy)
            .route(web::get().to(follow)),
    );
    let app = init_service(app).await;
    let mut request = TestRequest::get()
        .uri(&format!("/{patterns}"))
        .insert_header(("accept", "text/event-stream"));
    if let Some(id) = id {
        request = request.insert_header(("last-event-id", id));
    }
    call_service(&app, request.to_request()).await
}

async fn open(hub: &Hub, patterns: &str, id: Option<&str>) -> ServiceResponse {
    open_with(hub, patterns, &["*"], id).await
}

async fn read(response: ServiceResponse, events: usize) -> Reading {
    assert_event_stream(&response);
    read_events(response, events, Duration::from_secs(30)).await
}

fn data(reading: &Reading) -> Vec<&str> {
    let events = reading.events.iter();
    events.map(|event| event.data.as_str()).collect()
}

fn publish(hub: &Hub, topic: &str, data: &str) -> String {
    let event = Event::data(data.to_owned());
    hub.publish(topic, event).unwrap().id.unwrap()
}

fn hub(change: impl FnOnce(&mut HubConfig)) -> Hub {
    let hub = Hub::builder().with(|hub, _| change(hub));
    hub.build().unwrap()
}

#[actix_web::test]
async fn a_pattern_is_followed_as_its_topics_come_and_go() {
    let hub = hub(|_| ());
    publish(&hub, "orders/1", "before");
    let stream = open(&hub, "orders/*", None).await;
    for (topic, text) in [
        ("orders/1", "1"),
        ("orders/2/items", "2"),
        ("orders", "no"),
        ("orders/", "no"),
        ("news", "no"),
        ("orders/3", "3"),
        ("orders/1", "4"),
    ] {
        publish(&hub, topic, text);
    }
    assert_eq!(hub.subscribers("orders/9"), 1);
    assert_eq!(hub.subscribers("orders"), 0);
    assert_eq!(data(&read(stream, 4).await), ["1", "2", "3", "4"]);
    assert_eq!(hub.subscribers("orders/9"), 0);
}

#[actix_web::test]
async fn an_event_comes_once_to_who_follows_its_topic_and_patterns() {
    let hub = hub(|_| ());
    let stream = open(&hub, "a/b+a/*+a/b/*+c", None).await;
    for (topic, text) in [("a/b", "1"), ("a/b/d", "2"), ("c", "3"), ("a/b", "4")] {
        publish(&hub, topic, text);
    }
    assert_eq!(data(&read(stream, 4).await), ["1", "2", "3", "4"]);
    let all = open(&hub, "*", None).await;
    publish(&hub, "whatever", "5");
    assert_eq!(data(&read(all, 1).await), ["5"]);
}

#[actix_web::test]
async fn who_comes_back_to_a_pattern_gets_what_was_missed_or_a_reset() {
    let hub = hub(|hub| hub.replay_events = 3);
    // The first time nobody knows what came before.
    let old = publish(&hub, "a/1", "old");
    let first = read(open(&hub, "a/*", Some(&old)).await, 1).await;
    assert_eq!(first.events[0].event, "reset");
    let ids = ["1", "2", "3", "4"].map(|text| publish(&hub, &format!("a/{text}"), text));
    publish(&hub, "b", "another");
    let back = read(open(&hub, "a/*", Some(&ids[0])).await, 3).await;
    assert_eq!(data(&back), ["2", "3", "4"]);
    // An event of a topic that the pattern does not match places nobody.
    let strange = publish(&hub, "b", "another");
    let strange = read(open(&hub, "a/*", Some(&strange)).await, 1).await;
    assert_eq!(strange.events[0].data, r#"{"reason":"unknown"}"#);
    publish(&hub, "a/1", "5");
    let gap = read(open(&hub, "a/*", Some(&ids[0])).await, 1).await;
    assert_eq!(gap.events[0].data, r#"{"reason":"gap"}"#);
}

#[actix_web::test]
async fn a_quiet_pattern_is_kept_for_who_comes_back() {
    let hub = hub(|_| ());
    let stream = open(&hub, "quiet/*", None).await;
    hub.disconnect_topic("quiet/1");
    let anchor = read(stream, 1).await.anchor.unwrap();
    for _ in 0..100 {
        publish(&hub, "other", "x");
    }
    let stream = open(&hub, "quiet/*", Some(&anchor)).await;
    publish(&hub, "quiet/1", "1");
    assert_eq!(data(&read(stream, 1).await), ["1"]);
    let other = read(open(&hub, "quiet/*+more", Some(&anchor)).await, 1).await;
    assert_eq!(other.events[0].event, "reset", "it is of another start");
}

#[actix_web::test]
async fn a_pattern_has_snapshots() {
    let hub = hub(|_| ());
    publish(&hub, "a/1", "before");
    let state = format!("a/*?{}", hub.position());
    let stream = open(&hub, &state, None).await;
    publish(&hub, "a/2", "after");
    assert_eq!(data(&read(stream, 2).await), ["state", "after"]);
}

#[actix_web::test]
async fn a_snapshot_of_a_pattern_may_stand_before_the_first_stream_that_follows_it() {
    let hub = hub(|_| ());
    publish(&hub, "a/1", "before");
    let state = format!("a/*?{}", hub.position());
    publish(&hub, "other", "between");
    let stream = open(&hub, &state, None).await;
    publish(&hub, "a/2", "after");
    assert_eq!(data(&read(stream, 2).await), ["state", "after"]);
}

#[actix_web::test]
async fn what_is_never_replayed_is_nobodys_last_value() {
    let hub = hub(|hub| hub.last_value = true);
    hub.publish("t", Event::data("typing").transient()).unwrap();
    let fresh = open(&hub, "t", None).await;
    publish(&hub, "t", "1");
    let reading = read(fresh, 1).await;
    assert_eq!(data(&reading), ["1"]);
    assert!(reading.anchor.is_some(), "it has an ID to come back with");
    hub.publish("t", Event::data("typing").transient()).unwrap();
    assert_eq!(data(&read(open(&hub, "t", None).await, 1).await), ["1"]);
}

#[actix_web::test]
async fn no_name_is_long_enough_to_hold_the_hub_up() {
    let hub = hub(|_| ());
    let stream = open(&hub, "a/*", None).await;
    let long = "a/".repeat(100_000);
    assert_eq!(hub.subscribers(&long), 0);
    hub.disconnect_topic(&long);
    publish(&hub, "a/b", "1");
    assert_eq!(data(&read(stream, 1).await), ["1"]);
}

#[actix_web::test]
async fn ending_a_topic_ends_who_follows_it_by_a_pattern() {
    let hub = hub(|_| ());
    let [one, all, other] = ["a/1", "a/*", "b/*"].map(|pattern| open(&hub, pattern, None));
    let (one, all, other) = (one.await, all.await, other.await);
    hub.disconnect_topic("a/1");
    for ended in [one, all] {
        assert!(read(ended, 1).await.ended);
    }
    publish(&hub, "b/1", "1");
    assert_eq!(data(&read(other, 1).await), ["1"]);
}

#[actix_web::test]
async fn w11_a_pattern_needs_the_right_to_all_of_it() {
    let hub = hub(|_| ());
    for (patterns, rights, status) in [
        ("a/*", &["a/*"] as &[_], 200),
        ("a/b/*", &["a/*"], 200),
        ("a/*", &["*"], 200),
        ("a/*", &["a/b/*"], 403),
        ("a/*", &["a/b", "a/c"], 403),
        ("*", &["a/*"], 403),
        ("a/*+b/*", &["a/*"], 403),
        ("a/*+b/*", &["a/*", "b/*"], 200),
        ("a/*+a/b", &["a/*"], 200),
    ] {
        let response = open_with(&hub, patterns, rights, None).await;
        assert_eq!(response.status().as_u16(), status, "{patterns} {rights:?}");
    }
}

#[actix_web::test]
async fn w11_a_text_is_a_name_and_never_a_pattern() {
    async fn follow(hub: Hub, subscriber: Subscriber) -> impl Responder {
        hub.subscribe("a/*", subscriber)
    }
    let hub = hub(|_| ());
    let app = App::new()
        .app_data(hub.clone())
        .route("/", web::get().to(follow));
    let app = init_service(app).await;
    let response = call_service(&app, TestRequest::get().to_request()).await;
    publish(&hub, "a/b", "no");
    publish(&hub, "a/*", "yes");
    assert_eq!(data(&read(response, 1).await), ["yes"]);
}

#[actix_web::test]
async fn who_may_read_is_a_setting_of_each_topic() {
    let hub = hub(|hub| {
        hub.topics = vec![
            TopicConfig::of("news/drafts/*").read(TopicAccess::Nobody),
            TopicConfig::of("news/paid/*"),
            TopicConfig::of("news/*").read(TopicAccess::Anyone),
            TopicConfig::of("audit").read(TopicAccess::Nobody),
            TopicConfig::of("typing/*").shared(false),
        ];
    });
    for (patterns, rights, status) in [
        ("news/1", &[] as &[_], 200),
        ("news/local/*", &[], 200),
        ("news/paid/1", &[], 403),
        ("news/paid/*", &["news/paid/*"], 200),
        // Not all of it may be read by anyone.
        ("news/*", &[], 403),
        ("news/*", &["news/paid/*"], 403),
        ("news/*", &["*"], 200),
        ("news/drafts/1", &["*"], 403),
        ("news/drafts/*", &["*"], 403),
        ("audit", &["*"], 403),
        ("other", &[], 403),
    ] {
        let response = open_with(&hub, patterns, rights, None).await;
        assert_eq!(response.status().as_u16(), status, "{patterns} {rights:?}");
    }
    let all = open(&hub, "*", None).await;
    for topic in [
        "audit",
        "typing/1",
        "news/drafts/1",
        "news/paid/1",
        "news/1",
    ] {
        publish(&hub, topic, topic);
    }
    assert_eq!(data(&read(all, 2).await), ["news/paid/1", "news/1"]);
}

#[actix_web::test]
async fn how_many_there_are_and_follow_is_a_setting_of_each_topic() {
    let hub = hub(|hub| {
        hub.topics = vec![TopicConfig::of("rooms/*").max_topics(2).max_streams(1)];
    });
    publish(&hub, "rooms/1", "x");
    let first = open(&hub, "rooms/2", None).await;
    let refused = hub.publish("rooms/3", Event::data("x")).unwrap_err();
    let expected = PublishError::TooManyTopicsOf {
        pattern: "rooms/*".into(),
        max: 2,
    };
    assert_eq!(refused, expected);
    assert!(
        refused
            .to_string()
            .contains("2 topics that match \"rooms/*\""),
        "{refused}"
    );
    assert_eq!(open(&hub, "rooms/3", None).await.status(), 503);
    publish(&hub, "lobby", "others have room");
    assert_eq!(
        open(&hub, "rooms/2", None).await.status(),
        503,
        "it has its stream"
    );
    let pattern = open(&hub, "rooms/*", None).await;
    publish(&hub, "rooms/2", "1");
    assert_eq!(data(&read(first, 1).await), ["1"]);
    assert_eq!(data(&read(pattern, 1).await), ["1"]);
    assert_event_stream(&open(&hub, "rooms/2", None).await);
    // Nothing of a refused subscription stays behind.
    let busy = open(&hub, "rooms/1", None).await;
    assert_eq!(open(&hub, "rooms/2+rooms/1", None).await.status(), 503);
    assert_eq!((hub.subscribers("lobby"), hub.stats().topics), (0, 4));
    drop(busy);
}

#[actix_web::test]
async fn who_may_publish_is_a_setting_of_each_topic() {
    let hub = hub(|hub| {
        hub.topics = vec![
            TopicConfig::of("wall").publish(TopicAccess::Anyone),
            TopicConfig::of("audit").publish(TopicAccess::Nobody),
        ];
    });
    let reader = Identity::user("r").reading_matching(["*"]);
    let writer = Identity::user("w")
        .reading_matching(["rooms/*"])
        .publishing(true);
    let expired = writer.clone().expiring_in(Duration::ZERO);
    for (who, topic, allowed) in [
        (&reader, "rooms/1", false),
        (&writer, "rooms/1", true),
        (&writer, "news", false),
        (&expired, "rooms/1", false),
        (&Identity::anonymous(), "wall", true),
        (&Identity::anonymous(), "rooms/1", false),
        (&writer.clone().reading_matching(["*"]), "audit", false),
    ] {
        let published = hub.publish_as(who, topic, Event::data("x")).await;
        match published {
            Ok(_) => assert!(allowed, "{topic}"),
            Err(error) => {
                assert!(!allowed, "{topic}");
                assert_eq!(error, PublishError::Forbidden);
                let response = actix_web::ResponseError::error_response(&error);
                assert_eq!(response.status(), StatusCode::FORBIDDEN);
            }
        }
    }
    publish(&hub, "audit", "the application may");
}

#[test]
fn f13_settings_of_topics_are_read_from_a_file() {
    let text = "[[topics]]\nmatch = 'a/*'\nmax_topics = 5\nmax_streams = 6\nread = 'anyone'\n\
                publish = 'nobody'\nshared = false";
    let config = toml::from_str::<HubConfig>(text).unwrap();
    let expected = TopicConfig::of("a/*")
        .max_topics(5)
        .max_streams(6)
        .read(TopicAccess::Anyone)
        .publish(TopicAccess::Nobody)
        .shared(false);
    assert_eq!(config.topics, [expected]);
    let written = toml::to_string(&config).unwrap();
    assert_eq!(toml::from_str::<HubConfig>(&written).unwrap(), config);
    assert!(toml::from_str::<HubConfig>("[[topics]]\nmatch = 'a'\nread = 'me'").is_err());
    for key in ["max_topics", "max_streams"] {
        let zero = format!("[[topics]]\nmatch = 'a'\n{key} = 0");
        let error = Hub::builder()
            .config(toml::from_str(&zero).unwrap())
            .build();
        assert_eq!(
            error.unwrap_err().faults()[0].key,
            format!("hub.topics.{key}")
        );
    }
}

/// A stream that reads, is cut and comes back gets each event that matches once and in order, or a reset if
/// the log has dropped some of what it lacks.
#[actix_web::test]
async fn r01_a_pattern_loses_nothing_untold() {
    const TOPICS: [&str; 5] = ["a", "a/1", "a/b/1", "a/b/2", "c/1"];
    const PATTERNS: [&str; 6] = ["a/*", "a/b/*", "*", "a/*+c/1", "a/b/*+a/1", "c/*+a/*"];
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let keep = random.usize(3..12);
        let hub = hub(|hub| hub.replay_events = keep);
        let mut published: Vec<(String, &str, String)> = Vec::new();
        let mut clients = PATTERNS.map(|patterns| (patterns, None::<String>));
        for step in 0..30 {
            for n in 0..random.usize(0..6) {
                let topic = TOPICS[random.usize(0..TOPICS.len())];
                let text = format!("{step}.{n}");
                published.push((publish(&hub, topic, &text), topic, text));
            }
            let (patterns, last) = &mut clients[random.usize(0..PATTERNS.len())];
            let stream = open(&hub, patterns, last.as_deref()).await;
            let opened = published.len();
            let text = format!("{step}.live");
            published.push((publish(&hub, "a/b/1", &text), "a/b/1", text));
            let since = match last.as_deref() {
                None => opened,
                Some(last) => published.iter().position(|(id, ..)| id == last).unwrap() + 1,
            };
            let matching = |pattern: &str, from: usize, to: usize| {
                let pattern = TopicPattern::from(pattern);
                let events = published[from..to].iter();
                events
                    .filter(move |(_, topic, _)| pattern.matches(topic))
                    .count()
            };
            let mut each = patterns.split('+');
            let expected = match each.any(|p| matching(p, since, opened) > keep) {
                true => vec![r#"{"reason":"gap"}"#, &published[opened].2],
                false => {
                    let events = published[since..].iter();
                    let events = events.filter(|(_, topic, _)| {
                        patterns
                            .split('+')
                            .any(|p| TopicPattern::from(p).matches(topic))
                    });
                    events.map(|(.., text)| text.as_str()).collect()
                }
            };
            let reading = read(stream, expected.len()).await;
            assert_eq!(
                data(&reading),
                expected,
                "seed {seed}, step {step}, {patterns}"
            );
            *last = Some(published[opened].0.clone());
        }
    }
}
