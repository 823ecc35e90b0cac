//! A node: a hub, with a backplane or alone, and a server for its streams.

use std::{
    error::Error,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    thread,
    time::{Duration, Instant},
};

use actix_web::{App, HttpServer, Responder, rt, web};
use actix_web_sse::{Event, ForEventStreams as _, Hub, Subscriber, config::StreamConfig};
use actix_web_sse_redis::{RedisBackplane, RedisConfig};
use serde::Deserialize;

use super::{TOPIC, receipts::Receipts};

/// It has two threads: the backplane's, if any, and the worker's.
pub(super) struct Node {
    hub: Hub,
    backplane: Option<RedisBackplane>,
    address: SocketAddr,
}

#[derive(Deserialize)]
struct Many {
    topics: usize,
}

/// More topics, for one stream; nothing is published there.
async fn many(hub: Hub, subscriber: Subscriber, many: web::Query<Many>) -> impl Responder {
    let topics: Vec<_> = (0..many.topics)
        .map(|number| format!("m{number}"))
        .collect();
    hub.subscribe(topics, subscriber)
}

async fn events(hub: Hub, subscriber: Subscriber) -> impl Responder {
    hub.subscribe(TOPIC, subscriber)
}

impl Node {
    /// `None`: without Redis.
    pub(super) fn start(redis: Option<&str>) -> Result<Self, Box<dyn Error>> {
        let backplane = redis
            .map(|url| RedisBackplane::connect(RedisConfig::at(url)))
            .transpose()?;
        let mut stream = StreamConfig::default();
        // As few of them as can be.
        stream.heartbeat = Duration::from_secs(55);
        stream.stall = Duration::from_secs(600);
        let mut builder = Hub::builder().stream(stream).with(|hub, _| {
            hub.replay_events = 100_000;
            hub.max_topics_per_stream = 10_000;
        });
        if let Some(backplane) = &backplane {
            builder = builder.backplane(backplane.clone());
        }
        let hub = builder.build()?;
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let served = hub.clone();
        thread::spawn(move || serve(served, address));
        let node = Self {
            hub,
            backplane,
            address,
        };
        let start = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            if start.elapsed() > Duration::from_secs(10) {
                return Err(io::Error::other("the node does not listen").into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(node)
    }

    pub(super) async fn publish(&self, data: String) -> Result<(), Box<dyn Error>> {
        self.hub.publish_shared(TOPIC, Event::data(data)).await?;
        Ok(())
    }

    /// A stream of the topic, beside another one with so many topics less one.
    pub(super) fn follow(&self, topics: usize) -> Result<Vec<Receipts>, Box<dyn Error>> {
        let open = |path: &str| Receipts::of_stream(self.address, path);
        let mut streams = vec![open("/events")?];
        if topics > 1 {
            streams.push(open(&format!("/many?topics={}", topics - 1))?);
        }
        let start = Instant::now();
        let reads = || match &self.backplane {
            Some(backplane) => backplane.stats().topics,
            None => self.hub.stats().topics as u64,
        };
        while reads() < topics as u64 {
            if start.elapsed() > Duration::from_secs(30) {
                return Err(io::Error::other("the topics are not followed").into());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(streams)
    }
}

/// Until the process ends.
fn serve(hub: Hub, address: SocketAddr) -> io::Result<()> {
    rt::System::new().block_on(async move {
        let application = {
            let hub = hub.clone();
            move || {
                App::new()
                    .app_data(hub.clone())
                    .route("/events", web::get().to(events))
                    .route("/many", web::get().to(many))
            }
        };
        HttpServer::new(application)
            .workers(1)
            .disable_signals()
            .for_event_streams(&hub)
            .bind(address)?
            .run()
            .await
    })
}
