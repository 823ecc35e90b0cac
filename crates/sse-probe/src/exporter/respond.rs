//! The exporter's own replies.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use humantime::{format_duration, format_rfc3339_seconds};
use hyper::body::{Bytes, Incoming};
use prometheus::{core::Collector as _, process_collector::ProcessCollector};
use tokio::time::{Instant, timeout_at};
use url::form_urlencoded;

use super::{Probed, State, lock};
use crate::{
    http::AttemptError,
    report::{Metrics, failure, flag, human, plain, unix},
};

/// How long a probe may take if Prometheus does not say.
const LIMIT: Duration = Duration::from_secs(120);

/// What a reply needs of the time that Prometheus waits.
const MARGIN: Duration = Duration::from_millis(500);

const STYLE: &str = "body{font:14px/1.4 system-ui,sans-serif;margin:2em}table{border-collapse:collapse}\
    th,td{text-align:left;padding:.25em 1em .25em 0;border-bottom:1px solid #ddd;vertical-align:top}\
    .failed{color:#b00020;font-weight:600}.good{color:#1b6e20}";

#[rustfmt::skip]
mod names {
    use crate::report::Name;

    pub(super) const RELOADED: Name = ("sse_probe_config_last_reload_successful", "1 if the configuration was read the last time that it was tried.");
    pub(super) const RELOAD_TIME: Name = ("sse_probe_config_last_reload_success_timestamp_seconds", "When the configuration was read the last time, in Unix time.");
    pub(super) const INTERVAL: Name = ("probe_sse_interval_seconds", "How often sse-probe probes this target by itself.");
    pub(super) const LAST_RUN: Name = ("probe_sse_last_run_timestamp_seconds", "When the probe began, in Unix time.");
}

type Reply = Response<Full<Bytes>>;

/// A reply, or the status and the text of a refusal.
type Answer = Result<Reply, (StatusCode, String)>;

pub(super) async fn respond(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Reply, Infallible> {
    let answered = answer(&state, &request).await;
    Ok(answered.unwrap_or_else(|(status, why)| {
        let mut reply = text(format!("{why}\n"));
        *reply.status_mut() = status;
        match status {
            StatusCode::UNAUTHORIZED => {
                let challenge = "Basic realm=\"sse-probe\", charset=\"UTF-8\"";
                set(&mut reply, header::WWW_AUTHENTICATE, challenge);
            }
            StatusCode::SERVICE_UNAVAILABLE => set(&mut reply, header::RETRY_AFTER, "5"),
            _ => {}
        }
        reply
    }))
}

async fn answer(state: &State, request: &Request<Incoming>) -> Answer {
    let (method, path) = (request.method(), request.uri().path());
    if path != "/-/healthy" && !state.web().admits(request.headers()).await {
        let why = "credentials are needed".to_owned();
        return Err((StatusCode::UNAUTHORIZED, why));
    }
    let (methods, allowed) = match path {
        "/-/reload" => ([Method::POST, Method::PUT], "POST or PUT"),
        _ => ([Method::GET, Method::HEAD], "GET or HEAD"),
    };
    if !methods.contains(method) {
        return Err((StatusCode::METHOD_NOT_ALLOWED, allowed.to_owned()));
    }
    let query = request.uri().query().unwrap_or_default();
    match path {
        "/metrics" => metrics(state),
        "/probe" => on_demand(state, query, request.headers()).await,
        "/logs" => log(state, query),
        "/" => Ok(last_probes(state)),
        "/-/healthy" => Ok(text("healthy\n".to_owned())),
        "/-/reload" => {
            let reloaded = state.reload().map(|()| "reloaded\n".to_owned());
            encoded(reloaded).map(text)
        }
        _ => Err((StatusCode::NOT_FOUND, "not here".to_owned())),
    }
}

/// The last result of each static target, and the exporter's own metrics.
fn metrics(state: &State) -> Answer {
    let mut metrics = Metrics::default();
    let (succeeded, at) = *lock(&state.reloaded);
    metrics.set_build_info();
    metrics.set(names::RELOADED, &[], flag(succeeded));
    metrics.set(names::RELOAD_TIME, &[], unix(at));
    let interval = state.setup().config.interval.as_secs_f64();
    for (instance, probed) in &*lock(&state.results) {
        metrics.of_instance(instance);
        add(&mut metrics, probed);
        // What is older by far was not probed.
        metrics.set(names::INTERVAL, &[], interval);
    }
    encoded(metrics.text(ProcessCollector::for_self().collect())).map(text)
}

async fn on_demand(state: &State, query: &str, headers: &HeaderMap) -> Answer {
    let begun = Instant::now();
    let bad = |why: String| (StatusCode::BAD_REQUEST, why);
    let target = parameter(query, "target");
    let target = target.ok_or_else(|| bad("the parameter `target` is missing".to_owned()))?;
    let name = parameter(query, "module").unwrap_or_else(|| "default".to_owned());
    let setup = state.setup();
    let module = setup.config.modules.get_key_value(&name);
    let module = module.ok_or_else(|| bad("there is no such module".to_owned()))?;
    module.1.allows(&target).map_err(bad)?;
    let asked = headers.get("x-prometheus-scrape-timeout-seconds");
    let asked = asked.and_then(|v| v.to_str().ok()?.parse().ok());
    let asked = asked.and_then(|s| Duration::try_from_secs_f64(s).ok());
    let limit = asked.map_or(LIMIT, |t| t.saturating_sub(MARGIN).min(LIMIT));
    let end = begun + limit;
    // Waits for its turn as long as the scraper does.
    let Ok(Ok(_permit)) = timeout_at(end, setup.on_demand.acquire()).await else {
        return Err(busy());
    };
    let left = end.saturating_duration_since(Instant::now());
    let probed = state.probe(module, &target, left).await;
    // What waited for its turn until no time was left says nothing of the target.
    if matches!(probed.checked, Err(AttemptError::OutOfTime)) && left < limit * 3 / 4 {
        return Err(busy());
    }
    let mut metrics = Metrics::default();
    add(&mut metrics, &probed);
    let body = encoded(metrics.text(Vec::new()))?;
    Ok(text(match parameter(query, "debug").as_deref() {
        Some("true") => format!("{}\nMetrics:\n{body}", described(&probed)),
        _ => body,
    }))
}

fn busy() -> (StatusCode, String) {
    let why = "too many probes are under way; raise `probe_concurrency`";
    (StatusCode::SERVICE_UNAVAILABLE, why.to_owned())
}

fn add(metrics: &mut Metrics, probed: &Probed) {
    metrics.set(names::LAST_RUN, &[], unix(probed.at));
    metrics.add(&probed.checked, probed.took);
}

fn encoded(text: Result<String, String>) -> Result<String, (StatusCode, String)> {
    text.map_err(|why| (StatusCode::INTERNAL_SERVER_ERROR, why))
}

/// One of the last probes, in full.
fn log(state: &State, query: &str) -> Answer {
    let id = parameter(query, "id").and_then(|id| id.parse::<u64>().ok());
    let history = lock(&state.history);
    let probed = history.iter().find(|probed| Some(probed.id) == id);
    let missing = || "that probe is not among the last ones".to_owned();
    let probed = probed.ok_or_else(|| (StatusCode::NOT_FOUND, missing()))?;
    Ok(text(described(probed)))
}

/// A probe as a person reads it.
fn described(probed: &Probed) -> String {
    let (id, url, module) = (probed.id, &probed.url, &probed.module);
    let at = format_rfc3339_seconds(probed.at);
    let took = Duration::from_millis(u64::try_from(probed.took.as_millis()).unwrap_or(u64::MAX));
    let took = format_duration(took);
    let mut out = format!("Probe {id} of {url} by module {module}, at {at}, in {took}\n");
    if let Some((reason, why)) = failure(&probed.checked) {
        out.push_str(&format!("failed, {reason}: {why}\n"));
    }
    if let Ok(report) = &probed.checked {
        out.push_str(&plain(&human(report, &report.software)));
    }
    out
}

/// The last probes, the newest first, and why each failed. The page can load nothing.
fn last_probes(state: &State) -> Reply {
    let mut rows = String::new();
    for probed in &*lock(&state.history) {
        let failure = failure(&probed.checked);
        let class = if failure.is_some() { "failed" } else { "good" };
        let (result, why) = failure.unwrap_or(("good", String::new()));
        let (id, took) = (probed.id, probed.took.as_secs_f64());
        let at = format_rfc3339_seconds(probed.at);
        let [url, module, why] = [&probed.url, &probed.module, &why].map(|text| escape(text));
        rows.push_str(&format!(
            "<tr><td><a href=\"/logs?id={id}\">{at}</a></td><td>{url}</td><td>{module}</td><td class=\"{class}\">{result}</td>\
             <td>{took:.1} s</td><td>{why}</td></tr>\n"
        ));
    }
    let version = env!("CARGO_PKG_VERSION");
    let mut reply = text(format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>sse-probe</title><style>{STYLE}</style>\
         <h1>sse-probe {version}</h1><p><a href=\"/metrics\">/metrics</a> · /probe?target=URL&amp;module=NAME&amp;debug=true</p>\
         <table><tr><th>Probe</th><th>Target</th><th>Module</th><th>Result</th><th>Time</th><th>Why</th></tr>\n{rows}</table></html>\n"
    ));
    set(&mut reply, header::CONTENT_TYPE, "text/html; charset=utf-8");
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    set(&mut reply, header::CONTENT_SECURITY_POLICY, policy);
    reply
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('"', "&quot;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    Some(pairs.find(|(n, _)| n == name)?.1.into_owned())
}

fn set(reply: &mut Reply, name: HeaderName, value: &'static str) {
    let value = HeaderValue::from_static(value);
    reply.headers_mut().insert(name, value);
}

fn text(body: String) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(body)));
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    set(&mut reply, header::CONTENT_TYPE, kind);
    set(&mut reply, header::CACHE_CONTROL, "no-store");
    set(&mut reply, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    reply
}
