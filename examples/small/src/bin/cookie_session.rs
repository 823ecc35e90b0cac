//! A session of `actix-session` in an encrypted cookie: whoever has signed in reads its own topic, and
//! whoever signs out loses its streams.

use std::error::Error;

use actix_session::{Session, SessionExt, SessionMiddleware, storage::CookieSessionStore};
use actix_web::{App, HttpResponse, Responder, Result, cookie::Key, get, post, web};
use actix_web_sse::{
    EventServer, Hub, Identity, Policy, Subscriber,
    protect::{Attempt, AuthError, AuthFuture, Authenticator},
};

/// The session's middleware has decrypted the cookie when the policy asks.
struct Sessions;

impl Authenticator for Sessions {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        let user = attempt.request.get_session().get::<String>("user");
        Box::pin(async move {
            let user = user.map_err(|_| AuthError::Invalid)?;
            let user = user.ok_or(AuthError::Missing)?;
            let topic = format!("users/{user}");
            Ok(Identity::user(user).reading_matching([topic.as_str()]))
        })
    }

    /// The policy knows of no token: the cookie is the session's.
    fn needs_token(&self) -> bool {
        false
    }
}

#[get("/events/{user}")]
async fn events(hub: Hub, subscriber: Subscriber, user: web::Path<String>) -> impl Responder {
    hub.subscribe(format!("users/{user}"), subscriber)
}

/// Lets anybody in under any name: `curl -d alice http://127.0.0.1:8080/sign-in`
#[post("/sign-in")]
async fn sign_in(session: Session, name: String) -> Result<HttpResponse> {
    session.renew(); // what was known before is no session of this user's
    session.insert("user", name)?;
    Ok(HttpResponse::NoContent().finish())
}

#[post("/sign-out")]
async fn sign_out(session: Session, hub: Hub) -> Result<HttpResponse> {
    if let Some(user) = session.get::<String>("user")? {
        hub.disconnect(&user);
    }
    session.purge();
    Ok(HttpResponse::NoContent().finish())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let key = Key::generate(); // from a secret store, or every restart signs everybody out
    let policy = Policy::builder()
        .require_auth(true)
        .authenticator(Sessions)
        .build()?;
    let hub = Hub::builder().build()?;
    let streams = hub.clone();
    EventServer::new(move || {
        let store = CookieSessionStore::default();
        let sessions = SessionMiddleware::builder(store, key.clone());
        let forms = web::scope("/session").wrap(policy.api().without_auth());
        App::new()
            .app_data(streams.clone())
            .service(forms.service(sign_in).service(sign_out))
            .service(web::scope("").wrap(policy.clone()).service(events))
            // The last middleware is the first to see a request.
            .wrap(sessions.cookie_secure(false).build()) // plain HTTP, here
    })
    .hub(&hub)
    .bind(std::env::var("LISTEN").unwrap_or("127.0.0.1:8080".to_owned()))?
    .run()
    .await?;
    Ok(())
}
