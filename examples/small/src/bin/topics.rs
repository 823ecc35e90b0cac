//! Several topics in one stream: `GET /events?topics=orders/7,news`. One `Last-Event-ID` places a
//! client in all of them. Names come from clients: the hub knows which there are.

use std::error::Error;

use actix_web::{App, HttpResponse, Responder, ResponseError as _, get, post, web};
use actix_web_sse::{Event, EventServer, Hub, Subscriber, TopicPattern};
use serde::Deserialize;

#[derive(Deserialize)]
struct Topics {
    topics: String,
}

#[get("/events")]
async fn events(hub: Hub, subscriber: Subscriber, query: web::Query<Topics>) -> impl Responder {
    let topics = query.topics.split(',').map(str::to_owned);
    hub.subscribe(topics.collect::<Vec<_>>(), subscriber)
}

/// `curl -d 'shipped' http://127.0.0.1:8080/publish/orders/7`
#[post("/publish/{topic:.*}")]
async fn publish(hub: Hub, topic: web::Path<String>, body: String) -> HttpResponse {
    match hub.publish(&topic, Event::data(body)) {
        Ok(_) => HttpResponse::NoContent().finish(),
        Err(error) => error.error_response(),
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let known = ["orders/*", "news"].map(TopicPattern::from);
    let hub = Hub::builder()
        .topics(move |topic| known.iter().any(|pattern| pattern.matches(topic)))
        .build()?;
    let streams = hub.clone();
    EventServer::new(move || {
        App::new()
            .app_data(streams.clone())
            .service(events)
            .service(publish)
    })
    .hub(&hub)
    .bind(std::env::var("LISTEN").unwrap_or("127.0.0.1:8080".to_owned()))?
    .run()
    .await?;
    Ok(())
}
