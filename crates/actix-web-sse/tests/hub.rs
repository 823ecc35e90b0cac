//! What a hub offers beyond the rows of the wire contract: several topics, filters, last values,
//! presence, transient events, unknown topics, bounds, skipping.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking"
)]

use std::{borrow::Cow, time::Duration};

use actix_web::{
    App, HttpRequest, Responder,
    dev::ServiceResponse,
    test::{TestRequest, call_service, init_service},
    web,
};
use actix_web_sse::{
    Event, Hub, PublishError, Subscriber, Topic,
    config::{HubConfig, SlowConsumer, TopicConfig},
    test::{Reading, assert_event_stream, read_events},
};

/// Opens a stream of the topics named in the path, `a+b`; `?only=` filters by name or tag.
async fn open(hub: &Hub, topics: &str, only: &'static str, id: Option<&str>) -> ServiceResponse {
    async fn follow(
        hub: Hub,
        subscriber: Subscriber,
        topics: web::Path<String>,
        request: HttpRequest,
    ) -> impl Responder {
        let topics = topics.split('+').map(str::to_owned).collect::<Vec<_>>();
        let only = request.query_string().to_owned();
        hub.subscribe(topics, subscriber).filter(move |event| {
            only.is_empty() || event.name == Some(&only) || event.tag == Some(&only)
        })
    }
    let app = App::new()
        .app_data(hub.clone())
        .route("/{topics:.+}", web::get().to(follow));
    let app = init_service(app).await;
    let mut request = TestRequest::get().uri(&format!("/{topics}?{only}"));
    if let Some(id) = id {
        request = request.insert_header(("last-event-id", id));
    }
    call_service(&app, request.to_request()).await
}

async fn read(response: ServiceResponse, events: usize) -> Reading {
    assert_event_stream(&response);
    read_events(response, events, Duration::from_secs(30)).await
}

fn data(reading: &Reading) -> Vec<&str> {
    reading
        .events
        .iter()
        .map(|event| event.data.as_str())
        .collect()
}

fn publish(hub: &Hub, topic: &str, data: impl Into<Cow<'static, str>>) -> String {
    hub.publish(topic, Event::data(data)).unwrap().id.unwrap()
}

fn hub(change: impl FnOnce(&mut HubConfig)) -> Hub {
    let hub = Hub::builder().with(|hub, _| change(hub));
    hub.build().unwrap()
}

#[actix_web::test]
async fn one_id_places_a_client_in_several_topics() {
    let hub = hub(|_| ());
    publish(&hub, "a", "a1");
    let seen = publish(&hub, "b", "b1");
    publish(&hub, "b", "b2");
    publish(&hub, "c", "c1");
    publish(&hub, "a", "a2");
    let stream = open(&hub, "a+b", "", Some(&seen)).await;
    publish(&hub, "b", "b3");
    publish(&hub, "a", "a3");
    assert_eq!(data(&read(stream, 4).await), ["b2", "a2", "b3", "a3"]);
}

#[actix_web::test]
async fn a_topic_named_twice_is_followed_once() {
    let hub = hub(|_| ());
    let stream = open(&hub, "a+a", "", None).await;
    assert_eq!(hub.subscribers("a"), 1);
    publish(&hub, "a", "1");
    publish(&hub, "a", "2");
    assert_eq!(data(&read(stream, 2).await), ["1", "2"]);
}

#[actix_web::test]
async fn a_filter_chooses_by_name_and_tag_on_replay_too() {
    let hub = hub(|_| ());
    let seen = publish(&hub, "a", "0");
    let named = |data| Event::data(data).name("wanted").unwrap();
    hub.publish("a", named("1")).unwrap();
    publish(&hub, "a", "2");
    hub.publish("a", Event::data("3").tag("wanted")).unwrap();
    let stream = open(&hub, "a", "wanted", Some(&seen)).await;
    publish(&hub, "a", "4");
    hub.publish("a", named("5")).unwrap();
    assert_eq!(data(&read(stream, 3).await), ["1", "3", "5"]);
}

#[actix_web::test]
async fn a_new_subscriber_gets_the_last_value_at_once() {
    let hub = hub(|hub| {
        hub.last_value = true;
    });
    publish(&hub, "a", "old");
    publish(&hub, "a", "last");
    publish(&hub, "b", "other");
    let reading = read(open(&hub, "a+b", "", None).await, 2).await;
    assert_eq!(data(&reading), ["last", "other"]);
}

#[actix_web::test]
async fn the_last_value_is_a_setting_of_each_topic() {
    let hub = hub(|hub| {
        hub.replay_events = 1;
        hub.topics = vec![
            TopicConfig::of("prices/none").last_value(false),
            TopicConfig::of("news"),
            TopicConfig::of("prices/*").last_value(true),
        ];
    });
    let old = publish(&hub, "prices/a", "old");
    for topic in ["prices/a", "prices/none", "news", "others"] {
        publish(&hub, topic, "passed");
        publish(&hub, topic, topic.to_owned());
    }
    let all = "prices/a+prices/none+news+others";
    let fresh = open(&hub, all, "", None).await;
    publish(&hub, "news", "live");
    assert_eq!(data(&read(fresh, 2).await), ["prices/a", "live"]);
    // The value has an ID of its own: a reset with one would let a client come back without it.
    let reading = read(open(&hub, all, "", Some(&old)).await, 2).await;
    assert_eq!(data(&reading), [r#"{"reason":"gap"}"#, "prices/a"]);
    assert_eq!(reading.events[0].last_event_id, "");
    let others = read(open(&hub, "news+others", "", Some(&old)).await, 1).await;
    assert_ne!(others.events[0].last_event_id, "", "no value comes");
}

#[actix_web::test]
async fn how_much_is_kept_is_a_setting_of_each_topic() {
    let hub = hub(|hub| {
        hub.replay_events = 2;
        hub.topics = vec![
            TopicConfig::of("chat/*").replay_events(5),
            TopicConfig::of("cursor/*").replay_events(0),
            TopicConfig::of("small").replay_bytes(1),
            TopicConfig::of("new").replay_age(Duration::ZERO),
        ];
    });
    for (topic, kept) in [
        ("chat/a", 5),
        ("cursor/a", 0),
        ("small", 0),
        ("new", 0),
        ("others", 2),
    ] {
        let ids = (0..9)
            .map(|n| publish(&hub, topic, n.to_string()))
            .collect::<Vec<_>>();
        // Whoever has the last one that is forgotten has missed nothing.
        let known = open(&hub, topic, "", Some(&ids[8 - kept])).await;
        publish(&hub, topic, "live");
        let expected = (9 - kept..9).map(|n| n.to_string()).chain(["live".into()]);
        let reading = read(known, kept + 1).await;
        assert_eq!(data(&reading), expected.collect::<Vec<_>>(), "{topic}");
        let older = read(open(&hub, topic, "", Some(&ids[7 - kept])).await, 1).await;
        assert_eq!(older.events[0].event, "reset", "{topic}");
    }
}

#[actix_web::test]
async fn a_topic_of_a_type_publishes_its_values_and_is_followed() {
    #[derive(serde::Serialize)]
    struct Quote {
        price: u32,
    }
    async fn follow(quotes: web::Data<Topic<Quote>>, subscriber: Subscriber) -> impl Responder {
        quotes.subscribe(subscriber)
    }
    let hub = hub(|_| ());
    let quotes = hub.topic::<Quote>("prices").event("quote").unwrap();
    assert_eq!(quotes.name(), "prices");
    let app = App::new()
        .app_data(hub.clone())
        .app_data(web::Data::new(quotes.clone()))
        .route("/", web::get().to(follow));
    let app = init_service(app).await;
    let response = call_service(&app, TestRequest::get().to_request()).await;
    quotes.publish(&Quote { price: 1 }).unwrap();
    quotes.publish_shared(&Quote { price: 2 }).await.unwrap();
    let reading = read(response, 2).await;
    assert_eq!(data(&reading), [r#"{"price":1}"#, r#"{"price":2}"#]);
    assert!(reading.events.iter().all(|event| event.event == "quote"));
}

#[test]
fn a_value_without_a_form_is_an_error_and_nothing_is_sent() {
    use std::collections::BTreeMap;
    let hub = hub(|_| ());
    let topic = hub.topic::<BTreeMap<(u8, u8), u8>>("pairs");
    let refused = topic.publish(&BTreeMap::from([((1, 2), 3)])).unwrap_err();
    assert!(matches!(refused, PublishError::Event(_)), "{refused:?}");
    assert!(
        refused.to_string().contains("no form as an event"),
        "{refused}"
    );
    assert_eq!(hub.stats().topics, 0);
    assert!(hub.topic::<u8>("t").event("a\nb").is_err());
    let nameless = hub.topic::<u8>("a\nb").publish(&1);
    assert!(matches!(nameless, Err(PublishError::InvalidTopic(_))));
}

#[test]
fn f13_settings_of_topics_are_read_and_checked() {
    let read = |text: &str| toml::from_str::<HubConfig>(text);
    let config = read("[[topics]]\nmatch = 'a/*'\nlast_value = true").unwrap();
    assert_eq!(config.topics, [TopicConfig::of("a/*").last_value(true)]);
    let written = toml::to_string(&config).unwrap();
    assert_eq!(read(&written).unwrap(), config);
    assert!(read("[[topics]]\nlast_value = true").is_err());
    assert!(read("[[topics]]\nmatch = 'a'\nlast = true").is_err());
    let error = Hub::builder().config(read("[[topics]]\nmatch = ''").unwrap());
    let error = error.build().unwrap_err();
    assert_eq!(error.faults()[0].key, "hub.topics.match");
    let all = "[[topics]]\nmatch = 'a'\nreplay_events = 1\nreplay_age = '1m'\nreplay_bytes = 2\nlinger = '5ms'";
    let config = read(all).unwrap();
    let expected = TopicConfig::of("a")
        .replay_events(1)
        .replay_age(Duration::from_secs(60))
        .replay_bytes(2)
        .linger(Duration::from_millis(5));
    assert_eq!(config.topics, [expected]);
    assert_eq!(read(&toml::to_string(&config).unwrap()).unwrap(), config);
    for (wrong, key) in [
        (
            "[[topics]]\nmatch = 'a'\nlinger = '101ms'".to_owned(),
            "hub.topics.linger",
        ),
        ("[[topics]]\nmatch = 'a'\n".repeat(101), "hub.topics"),
    ] {
        let error = Hub::builder().config(read(&wrong).unwrap()).build();
        assert_eq!(error.unwrap_err().faults()[0].key, key);
    }
}

#[actix_web::test]
async fn a_client_that_was_told_of_a_gap_misses_nothing_after_it() {
    let hub = hub(|hub| hub.replay_events = 1);
    let old = publish(&hub, "a", "1");
    let newest = ["2", "3"].map(|data| publish(&hub, "a", data));
    publish(&hub, "b", "another topic's");
    for asked in [old.as_str(), "nobody's"] {
        // Told, and away again before the next event.
        let reading = read(open(&hub, "a", "", Some(asked)).await, 1).await;
        assert_eq!(reading.events[0].event, "reset");
        assert_eq!(reading.events[0].last_event_id, newest[1]);
    }
    publish(&hub, "a", "4");
    let reading = read(open(&hub, "a", "", Some(&newest[1])).await, 1).await;
    assert_eq!(data(&reading), ["4"]);
    let none = read(open(&hub, "c", "", Some("nobody's")).await, 1).await;
    assert_eq!(
        none.events[0].last_event_id, "",
        "a topic without events has no ID to give"
    );
}

#[actix_web::test]
async fn t18_a_crowd_that_ends_together_does_not_come_back_together() {
    let hub = Hub::builder().with(|_, stream| stream.retry = Duration::from_secs(30));
    let hub = hub.build().unwrap();
    let mut waits = Vec::new();
    for _ in 0..200 {
        let response = open(&hub, "a", "", None).await;
        publish(&hub, "a", "x");
        waits.push(read(response, 1).await.retry.unwrap());
    }
    waits.sort_unstable();
    // Of 24 s to 36 s; a fifth of the crowd in each fifth of the time, give or take a half.
    for fifth in 0..5 {
        let from = Duration::from_millis(24_000 + fifth * 2400);
        let until = from + Duration::from_millis(2400);
        let share = waits
            .iter()
            .filter(|wait| (from..=until).contains(*wait))
            .count();
        assert!(
            (10..=80).contains(&share),
            "{share} of 200 come in {from:?} to {until:?}"
        );
    }
}

#[actix_web::test]
async fn presence_is_counted_per_topic() {
    let hub = hub(|_| ());
    assert_eq!(hub.subscribers("a"), 0);
    let first = open(&hub, "a", "", None).await;
    let second = open(&hub, "a+b", "", None).await;
    assert_eq!((hub.subscribers("a"), hub.subscribers("b")), (2, 1));
    drop(first);
    assert_eq!((hub.subscribers("a"), hub.subscribers("b")), (1, 1));
    drop(second);
    assert_eq!((hub.subscribers("a"), hub.subscribers("b")), (0, 0));
    assert_eq!(hub.stats().streams, 0);
    assert_eq!(hub.stats().topics, 0, "what nobody uses is gone");
}

#[actix_web::test]
async fn r13_a_transient_event_has_no_id_and_is_not_replayed() {
    let hub = hub(|_| ());
    let stream = open(&hub, "a", "", None).await;
    let first = publish(&hub, "a", "kept");
    let transient = hub.publish("a", Event::data("gone").transient()).unwrap();
    assert_eq!(transient.id, None);
    let reading = read(stream, 2).await;
    assert_eq!(data(&reading), ["kept", "gone"]);
    assert_eq!(reading.events[1].last_event_id, first);
    let again = open(&hub, "a", "", Some(&first)).await;
    publish(&hub, "a", "next");
    assert_eq!(data(&read(again, 1).await), ["next"]);
}

#[actix_web::test]
async fn t03_an_unknown_topic_is_refused_as_if_the_right_were_missing() {
    let hub = Hub::builder().topics(|topic| topic == "a").build().unwrap();
    let response = open(&hub, "b", "", None).await;
    assert_eq!(response.status(), 403);
    let unknown = hub.publish("b", Event::data("x"));
    assert_eq!(unknown, Err(PublishError::UnknownTopic("b".to_owned())));
    assert_eq!(open(&hub, "a", "", None).await.status(), 200);
}

#[actix_web::test]
async fn topics_are_bounded_and_come_free_again() {
    let hub = hub(|hub| {
        hub.max_topics = 1;
    });
    let first = open(&hub, "a", "", None).await;
    assert_eq!(open(&hub, "b", "", None).await.status(), 503);
    let full = hub.publish("b", Event::data("x"));
    assert_eq!(full, Err(PublishError::TooManyTopics(1)));
    drop(first);
    assert_eq!(open(&hub, "b", "", None).await.status(), 200);
}

#[actix_web::test]
async fn e14_an_event_that_is_too_large_reaches_nobody_and_hurts_nobody() {
    let hub = hub(|_| ());
    let stream = open(&hub, "a", "", None).await;
    let large = |len: usize| hub.publish("a", Event::data("x".repeat(len)));
    assert!(large(64 * 1024).is_ok());
    let error = large(64 * 1024 + 1).unwrap_err();
    assert_eq!(
        error,
        PublishError::TooLarge {
            len: 65537,
            max: 65536
        }
    );
    publish(&hub, "a", "after");
    let reading = read(stream, 2).await;
    assert_eq!(reading.events[0].data.len(), 64 * 1024);
    assert_eq!(reading.events[1].data, "after");
}

#[actix_web::test]
async fn what_cannot_be_published_says_why() {
    let hub = hub(|_| ());
    let own = hub.publish("a", Event::data("x").id("7").unwrap());
    assert_eq!(own, Err(PublishError::HasId));
    assert_eq!(
        hub.publish("a", Event::comment("x")),
        Err(PublishError::NoData)
    );
    assert!(matches!(
        hub.publish("", Event::data("x")),
        Err(PublishError::UnknownTopic(_))
    ));
}

#[actix_web::test]
async fn d08_a_subscriber_that_may_skip_is_told_how_much() {
    let hub = hub(|hub| {
        hub.subscriber_events = 1;
        hub.slow_consumer = SlowConsumer::Skip;
    });
    let stream = open(&hub, "a", "", None).await;
    // A burst that not even a second of grace covers: 64 times the bound.
    for _ in 0..100 {
        publish(&hub, "a", "x");
    }
    let reading = read(stream, 64 + 1).await;
    assert_eq!(reading.events[0].event, "lagged");
    assert_eq!(reading.events[0].data, r#"{"missed":36}"#);
    assert_eq!(reading.events.len(), 65);
}

#[actix_web::test]
async fn without_resume_every_id_is_a_gap() {
    let hub = hub(|hub| {
        hub.resume = false;
    });
    let id = publish(&hub, "a", "1");
    let reading = read(open(&hub, "a", "", Some(&id)).await, 1).await;
    assert_eq!(data(&reading), [r#"{"reason":"gap"}"#]);
}

#[test]
fn f13_a_hub_that_cannot_work_is_refused_with_all_its_faults() {
    let hub = Hub::builder().with(|hub, stream| {
        hub.replay_events = 0;
        hub.subscriber_events = 0;
        stream.heartbeat = Duration::ZERO;
        stream.retry = Duration::from_secs(7200);
    });
    let error = hub.build().unwrap_err();
    let keys = error
        .faults()
        .iter()
        .map(|fault| fault.key)
        .collect::<Vec<_>>();
    assert_eq!(
        keys,
        [
            "hub.subscriber_events",
            "hub.replay_events",
            "stream.heartbeat",
            "stream.retry"
        ]
    );
}

#[test]
fn a_handler_may_pass_on_what_went_wrong_and_reveals_nothing() {
    use actix_web::ResponseError as _;
    let too_large = PublishError::TooLarge { len: 2, max: 1 };
    assert_eq!(too_large.error_response().status(), 413);
    let unknown = PublishError::UnknownTopic("<script>".to_owned());
    assert_eq!(unknown.error_response().status(), 404);
    let invalid = Event::data("x").name("a\nb").unwrap_err();
    assert_eq!(invalid.error_response().status(), 500);
}
