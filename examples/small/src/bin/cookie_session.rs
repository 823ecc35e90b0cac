//! A session of `actix-session` in an encrypted cookie: whoever has signed in reads its own topic, and
//! whoever signs out loses its streams, and what each copy of the cookie is good for.

use std::time::{Duration, UNIX_EPOCH};

use actix_session::{Session, SessionExt, SessionMiddleware, storage::CookieSessionStore};
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, Responder, Result, cookie::Key, get, post};
use actix_web_sse::protect::{Attempt, AuthError, AuthFuture, Authenticator};
use actix_web_sse::{EventServer, Hub, Identity, Policy, Subscriber};

struct Sessions;

impl Authenticator for Sessions {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        let session = attempt.request.get_session().get::<(String, u64)>("user");
        Box::pin(async move {
            let (user, since) = session
                .map_err(|_| AuthError::Invalid)?
                .ok_or(AuthError::Missing)?;
            let since = UNIX_EPOCH + Duration::from_millis(since);
            let end = since + Duration::from_secs(12 * 3600); // revocations are known for a day
            let topic = format!("users/{user}"); // of a user called `*` as well, and no pattern
            let identity = Identity::user(user).reading([topic]);
            Ok(identity.issued_at(since).expiring_at(end))
        })
    }

    fn needs_token(&self) -> bool {
        false // the cookie is the session's, and no token of the policy's
    }
}

#[get("/events/{user}")]
async fn events(hub: Hub, subscriber: Subscriber, user: web::Path<String>) -> impl Responder {
    hub.subscribe(format!("users/{user}"), subscriber)
}

/// Lets anybody in under any name: `curl -d alice http://127.0.0.1:8080/sign-in`
#[post("/sign-in")]
async fn sign_in(session: Session, policy: Data<Policy>, name: String) -> Result<HttpResponse> {
    let since = policy.credentials_hold_from(&name);
    let since = since.duration_since(UNIX_EPOCH).unwrap_or_default();
    session.insert("user", (name, since.as_millis() as u64))?;
    Ok(HttpResponse::NoContent().finish())
}

#[post("/sign-out")]
async fn sign_out(session: Session, policy: Data<Policy>) -> Result<HttpResponse> {
    if let Some((user, _)) = session.get::<(String, u64)>("user")? {
        policy.revoke(&user); // ends the streams, and what the cookie is good for
    }
    session.purge();
    Ok(HttpResponse::NoContent().finish())
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let key = Key::generate(); // from a secret store, or every restart signs everybody out
    let policy = Policy::builder().require_auth(true);
    let policy = policy.authenticator(Sessions).build()?;
    let hub = Hub::builder().build()?;
    let streams = hub.clone();
    EventServer::new(move || {
        let sessions = SessionMiddleware::builder(CookieSessionStore::default(), key.clone());
        let forms = web::scope("/session").wrap(policy.api().without_auth());
        App::new()
            .app_data(streams.clone())
            .app_data(Data::new(policy.clone()))
            .service(forms.service(sign_in).service(sign_out))
            .service(web::scope("").wrap(policy.clone()).service(events))
            .wrap(sessions.cookie_secure(false).build()) // plain HTTP here; sees requests first
    })
    .hub(&hub)
    .bind(std::env::var("LISTEN").unwrap_or("127.0.0.1:8080".to_owned()))?
    .run()
    .await?;
    Ok(())
}
