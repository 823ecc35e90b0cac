use actix_web::{
    HttpResponse,
    http::{StatusCode, header},
    web::{Data, Json},
};
use actix_web_sse::{Identity, Policy};
use serde_json::json;

use super::error::{error, reply};
use crate::sign_in::{Signer, Wish};

/// `POST /session`: signs in any user.
pub(crate) async fn sign_in(
    signer: Data<Signer>,
    policy: Data<Policy>,
    wish: Result<Json<Wish>, actix_web::Error>,
) -> HttpResponse {
    let refuse = |message| error(StatusCode::BAD_REQUEST, "invalid_request", message);
    let Ok(wish) = wish else {
        return refuse("the body must be {\"user\": …, \"seconds\": …} as application/json");
    };
    // After a sign-out a little ahead of now: clocks of nodes differ.
    let issued = policy.credentials_hold_from(wish.user());
    let signed = match signer.sign(&wish, issued) {
        Ok(signed) => signed,
        Err(message) => return refuse(message),
    };
    let body = json!({ "token": signed.token, "expires_in": signed.expires_in });
    let mut reply = reply(StatusCode::OK, &body);
    if wish.cookie {
        set_cookie(&mut reply, &signer.cookie(&signed.token, signed.expires_in));
    }
    reply
}

/// `DELETE /session`: takes back all that the user has been given, tokens and tickets, and ends
/// the user's streams. A new sign-in gets a valid token.
pub(crate) async fn sign_out(
    signer: Data<Signer>,
    identity: Identity,
    policy: Data<Policy>,
) -> HttpResponse {
    if let Some(user) = &identity.user {
        policy.revoke(user);
    }
    let mut reply = reply(StatusCode::OK, &json!({ "user": identity.user.as_deref() }));
    set_cookie(&mut reply, &signer.cookie("", 0));
    reply
}

fn set_cookie(reply: &mut HttpResponse, cookie: &str) {
    if let Ok(cookie) = header::HeaderValue::from_str(cookie) {
        reply.headers_mut().append(header::SET_COOKIE, cookie);
    }
}
