//! A page without a script of its own: htmx puts what is published into the document, and comes back by
//! `Last-Event-ID` when the connection breaks.
//!
//! `HTMX` is the folder with htmx's files: `node_modules/htmx.org/dist` after `npm install htmx.org`.

use std::{error::Error, path::PathBuf, time::Duration};

use actix_web::{
    App, HttpResponse, Responder, get,
    http::header::ContentType,
    post,
    web::{self, Html},
};
use actix_web_sse::{Event, EventServer, Hub, Subscriber};

const PAGE: &str = r##"<!doctype html>
<meta charset="utf-8">
<title>Guest book</title>
<script src="/htmx/htmx.js"></script>
<script src="/htmx/ext/hx-sse.js"></script>
<form hx-post="/sign" hx-swap="none"><input name="text" required autofocus></form>
<ul hx-sse:connect="/events" hx-swap="beforeend"></ul>
"##;

#[derive(serde::Deserialize)]
struct Entry {
    text: String,
}

#[get("/")]
async fn page() -> Html {
    Html::new(PAGE)
}

#[get("/htmx/{file:htmx[.]js|ext/hx-sse[.]js}")]
async fn script(folder: web::Data<PathBuf>, file: web::Path<String>) -> impl Responder {
    let text = std::fs::read(folder.join(&*file))?;
    let script = ContentType("text/javascript".parse().map_err(std::io::Error::other)?);
    std::io::Result::Ok(HttpResponse::Ok().content_type(script).body(text))
}

#[get("/events")]
async fn events(hub: Hub, subscriber: Subscriber) -> impl Responder {
    hub.subscribe("entries", subscriber)
}

/// What a visitor writes becomes text, and no element of other visitors' pages.
#[post("/sign")]
async fn sign(hub: Hub, entry: web::Form<Entry>) -> impl Responder {
    let text = entry.text.replace('&', "&amp;").replace('<', "&lt;");
    match hub.publish("entries", Event::data(format!("<li>{text}</li>"))) {
        Ok(_) => HttpResponse::NoContent().finish(),
        Err(error) => HttpResponse::BadRequest().body(error.to_string()),
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::var("HTMX").unwrap_or("node_modules/htmx.org/dist".to_owned());
    let folder = web::Data::new(PathBuf::from(folder));
    // htmx waits for as long before it comes back as the server says, the first time too: by default half a minute.
    let hub = Hub::builder()
        .with(|_, stream| stream.retry = Duration::from_secs(2))
        .build()?;
    let streams = hub.clone();
    EventServer::new(move || {
        let app = App::new()
            .app_data(streams.clone())
            .app_data(folder.clone());
        app.service(page)
            .service(script)
            .service(events)
            .service(sign)
    })
    .hub(&hub)
    .bind(std::env::var("LISTEN").unwrap_or("127.0.0.1:8080".to_owned()))?
    .run()
    .await?;
    Ok(())
}
