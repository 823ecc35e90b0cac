use actix_web::{
    HttpRequest, Responder,
    error::InternalError,
    http::StatusCode,
    web::{Query, QueryConfig},
};
use actix_web_sse::{Hub, Subscriber};
use serde::Deserialize;

use super::error::error;

/// The topic that is meant where none is named.
pub(crate) const DEFAULT_TOPIC: &str = "demo";

#[derive(Debug, Deserialize)]
pub(crate) struct Topic {
    #[serde(default = "default_topic")]
    pub(crate) topic: String,
}

/// How a query is read: what cannot be read is refused in the same form as everything else.
pub(crate) fn query_config() -> QueryConfig {
    QueryConfig::default().error_handler(|fault, _| {
        let reply = error(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "the query cannot be read",
        );
        InternalError::from_response(fault, reply).into()
    })
}

fn default_topic() -> String {
    DEFAULT_TOPIC.to_owned()
}

/// The topic that a request is about; `None` if its query cannot be read.
pub(crate) fn topic(request: &HttpRequest) -> Option<String> {
    let query = Query::<Topic>::from_query(request.query_string());
    query.ok().map(|query| query.into_inner().topic)
}

/// `GET /events?topic=T`: the stream of a topic.
pub(crate) async fn events(
    hub: Hub,
    topic: Query<Topic>,
    subscriber: Subscriber,
) -> impl Responder {
    hub.subscribe(&topic.topic, subscriber)
}
