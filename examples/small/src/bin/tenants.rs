//! An authenticator of one's own: a token belongs to a user of a tenant, and reads the topics of that
//! tenant only.

use std::{collections::HashMap, error::Error};

use actix_web::{App, Responder, get, web};
use actix_web_sse::{
    Event, EventServer, Hub, Identity, Policy, Subscriber,
    protect::{Attempt, AuthError, AuthFuture, Authenticator},
};

/// Tokens, each with a tenant and a user. Elsewhere this is a database, and is waited for.
struct Tenants(HashMap<&'static str, (&'static str, &'static str)>);

impl Authenticator for Tenants {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        Box::pin(async move {
            let token = attempt.token.ok_or(AuthError::Missing)?;
            let (tenant, user) = self.0.get(token.text).ok_or(AuthError::Invalid)?;
            // The same name may be a user's of another tenant.
            let identity = Identity::user(format!("{tenant}/{user}"));
            let topics = format!("{tenant}/*");
            Ok(identity.reading_matching([topics.as_str()]))
        })
    }
}

#[get("/{tenant}/{topic}")]
async fn events(
    hub: Hub,
    subscriber: Subscriber,
    path: web::Path<(String, String)>,
) -> impl Responder {
    let (tenant, topic) = path.into_inner();
    hub.subscribe(format!("{tenant}/{topic}"), subscriber)
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let tenants = HashMap::from([
        ("token-of-alice", ("acme", "alice")),
        ("token-of-bob", ("globex", "bob")),
    ]);
    let policy = Policy::builder()
        .require_auth(true)
        .authenticator(Tenants(tenants))
        .streams_per_user(10)
        .build()?;
    let hub = Hub::builder()
        .with(|hub, _| hub.last_value = true)
        .build()?;
    for tenant in ["acme", "globex"] {
        hub.publish(&format!("{tenant}/news"), Event::data(tenant))?;
    }
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
