//! A server with a hub and nothing in front of it: what the client tests cut, drain and restart.
//!
//! `stream-server ADDRESS [CONFIG [FRONT]]`, where CONFIG is TOML with the sections `[hub]` and
//! `[stream]`, and FRONT is `http-server` (the default) or `event-server`. It serves
//! `GET /events?topic=T` (also as `POST`, whose body nobody reads), `GET /slow` (answers after ten
//! seconds), `POST /publish?topic=T` (the body is the data; answers the event's ID),
//! `GET /subscribers?topic=T`, `GET /closed?topic=REASON` (how many streams have ended so), and
//! prints a line when it listens.

use std::{error::Error, net::SocketAddr, time::Duration};

use actix_web::{App, HttpResponse, HttpServer, Responder, get, post, web};
use actix_web_sse::{
    Event, EventServer, ForEventStreams, Hub, Subscriber,
    config::{HubConfig, StreamConfig},
};
use actix_web_sse_tests::Account;
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

#[post("/events")]
async fn answer(hub: Hub, topic: web::Query<Topic>, subscriber: Subscriber) -> impl Responder {
    hub.subscribe(topic.into_inner().topic, subscriber)
}

#[get("/slow")]
async fn slow() -> &'static str {
    tokio::time::sleep(Duration::from_secs(10)).await;
    "at last"
}

#[get("/closed")]
async fn closed(account: web::Data<Account>, reason: web::Query<Topic>) -> String {
    let closed = account.closed();
    let count = closed.get(reason.topic.as_str()).copied();
    count.unwrap_or_default().to_string()
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address: SocketAddr = arguments.next().ok_or("which address?")?.parse()?;
    let config: Config = match arguments.next() {
        Some(config) => toml::from_str(&config)?,
        None => Config::default(),
    };
    let account = Account::default();
    let hub = Hub::builder()
        .config(config.hub)
        .stream(config.stream)
        .observer(account.clone())
        .build()?;
    let app_hub = hub.clone();
    let application = move || {
        App::new()
            .app_data(app_hub.clone())
            .app_data(web::Data::new(account.clone()))
            .service(events)
            .service(answer)
            .service(slow)
            .service(publish)
            .service(subscribers)
            .service(closed)
    };
    let server = match arguments.next().as_deref() {
        None | Some("http-server") => HttpServer::new(application)
            .workers(2)
            .for_event_streams(&hub)
            .bind(address)?
            .run(),
        Some(lane @ ("event-server" | "body-lane")) => EventServer::new(application)
            .workers(2)
            .socket_lane(lane == "event-server")
            .hub(&hub)
            .bind(address)?
            .run(),
        Some(other) => return Err(format!("{other} is no front").into()),
    };
    println!("listening on http://{address}");
    server.await?;
    Ok(())
}
