//! A hub behind a server in the test's own process, and nothing else: no guards, no demo.

use std::net::SocketAddr;

use actix_web::{App, HttpServer, Responder, middleware::Compress, web};
use actix_web_sse::{
    ForEventStreams, Hub, Subscriber,
    config::{HubConfig, StreamConfig},
};
use actix_web_sse_tests::{EventStream, InProcess, LIMIT, Recorder, Request, no_signals, until};

/// How the server is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setup {
    /// With `for_event_streams`.
    ForEventStreams,
    /// As actix does by default.
    PlainActix,
    /// With `middleware::Compress` around the application.
    Compressing,
    /// HTTP/2 by prior knowledge too.
    Http2,
}

/// A running server on one worker: topic `t` at `/events` and, with a filter that panics at the
/// event type `bad`, at `/panics-on-bad`; any topic at `/events/{topic}`; a text at `/text`.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) hub: Hub,
    pub(crate) recorder: Recorder,
    server: InProcess,
}

impl Served {
    pub(crate) fn new(setup: Setup, hub: HubConfig, stream: StreamConfig) -> Self {
        let recorder = Recorder::default();
        let hub = Hub::builder()
            .config(hub)
            .stream(stream)
            .observer(recorder.clone())
            .build()
            .expect("a configuration without fault");
        let served = hub.clone();
        let server = InProcess::start(move |listener| {
            let app_hub = served.clone();
            let routes = move |config: &mut web::ServiceConfig| {
                config.app_data(app_hub.clone());
                config.route("/events", web::route().to(default_topic));
                config.route("/events/{topic}", web::get().to(named_topic));
                config.route("/panics-on-bad", web::get().to(panics_on_bad));
                config.route("/text", web::get().to(|| async { "text ".repeat(1000) }));
            };
            let plain = routes.clone();
            let server = HttpServer::new(move || App::new().configure(plain.clone()));
            // The listener is given last: settings apply to listeners that come after them.
            let server = match setup {
                Setup::ForEventStreams => server
                    .workers(1)
                    .for_event_streams(&served)
                    .shutdown_signal(no_signals())
                    .listen(listener)?
                    .run(),
                Setup::Http2 => server
                    .workers(1)
                    .for_event_streams(&served)
                    .shutdown_signal(no_signals())
                    .listen_auto_h2c(listener)?
                    .run(),
                Setup::PlainActix => server
                    .workers(1)
                    .shutdown_signal(no_signals())
                    .listen(listener)?
                    .run(),
                Setup::Compressing => HttpServer::new(move || {
                    App::new()
                        .wrap(Compress::default())
                        .configure(routes.clone())
                })
                .workers(1)
                .for_event_streams(&served)
                .shutdown_signal(no_signals())
                .listen(listener)?
                .run(),
            };
            Ok(server)
        });
        Self {
            hub,
            recorder,
            server,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Waits until no stream is counted: it is for a moment after its end was reported.
    #[track_caller]
    pub(crate) fn wait_until_nobody_is_counted(&self) {
        until("no stream is counted", LIMIT, || {
            (self.hub.stats().streams == 0).then_some(())
        });
    }

    /// Opens a stream and waits until it is subscribed.
    #[track_caller]
    pub(crate) fn open(&self) -> EventStream {
        self.open_with(&Request::stream("/events"))
    }

    /// As [`open`](Self::open), after this event.
    #[track_caller]
    pub(crate) fn back_with(&self, id: &str) -> EventStream {
        self.open_with(&Request::stream("/events").header("Last-Event-ID", id))
    }

    #[track_caller]
    pub(crate) fn open_with(&self, request: &Request) -> EventStream {
        let before = self.recorder.look().opened.len();
        let stream = request.open(self.address());
        until("the stream is open", LIMIT, || {
            (self.recorder.look().opened.len() > before).then_some(())
        });
        stream
    }
}

async fn default_topic(hub: Hub, subscriber: Subscriber) -> impl Responder {
    hub.subscribe("t", subscriber)
}

async fn named_topic(hub: Hub, topic: web::Path<String>, subscriber: Subscriber) -> impl Responder {
    hub.subscribe(topic.into_inner(), subscriber)
}

async fn panics_on_bad(hub: Hub, subscriber: Subscriber) -> impl Responder {
    hub.subscribe("t", subscriber).filter(|event| {
        assert_ne!(event.name, Some("bad"), "on purpose");
        true
    })
}
