//! The state first, then what changes it, each change exactly once: a client needs no second request
//! for the state, and compares no versions.

use std::{
    collections::BTreeMap,
    error::Error,
    sync::{Mutex, MutexGuard, PoisonError},
};

use actix_web::{App, HttpResponse, Responder, get, put, web};
use actix_web_sse::{Event, EventServer, Hub, Snapshot, Subscriber};

/// How many there are of each article.
#[derive(Default)]
struct Stock(Mutex<BTreeMap<String, u32>>);

impl Stock {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[get("/stock")]
async fn events(hub: Hub, subscriber: Subscriber, stock: web::Data<Stock>) -> impl Responder {
    let now = hub.clone();
    hub.subscribe("stock", subscriber)
        .snapshot(async move |_at| {
            let stock = stock.lock();
            let all = Event::json(&*stock)?.name("stock")?;
            // Under the lock: nobody changes the stock between this look at it and the position.
            Ok::<_, actix_web_sse::EventError>(Snapshot::of(all).at(now.position()))
        })
}

/// `curl -X PUT http://127.0.0.1:8080/stock/pears/12`
#[put("/stock/{article}/{count}")]
async fn set(
    hub: Hub,
    stock: web::Data<Stock>,
    path: web::Path<(String, u32)>,
) -> Result<HttpResponse, Box<dyn Error>> {
    let (article, count) = path.into_inner();
    let change = Event::json(&(&article, count))?.name("change")?;
    let mut stock = stock.lock();
    stock.insert(article, count);
    // Under the same lock.
    hub.publish("stock", change)?;
    Ok(HttpResponse::NoContent().finish())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hub = Hub::builder().build()?;
    let streams = hub.clone();
    let shared = web::Data::new(Stock::default());
    EventServer::new(move || {
        App::new()
            .app_data(streams.clone())
            .app_data(shared.clone())
            .service(events)
            .service(set)
    })
    .hub(&hub)
    .bind(std::env::var("LISTEN").unwrap_or("127.0.0.1:8080".to_owned()))?
    .run()
    .await?;
    Ok(())
}
