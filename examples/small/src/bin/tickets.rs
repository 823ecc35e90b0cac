//! Bearer tokens, and tickets: a page fetches a ticket with its token, and opens an `EventSource`,
//! which can send no header, with the ticket in the URL.

use std::{
    error::Error,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use actix_web::{App, HttpRequest, HttpResponse, Responder, get, web};
use actix_web_sse::{
    EventServer, Hub, Policy, Subscriber,
    config::{AuthConfig, TicketConfig},
};
use jsonwebtoken::{EncodingKey, Header, encode};

/// From a secret store, outside of an example.
const KEY: &str = "a secret of at least thirty-two bytes";

#[get("/events")]
async fn events(hub: Hub, subscriber: Subscriber) -> impl Responder {
    hub.subscribe("news", subscriber)
}

async fn ticket(request: HttpRequest, policy: web::Data<Policy>) -> HttpResponse {
    policy.ticket(&request, "news")
}

/// Lets anybody in under any name: `curl -d alice http://127.0.0.1:8080/session`
async fn session(name: String) -> Result<String, Box<dyn Error>> {
    let end = SystemTime::now() + Duration::from_secs(600);
    let end = end.duration_since(UNIX_EPOCH)?.as_secs();
    let claims = serde_json::json!({ "sub": name, "exp": end });
    let key = EncodingKey::from_secret(KEY.as_bytes());
    Ok(encode(&Header::default(), &claims, &key)?)
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hub = Hub::builder().build()?;
    let mut auth = AuthConfig::default();
    auth.required = true;
    auth.jwt_hs256_secret = Some(KEY.into());
    auth.ticket = Some(TicketConfig::new("another secret of thirty-two bytes"));
    let policy = Policy::builder()
        .allow_origin("http://localhost:*")
        .auth(auth)
        .topic(|_| Some("news".to_owned()))
        .build()?;
    let streams = hub.clone();
    EventServer::new(move || {
        let session = web::resource("/session").post(session);
        App::new()
            .app_data(streams.clone())
            .app_data(web::Data::new(policy.clone()))
            .service(session.wrap(policy.api().without_auth()))
            .service(web::resource("/ticket").post(ticket).wrap(policy.api()))
            .service(web::scope("").wrap(policy.clone()).service(events))
    })
    .hub(&hub)
    .bind(std::env::var("LISTEN").unwrap_or("127.0.0.1:8080".to_owned()))?
    .run()
    .await?;
    Ok(())
}
