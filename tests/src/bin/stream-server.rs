//! A server with a hub and nothing in front of it: what the client tests cut, drain and restart.
//!
//! `stream-server ADDRESS [CONFIG]`, where CONFIG is TOML with the sections `[hub]` and
//! `[stream]`. It serves `GET /events?topic=T`, `POST /publish?topic=T` (the body is the data;
//! answers the event's ID), `GET /subscribers?topic=T`, and prints a line when it listens.

use std::{error::Error, net::SocketAddr};

use actix_web::{App, HttpResponse, HttpServer, Responder, get, post, web};
use actix_web_sse::{
    Event, ForEventStreams, Hub, Subscriber,
    config::{HubConfig, StreamConfig},
};
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    hub: HubConfig,
    stream: StreamConfig,
}

#[derive(Debug, Deserialize)]
struct Topic {
    topic: String,
}

#[get("/events")]
async fn events(hub: Hub, topic: web::Query<Topic>, subscriber: Subscriber) -> impl Responder {
    hub.subscribe(topic.into_inner().topic, subscriber)
}

#[post("/publish")]
async fn publish(hub: Hub, topic: web::Query<Topic>, data: String) -> HttpResponse {
    match hub.publish(&topic.topic, Event::data(data)) {
        Ok(published) => HttpResponse::Ok().body(published.id.unwrap_or_default()),
        Err(error) => HttpResponse::BadRequest().body(error.to_string()),
    }
}

#[get("/subscribers")]
async fn subscribers(hub: Hub, topic: web::Query<Topic>) -> String {
    hub.subscribers(&topic.topic).to_string()
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address: SocketAddr = arguments.next().ok_or("which address?")?.parse()?;
    let config: Config = match arguments.next() {
        Some(config) => toml::from_str(&config)?,
        None => Config::default(),
    };
    let hub = Hub::builder()
        .config(config.hub)
        .stream(config.stream)
        .build()?;
    let app_hub = hub.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(app_hub.clone())
            .service(events)
            .service(publish)
            .service(subscribers)
    })
    .workers(2)
    .for_event_streams(&hub)
    .bind(address)?;
    println!("listening on http://{address}");
    server.run().await?;
    Ok(())
}
