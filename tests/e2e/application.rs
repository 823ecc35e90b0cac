//! An application with a guarded route, a route whose guard was forgotten, and a place for
//! browsers' reports.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

use actix_cors::Cors;
use actix_web::{App, HttpServer, Responder, dev::ServerHandle, rt, web};
use actix_web_sse::{Event, ForEventStreams, Hub, Policy, Subscriber, observe::CorsWitness};
use actix_web_sse_metrics::Metrics;
use rustls::ServerConfig;

use crate::certificate::Certificate;

/// The application, on a thread of its own. It ends when dropped.
pub(crate) struct Application {
    pub(crate) address: SocketAddr,
    hub: Hub,
    metrics: Metrics,
    scheme: &'static str,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

async fn block(seconds: web::Path<u64>) -> impl Responder {
    thread::sleep(Duration::from_secs(*seconds));
    "at last"
}

async fn events(hub: Hub, subscriber: Subscriber) -> impl Responder {
    hub.subscribe("news", subscriber)
}

impl Application {
    /// `/events` behind a policy that allows this origin, `/actix-cors` behind `actix_cors::Cors`
    /// that does, `/private` behind nothing although it is declared to need authentication,
    /// `/sse-reports`, and `/metrics`.
    pub(crate) fn start(origin: &str) -> Self {
        Self::start_with(origin, None)
    }

    /// The same over TLS, and so with browsers over HTTP/2.
    pub(crate) fn start_tls(origin: &str, certificate: &Certificate) -> Self {
        Self::start_with(origin, Some(certificate.server_config()))
    }

    fn start_with(origin: &str, tls: Option<ServerConfig>) -> Self {
        let metrics = Metrics::builder()
            .route("/events")
            .auth_required("/private")
            .build()
            .unwrap();
        let hub = Hub::builder().observer(metrics.observer()).build().unwrap();
        let policy = Policy::builder()
            .allow_origin(origin)
            .credentials(true)
            // The proxies of tests, and tests that stand in for them.
            .trusted_proxy("127.0.0.1")
            .observer(metrics.observer())
            .build()
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let (tell, told) = mpsc::channel();
        let (streams, shown) = (hub.clone(), metrics.clone());
        let allowed = origin.to_owned();
        let thread = thread::spawn(move || {
            let application = {
                let hub = streams.clone();
                move || {
                    App::new()
                        .app_data(hub.clone())
                        .service(shown.endpoint("/metrics"))
                        .service(shown.reports("/sse-reports", &policy))
                        .wrap(CorsWitness)
                        .route("/private", web::get().to(events))
                        .route("/block/{seconds}", web::get().to(block))
                        .service(
                            web::resource("/actix-cors")
                                .wrap(
                                    Cors::default()
                                        .allowed_origin(&allowed)
                                        .allowed_methods(["GET"])
                                        .supports_credentials(),
                                )
                                .route(web::get().to(events)),
                        )
                        .service(
                            web::resource("/events")
                                .wrap(policy.clone())
                                .route(web::route().to(events)),
                        )
                }
            };
            rt::System::new().block_on(async move {
                let server = HttpServer::new(application)
                    .for_event_streams(&streams)
                    .workers(1)
                    .disable_signals();
                let server = match tls {
                    Some(tls) => server.listen_rustls_0_23(listener, tls).unwrap(),
                    None => server.listen(listener).unwrap(),
                }
                .run();
                tell.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        Self {
            address,
            hub,
            metrics,
            scheme,
            handle: told.recv().unwrap(),
            thread: Some(thread),
        }
    }

    /// Its metrics on a listener and a thread of their own.
    pub(crate) fn metrics_listener(&self) -> MetricsListener {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, told) = mpsc::channel();
        let metrics = self.metrics.clone();
        let thread = thread::spawn(move || {
            rt::System::new().block_on(async move {
                let server = metrics.serve(listener).unwrap();
                tell.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        MetricsListener {
            address,
            handle: told.recv().unwrap(),
            thread: Some(thread),
        }
    }

    /// Blocks the worker's thread, as a call does that does not belong there.
    pub(crate) fn block(&self, time: Duration) {
        let request = format!("GET /block/{} HTTP/1.1\r\nHost: x\r\n\r\n", time.as_secs());
        let mut connection = TcpStream::connect(self.address).unwrap();
        connection.write_all(request.as_bytes()).unwrap();
    }

    /// Where something of it is.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Tells every stream something.
    pub(crate) fn publish(&self, data: &str) {
        self.hub
            .publish("news", Event::data(data.to_owned()))
            .unwrap();
    }

    /// The lines of its metrics that begin with this, without it.
    pub(crate) fn samples(&self, beginning: &str) -> Vec<String> {
        let text = self.metrics.text();
        text.lines()
            .filter_map(|line| line.strip_prefix(beginning))
            .map(str::to_owned)
            .collect()
    }

    /// The sum of the samples whose lines begin with this.
    pub(crate) fn sum(&self, beginning: &str) -> u64 {
        let samples = self.samples(beginning);
        let values = samples.iter().filter_map(|sample| sample.rsplit_once(' '));
        values.map(|(_, value)| value.parse::<u64>().unwrap()).sum()
    }
}

/// What [`Application::metrics_listener`] has started.
pub(crate) struct MetricsListener {
    address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl MetricsListener {
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for MetricsListener {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        // Asks the server's own thread to stop; what it still does is waited for below.
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(
                ended.is_ok() || thread::panicking(),
                "the application failed"
            );
        }
    }
}
