//! A node: a hub with a backplane, as an application would have it.

use std::{
    panic::Location,
    time::{Duration, Instant},
};

use actix_web::{
    App, Responder,
    dev::ServiceResponse,
    test::{TestRequest, call_service, init_service},
    web,
};
use actix_web_sse::{
    Event, Hub, PublishError, Subscriber,
    test::{Reading, read_events},
};
use actix_web_sse_redis::{LinkChange, RedisBackplane, RedisConfig};

use crate::server::{LIMIT, Server};

#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) hub: Hub,
    pub(crate) backplane: RedisBackplane,
}

/// Settings for a test. A connection that ends is an outage at once; a Redis that says nothing is none, as it may be only
/// slow. Where it is to be one, the test says after which time.
pub(crate) fn config(server: &Server) -> RedisConfig {
    let mut config = RedisConfig::at(server.url());
    config.answer_timeout = LIMIT;
    config.connect_timeout = Duration::from_secs(20);
    config.backoff_least = Duration::from_millis(20);
    config.backoff_most = Duration::from_millis(200);
    config
}

impl Node {
    pub(crate) fn start(config: RedisConfig) -> Self {
        let tell = |change: &LinkChange| eprintln!("{change:?}");
        let backplane = RedisBackplane::connect_observed(config, tell).unwrap();
        let hub = Hub::builder()
            .with(|hub, _| hub.replay_events = 50)
            .backplane(backplane.clone())
            .build()
            .unwrap();
        Self { hub, backplane }
    }

    /// Opens a stream of these topics, parted by commas.
    pub(crate) async fn open(&self, topics: &str, last_event_id: Option<&str>) -> ServiceResponse {
        async fn follow(
            hub: Hub,
            subscriber: Subscriber,
            topics: web::Path<String>,
        ) -> impl Responder {
            let topics: Vec<String> = topics.split(',').map(str::to_owned).collect();
            hub.subscribe(topics, subscriber)
        }
        let app = App::new()
            .app_data(self.hub.clone())
            .route("/{topics}", web::get().to(follow));
        let app = init_service(app).await;
        let mut request = TestRequest::get().uri(&format!("/{topics}"));
        if let Some(id) = last_event_id {
            request = request.insert_header(("last-event-id", id));
        }
        call_service(&app, request.to_request()).await
    }

    /// As `open`, and waits until this node reads so many topics: what is published from then on
    /// comes through.
    pub(crate) async fn follow(&self, topics: &str, reading: u64) -> ServiceResponse {
        let stream = self.open(topics, None).await;
        until(|| self.backplane.stats().topics >= reading).await;
        stream
    }

    pub(crate) async fn publish(&self, topic: &str, data: &str) -> String {
        self.try_publish(topic, data).await.unwrap()
    }

    pub(crate) async fn try_publish(
        &self,
        topic: &str,
        data: &str,
    ) -> Result<String, PublishError> {
        let event = Event::data(data.to_owned());
        let published = self.hub.publish_shared(topic, event).await?;
        Ok(published.id.unwrap())
    }
}

#[track_caller]
pub(crate) fn until(probe: impl FnMut() -> bool) -> impl Future<Output = ()> {
    until_within(LIMIT, probe)
}

#[track_caller]
pub(crate) fn until_within(
    limit: Duration,
    mut probe: impl FnMut() -> bool,
) -> impl Future<Output = ()> {
    let caller = Location::caller();
    async move {
        let start = Instant::now();
        while !probe() {
            assert!(start.elapsed() < limit, "waited in vain at {caller}");
            actix_web::rt::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Returns when every task that this one has spawned, and every stream that was woken, has been polled.
pub(crate) async fn others_have_run() {
    // Behind them in the queue; twice, for what they have spawned and woken themselves.
    for _ in 0..2 {
        actix_web::rt::spawn(async {}).await.unwrap();
    }
}

pub(crate) async fn read(response: ServiceResponse, events: usize) -> Reading {
    read_events(response, events, LIMIT).await
}

pub(crate) fn data(reading: &Reading) -> Vec<&str> {
    reading
        .events
        .iter()
        .map(|event| event.data.as_str())
        .collect()
}
