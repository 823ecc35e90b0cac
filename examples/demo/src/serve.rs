//! Everything put together: the hub, the guards, the recorders and the listeners.

use std::{
    fmt::Display,
    io,
    net::{SocketAddr, TcpListener},
};

use actix_web::{App, HttpServer, dev::Server, guard, rt, web};
use actix_web_sse::{
    ForEventStreams, Hub, Policy,
    config::{AuthConfig, ConfigError},
};
use actix_web_sse_metrics::{Metrics, log::RedactedRootSpan};
use tracing_actix_web::TracingLogger;

use crate::{
    announce::Places,
    config::Config,
    failure::Failure,
    listeners::{Listeners, reached},
    page::{Page, Surroundings},
    routes::{self, Publishers},
    sign_in::Signer,
    ticker, tls,
};

/// Where the streams are.
const EVENTS: &str = "/events";

/// What the configuration asks for: built and bound, not yet running.
pub(crate) struct Demo {
    config: Config,
    hub: Hub,
    policy: Policy,
    signer: Option<Signer>,
    metrics: Metrics,
    tls: Option<rustls::ServerConfig>,
    listeners: Listeners,
}

impl Demo {
    /// Builds everything, or tells all that is in the way. `source` is the configuration's name
    /// in messages.
    ///
    /// # Errors
    /// One line for each fault of the configuration and each listener that cannot be had.
    pub(crate) fn build(source: &str, mut config: Config) -> Result<Self, Failure> {
        let mut faults = Faults {
            source,
            lines: Vec::new(),
        };
        let signer = Signer::of(&mut config).map_err(|line| vec![line]);
        let signer = faults.all(signer);
        let mut metrics = Metrics::builder();
        if config.auth.required {
            metrics = metrics.auth_required(EVENTS);
        }
        let metrics = metrics
            .route(EVENTS)
            // /publish and /ticket; the allow-list.
            .max_learned_routes(2)
            .max_learned_origins(config.policy.origins.allow.len())
            // A page is there to see its origin counted by name, at once.
            .rejected_origins(20, 1)
            .ipv6_prefix(config.policy.limits.ipv6_prefix)
            .build()
            .map_err(|error| Failure::one(error.to_string()))?;
        let observer = || (metrics.observer(), metrics.log().build());
        let hub = Hub::builder()
            .config(config.hub.clone())
            .stream(config.stream.clone())
            .observer(observer())
            .build();
        let policy = Policy::builder()
            .config(config.policy.clone())
            .auth(config.auth.clone())
            .topic(routes::topic)
            .observer(observer())
            .build();
        let hub = faults.configured(hub);
        let policy = faults.configured(policy);
        let tls = config.server.tls.as_ref().map(tls::server_config);
        let tls = faults.all(tls.transpose().map_err(|line| vec![line]));
        let listeners = faults.all(Listeners::bind(&config));
        match (hub, policy, signer, tls, listeners) {
            (Some(hub), Some(policy), Some(signer), Some(tls), Some(listeners)) => Ok(Self {
                config,
                hub,
                policy,
                signer,
                metrics,
                tls,
                listeners,
            }),
            _ => Err(Failure::of(faults.lines)),
        }
    }

    /// Serves until the process is told to stop, and every stream has ended.
    ///
    /// # Errors
    /// Whatever the operating system says while it runs.
    pub(crate) async fn run(self) -> io::Result<()> {
        let Self {
            config,
            hub,
            policy,
            signer,
            metrics,
            tls,
            listeners,
        } = self;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let stream_at = reached(&listeners.stream)?;
        let foreign_at = listeners.foreign.as_ref().map(reached).transpose()?;
        let metrics_at = listeners.metrics.as_ref().map(reached).transpose()?;
        let origin = |at: SocketAddr| format!("{scheme}://{at}");
        let places = Places {
            origin: origin(stream_at),
            metrics: metrics_at.map(|at| format!("http://{at}")),
            foreign: foreign_at.map(origin),
            max_series: metrics.max_series(),
        };
        let page = Page::new(&Surroundings {
            scheme,
            stream_port: stream_at.port(),
            foreign_port: foreign_at.map(|at| at.port()),
            metrics: places.metrics.clone(),
            allow: &config.policy.origins.allow,
            offers: &offers(&config.auth, signer.is_some()),
        });

        metrics.draining_when({
            let hub = hub.clone();
            move || hub.is_draining()
        });
        let beside = metrics_at.is_none().then(|| metrics.clone());
        let mut others = Vec::new();
        if let Some(listener) = listeners.metrics {
            others.push(metrics.serve(listener)?);
        }
        if let Some(listener) = listeners.foreign {
            others.push(page_server(&page, beside.as_ref(), tls.as_ref(), listener)?);
        }
        let max_event = config.hub.max_event_bytes;
        let publishers = if config.auth.required {
            Publishers::Named
        } else {
            Publishers::Anybody
        };
        let application = {
            let hub = hub.clone();
            move || {
                App::new()
                    .wrap(TracingLogger::<RedactedRootSpan>::new())
                    .app_data(hub.clone())
                    // Room for JSON around the largest event; the hub judges the event itself.
                    .app_data(web::PayloadConfig::new(2 * max_event + 1024))
                    .app_data(routes::query_config())
                    .app_data(web::Data::new(policy.clone()))
                    .app_data(web::Data::new(publishers))
                    .configure(|config| page.mount(config))
                    .configure(|config| mount_metrics(beside.as_ref(), config))
                    .route("/healthz", web::get().to(routes::healthz))
                    .route("/readyz", web::get().to(routes::readyz))
                    .service(
                        web::resource(EVENTS)
                            .wrap(policy.clone())
                            .route(web::route().to(routes::events)),
                    )
                    .service(
                        web::resource("/publish")
                            .wrap(policy.api())
                            .route(web::post().to(routes::publish)),
                    )
                    .service(
                        web::resource("/ticket")
                            .wrap(policy.api())
                            .route(web::post().to(routes::ticket)),
                    )
                    .configure(|config| mount_sign_in(signer.as_ref(), &policy, config))
            }
        };
        let mut server = HttpServer::new(application).for_event_streams(&hub);
        if let Some(workers) = config.server.workers {
            server = server.workers(workers.get());
        }
        let server = match tls {
            Some(tls) => server.listen_rustls_0_23(listeners.stream, tls)?,
            None => server.listen_auto_h2c(listeners.stream)?,
        }
        .run();

        let stops: Vec<_> = others.iter().map(Server::handle).collect();
        others.into_iter().for_each(|other| drop(rt::spawn(other)));
        if let Some(every) = config.server.tick {
            rt::spawn(ticker::tick(hub, every));
        }
        places.announce();
        let ended = server.await;
        for stop in stops {
            stop.stop(false).await;
        }
        ended
    }
}

/// The page once more, with an origin of its own: nothing of the stream is here.
fn page_server(
    page: &Page,
    metrics: Option<&Metrics>,
    tls: Option<&rustls::ServerConfig>,
    listener: TcpListener,
) -> io::Result<Server> {
    let (page, metrics) = (page.clone(), metrics.cloned());
    let server = HttpServer::new(move || {
        App::new()
            .configure(|config| page.mount(config))
            .configure(|config| mount_metrics(metrics.as_ref(), config))
    })
    .workers(1)
    .disable_signals();
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls.clone())?,
        None => server.listen(listener)?,
    };
    Ok(server.run())
}

fn mount_metrics(metrics: Option<&Metrics>, config: &mut web::ServiceConfig) {
    if let Some(metrics) = metrics {
        config.service(metrics.endpoint("/metrics"));
    }
}

fn mount_sign_in(signer: Option<&Signer>, policy: &Policy, config: &mut web::ServiceConfig) {
    let Some(signer) = signer else { return };
    // Signing in asks nobody who they are, signing out does: two resources of one path.
    config
        .app_data(web::Data::new(signer.clone()))
        .service(
            web::resource("/session")
                .guard(guard::Delete())
                .wrap(policy.api())
                .route(web::delete().to(routes::sign_out)),
        )
        .service(
            web::resource("/session")
                .wrap(policy.api().without_auth())
                .route(web::post().to(routes::sign_in)),
        );
}

/// What the page can show beyond streaming.
fn offers(auth: &AuthConfig, sign_in: bool) -> Vec<&'static str> {
    [
        (sign_in, "sign-in"),
        (auth.required, "required"),
        (auth.jwt_hs256_secret.is_some(), "tokens"),
        (auth.ticket.is_some(), "tickets"),
    ]
    .into_iter()
    .filter_map(|(there, word)| there.then_some(word))
    .collect()
}

/// Collects what is wrong while everything is built.
struct Faults<'a> {
    source: &'a str,
    lines: Vec<String>,
}

impl Faults<'_> {
    fn note(&mut self, fault: &dyn Display) {
        self.lines.push(format!("{}: {fault}", self.source));
    }

    fn configured<T>(&mut self, built: Result<T, ConfigError>) -> Option<T> {
        built
            .map_err(|error| error.faults().iter().for_each(|fault| self.note(fault)))
            .ok()
    }

    fn all<T>(&mut self, built: Result<T, Vec<String>>) -> Option<T> {
        built
            .map_err(|lines| lines.iter().for_each(|line| self.note(line)))
            .ok()
    }
}
