//! Tokens signed with the published keys of an issuer (Keycloak, Auth0, Entra ID, Cognito): the
//! variable `JWKS` is the URL of the keys, or a file with them.

use std::error::Error;

use actix_web::{App, Responder, get, web};
use actix_web_sse::{
    Event, EventServer, Hub, Identity, Policy, Subscriber,
    config::{AuthConfig, JwksConfig},
};

#[get("/events")]
async fn events(hub: Hub, identity: Identity, subscriber: Subscriber) -> impl Responder {
    let user = identity.user.as_deref().unwrap_or("nobody");
    let topic = format!("users/{user}");
    // In an example, so that there is something to see.
    if let Err(error) = hub.publish(&topic, Event::data("welcome")) {
        eprintln!("{error}");
    }
    hub.subscribe(topic, subscriber)
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let keys = std::env::var("JWKS")?;
    let mut jwks = JwksConfig::default();
    match keys.contains("://") {
        true => jwks.url = Some(keys),
        false => jwks.file = Some(keys.into()),
    }
    let mut auth = AuthConfig::default();
    auth.required = true;
    auth.jwt_issuer = vec!["https://login.example.com/realms/shop".to_owned()];
    auth.jwt_audience = vec!["streams".to_owned()];
    auth.jwks = Some(jwks);
    let policy = Policy::builder().auth(auth).build()?;
    let hub = Hub::builder()
        .with(|hub, _| hub.last_value = true)
        .build()?;
    let streams = hub.clone();
    EventServer::new(move || {
        App::new()
            .app_data(streams.clone())
            .service(web::scope("").wrap(policy.clone()).service(events))
    })
    .hub(&hub)
    .bind(std::env::var("LISTEN").unwrap_or("127.0.0.1:8080".to_owned()))?
    .run()
    .await?;
    Ok(())
}
