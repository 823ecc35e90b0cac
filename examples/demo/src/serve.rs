//! The servers on their listeners, from the first request to the last stream's end.

use std::{
    io,
    net::{SocketAddr, TcpListener},
};

use actix_web::{
    App, HttpServer,
    dev::Server,
    middleware::{Condition, from_fn},
    rt,
    web::ServiceConfig,
};
use actix_web_sse::{EventServer, config::AuthConfig, observe::CorsWitness};
use actix_web_sse_metrics::log::RedactedRootSpan;
use tracing_actix_web::TracingLogger;

use crate::{
    announce::Places,
    application::{Application, ForeignSite, Watched},
    blueprint::Demo,
    cli::Cli,
    listeners::reached,
    page::{Page, Surroundings},
    reload,
    routes::Publishers,
    ticker, tour,
};

/// Serves until the process gets a signal to stop and every stream has ended.
///
/// # Errors
/// Whatever the operating system says while it runs.
pub(crate) async fn serve(demo: Demo, cli: Cli) -> io::Result<()> {
    let Demo {
        config,
        hub,
        policy,
        tour,
        signer,
        metrics,
        operators,
        tls,
        listeners,
    } = demo;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let stream_at = reached(&listeners.stream)?;
    let foreign_at = listeners.foreign.as_ref().map(reached).transpose()?;
    let metrics_at = listeners.metrics.as_ref().map(reached).transpose()?;
    let origin = |at: SocketAddr| format!("{scheme}://{at}");
    let (operators, token) = operators.unzip();
    let places = Places {
        origin: origin(stream_at),
        metrics: metrics_at.map(|at| format!("http://{at}")),
        foreign: foreign_at.map(origin),
        operators: operators.is_some(),
        token: token.flatten(),
        max_series: metrics.max_series(),
    };
    let page = Page::new(&Surroundings {
        scheme,
        stream_port: stream_at.port(),
        foreign_port: foreign_at.map(|at| at.port()),
        metrics: places.metrics.as_ref().map(|at| format!("{at}/metrics")),
        allow: &config.policy.origins.allow,
        offers: &offers(&config.auth, signer.is_some(), tour.is_some()),
    });
    metrics.draining_when({
        let hub = hub.clone();
        move || hub.is_draining()
    });

    let tours = tour.as_ref().map(|tour| tour.policy().clone());
    reload::on_hangup(cli, policy.clone(), tours, page.clone())?;

    let watched = Watched::new(&metrics, &hub, operators);
    let mut others = Vec::new();
    if let Some(listener) = listeners.foreign {
        let site = ForeignSite {
            page: page.clone(),
            policy: policy.clone(),
            metrics: metrics.clone(),
            counts: metrics_at.is_none(),
            tour: tour.is_some(),
        };
        others.push(beside(listener, tls.as_ref(), move |config| {
            site.mount(config)
        })?);
    }
    let watched = match listeners.metrics {
        None => Some(watched),
        Some(listener) => {
            others.push(beside(listener, None, move |config| watched.mount(config))?);
            None
        }
    };
    let application = Application {
        page,
        hub: hub.clone(),
        policy,
        tour,
        signer,
        metrics,
        watched,
        publishers: if config.auth.required {
            Publishers::Named
        } else {
            Publishers::Anybody
        },
        max_event_bytes: config.hub.max_event_bytes,
    };
    let on_tour = application.tour.is_some();
    let mut server = EventServer::new(move || {
        App::new()
            .wrap(TracingLogger::<RedactedRootSpan>::new())
            // The last, and so around everything: it sees the headers as they leave.
            .wrap(CorsWitness)
            // The tour's proxy is outside of the server.
            .wrap(Condition::new(on_tour, from_fn(tour::proxy::faulty)))
            .configure(|config| application.mount(config))
    })
    .hub(&hub)
    .socket_lane(config.server.socket_lane);
    if let Some(workers) = config.server.workers {
        server = server.workers(workers.get());
    }
    if !config.server.proxy_protocol.is_empty() {
        server = server
            .proxy_protocol(&config.server.proxy_protocol)
            .map_err(io::Error::other)?;
    }
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listeners.stream, tls)?,
        None => server.listen(listeners.stream)?,
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

/// A server beside the one of the streams, which stops it at the end.
fn beside(
    listener: TcpListener,
    tls: Option<&rustls::ServerConfig>,
    mount: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> io::Result<Server> {
    let server = HttpServer::new(move || App::new().configure(&mount))
        .workers(1)
        .disable_signals();
    let server = match tls {
        Some(tls) => server.listen_rustls_0_23(listener, tls.clone())?,
        None => server.listen(listener)?,
    };
    Ok(server.run())
}

/// What the page can show beyond streaming.
fn offers(auth: &AuthConfig, sign_in: bool, tour: bool) -> Vec<&'static str> {
    [
        (sign_in, "sign-in"),
        (tour, "tour"),
        (auth.required, "required"),
        (auth.jwt_hs256_secret.is_some(), "tokens"),
        (auth.ticket.is_some(), "tickets"),
    ]
    .into_iter()
    .filter_map(|(there, word)| there.then_some(word))
    .collect()
}
