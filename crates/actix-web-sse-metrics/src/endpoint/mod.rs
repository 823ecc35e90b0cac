//! `/metrics`: mounted in an application, or on a listener of its own.

pub(crate) mod operators;

use std::{
    io::{self, Write},
    net::TcpListener,
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::{AppService, HttpServiceFactory, Server},
    http::{Method, StatusCode, header},
    web,
};
use flate2::{Compression, write::GzEncoder};

use crate::{exposition::negotiate, metrics::Metrics};

/// The metrics at a path of an application. Made by [`Metrics::endpoint`].
#[derive(Debug, Clone)]
pub struct Endpoint {
    metrics: Metrics,
    path: String,
}

impl Endpoint {
    pub(crate) fn new(metrics: Metrics, path: &str) -> Self {
        Self {
            metrics,
            path: path.to_owned(),
        }
    }
}

impl HttpServiceFactory for Endpoint {
    fn register(self, config: &mut AppService) {
        web::resource(self.path)
            .app_data(web::Data::new(self.metrics))
            .default_service(web::to(answer))
            .register(config);
    }
}

async fn answer(request: HttpRequest, metrics: web::Data<Metrics>) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::OK);
    response
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"));
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return response
            .status(StatusCode::METHOD_NOT_ALLOWED)
            .insert_header((header::ALLOW, "GET, HEAD"))
            .finish();
    }
    let header = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let format = negotiate::format(header(header::ACCEPT));
    response
        .insert_header((header::CONTENT_TYPE, format.content_type()))
        .insert_header((header::VARY, "Accept, Accept-Encoding"));
    let body = metrics.render(format);
    let wanted = negotiate::gzip(header(header::ACCEPT_ENCODING));
    // actix leaves out the body of an answer to HEAD and keeps its length.
    match wanted
        .then(|| gzip(body.as_bytes()))
        .and_then(io::Result::ok)
    {
        Some(compressed) => response
            .insert_header((header::CONTENT_ENCODING, "gzip"))
            .body(compressed),
        None => response.body(body),
    }
}

/// The fast level: three quarters are saved for a third of a millisecond.
fn gzip(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::fast());
    encoder.write_all(text)?;
    encoder.finish()
}

impl Metrics {
    /// `GET` and `HEAD` of the metrics at `path`, to be mounted in an application outside of the
    /// stream guards.
    #[must_use]
    pub fn endpoint(&self, path: &str) -> Endpoint {
        Endpoint::new(self.clone(), path)
    }

    /// A server for `/metrics` only, on a separate listener, so that it cannot become public by
    /// mistake. It has one worker; the caller runs it beside the application's server, or spawns it.
    ///
    /// It handles no signals: stop it by its handle, or let the process end.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub fn serve(&self, listener: TcpListener) -> io::Result<Server> {
        let metrics = self.clone();
        let server = HttpServer::new(move || App::new().service(metrics.endpoint("/metrics")))
            .workers(1)
            .disable_signals()
            .listen(listener)?;
        Ok(server.run())
    }
}
