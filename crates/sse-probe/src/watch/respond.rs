//! The exporter's own replies.

use std::{collections::HashMap, convert::Infallible, sync::Arc, time::Duration};

use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use prometheus::{Registry, TextEncoder};
use url::form_urlencoded;

use super::{Probed, State, rounds::probe};
use crate::report::{register, register_round};

/// How long a probe may take if Prometheus does not say.
const LIMIT: Duration = Duration::from_secs(60);

/// What a reply needs of the time that Prometheus waits.
const MARGIN: Duration = Duration::from_millis(500);

type Reply = Response<Full<Bytes>>;

pub(super) async fn respond(
    state: Arc<State>,
    request: Request<Incoming>,
) -> Result<Reply, Infallible> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(text(
            StatusCode::METHOD_NOT_ALLOWED,
            "GET or HEAD\n".to_owned(),
        ));
    }
    Ok(match request.uri().path() {
        "/metrics" => metrics(static_targets(&state)),
        "/probe" => {
            on_demand(
                &state,
                request.uri().query().unwrap_or_default(),
                request.headers(),
            )
            .await
        }
        "/-/healthy" => text(StatusCode::OK, "healthy\n".to_owned()),
        "/" => text(
            StatusCode::OK,
            "sse-probe: /metrics, /probe?target=URL&module=NAME, /-/healthy\n".to_owned(),
        ),
        _ => text(StatusCode::NOT_FOUND, "not here\n".to_owned()),
    })
}

fn static_targets(state: &State) -> Result<Registry, prometheus::Error> {
    let registry = Registry::new();
    let results = state.results().clone();
    for (target, result) in state.config.targets.iter().zip(results) {
        let Some(result) = result else {
            continue;
        };
        let labels = HashMap::from([("instance".to_owned(), target.instance())]);
        add(&registry, &labels, &result)?;
        register_round(&registry, &labels, result.at, state.config.interval)?;
    }
    Ok(registry)
}

async fn on_demand(state: &State, query: &str, headers: &HeaderMap) -> Reply {
    let parameter = |name: &str| {
        form_urlencoded::parse(query.as_bytes())
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.into_owned())
    };
    let Some(target) = parameter("target") else {
        return text(
            StatusCode::BAD_REQUEST,
            "the parameter `target` is missing\n".to_owned(),
        );
    };
    let name = parameter("module").unwrap_or_else(|| "default".to_owned());
    let Some(module) = state.config.modules.get(&name) else {
        return text(
            StatusCode::BAD_REQUEST,
            "there is no such module\n".to_owned(),
        );
    };
    if let Err(why) = module.allows(&target) {
        return text(StatusCode::BAD_REQUEST, format!("{why}\n"));
    }
    let Ok(_permit) = state.probes.try_acquire() else {
        let mut busy = text(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many probes are under way\n".to_owned(),
        );
        busy.headers_mut().insert(header::RETRY_AFTER, 5.into());
        return busy;
    };
    let limit = headers
        .get("x-prometheus-scrape-timeout-seconds")
        .and_then(|v| v.to_str().ok()?.parse().ok())
        .and_then(|s| Duration::try_from_secs_f64(s).ok())
        .map_or(LIMIT, |t| t.saturating_sub(MARGIN).min(LIMIT));
    let result = probe(module, &target, limit).await;
    let registry = Registry::new();
    metrics(add(&registry, &HashMap::new(), &result).map(|()| registry))
}

fn add(
    registry: &Registry,
    labels: &HashMap<String, String>,
    result: &Probed,
) -> Result<(), prometheus::Error> {
    register(
        registry,
        labels,
        (&result.result).into(),
        result.success,
        result.took,
    )
}

fn metrics(registry: Result<Registry, prometheus::Error>) -> Reply {
    let body = registry.and_then(|r| TextEncoder::new().encode_to_string(&r.gather()));
    match body {
        Ok(body) => text(StatusCode::OK, body),
        Err(why) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n")),
    }
}

fn text(status: StatusCode, body: String) -> Reply {
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
        headers.insert(name, http::HeaderValue::from_static(value));
    }
    reply
}
