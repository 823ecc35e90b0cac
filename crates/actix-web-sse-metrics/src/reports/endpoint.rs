//! Where browsers send their reports, and where pages get the script that sends them.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    dev::{AppService, HttpServiceFactory},
    http::header,
    rt::time::timeout,
    web,
};

use super::Diagnosis;
use crate::{clients::Client, core::Core};

/// No diagnosis is longer.
const MAX_BYTES: usize = 32;
/// A beacon's body comes with its head.
const PATIENCE: Duration = Duration::from_secs(5);

const SCRIPT: &str = include_str!("client.js");
const TYPES: &str = include_str!("client.d.ts");

/// The reports of browsers at a path of an application. Made by
/// [`Metrics::reports`](crate::Metrics::reports).
///
/// A report is the bare diagnosis as `text/plain`, which needs no CORS to arrive. It is counted or
/// counted as dropped; the answer is 204 in either case, without a body and without CORS headers.
/// Nothing of it is stored, logged or reflected. Anybody can send one, so the counter is a hint
/// that something is wrong, never a proof.
#[derive(Debug, Clone)]
pub struct ReportsEndpoint {
    core: Arc<Core>,
    path: String,
}

impl ReportsEndpoint {
    pub(crate) fn new(core: Arc<Core>, path: &str) -> Self {
        Self {
            core,
            path: path.trim_end_matches('/').to_owned(),
        }
    }
}

impl HttpServiceFactory for ReportsEndpoint {
    fn register(self, config: &mut AppService) {
        let Self { core, path } = self;
        let file = |content: &'static str, kind: &'static str| {
            web::get().to(move || std::future::ready(serve(content, kind)))
        };
        web::resource(format!("{path}/client.js"))
            .route(file(SCRIPT, "text/javascript; charset=utf-8"))
            .register(config);
        web::resource(format!("{path}/client.d.ts"))
            .route(file(TYPES, "text/plain; charset=utf-8"))
            .register(config);
        web::resource(path)
            .app_data(web::Data::from(core))
            .route(web::post().to(take))
            .register(config);
    }
}

/// Any page may import the script: it holds nothing of anybody's.
fn serve(content: &'static str, kind: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, kind))
        .insert_header((header::CACHE_CONTROL, "public, max-age=3600"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header(("cross-origin-resource-policy", "cross-origin"))
        .body(content)
}

async fn take(request: HttpRequest, body: web::Payload, core: web::Data<Core>) -> HttpResponse {
    let client = Client::of(request.peer_addr().map(|peer| peer.ip()), core.ipv6_prefix);
    let diagnosis = if core.report_limit.admits(client, core.clock.now()) {
        read(body).await
    } else {
        None
    };
    core.reports.count(diagnosis.unwrap_or(Diagnosis::Dropped));
    HttpResponse::NoContent()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

async fn read(body: web::Payload) -> Option<Diagnosis> {
    let body = timeout(PATIENCE, body.to_bytes_limited(MAX_BYTES)).await;
    let body = body.ok()?.ok()?.ok()?;
    Diagnosis::believed(&body)
}
