//! Who may see the page, and who may do something.

use actix_web::{
    http::{StatusCode, header},
    test::{self, TestRequest},
};
use actix_web_sse_metrics::OperatorAccess;
use serde_json::{Value, json};

use crate::{ALLOWED, Site, TOKEN, header_of};

#[actix_web::test]
async fn h10_the_data_and_the_actions_need_the_token() {
    let site = Site::new();
    let _stream = site.open(Some("ada"), None).await;
    let id = site.streams("").await[0]["connection"].clone();
    let id = id.as_str().unwrap();
    let (one, end) = (format!("streams/{id}"), format!("streams/{id}/end"));
    for (method, path) in [
        ("GET", "overview"),
        ("GET", "streams"),
        ("GET", one.as_str()),
        ("POST", end.as_str()),
        ("POST", "users/end"),
    ] {
        for presented in [
            None,
            Some("Bearer a-token-of-24-bytes-lone"),
            Some("Bearer "),
        ] {
            let mut request = TestRequest::with_uri(&format!("/admin/operations/api/{path}"))
                .method(method.parse().unwrap())
                .peer_addr("127.0.0.1:1".parse().unwrap())
                .insert_header((header::HOST, "localhost"))
                .set_json(json!({ "user": "ada" }));
            if let Some(presented) = presented {
                request = request.insert_header((header::AUTHORIZATION, presented));
            }
            let response = site.call(request).await;
            assert_eq!(response.status(), StatusCode::FORBIDDEN, "{method} {path}");
            assert_eq!(header_of(&response, "cache-control"), "no-store");
            let body: Value = test::read_body_json(response).await;
            assert_eq!(body["error"], "token_required");
            let hint = body["hint"].as_str().unwrap();
            assert!(hint.contains("Authorization: Bearer"), "{hint}");
            assert_eq!(body.as_object().unwrap().len(), 2, "nothing else: {body}");
        }
    }
    assert_eq!(site.hub.stats().streams, 1, "nothing was ended");
}

#[actix_web::test]
async fn h10_without_a_token_this_machine_may_look_and_end_nothing() {
    let mut site = Site::new();
    site.access = OperatorAccess::loopback_without_token();
    let _stream = site.open(Some("ada"), None).await;
    let local = |request: TestRequest| {
        request
            .peer_addr("127.0.0.1:1".parse().unwrap())
            .insert_header((header::HOST, "localhost"))
    };
    let request = TestRequest::get().uri("/admin/operations/api/overview");
    let response = site.call(local(request)).await;
    assert_eq!(response.status(), StatusCode::OK);
    let body: Value = test::read_body_json(response).await;
    assert_eq!(
        (&body["canEnd"], &body["streams"]),
        (&json!(false), &json!(1))
    );
    let request = TestRequest::post()
        .uri("/admin/operations/api/users/end")
        .set_json(json!({ "user": "ada" }));
    let response = site.call(local(request)).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    let body: Value = test::read_body_json(response).await;
    assert!(
        body["hint"]
            .as_str()
            .unwrap()
            .contains("OperatorAccess::bearer")
    );
    // From elsewhere nothing is shown.
    let request = TestRequest::get()
        .uri("/admin/operations/api/overview")
        .peer_addr("192.0.2.1:1".parse().unwrap())
        .insert_header((header::HOST, "localhost"));
    assert_eq!(site.call(request).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(site.hub.stats().streams, 1);
}

#[actix_web::test]
async fn the_files_need_no_token_hold_no_data_and_allow_only_themselves() {
    let site = Site::new();
    let _stream = site.open(Some("ada-lovelace"), Some(ALLOWED)).await;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/page.css", "text/css; charset=utf-8"),
        ("/main.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let uri = format!("/admin/operations{path}");
        let response = site.call(TestRequest::get().uri(&uri)).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let header = |name| header_of(&response, name);
        assert_eq!(header("content-type"), kind);
        assert_eq!(header("x-content-type-options"), "nosniff");
        let policy = header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"));
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"));
        let body = test::read_body(response).await;
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(!text.contains("ada-lovelace") && !text.contains(TOKEN));
    }
    let response = site.call(TestRequest::get().uri("/admin/operations")).await;
    assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(header_of(&response, "location"), "operations/");
    let response = site
        .call(TestRequest::get().uri("/admin/operations/api/x"))
        .await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}
