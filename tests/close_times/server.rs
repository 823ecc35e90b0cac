//! An application whose streams get bytes at a steady rate, and that remembers how each ended.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use actix_web::{App, HttpServer, Responder, dev::ServerHandle, rt, web};
use actix_web_sse::{Event, ForEventStreams, Hub, Policy, Subscriber};
use actix_web_sse_metrics::Metrics;
use actix_web_sse_tests::Recorder;

/// Events a second.
const EVENTS: u32 = 4;

pub(crate) struct Application {
    pub(crate) address: SocketAddr,
    pub(crate) ends: Recorder,
    metrics: Metrics,
    handle: ServerHandle,
    running: Arc<AtomicBool>,
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
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (send, receive) = mpsc::channel();
        let streams = hub.clone();
        thread::spawn(move || {
            let application = {
                let hub = streams.clone();
                move || {
                    let guarded = web::resource("/events").wrap(policy.clone());
                    App::new()
                        .app_data(hub.clone())
                        .service(guarded.route(web::route().to(events)))
                        .route("/unguarded", web::get().to(events))
                }
            };
            rt::System::new().block_on(async move {
                let server = HttpServer::new(application)
                    .for_event_streams(&streams)
                    .workers(1)
                    .disable_signals()
                    .listen(listener)
                    .unwrap()
                    .run();
                send.send(server.handle()).unwrap();
                server.await.unwrap();
            });
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
            address,
            ends,
            metrics,
            handle: receive.recv().unwrap(),
            running,
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
        drop(self.handle.stop(false));
    }
}
