//! An answer to a `POST` as events, the way large language models answer.
//!
//! ```text
//! cargo run -p llm_chat          # then look at http://localhost:8090
//! curl -N http://localhost:8090/chat -H 'Accept: text/event-stream' \
//!      -H 'Content-Type: application/json' -d '{"prompt":"How do answers stream?"}'
//! ```
//!
//! The client's leave-taking cancels the answer; a failure in the middle is an event; `[DONE]`
//! tells a whole answer from one that was cut.

mod model;

use actix_web::{
    App, HttpResponse, HttpServer, Responder,
    error::ErrorInternalServerError,
    get,
    http::header,
    post,
    web::{self, Json, Path, ServiceConfig},
};
use actix_web_sse::{
    Answer, AnswerError, ForEventStreams, Hub, Policy, Subscriber,
    config::{Methods, PolicyConfig},
};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};

const ADDRESS: &str = "127.0.0.1:8090";

#[derive(Debug, Deserialize)]
struct Question {
    prompt: String,
}

/// What the answer's first event says.
#[derive(Debug, Serialize)]
struct Start {
    model: &'static str,
}

/// One piece of an answer.
#[derive(Debug, Serialize)]
struct Delta {
    text: String,
}

#[post("")]
async fn chat(
    question: Json<Question>,
    subscriber: Subscriber,
) -> actix_web::Result<impl Responder> {
    let words = model::answer(&question.prompt).map(|word| {
        let text =
            word.map_err(|fault| AnswerError::new("overloaded").message(fault.to_string()))?;
        Ok(Delta { text })
    });
    Answer::new(words, subscriber)
        .start(&Start { model: "parrot-1" })
        .map_err(ErrorInternalServerError)
}

#[get("/")]
async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'self'"))
        .body(include_str!("../page/index.html"))
}

#[get("/page/{file}")]
async fn file(name: Path<String>) -> HttpResponse {
    let (kind, body) = match name.as_str() {
        "chat.css" => ("text/css; charset=utf-8", include_str!("../page/chat.css")),
        "chat.js" => (
            "text/javascript; charset=utf-8",
            include_str!("../page/chat.js"),
        ),
        "sse-client.js" => (
            "text/javascript; charset=utf-8",
            include_str!("../../../clients/bundle/sse-client.js"),
        ),
        "icon.svg" => ("image/svg+xml", include_str!("../page/icon.svg")),
        _ => return HttpResponse::NotFound().finish(),
    };
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, kind))
        .body(body)
}

/// The page's own origin may ask, and no other page: a list of origins would let more in.
fn policy() -> Result<Policy, actix_web_sse::config::ConfigError> {
    let mut config = PolicyConfig::default();
    config.methods = Methods::Post;
    config.hosts = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    Policy::builder().config(config).build()
}

fn routes(policy: &Policy) -> impl FnOnce(&mut ServiceConfig) {
    let policy = policy.clone();
    move |config| {
        config
            .service(page)
            .service(file)
            .service(web::scope("/chat").wrap(policy).service(chat));
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let hub = Hub::builder().build()?;
    let policy = policy()?;
    let drained = hub.clone();
    let server =
        HttpServer::new(move || App::new().app_data(hub.clone()).configure(routes(&policy)))
            .for_event_streams(&drained)
            .bind(ADDRESS)?;
    println!("page      http://{ADDRESS}/");
    server.run().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web_sse::test::{Reading, assert_event_stream, read_events};

    use super::*;

    async fn ask(prompt: &str, at_most: usize) -> Reading {
        let hub = Hub::builder().build().unwrap();
        let app = App::new()
            .app_data(hub)
            .configure(routes(&policy().unwrap()));
        let app = init_service(app).await;
        let request = TestRequest::post()
            .uri("/chat")
            .insert_header(("host", "localhost:8090"))
            .insert_header(("accept", "text/event-stream"))
            .set_json(serde_json::json!({ "prompt": prompt }));
        let response = call_service(&app, request.to_request()).await;
        assert_event_stream(&response);
        read_events(response, at_most, Duration::from_secs(60)).await
    }

    #[actix_web::test]
    async fn an_answer_starts_comes_in_pieces_and_is_done() {
        let reading = ask("why?", usize::MAX).await;
        let names: Vec<_> = reading.events.iter().map(|event| &*event.event).collect();
        assert_eq!(names.first(), Some(&"start"));
        assert_eq!(names.last(), Some(&"done"));
        assert!(names.iter().filter(|name| **name == "delta").count() > 50);
        assert_eq!(reading.events.last().unwrap().data, "[DONE]");
        assert!(reading.ended);
    }

    #[actix_web::test]
    async fn an_answer_that_fails_says_so_and_is_not_done() {
        let reading = ask("fail", usize::MAX).await;
        let last = reading.events.last().unwrap();
        assert_eq!(last.event, "error");
        assert!(
            last.data.contains("\"code\":\"overloaded\""),
            "{}",
            last.data
        );
        assert!(reading.events.iter().all(|event| event.data != "[DONE]"));
    }

    #[actix_web::test]
    async fn an_event_source_or_a_foreign_page_gets_no_answer() {
        let app = App::new().configure(routes(&policy().unwrap()));
        let app = init_service(app).await;
        let json = [("host", "localhost:8090"), ("accept", "text/event-stream")];
        let mut get = TestRequest::get().uri("/chat");
        let mut foreign = TestRequest::post()
            .uri("/chat")
            .insert_header(("origin", "https://evil.example"))
            .set_json(serde_json::json!({ "prompt": "why?" }));
        for header in json {
            get = get.insert_header(header);
            foreign = foreign.insert_header(header);
        }
        assert_eq!(call_service(&app, get.to_request()).await.status(), 405);
        assert_eq!(call_service(&app, foreign.to_request()).await.status(), 403);
    }
}
