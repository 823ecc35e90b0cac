use actix_web::{
    HttpRequest, HttpResponse,
    web::{Data, Query},
};
use actix_web_sse::Policy;

use super::events::Topic;

/// `POST /ticket?topic=T`: real credentials in, a URL's worth of them out.
pub(crate) async fn ticket(
    request: HttpRequest,
    policy: Data<Policy>,
    topic: Query<Topic>,
) -> HttpResponse {
    policy.ticket(&request, &topic.topic)
}
