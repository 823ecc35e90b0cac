//! Events as bytes, through the public interface: the body of a response.

use actix_web::{FromRequest, Responder, body::to_bytes, test::TestRequest};
use actix_web_sse::{Event, Sse, Subscriber};
use futures_util::stream;

/// The body of an event stream with these events, its first block included.
///
/// # Panics
/// If it has none.
#[must_use]
pub fn body_of(events: impl IntoIterator<Item = Event>) -> Vec<u8> {
    let events: Vec<_> = events.into_iter().collect();
    actix_rt::System::new().block_on(async {
        let request = TestRequest::default().to_http_request();
        let subscriber = Subscriber::extract(&request).await.expect("a subscriber");
        let response = Sse::from_stream(stream::iter(events), subscriber).respond_to(&request);
        to_bytes(response.into_body())
            .await
            .expect("a body")
            .to_vec()
    })
}

/// The `retry` of a body's first block, and what follows the block.
///
/// # Panics
/// If the body begins otherwise.
#[must_use]
#[track_caller]
pub fn first_retry(body: &[u8]) -> (u64, &[u8]) {
    let rest = body.strip_prefix(b":\nretry: ").expect("the first block");
    let end = rest
        .iter()
        .position(|&byte| byte == b'\n')
        .expect("its end");
    let retry = std::str::from_utf8(&rest[..end]).expect("a number");
    (retry.parse().expect("a number"), &rest[end + 1..])
}
