//! A hub, a stream and a publisher.

use std::{error::Error, time::Duration};

use actix_web::{App, Responder, get, rt};
use actix_web_sse::{Event, EventServer, Hub, Subscriber};

#[get("/events")]
async fn events(hub: Hub, subscriber: Subscriber) -> impl Responder {
    hub.subscribe("ticks", subscriber)
}

async fn publish(hub: Hub) {
    for tick in 0_u64.. {
        if let Err(error) = hub.publish("ticks", Event::data(tick.to_string())) {
            eprintln!("{error}");
        }
        rt::time::sleep(Duration::from_millis(200)).await;
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hub = Hub::builder().build()?;
    rt::spawn(publish(hub.clone()));
    let streams = hub.clone();
    EventServer::new(move || App::new().app_data(streams.clone()).service(events))
        .hub(&hub)
        .bind(std::env::var("LISTEN").unwrap_or("127.0.0.1:8080".to_owned()))?
        .run()
        .await?;
    Ok(())
}
