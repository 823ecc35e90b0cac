//! A stream whose opens, ends and publications are traced: spans by OTLP to a collector, exemplars at
//! `/metrics`, and trace IDs in the log.

use std::error::Error;

use actix_web::{App, HttpResponse, Responder, get, post, web};
use actix_web_sse::{Event, EventServer, Hub, Subscriber};
use actix_web_sse_metrics::{
    Metrics,
    log::{self, FieldNames},
    spans::{self, ServerSpan, Spans},
    trace::TraceSource,
};
use opentelemetry::{global, trace::TracerProvider as _};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing_actix_web::TracingLogger;
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    prelude::*,
};

#[get("/events/{topic}")]
async fn events(hub: Hub, subscriber: Subscriber, topic: web::Path<String>) -> impl Responder {
    hub.subscribe(topic.into_inner(), subscriber)
}

#[post("/publish/{topic}")]
async fn publish(hub: Hub, topic: web::Path<String>, text: String) -> impl Responder {
    match hub.publish(&topic, Event::data(text)) {
        Ok(_) => HttpResponse::NoContent().finish(),
        Err(error) => HttpResponse::BadRequest().body(error.to_string()),
    }
}

/// Sends spans to `OTEL_EXPORTER_OTLP_ENDPOINT`, or to a collector on this machine. `OTEL_TRACES_SAMPLER`
/// chooses which; by default those that a gateway samples, and all that have no `traceparent`.
fn provider() -> Result<SdkTracerProvider, Box<dyn Error>> {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .build()?;
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter) // on a thread of its own; when its queue is full, spans are dropped
        .with_resource(Resource::builder().with_service_name("streams").build())
        .build())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let provider = provider()?;
    // Continues the trace that a request names: leave it out where no gateway sets `traceparent`.
    global::set_text_map_propagator(TraceContextPropagator::new());
    let metrics = Metrics::builder()
        .route("/events/{topic}")
        .traces(TraceSource::opentelemetry())
        .build()?;
    let (lines, _lines) = metrics.json_layer(std::io::stdout());
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("streams"));
    let exported = Targets::new().with_target(spans::TARGET, LevelFilter::DEBUG);
    tracing_subscriber::registry()
        .with(layer.with_filter(exported))
        .with(lines.with_filter(Targets::new().with_target(log::TARGET, LevelFilter::INFO)))
        .init();

    let log = metrics.log().names(FieldNames::OpenTelemetry).build();
    let spans = Spans::new(TraceSource::opentelemetry());
    let observer = ((metrics.observer(), log), spans);
    let hub = Hub::builder().observer(observer).build()?;
    let streams = hub.clone();
    EventServer::new(move || {
        App::new()
            .app_data(streams.clone())
            .service(events)
            .service(publish)
            .service(metrics.endpoint("/metrics"))
            .wrap(TracingLogger::<ServerSpan>::new())
    })
    .hub(&hub)
    .bind(std::env::var("LISTEN").unwrap_or("127.0.0.1:8080".to_owned()))?
    .run()
    .await?;
    provider.shutdown()?; // sends what is waiting
    Ok(())
}
