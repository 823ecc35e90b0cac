//! Who is online: `GET /room/7` is a chat, `GET /room/7/who` the list of its readers and then who comes and goes.
//! A chat needs a user, the list a right of its own.

use std::error::Error;

use actix_web::{App, Responder, get, web};
use actix_web_sse::{
    Event, EventError, EventServer, Hub, Identity, Policy, Snapshot, Subscriber,
    config::{PresenceMode, TopicConfig},
    protect::{Attempt, AuthError, AuthFuture, Authenticator},
};

/// Whoever has a token is its user; hosts see who is there.
struct Tokens;

impl Authenticator for Tokens {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        Box::pin(async move {
            let token = attempt.token.ok_or(AuthError::Missing)?.text;
            let user = token.strip_prefix("token-of-").ok_or(AuthError::Invalid)?;
            let rights: &[&str] = match user {
                "host" => &["room/*", "presence/room/*"],
                _ => &["room/*"],
            };
            Ok(Identity::user(user).reading_matching(rights.iter().copied()))
        })
    }
}

#[get("/room/{room}")]
async fn chat(hub: Hub, subscriber: Subscriber, room: web::Path<u32>) -> impl Responder {
    hub.subscribe(format!("room/{room}"), subscriber)
}

#[get("/room/{room}/who")]
async fn who(hub: Hub, subscriber: Subscriber, room: web::Path<u32>) -> impl Responder {
    let (now, topic) = (hub.clone(), format!("room/{room}"));
    hub.subscribe(format!("presence/{topic}"), subscriber)
        .snapshot(async move |_at| {
            // A join that is in the list already may follow it: a page takes it as it takes any.
            let all = Event::json(&now.presence(&topic))?.name("present")?;
            Ok::<_, EventError>(Snapshot::of(all))
        })
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let policy = Policy::builder()
        .require_auth(true)
        .authenticator(Tokens)
        .streams_per_user(10)
        .build()?;
    let hub = Hub::builder()
        .with(|hub, _| hub.topics = vec![TopicConfig::of("room/*").presence(PresenceMode::Events)])
        .build()?;
    let streams = hub.clone();
    EventServer::new(move || {
        let guarded = web::scope("").wrap(policy.clone());
        App::new()
            .app_data(streams.clone())
            .service(guarded.service(chat).service(who))
    })
    .hub(&hub)
    .bind(std::env::var("LISTEN").unwrap_or("127.0.0.1:8080".to_owned()))?
    .run()
    .await?;
    Ok(())
}
