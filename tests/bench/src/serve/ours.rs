use std::error::Error;

use actix_web::{App, HttpResponse, HttpServer, Responder, rt, web};
use actix_web_sse::{
    Event, ForEventStreams as _, Hub, PublishError, Subscriber, config::StreamConfig,
};

use super::{Batch, DATA, foreign::Foreign};
use crate::contestant::Settings;

const TOPIC: &str = "bench";

fn publish(hub: &Hub) -> Result<(), PublishError> {
    hub.publish(TOPIC, Event::data(DATA)).map(drop)
}

async fn events(hub: Hub, subscriber: Subscriber) -> impl Responder {
    hub.subscribe(TOPIC, subscriber)
}

async fn publish_batch(hub: Hub, batch: web::Query<Batch>) -> HttpResponse {
    match (0..batch.n).try_for_each(|_| publish(&hub)) {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

async fn publish_foreign(foreign: web::Data<Foreign>) -> HttpResponse {
    foreign.publish();
    HttpResponse::NoContent().finish()
}

async fn report_foreign(foreign: web::Data<Foreign>) -> String {
    foreign.report()
}

pub(super) fn serve(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let mut stream = StreamConfig::default();
    stream.heartbeat = settings.heartbeat();
    let hub = Hub::builder().stream(stream).build()?;
    let foreign = {
        let hub = hub.clone();
        web::Data::new(Foreign::new(move || {
            if let Err(error) = publish(&hub) {
                eprintln!("not published: {error}");
            }
        }))
    };
    let listen = settings.listen;
    rt::System::new().block_on(async move {
        let application = {
            let hub = hub.clone();
            move || {
                App::new()
                    .app_data(hub.clone())
                    .app_data(foreign.clone())
                    .route("/events", web::get().to(events))
                    .route("/publish", web::post().to(publish_batch))
                    .route("/foreign", web::post().to(publish_foreign))
                    .route("/foreign", web::get().to(report_foreign))
            }
        };
        HttpServer::new(application)
            .workers(1)
            .for_event_streams(&hub)
            .bind(listen)?
            .run()
            .await
    })?;
    Ok(())
}
