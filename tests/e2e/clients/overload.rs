//! Overload: each client gets the answer that it can live with.

use std::time::Duration;

use actix_web_sse_tests::{EventStream, Relay, Request};

use super::{
    server::StreamServer,
    under_test::{Client, Entry, Kind},
};

/// One topic at a time: while somebody follows one, there is no room for another.
const CONFIG: &str = "
    [hub]
    max_topics = 1
    resume = false
    [stream]
    retry = '1s'
    retry_jitter = 0.0
";

/// A soft refusal asks for 5 s at least, and 6.25 s spread by 20 % is 7.5 s at the most.
const SOFT: Duration = Duration::from_secs(20);

/// A server without room, and the stream that takes it.
fn full() -> (StreamServer, Relay, EventStream) {
    let server = StreamServer::start(CONFIG);
    let first = Request::stream("/events?topic=first").open(server.address);
    server.wait_for_subscribers("first", 1);
    let relay = Relay::to(server.address);
    (server, relay, first)
}

fn start(kind: Kind, relay: &Relay) -> Client {
    Client::start(kind, &format!("http://{}/events?topic=t", relay.address()))
}

/// Makes room, and sees the client get in.
fn let_in(server: &StreamServer, client: &Client, first: EventStream, limit: Duration) {
    drop(first);
    server.wait_for_subscribers("first", 0);
    server.wait_for_subscribers("t", 1);
    server.publish("t", "inside");
    client.wait_at_most(limit, "gets in", |entries| {
        let inside = |entry: &Entry| matches!(entry, Entry::Event { data, .. } if data == "inside");
        entries.iter().any(inside).then_some(())
    });
}

/// Node's `fetch` says `Sec-Fetch-Mode: cors` and the client `Accept: text/event-stream`: the
/// server takes it for a native one, and it behaves like one.
#[test]
fn l03_npm_eventsource_gets_a_soft_answer_and_comes_back() {
    let (server, relay, first) = full();
    let client = start(Kind::Eventsource, &relay);
    client.wait("is sent away", |entries| {
        entries.contains(&Entry::Ended).then_some(())
    });
    assert_eq!(client.entries(), [Entry::Open, Entry::Ended]);
    let_in(&server, &client, first, SOFT);
    assert_eq!(client.events().len(), 1, "{:?}", client.entries());
}

/// Without a header of its own this client, too, looks native. The blank line of the soft answer
/// makes one phantom message in it (facts B8): nothing in the answer can be left out for that, a
/// browser needs the line end after `retry`, and the contract's bytes are `retry: N\n\n`.
#[test]
fn l03_fetch_event_source_without_a_token_gets_a_soft_answer_and_comes_back() {
    let (server, relay, first) = full();
    let client = start(Kind::FetchEventSource, &relay);
    client.wait("is sent away", |entries| {
        entries.contains(&Entry::Ended).then_some(())
    });
    let phantom = Entry::Event {
        name: "message".to_owned(),
        id: String::new(),
        data: String::new(),
    };
    assert_eq!(client.entries(), [phantom, Entry::Ended]);
    let_in(&server, &client, first, SOFT);
}

/// With a token it is known as a fetch client and gets a 503. Facts B10: it does not look at
/// `Retry-After`; it tries again each second.
#[test]
fn l01_fetch_event_source_with_a_token_gets_a_hard_answer_and_comes_back() {
    let (server, relay, first) = full();
    let client = start(Kind::FetchEventSourceWithToken, &relay);
    let why = client.wait("is refused", |entries| match entries {
        [Entry::Failed { why }, ..] => Some(why.clone()),
        _ => None,
    });
    assert!(why.contains("application/json"), "{why}");
    let_in(&server, &client, first, SOFT);
    assert_eq!(client.events().len(), 1, "{:?}", client.entries());
}

/// Without a header of its own, the project's own client in Node looks native, and is content.
#[test]
fn l03_fetch_stream_without_a_token_gets_a_soft_answer_and_comes_back() {
    let (server, relay, first) = full();
    let client = start(Kind::FetchStream, &relay);
    client.wait("is sent away", |entries| {
        entries.contains(&Entry::Ended).then_some(())
    });
    assert_eq!(client.entries(), [Entry::Open, Entry::Ended]);
    let_in(&server, &client, first, SOFT);
    assert_eq!(client.events().len(), 1, "{:?}", client.entries());
}

/// With a token it gets a 503, and waits as long as `Retry-After` says.
#[test]
fn l01_fetch_stream_with_a_token_gets_a_hard_answer_and_comes_back() {
    let (server, relay, first) = full();
    let client = start(Kind::FetchStreamWithToken, &relay);
    let why = client.wait("is refused", |entries| match entries {
        [Entry::Failed { why }, ..] => Some(why.clone()),
        _ => None,
    });
    assert_eq!(why, "refused 503");
    let_in(&server, &client, first, SOFT);
    assert_eq!(client.events().len(), 1, "{:?}", client.entries());
}

/// A server client gets a 503 with `Retry-After`. This one gives up on it: the application has to
/// wait as the header says and make a new one.
#[test]
fn l01_reqwest_eventsource_gets_a_hard_answer_and_gives_up() {
    let (server, relay, first) = full();
    let client = start(Kind::ReqwestEventsource, &relay);
    let why = client.wait("gives up", |entries| match entries {
        [Entry::GaveUp { why }] => Some(why.clone()),
        _ => None,
    });
    let (status, after) = why.split_once(", Retry-After ").expect(&why);
    assert!(status.starts_with("503"), "{why}");
    assert!(
        after.parse::<u64>().is_ok_and(|seconds| seconds >= 1),
        "{why}"
    );
    let again = start(Kind::ReqwestEventsource, &relay);
    again.wait("gives up", |entries| (!entries.is_empty()).then_some(()));
    drop(first);
    server.wait_for_subscribers("first", 0);
    let client = start(Kind::ReqwestEventsource, &relay);
    server.wait_for_subscribers("t", 1);
    server.publish("t", "inside");
    client.wait_for_data("inside");
}

/// The same answer; this one tries again with pauses of its own.
#[test]
fn l01_eventsource_client_gets_a_hard_answer_and_comes_back() {
    let (server, relay, first) = full();
    let client = start(Kind::EventsourceClient, &relay);
    let why = client.wait("is refused", |entries| match entries {
        [Entry::Failed { why }, ..] => Some(why.clone()),
        _ => None,
    });
    assert!(why.contains("503"), "{why}");
    let_in(&server, &client, first, SOFT);
}
