//! What the page on tour asks for.

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web::Data};
use serde_json::{Value, json};

use super::Sessions;
use crate::routes::{error, reply};

/// `POST /tour/session`: a session; its key is the right to its lines.
pub(super) async fn begin(sessions: Data<Sessions>) -> HttpResponse {
    match sessions.begin() {
        Ok(key) => reply(StatusCode::OK, &json!({ "tour": key })),
        Err(message) => error(StatusCode::SERVICE_UNAVAILABLE, "no_session", &message),
    }
}

/// `GET /tour/lines?tour=KEY`: what the log has said about this session's streams.
pub(super) async fn lines(request: HttpRequest, sessions: Data<Sessions>) -> HttpResponse {
    let Some(session) = sessions.of(&request) else {
        return no_session();
    };
    let (seen, lines) = session.lines();
    let lines: Vec<Value> = lines.into_iter().map(Value::String).collect();
    reply(StatusCode::OK, &json!({ "seen": seen, "lines": lines }))
}

/// `POST /tour/cut?tour=KEY`: cuts the connections of this session's streams on `/tour/cut-wire`.
pub(super) async fn cut(request: HttpRequest, sessions: Data<Sessions>) -> HttpResponse {
    match sessions.of(&request) {
        Some(session) => reply(StatusCode::OK, &json!({ "cut": session.cut() })),
        None => no_session(),
    }
}

fn no_session() -> HttpResponse {
    let message = "there is no such session; the oldest ones make room for new ones";
    error(StatusCode::NOT_FOUND, "no_session", message)
}
