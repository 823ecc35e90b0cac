//! What operators do: each action is logged and counted.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use actix_web::{Error, HttpRequest, HttpResponse, error::ErrorInternalServerError, rt, web};
use serde::Deserialize;
use serde_json::json;

use super::{Desk, Operator, forbidden, reply, streams::connection};
use crate::{
    counters::{END_STREAM, END_USER},
    log::{escape::client_value, operator_action},
};

/// Whose streams to end.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct User {
    user: String,
}

/// `POST api/streams/{connection}/end`.
pub(super) async fn end_stream(
    operator: Operator,
    request: HttpRequest,
    path: web::Path<String>,
) -> Result<HttpResponse, Error> {
    let desk = acting(operator)?;
    let Some(connection) = connection(&path) else {
        let body = json!({ "error": "not_found", "hint": "name a stream of the list" });
        return Ok(reply(HttpResponse::NotFound(), &body));
    };
    let peer = peer(&request);
    // In a task of its own: whoever closes the connection meanwhile has ended the stream, and has to be in the log.
    let acted = rt::spawn(async move {
        let listed = desk.live.stream(connection);
        let mut ended = 0;
        for hub in desk.hubs.iter() {
            ended += usize::from(hub.disconnect_stream(connection).await);
        }
        let user = listed.and_then(|listed| listed.shown_user());
        let stream = connection.to_string();
        desk.log(peer, END_STREAM, Some(&stream), user.as_deref(), ended);
        ended
    });
    let ended = acted.await.map_err(ErrorInternalServerError)?;
    Ok(reply(HttpResponse::Ok(), &json!({ "ended": ended })))
}

/// `POST api/users/end`: on all nodes that share a backplane. What is answered counts the listed
/// streams of this one.
pub(super) async fn end_user(
    operator: Operator,
    request: HttpRequest,
    named: web::Json<User>,
) -> Result<HttpResponse, Error> {
    let desk = acting(operator)?;
    let named = &named.user;
    if named.is_empty() {
        let body = json!({ "error": "invalid_request", "hint": "name a user" });
        return Ok(reply(HttpResponse::BadRequest(), &body));
    }
    let open = desk.live.open().into_iter();
    let theirs: Vec<_> = open
        .filter(|stream| stream.shown_user().as_ref() == Some(named))
        .collect();
    // As the authenticator writes them; the page has them escaped. One that is not listed can be
    // named too.
    let mut users: BTreeSet<_> = theirs.iter().filter_map(|s| s.user.as_deref()).collect();
    if users.len() > 1 {
        // Of a long name the page has the beginning.
        let hint = "several users are shown by this name; end their streams one by one";
        let body = json!({ "error": "ambiguous", "hint": hint });
        return Ok(reply(HttpResponse::Conflict(), &body));
    }
    let shown = match users.is_empty() {
        true => client_value(named.as_bytes()),
        false => named.clone(),
    };
    if users.is_empty() {
        users.insert(named);
    }
    for hub in desk.hubs.iter() {
        users.iter().for_each(|user| hub.disconnect(user));
    }
    let ended = theirs.len();
    desk.log(peer(&request), END_USER, None, Some(&shown), ended);
    Ok(reply(HttpResponse::Ok(), &json!({ "ended": ended })))
}

fn peer(request: &HttpRequest) -> Option<IpAddr> {
    request.peer_addr().map(|peer| peer.ip())
}

/// Without a token a page of another site could send these requests.
fn acting(operator: Operator) -> Result<Arc<Desk>, Error> {
    let desk = operator.0.into_inner();
    match desk.access.asks_for_a_token() {
        true => Ok(desk),
        false => Err(forbidden(
            "forbidden",
            "mount the page with OperatorAccess::bearer to end streams with it",
        )),
    }
}

impl Desk {
    fn log(
        &self,
        peer: Option<IpAddr>,
        action: &'static str,
        connection: Option<&str>,
        user: Option<&str>,
        ended: usize,
    ) {
        self.core.counters.operator_actions.inc(&[action]);
        operator_action(action, peer, connection, user, ended);
    }
}
