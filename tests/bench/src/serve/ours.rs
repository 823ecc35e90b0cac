use std::{error::Error, io, sync::Arc};

use actix_web::{App, HttpResponse, HttpServer, Responder, rt, web};
use actix_web_sse::{
    Event, EventServer, ForEventStreams as _, Hub, PublishError, Subscriber,
    config::{AuthConfig, ConfigError, StreamConfig},
    observe::Observer,
    protect::Policy,
};
use actix_web_sse_metrics::{
    Metrics,
    log::{Log, json_layer_with},
};
use tokio::sync::Notify;
use tracing_subscriber::{
    Layer as _, filter::LevelFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use super::{Batch, DATA, SECRET, foreign::Foreign};
use crate::{
    contestant::{Part, Settings},
    parts::{BARE, ORIGIN},
};

const TOPIC: &str = "bench";

fn publish(hub: &Hub) -> Result<(), PublishError> {
    hub.publish(TOPIC, Event::data(DATA)).map(drop)
}

async fn events(hub: Hub, subscriber: Subscriber) -> impl Responder {
    hub.subscribe(TOPIC, subscriber)
}

async fn publish_batch(hub: Hub, batch: web::Query<Batch>) -> HttpResponse {
    match (0..batch.n).try_for_each(|_| publish(&hub)) {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

async fn publish_foreign(foreign: web::Data<Foreign>) -> HttpResponse {
    foreign.publish();
    HttpResponse::NoContent().finish()
}

async fn streams(hub: Hub) -> String {
    hub.stats().streams.to_string()
}

/// The ID of an event that is published for nobody.
async fn last_id(hub: Hub) -> String {
    hub.publish(TOPIC, Event::data(DATA))
        .ok()
        .and_then(|published| published.id)
        .unwrap_or_default()
}

/// A refusal without a guard, for what actix itself makes of a request.
async fn refuse() -> HttpResponse {
    HttpResponse::Forbidden()
        .insert_header(("content-type", "application/json"))
        .insert_header(("cache-control", "no-store"))
        .body(r#"{"error":"origin_denied"}"#)
}

async fn report_foreign(foreign: web::Data<Foreign>) -> String {
    foreign.report()
}

/// Wakes a task of the server's thread, and does nothing else.
struct Wake(Foreign);

async fn wake(wake: web::Data<Wake>) -> HttpResponse {
    wake.0.publish();
    HttpResponse::NoContent().finish()
}

async fn report_wake(wake: web::Data<Wake>) -> String {
    wake.0.report()
}

/// What stands around the streams.
struct Around {
    policy: Option<Policy>,
    metrics: Option<Metrics>,
    observer: Arc<dyn Observer>,
}

impl Around {
    fn of(settings: &Settings) -> Result<Self, Box<dyn Error>> {
        let has = |part| settings.parts.contains(&part);
        let metrics = has(Part::Metrics)
            .then(|| Metrics::builder().route("/events").origin(ORIGIN).build())
            .transpose()?;
        if has(Part::Logs) {
            let lines = json_layer_with(io::stderr).with_filter(LevelFilter::INFO);
            tracing_subscriber::registry().with(lines).try_init()?;
        }
        let observer: Arc<dyn Observer> = match (&metrics, has(Part::Logs)) {
            (Some(metrics), true) => Arc::new((metrics.observer(), metrics.log().build())),
            (Some(metrics), false) => Arc::new(metrics.observer()),
            (None, true) => Arc::new(Log::new()),
            (None, false) => Arc::new(()),
        };
        let policy = has(Part::Guards)
            .then(|| guards(Arc::clone(&observer)))
            .transpose()?;
        Ok(Self {
            policy,
            metrics,
            observer,
        })
    }
}

fn guards(observer: Arc<dyn Observer>) -> Result<Policy, ConfigError> {
    let mut auth = AuthConfig::default();
    auth.required = true;
    auth.jwt_hs256_secret = Some(SECRET.into());
    Policy::builder()
        .host("127.0.0.1")
        .allow_origins([
            ORIGIN,
            "https://*.tenant.example.net",
            "http://localhost:5173",
        ])
        .credentials(true)
        .auth(auth)
        .streams_per_ip(100_000)
        .streams_per_user(8)
        .streams(100_000)
        .connects_per_second(100_000)
        .observer(observer)
        .build()
}

/// What serves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Front {
    EventServer,
    HttpServer,
}

pub(super) fn serve(settings: &Settings, front: Front) -> Result<(), Box<dyn Error>> {
    let mut stream = StreamConfig::default();
    stream.heartbeat = settings.heartbeat();
    let around = Around::of(settings)?;
    let (policy, metrics) = (around.policy, around.metrics);
    let hub = Hub::builder()
        .stream(stream)
        .observer(around.observer)
        .build()?;
    let foreign = {
        let hub = hub.clone();
        web::Data::new(Foreign::new(move || {
            if let Err(error) = publish(&hub) {
                eprintln!("not published: {error}");
            }
        }))
    };
    let sleeper = Arc::new(Notify::new());
    let waker = Arc::clone(&sleeper);
    let wakes = web::Data::new(Wake(Foreign::new(move || waker.notify_one())));
    let listen = settings.listen;
    rt::System::new().block_on(async move {
        let application = {
            let hub = hub.clone();
            move || {
                let sleeper = Arc::clone(&sleeper);
                rt::spawn(async move {
                    loop {
                        sleeper.notified().await;
                    }
                });
                App::new()
                    .app_data(hub.clone())
                    .app_data(foreign.clone())
                    .app_data(wakes.clone())
                    .configure(|config| {
                        let streams = web::resource("/events").route(web::get().to(events));
                        match &policy {
                            Some(policy) => config.service(streams.wrap(policy.clone())),
                            None => config.service(streams),
                        };
                        if let Some(metrics) = &metrics {
                            config.service(metrics.endpoint("/metrics"));
                        }
                    })
                    .route(BARE, web::get().to(refuse))
                    .route("/streams", web::get().to(streams))
                    .route("/last-id", web::get().to(last_id))
                    .route("/publish", web::post().to(publish_batch))
                    .route("/foreign", web::post().to(publish_foreign))
                    .route("/foreign", web::get().to(report_foreign))
                    .route("/wake", web::post().to(wake))
                    .route("/wake", web::get().to(report_wake))
            }
        };
        let server = match front {
            Front::EventServer => EventServer::new(application)
                .workers(1)
                .hub(&hub)
                .bind(listen)?
                .run(),
            Front::HttpServer => HttpServer::new(application)
                .workers(1)
                .for_event_streams(&hub)
                .bind(listen)?
                .run(),
        };
        server.await
    })?;
    Ok(())
}
