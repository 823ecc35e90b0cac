//! A stream in an OpenAPI document: the schema of its events is the `itemSchema` of `text/event-stream`
//! (OpenAPI 3.2). The document is at `/openapi.json`.

use std::{error::Error, time::Duration};

use actix_web::{App, Responder, get, rt, web};
use actix_web_sse::{Event, EventServer, Hub, Subscriber};
use serde::Serialize;
use utoipa::{
    OpenApi, ToSchema,
    openapi::{
        ContentBuilder, HttpMethod, ObjectBuilder, Ref, ResponseBuilder, Type,
        path::OperationBuilder,
    },
};

/// The data of an event named `quote`.
#[derive(Serialize, ToSchema)]
struct Quote {
    symbol: &'static str,
    cents: u64,
}

#[derive(OpenApi)]
#[openapi(components(schemas(Quote)))]
struct Api;

fn document() -> utoipa::openapi::OpenApi {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let data = text()
        .content_media_type("application/json")
        .content_schema(Some(Ref::from_schema_name("Quote")));
    let event = ObjectBuilder::new()
        .property("event", text().enum_values(Some(["quote"])))
        .property("data", data)
        .required("data");
    let stream = ContentBuilder::new().item_schema(Some(event)).build();
    let response = ResponseBuilder::new().content("text/event-stream", stream);
    let quotes = OperationBuilder::new().response("200", response);
    let mut api = Api::openapi();
    let get = vec![HttpMethod::Get];
    api.paths.add_path_operation("/quotes", get, quotes);
    api
}

#[get("/openapi.json")]
async fn schema() -> impl Responder {
    web::Json(document())
}

#[get("/quotes")]
async fn events(hub: Hub, subscriber: Subscriber) -> impl Responder {
    hub.subscribe("quotes", subscriber)
}

async fn publish(hub: Hub) -> Result<(), Box<dyn Error>> {
    loop {
        let (symbol, cents) = ("ACME", 100);
        let event = Event::json(&Quote { symbol, cents })?.name("quote")?;
        hub.publish("quotes", event)?;
        rt::time::sleep(Duration::from_millis(200)).await;
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hub = Hub::builder().build()?;
    rt::spawn(publish(hub.clone()));
    let streams = hub.clone();
    EventServer::new(move || {
        let app = App::new().app_data(streams.clone());
        app.service(events).service(schema)
    })
    .hub(&hub)
    .bind(std::env::var("LISTEN").unwrap_or("127.0.0.1:8080".to_owned()))?
    .run()
    .await?;
    Ok(())
}
