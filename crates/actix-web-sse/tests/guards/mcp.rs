//! W06: MCP over streamable HTTP, `GET`, `POST` and `DELETE` on one path behind one policy.

use std::{sync::Arc, time::Duration};

use actix_web::{
    Error, HttpResponse,
    web::{self, Bytes, ServiceConfig},
};
use actix_web_sse::{Policy, config::Methods, protect::PolicyBuilder};
use futures_util::{StreamExt, stream};
use tokio::time::sleep;

use super::support::{APP, LIMIT, Recording, Reply, Server, limited_reference, reference, refusal};

const BOTH: &str = "Accept: application/json, text/event-stream\r\n";
const SENT: &str = "Mcp-Session-Id: 1\r\nMcp-Protocol-Version: 2025-11-25\r\nLast-Event-ID: 7\r\n";

/// An endless stream that knows nothing of this crate.
async fn follow() -> HttpResponse {
    let first = stream::iter([Ok::<_, Error>(Bytes::from_static(b":\n"))]);
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .streaming(first.chain(stream::pending()))
}

async fn answer() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("mcp-session-id", "1"))
        .content_type("application/json")
        .body("{}")
}

fn routes(policy: Policy) -> impl Fn(&mut ServiceConfig) + Clone + Send {
    move |config| {
        config.service(
            web::resource("/mcp")
                .wrap(policy.clone())
                .route(web::get().to(follow))
                .route(web::post().to(answer))
                .route(web::delete().to(async || HttpResponse::Accepted().finish())),
        );
    }
}

fn serve(builder: PolicyBuilder, recording: &Arc<Recording>, methods: Methods) -> Server {
    let policy = builder.methods(methods).build().unwrap();
    Server::start(recording, routes(policy))
}

fn server(methods: Methods) -> Server {
    let recording = Arc::default();
    serve(reference(&recording), &recording, methods)
}

async fn ask(server: &Server, method: &str, lines: &str) -> Reply {
    server
        .request(method, "/mcp", &format!("{SENT}{lines}"))
        .await
}

#[actix_rt::test]
async fn w06_get_post_and_delete_are_served_on_one_path() {
    let server = server(Methods::Mcp);
    let stream = ask(&server, "GET", "Accept: text/event-stream\r\n").await;
    assert_eq!(stream.status, 200);
    for accept in [BOTH, "Accept: application/json\r\n", "Accept: */*\r\n", ""] {
        let lines = format!("{accept}Content-Length: 0\r\n");
        assert_eq!(ask(&server, "POST", &lines).await.status, 200, "{accept}");
        assert_eq!(ask(&server, "DELETE", accept).await.status, 202, "{accept}");
    }
    let mut page = ask(&server, "GET", "Accept: text/html\r\n").await;
    page.assert_err(406);
    assert_eq!(page.body().await, refusal("not_acceptable"));
    for method in ["HEAD", "PUT", "PATCH"] {
        let refused = ask(&server, method, BOTH).await;
        assert_eq!(refused.status, 405, "{method}");
        assert_eq!(refused.header("allow"), Some("GET, POST, DELETE, OPTIONS"));
    }
}

#[actix_rt::test]
async fn w06_where_get_is_not_offered_it_is_405() {
    let server = server(Methods::Post);
    for method in ["GET", "DELETE"] {
        let refused = ask(&server, method, "Accept: text/event-stream\r\n").await;
        assert_eq!(refused.status, 405, "{method}");
        assert_eq!(refused.header("allow"), Some("POST, OPTIONS"));
    }
    let lines = format!("{BOTH}Content-Length: 0\r\n");
    assert_eq!(ask(&server, "POST", &lines).await.status, 200);
}

#[actix_rt::test]
async fn w06_a_foreign_origin_is_403_whatever_the_method() {
    let server = server(Methods::Mcp);
    for method in ["GET", "POST", "DELETE"] {
        let foreign = format!("{BOTH}Content-Length: 0\r\nOrigin: https://evil.example\r\n");
        let mut refused = ask(&server, method, &foreign).await;
        refused.assert_err(403);
        assert_eq!(refused.body().await, refusal("origin_denied"));
        let allowed = format!("{BOTH}Content-Length: 0\r\nOrigin: {APP}\r\n");
        let reply = ask(&server, method, &allowed).await;
        assert!(matches!(reply.status, 200 | 202), "{method}");
        assert_eq!(reply.header("access-control-allow-origin"), Some(APP));
        let exposed = reply.header("access-control-expose-headers").unwrap();
        assert!(exposed.contains("mcp-session-id"), "{exposed}");
    }
}

#[actix_rt::test]
async fn w06_a_page_may_send_the_headers_of_the_protocol() {
    let server = server(Methods::Mcp);
    for method in ["GET", "POST", "DELETE"] {
        let lines = format!(
            "Origin: {APP}\r\nAccess-Control-Request-Method: {method}\r\n\
             Access-Control-Request-Headers: authorization,content-type,last-event-id,mcp-method,\
             mcp-name,mcp-protocol-version,mcp-session-id\r\n"
        );
        let reply = server.request("OPTIONS", "/mcp", &lines).await;
        assert_eq!(reply.status, 204, "{method}");
        assert_eq!(
            reply.header("access-control-allow-methods"),
            Some("GET, POST, DELETE")
        );
    }
}

#[actix_rt::test]
async fn w06_a_handlers_own_stream_takes_a_slot_for_as_long_as_it_is_open() {
    let recording = Arc::default();
    let limited = limited_reference(&recording).streams_per_ip(1);
    let server = serve(limited, &recording, Methods::Mcp);
    let lines = "Accept: text/event-stream\r\nAuthorization: Bearer x\r\n";
    let stream = ask(&server, "GET", lines).await;
    assert_eq!(stream.status, 200);
    assert_eq!(ask(&server, "GET", lines).await.status, 429);
    drop(stream);
    let freed = async {
        while ask(&server, "GET", lines).await.status != 200 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LIMIT, freed)
        .await
        .expect("a free slot");
}
