//! One of several processes that share all topics by a Redis: start it twice, with another `LISTEN`
//! and the same `REDIS`. Behind a balancer a client may come back to either, with one `Last-Event-ID`.

use std::error::Error;

use actix_web::{App, HttpResponse, Responder, ResponseError as _, get, post, web};
use actix_web_sse::{Event, EventServer, Hub, Subscriber};
use actix_web_sse_redis::{RedisBackplane, RedisConfig};

#[get("/events/{topic}")]
async fn events(hub: Hub, subscriber: Subscriber, topic: web::Path<String>) -> impl Responder {
    hub.subscribe(topic.into_inner(), subscriber)
}

/// `curl -d 'hello' http://127.0.0.1:8080/publish/news`
#[post("/publish/{topic}")]
async fn publish(hub: Hub, topic: web::Path<String>, body: String) -> HttpResponse {
    match hub.publish_shared(&topic, Event::data(body)).await {
        Ok(_) => HttpResponse::NoContent().finish(),
        Err(error) => error.error_response(),
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let redis = std::env::var("REDIS").unwrap_or("redis://127.0.0.1:6379".to_owned());
    let backplane = RedisBackplane::connect(RedisConfig::at(redis))?;
    let hub = Hub::builder().backplane(backplane).build()?;
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
