//! The exporter's own replies.

use std::{collections::HashMap, convert::Infallible, fmt::Write as _, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use prometheus::{Gauge, Opts, Registry, TextEncoder};
use tokio::time::{Instant, timeout_at};
use url::form_urlencoded;

use super::{
    State, lock, pages,
    probes::{Probed, probe},
    unix,
};
use crate::report::{human, register};

/// How long a probe may take if Prometheus does not say.
const LIMIT: Duration = Duration::from_secs(120);

/// What a reply needs of the time that Prometheus waits.
const MARGIN: Duration = Duration::from_millis(500);

pub(super) type Reply = Response<Full<Bytes>>;

pub(super) async fn respond(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Reply, Infallible> {
    let path = request.uri().path();
    if path != "/-/healthy" && !state.web().admits(request.headers()).await {
        return Ok(unauthorized());
    }
    let method = request.method();
    if path == "/-/reload" {
        return Ok(match *method {
            Method::POST | Method::PUT => reload(&state),
            _ => text(StatusCode::METHOD_NOT_ALLOWED, "POST or PUT\n".to_owned()),
        });
    }
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Ok(text(
            StatusCode::METHOD_NOT_ALLOWED,
            "GET or HEAD\n".to_owned(),
        ));
    }
    let query = request.uri().query().unwrap_or_default();
    Ok(match path {
        "/metrics" => metrics(&state),
        "/probe" => on_demand(&state, query, request.headers()).await,
        "/logs" => log(&state, query),
        "/-/healthy" => text(StatusCode::OK, "healthy\n".to_owned()),
        "/" => pages::html(pages::last_probes(&lock(&state.history))),
        _ => text(StatusCode::NOT_FOUND, "not here\n".to_owned()),
    })
}

fn reload(state: &State) -> Reply {
    match state.reload() {
        Ok(()) => text(StatusCode::OK, "reloaded\n".to_owned()),
        Err(why) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n")),
    }
}

/// The last result of each static target, and the exporter's own metrics.
fn metrics(state: &State) -> Reply {
    let registry = Registry::new();
    let interval = state.loaded().config.interval;
    let results = lock(&state.results).clone();
    for (instance, probed) in results {
        let labels = HashMap::from([("instance".to_owned(), instance)]);
        // One result that cannot be registered must not hide the others.
        let added = add(&registry, &labels, &probed)
            .and_then(|()| add_interval(&registry, &labels, interval));
        if let Err(why) = added {
            tracing::error!(id = probed.id, error = %why, "a result was left out of /metrics");
        }
    }
    let mut families = state.own.registry.gather();
    families.extend(registry.gather());
    match TextEncoder::new().encode_to_string(&families) {
        Ok(body) => text(StatusCode::OK, body),
        Err(why) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n")),
    }
}

async fn on_demand(state: &State, query: &str, headers: &HeaderMap) -> Reply {
    let begun = Instant::now();
    let bad = |why: String| text(StatusCode::BAD_REQUEST, format!("{why}\n"));
    let Some(target) = parameter(query, "target") else {
        return bad("the parameter `target` is missing".to_owned());
    };
    let name = parameter(query, "module").unwrap_or_else(|| "default".to_owned());
    let loaded = state.loaded();
    let Some(module) = loaded.module(&name) else {
        return bad("there is no such module".to_owned());
    };
    if let Err(why) = module.options.allows(&target) {
        return bad(why);
    }
    let asked = headers
        .get("x-prometheus-scrape-timeout-seconds")
        .and_then(|v| v.to_str().ok()?.parse().ok())
        .and_then(|s| Duration::try_from_secs_f64(s).ok());
    let limit = asked.map_or(LIMIT, |t| t.saturating_sub(MARGIN).min(LIMIT));
    let end = begun + limit;
    // Waits for its turn as long as the scraper does.
    let Ok(Ok(_permit)) = timeout_at(end, state.on_demand.acquire()).await else {
        let mut busy = text(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many probes are under way; raise `probe_concurrency`\n".to_owned(),
        );
        busy.headers_mut().insert(header::RETRY_AFTER, 5.into());
        return busy;
    };
    let left = end.saturating_duration_since(Instant::now());
    let probed = Arc::new(probe(module, &target, left).await);
    state.keep(&probed);
    let registry = Registry::new();
    let body = add(&registry, &HashMap::new(), &probed)
        .and_then(|()| TextEncoder::new().encode_to_string(&registry.gather()));
    match body {
        Ok(body) if parameter(query, "debug").as_deref() == Some("true") => {
            let report = described(&probed);
            text(StatusCode::OK, format!("{report}\nMetrics:\n{body}"))
        }
        Ok(body) => text(StatusCode::OK, body),
        Err(why) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n")),
    }
}

/// One of the last probes, in full.
fn log(state: &State, query: &str) -> Reply {
    let id = parameter(query, "id").and_then(|id| id.parse::<u64>().ok());
    let found = lock(&state.history)
        .iter()
        .find(|p| Some(p.id) == id)
        .cloned();
    match found {
        Some(probed) => text(StatusCode::OK, described(&probed)),
        None => text(
            StatusCode::NOT_FOUND,
            "that probe is not among the last ones\n".to_owned(),
        ),
    }
}

/// A probe as a person reads it.
pub(super) fn described(probed: &Probed) -> String {
    let mut out = format!(
        "Probe {} of {} by module {}, at {}, in {}\n",
        probed.id,
        probed.url,
        probed.module,
        humantime::format_rfc3339_seconds(probed.at),
        humantime::format_duration(Duration::from_millis(
            u64::try_from(probed.took.as_millis()).unwrap_or(u64::MAX)
        )),
    );
    if let Some((reason, why)) = probed.failure() {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "failed, {reason}: {why}");
    }
    if let Ok(report) = &probed.checked {
        let text = human(report, probed.profile, &report.software);
        let _ = write!(out, "{}", anstream::adapter::strip_str(&text));
    }
    out
}

fn parameter(query: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(n, _)| n == name)
        .map(|(_, v)| v.into_owned())
}

fn add(
    registry: &Registry,
    labels: &HashMap<String, String>,
    probed: &Probed,
) -> Result<(), prometheus::Error> {
    let last = Gauge::with_opts(
        Opts::new(
            "probe_sse_last_run_timestamp_seconds",
            "When the probe began, in Unix time.",
        )
        .const_labels(labels.clone()),
    )?;
    last.set(unix(probed.at));
    registry.register(Box::new(last))?;
    register(
        registry,
        labels,
        &probed.checked,
        probed.profile,
        probed.took,
    )
}

/// How often a target is probed that is probed by itself: what is older by far was not probed.
fn add_interval(
    registry: &Registry,
    labels: &HashMap<String, String>,
    interval: Duration,
) -> Result<(), prometheus::Error> {
    let gauge = Gauge::with_opts(
        Opts::new(
            "probe_sse_interval_seconds",
            "How often sse-probe probes this target by itself.",
        )
        .const_labels(labels.clone()),
    )?;
    gauge.set(interval.as_secs_f64());
    registry.register(Box::new(gauge))
}

fn unauthorized() -> Reply {
    let mut reply = text(
        StatusCode::UNAUTHORIZED,
        "credentials are needed\n".to_owned(),
    );
    reply.headers_mut().insert(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Basic realm=\"sse-probe\", charset=\"UTF-8\""),
    );
    reply
}

pub(super) fn text(status: StatusCode, body: String) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    for (name, value) in [
        (
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        ),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    reply
}
