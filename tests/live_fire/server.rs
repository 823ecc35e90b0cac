//! The applications: for each cell one whose policy allows the pages, and where the fault is a lost entry
//! another whose policy does not.

use std::{fmt::Write as _, net::SocketAddr, path::Path};

use actix_web::{App, HttpServer, Responder, web};
use actix_web_sse::{Event, ForEventStreams, Hub, Policy, Subscriber};
use actix_web_sse_metrics::Metrics;
use actix_web_sse_tests::InProcess;

use crate::cell::{Cell, Fault};

/// What a cell has.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    hub: Hub,
    _server: InProcess,
}

pub(crate) struct Servers {
    /// For each cell the application, and the one with the faulty policy.
    pub(crate) cells: Vec<(Server, Option<Server>)>,
}

async fn events(hub: Hub, subscriber: Subscriber) -> impl Responder {
    hub.subscribe("news", subscriber)
}

impl Server {
    fn start(allowed: &str) -> Self {
        let metrics = Metrics::builder()
            .route("/events")
            .route("/prices")
            .build()
            .unwrap();
        let hub = Hub::builder().observer(metrics.observer()).build().unwrap();
        let policy = Policy::builder()
            .allow_origin(allowed)
            .credentials(true)
            .observer(metrics.observer())
            .build()
            .unwrap();
        let streams = hub.clone();
        let server = InProcess::start(move |listener| {
            let data = streams.clone();
            let application = move || {
                let guarded = |path: &str| {
                    web::resource(path)
                        .wrap(policy.clone())
                        .route(web::route().to(events))
                };
                App::new()
                    .app_data(data.clone())
                    .service(metrics.endpoint("/metrics"))
                    .service(guarded("/events"))
                    .service(guarded("/prices"))
            };
            let server = HttpServer::new(application)
                .for_event_streams(&streams)
                .workers(1)
                .disable_signals();
            Ok(server.listen(listener)?.run())
        });
        Self {
            address: server.address(),
            hub,
            _server: server,
        }
    }
}

impl Servers {
    pub(crate) fn start(cells: &[Cell], origin: &str) -> Self {
        let cells = cells.iter().map(|cell| {
            let faulty = || Server::start("https://another.example.com");
            (
                Server::start(origin),
                (cell.fault == Fault::Lost).then(faulty),
            )
        });
        Self {
            cells: cells.collect(),
        }
    }

    /// An event for everybody.
    pub(crate) fn publish(&self) {
        for (server, faulty) in &self.cells {
            for server in [Some(server), faulty.as_ref()].into_iter().flatten() {
                server.hub.publish("news", Event::data("an event")).unwrap();
            }
        }
    }

    /// Of a Prometheus with the rules as they are shipped.
    pub(crate) fn scrape_configuration(&self, cells: &[Cell]) -> String {
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../grafana/rules");
        let rules = rules.display();
        let mut yaml = format!(
            "global: {{scrape_interval: 15s, evaluation_interval: 15s}}\n\
             rule_files: [{rules}/alerts.yml, {rules}/probe.yml]\n\
             scrape_configs:\n  - job_name: api\n    static_configs:\n"
        );
        for (cell, (server, faulty)) in cells.iter().zip(&self.cells) {
            let mut targets = format!("'{}'", server.address);
            if let Some(faulty) = faulty {
                let _ = write!(targets, ", '{}'", faulty.address);
            }
            let _ = writeln!(
                yaml,
                "      - {{targets: [{targets}], labels: {{namespace: {}}}}}",
                cell.name()
            );
        }
        yaml
    }
}
