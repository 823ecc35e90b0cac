//! `actix_web_lab::sse` on tokio's broadcast channel, with the server settings that make it as
//! quick as it gets: nodelay, and publishing on the worker's own thread.

use std::{
    error::Error,
    sync::atomic::{AtomicU64, Ordering},
};

use actix_web::{App, HttpResponse, HttpServer, Responder, rt, web};
use actix_web_lab::sse;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;

use super::{Batch, DATA, foreign::Foreign, id};
use crate::contestant::Settings;

#[derive(Debug)]
struct Channel {
    sender: broadcast::Sender<sse::Event>,
    count: AtomicU64,
}

impl Channel {
    fn publish(&self) {
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let event = sse::Data::new(DATA).id(id(number));
        // Nobody listens: nobody misses it.
        let _ = self.sender.send(event.into());
    }
}

async fn events(channel: web::Data<Channel>, settings: web::Data<Settings>) -> impl Responder {
    sse::Sse::from_stream(BroadcastStream::new(channel.sender.subscribe()))
        .with_keep_alive(settings.heartbeat())
}

async fn publish_batch(channel: web::Data<Channel>, batch: web::Query<Batch>) -> HttpResponse {
    (0..batch.n).for_each(|_| channel.publish());
    HttpResponse::NoContent().finish()
}

async fn publish_foreign(foreign: web::Data<Foreign>) -> HttpResponse {
    foreign.publish();
    HttpResponse::NoContent().finish()
}

async fn report_foreign(foreign: web::Data<Foreign>) -> String {
    foreign.report()
}

pub(super) fn serve(settings: &Settings) -> Result<(), Box<dyn Error>> {
    let channel = web::Data::new(Channel {
        sender: broadcast::channel(1024).0,
        count: AtomicU64::new(0),
    });
    let foreign = {
        let channel = channel.clone();
        web::Data::new(Foreign::new(move || channel.publish()))
    };
    let listen = settings.listen;
    let settings = web::Data::new(settings.clone());
    rt::System::new().block_on(async move {
        let application = move || {
            App::new()
                .app_data(channel.clone())
                .app_data(settings.clone())
                .app_data(foreign.clone())
                .route("/events", web::get().to(events))
                .route("/publish", web::post().to(publish_batch))
                .route("/foreign", web::post().to(publish_foreign))
                .route("/foreign", web::get().to(report_foreign))
        };
        HttpServer::new(application)
            .workers(1)
            .tcp_nodelay(true)
            .max_connections(100_000)
            .backlog(4096)
            .bind(listen)?
            .run()
            .await
    })?;
    Ok(())
}
