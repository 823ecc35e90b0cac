//! An application whose streams get bytes at a steady rate, and that remembers how each ended.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use actix_web::{App, HttpServer, Responder, web};
use actix_web_sse::{Event, ForEventStreams, Hub, Policy, Subscriber};
use actix_web_sse_metrics::Metrics;
use actix_web_sse_tests::{InProcess, Recorder};

/// Events a second.
const EVENTS: u32 = 4;

pub(crate) struct Application {
    pub(crate) address: SocketAddr,
    pub(crate) ends: Recorder,
    metrics: Metrics,
    running: Arc<AtomicBool>,
    _server: InProcess,
}

async fn events(hub: Hub, subscriber: Subscriber) -> impl Responder {
    hub.subscribe("news", subscriber)
}

impl Application {
    /// `/events` for pages of this origin, and the same without any policy at `/unguarded`; so many KiB a second.
    pub(crate) fn start(origin: &str, rate: u32) -> Self {
        let metrics = Metrics::new().unwrap();
        let ends = Recorder::default();
        let observer = || (metrics.observer(), ends.clone());
        let hub = Hub::builder().observer(observer()).build().unwrap();
        let policy = Policy::builder()
            .allow_origin(origin)
            .credentials(true)
            .observer(observer())
            .build()
            .unwrap();
        let streams = hub.clone();
        let server = InProcess::start(move |listener| {
            let data = streams.clone();
            let application = move || {
                let guarded = web::resource("/events").wrap(policy.clone());
                App::new()
                    .app_data(data.clone())
                    .service(guarded.route(web::route().to(events)))
                    .route("/unguarded", web::get().to(events))
            };
            let server = HttpServer::new(application)
                .for_event_streams(&streams)
                .workers(1)
                .disable_signals();
            Ok(server.listen(listener)?.run())
        });
        let running = Arc::new(AtomicBool::new(true));
        let wanted = Arc::clone(&running);
        thread::spawn(move || {
            let event = Event::data("x".repeat((rate * 1024 / EVENTS) as usize));
            while wanted.load(Ordering::Relaxed) {
                hub.publish("news", event.clone()).unwrap();
                thread::sleep(Duration::from_secs(1) / EVENTS);
            }
        });
        Self {
            address: server.address(),
            ends,
            metrics,
            running,
            _server: server,
        }
    }

    /// How many ends are in which class: instant, drain, interval.
    pub(crate) fn classes(&self) -> [u64; 3] {
        let text = self.metrics.text();
        ["instant", "drain", "interval"].map(|class| {
            let label = format!("class=\"{class}\"");
            let samples = text.lines().filter(|line| {
                line.starts_with("sse_connections_immediate_close_total{") && line.contains(&label)
            });
            let values = samples.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
            values.sum()
        })
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.running.store(false, Ordering::Relaxed);
    }
}
