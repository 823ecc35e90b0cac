//! The endpoint for browsers' reports, and the script that sends them.

use std::{sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    dev::{AppService, HttpServiceFactory},
    http::header,
    rt::time::timeout,
    web,
};

use actix_web_sse::Policy;

use crate::{clients::Client, core::Core, diagnosis::Diagnosis, metrics::Metrics};

/// The longest diagnosis, in bytes.
const MAX_BYTES: usize = 32;
/// A beacon's body comes with its head.
const PATIENCE: Duration = Duration::from_secs(5);

const SCRIPT: &str = include_str!("client.js");
const TYPES: &str = include_str!("client.d.ts");

/// The reports of browsers at a path of an application. Made by
/// [`Metrics::reports`](Metrics::reports).
///
/// A report is the bare diagnosis as `text/plain`, which needs no CORS to arrive. The policy says
/// who sends it, as at the streams: a report without an allowed origin is not counted, and each client
/// address has a rate limit, behind a trusted proxy too. A report beyond the limit, too long or unknown
/// counts as dropped. A page cannot distinguish a proxy's error page from a reply without CORS headers.
/// So a reply that it could not read is `cors_blocked` only if a `HEAD` of the same client, as the script
/// sends one to find the reason, has reached this process within ten seconds, and `unknown` otherwise.
/// With several nodes the proxy should keep a client on one of them.
///
/// The answer is always 204, without a body and without CORS headers. No part of a report is stored,
/// logged or reflected. Any program can send a report with any origin, so the counter is a hint that
/// something is wrong, never a proof.
#[derive(Debug, Clone)]
pub struct ReportsEndpoint {
    core: Arc<Core>,
    policy: Policy,
    path: String,
}

impl ReportsEndpoint {
    pub(crate) fn new(core: Arc<Core>, path: &str, policy: Policy) -> Self {
        Self {
            core,
            policy,
            path: path.trim_end_matches('/').to_owned(),
        }
    }
}

impl Metrics {
    /// Accepts the reports of browsers at `path` (`POST`), and serves the script that sends them
    /// at `path/client.js`, with its types at `path/client.d.ts`.
    ///
    /// ```js
    /// import { watch } from 'https://api.example.com/sse-reports/client.js';
    /// const source = watch(new EventSource(url), 'https://api.example.com/sse-reports');
    /// ```
    /// The policy of the streams decides which reports count: those of its origins, with a rate limit
    /// for each client address.
    #[must_use]
    pub fn reports(&self, path: &str, policy: &Policy) -> ReportsEndpoint {
        ReportsEndpoint::new(Arc::clone(&self.core), path, policy.clone())
    }
}

impl HttpServiceFactory for ReportsEndpoint {
    fn register(self, config: &mut AppService) {
        let path = self.path.clone();
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
            .app_data(web::Data::new(self))
            .route(web::post().to(take))
            .register(config);
    }
}

/// Any page may import the script: it contains no data of a client.
fn serve(content: &'static str, kind: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, kind))
        .insert_header((header::CACHE_CONTROL, "public, max-age=3600"))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"))
        .insert_header(("cross-origin-resource-policy", "cross-origin"))
        .body(content)
}

async fn take(
    request: HttpRequest,
    body: web::Payload,
    endpoint: web::Data<ReportsEndpoint>,
) -> HttpResponse {
    let ReportsEndpoint { core, policy, .. } = &**endpoint;
    let caller = policy.caller(&request);
    if caller.allowed {
        let client = Client::of(caller.address, core.ipv6_prefix);
        let diagnosis = if core.report_limit.admits(client, core.clock.now()) {
            let report = read(body).await;
            let seen = || core.head_requests.saw(client, core.clock.now());
            report.and_then(|report| Diagnosis::parse(&report, seen))
        } else {
            None
        };
        let diagnosis = diagnosis.unwrap_or(Diagnosis::Dropped);
        core.report(&caller.origin, diagnosis, client);
    }
    HttpResponse::NoContent()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

async fn read(body: web::Payload) -> Option<web::Bytes> {
    let body = timeout(PATIENCE, body.to_bytes_limited(MAX_BYTES)).await;
    body.ok()?.ok()?.ok()
}
