//! What a refusal says about what to do, as it goes over the wire.

use std::sync::Arc;

use actix_web_sse::{
    config::{AuthConfig, Hints},
    observe::RefusalReason,
};
use serde_json::Value;

use super::support::{APP, Recording, Server, reference, refusal, streams};

/// A stream that asks for a token.
fn serve(hints: Hints) -> Server {
    let recording: Arc<Recording> = Arc::default();
    let mut auth = AuthConfig::default();
    auth.required = true;
    auth.ticket = Some(actix_web_sse::config::TicketConfig::new(
        "a ticket secret of at least 32 bytes",
    ));
    let policy = reference(&recording).auth(auth).hints(hints);
    Server::start(&recording, streams(policy.build().unwrap()))
}

/// Requests that are refused on their head alone, or for want of credentials, with what the
/// client sends marked so that it would be recognised.
fn requests() -> Vec<(&'static str, String)> {
    let host = "Host: localhost\r\n";
    let accept = "Accept: text/event-stream\r\n";
    let ask = |method: &str, target: &str, lines: String| {
        format!("{method} {target} HTTP/1.1\r\n{lines}\r\n")
    };
    vec![
        (
            "not_acceptable",
            ask(
                "GET",
                "/events?marked",
                format!("{host}Accept: marked/marked\r\n"),
            ),
        ),
        (
            "method_not_allowed",
            ask("MARKED", "/events", format!("{host}{accept}")),
        ),
        (
            "host_denied",
            ask(
                "GET",
                "/events",
                format!("Host: marked.example\r\n{accept}"),
            ),
        ),
        (
            "origin_denied",
            ask(
                "GET",
                "/events",
                format!("{host}{accept}Origin: https://marked.example\r\n"),
            ),
        ),
        (
            "origin_malformed",
            ask(
                "GET",
                "/events",
                format!("{host}{accept}Origin: a, marked\r\n"),
            ),
        ),
        (
            "fetch_metadata_denied",
            ask(
                "GET",
                "/events",
                format!("{host}{accept}Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"),
            ),
        ),
        (
            "preflight_denied",
            ask(
                "OPTIONS",
                "/events",
                format!(
                    "{host}Origin: {APP}\r\nAccess-Control-Request-Method: GET\r\n\
                     Access-Control-Request-Headers: marked\r\n"
                ),
            ),
        ),
        (
            "unauthorized",
            ask("GET", "/events?marked", format!("{host}{accept}")),
        ),
        (
            "invalid_ticket",
            ask("GET", "/events?ticket=marked", format!("{host}{accept}")),
        ),
        (
            "invalid_request",
            ask(
                "GET",
                "/events?ticket=marked&ticket=marked",
                format!("{host}{accept}"),
            ),
        ),
    ]
}

#[actix_rt::test]
async fn e21_a_refusal_says_what_to_do_and_repeats_nothing_of_the_request() {
    let server = serve(Hints::Send);
    for (code, request) in requests() {
        let mut reply = server.raw(&request).await;
        let body = reply.body().await;
        assert_eq!(body, refusal(code), "{request}");
        let text = String::from_utf8(body).unwrap().to_lowercase();
        assert!(!text.contains("marked"), "{text}");
        let parsed: Value = serde_json::from_str(&text).unwrap();
        assert!(parsed["hint"].is_string(), "{text}");
    }
}

#[actix_rt::test]
async fn hints_can_be_switched_off() {
    let server = serve(Hints::Omit);
    for (code, request) in requests() {
        let mut reply = server.raw(&request).await;
        let body = String::from_utf8(reply.body().await).unwrap();
        assert_eq!(body, format!(r#"{{"error":"{code}"}}"#), "{request}");
    }
}

#[test]
fn a_406_names_the_header_that_is_missing() {
    let hint = RefusalReason::NotAcceptable.hint();
    assert!(hint.contains("Accept: text/event-stream"), "{hint}");
    let hint = RefusalReason::Unauthorized.hint();
    assert!(hint.contains("Authorization: Bearer"), "{hint}");
}
