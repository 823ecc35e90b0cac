//! Behind nginx on the same machine, with the configuration of `examples/proxies/nginx`: the client
//! is who `X-Forwarded-For` says, because nginx is trusted, and the limits count that one.

use std::error::Error;

use actix_web::{App, Responder, get, web};
use actix_web_sse::{Event, EventServer, Hub, Policy, Subscriber};

#[get("/events")]
async fn events(hub: Hub, subscriber: Subscriber) -> impl Responder {
    // In an example, so that there is something to see.
    let address = subscriber
        .address()
        .map_or("?".to_owned(), |it| it.to_string());
    if let Err(error) = hub.publish("visitors", Event::data(address)) {
        eprintln!("{error}");
    }
    hub.subscribe("visitors", subscriber)
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hub = Hub::builder()
        .with(|hub, _| hub.last_value = true)
        .build()?;
    let policy = Policy::builder()
        .trusted_proxy("127.0.0.0/8")
        .host("stream.example.com")
        .allow_origin("https://app.example.com")
        .credentials(true)
        .streams_per_ip(6)
        .build()?;
    let streams = hub.clone();
    EventServer::new(move || {
        App::new()
            .app_data(streams.clone())
            .service(web::scope("").wrap(policy.clone()).service(events))
    })
    .hub(&hub)
    // Nobody else reaches it: what the headers say would be anybody's word.
    .bind(std::env::var("LISTEN").unwrap_or("127.0.0.1:8080".to_owned()))?
    .run()
    .await?;
    Ok(())
}
