//! An MCP server over streamable HTTP, whose tools publish events.
//!
//! ```text
//! cargo run --manifest-path examples/mcp/Cargo.toml   # MCP at http://localhost:8070/mcp
//! curl -N 'http://localhost:8070/events?topic=news' -H 'Accept: text/event-stream'
//! ```
//!
//! `rmcp` speaks the protocol, `rmcp-actix-web` mounts it as an actix scope. One policy guards
//! `GET`, `POST` and `DELETE` on its path: a foreign `Origin` gets 403, another method 405, and the
//! limits count its streams. What the tool `publish` publishes reaches every `EventSource`.
//!
//! With `--stateless` there are no sessions, each `POST` is answered in JSON, and the policy answers
//! 405 to `GET` and `DELETE`.

mod tools;

use std::{env, sync::Arc, time::Duration};

use actix_web::{
    App, HttpServer, Responder,
    web::{self, Query, ServiceConfig},
};
use actix_web_sse::{
    ConfigError, ForEventStreams, Hub, Policy, Subscriber, config::Methods, protect::PolicyBuilder,
};
use rmcp_actix_web::transport::{LocalSessionManager, StreamableHttpService};
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::tools::Tools;

const ADDRESS: &str = "127.0.0.1:8070";

/// How many messages of an answer under way `rmcp` keeps for a client that resumes; its default is
/// 16. It says nothing of messages that are gone, and an answer that is complete can be resumed only
/// with an `EventStore`.
const RESUMABLE: usize = 256;

/// After how much time a client comes back.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Debug, Deserialize)]
struct Topic {
    topic: String,
}

async fn events(hub: Hub, topic: Query<Topic>, subscriber: Subscriber) -> impl Responder {
    hub.subscribe(&topic.topic, subscriber)
}

/// Whether the server keeps sessions, or answers each request on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Sessions,
    Stateless,
}

/// Both policies: these names only, and no page of another origin.
fn policy() -> PolicyBuilder {
    Policy::builder().host("localhost").host("127.0.0.1")
}

/// The server's side of MCP. One for all workers, because sessions are in its memory.
fn service(hub: &Hub, stop: &CancellationToken, mode: Mode) -> StreamableHttpService<Tools> {
    let hub = hub.clone();
    let mut sessions = LocalSessionManager::default();
    sessions.session_config.channel_capacity = RESUMABLE;
    sessions.session_config.sse_retry = Some(RETRY);
    StreamableHttpService::builder()
        .service_factory(Arc::new(move || Ok(Tools::new(hub.clone()))))
        .session_manager(Arc::new(sessions))
        .sse_retry(RETRY)
        .stateful_mode(mode == Mode::Sessions)
        .json_response(mode == Mode::Stateless)
        .cancellation_token(stop.clone())
        .build()
}

/// What each worker serves.
fn routes(
    hub: &Hub,
    stop: &CancellationToken,
    mode: Mode,
) -> Result<impl Fn(&mut ServiceConfig) + Clone + Send + use<>, ConfigError> {
    let streams = policy().build()?;
    let methods = match mode {
        Mode::Sessions => Methods::Mcp,
        Mode::Stateless => Methods::Post,
    };
    let guard = policy().methods(methods).build()?;
    let service = service(hub, stop, mode);
    let hub = hub.clone();
    Ok(move |config: &mut ServiceConfig| {
        config
            .app_data(hub.clone())
            .service(
                web::resource("/events")
                    .wrap(streams.clone())
                    .route(web::get().to(events)),
            )
            .service(service.clone().scope_with_path("/mcp").wrap(guard.clone()));
    })
}

/// Until the process is to stop. The hub ends its own streams; MCP's end with their sessions.
async fn stopped(hub: Hub, stop: CancellationToken) {
    let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    if let [Ok(mut terminate), Ok(mut interrupt)] = signals {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
    stop.cancel();
    hub.drain().await;
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (stateless, address): (Vec<_>, Vec<_>) =
        env::args().skip(1).partition(|arg| arg == "--stateless");
    let address = address.first().map_or(ADDRESS, String::as_str);
    let mode = if stateless.is_empty() {
        Mode::Sessions
    } else {
        Mode::Stateless
    };
    let hub = Hub::builder().build()?;
    let stop = CancellationToken::new();
    let routes = routes(&hub, &stop, mode)?;
    let server = HttpServer::new(move || App::new().configure(routes.clone()))
        .for_event_streams(&hub)
        .shutdown_signal(stopped(hub, stop))
        .bind(address)?;
    for address in server.addrs() {
        println!("mcp       http://{address}/mcp");
    }
    server.run().await?;
    Ok(())
}
