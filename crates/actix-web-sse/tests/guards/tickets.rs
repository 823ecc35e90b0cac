use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::{HttpRequest, Responder, web};
use actix_web_sse::{
    Hub, Identity, Policy, Subscriber,
    config::{TicketConfig, TicketMode},
    protect::{
        Attempt, AuthError, AuthFuture, Authenticator, PolicyBuilder, TicketClaim, TicketFuture,
        TicketStore, TicketStoreUnavailable,
    },
};

use super::reply::over_both;
use super::support::{APP, Recording, Reply, Server, events, reference, refusal, wait_until};

/// Every token is the name of its user.
struct Trusting;

impl Authenticator for Trusting {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        let user = attempt.token.map(|token| token.text.to_owned());
        Box::pin(async move { user.map(Identity::user).ok_or(AuthError::Missing) })
    }
}

fn config(mode: TicketMode) -> TicketConfig {
    let mut config = TicketConfig::new("reference-ticket-secret-of-32-bytes!!");
    config.mode = mode;
    config
}

fn topic(request: &HttpRequest) -> Option<String> {
    let query = web::Query::<Vec<(String, String)>>::from_query(request.query_string()).ok()?;
    let found = query.iter().find(|(name, _)| name == "topic");
    Some(found.map_or("demo", |(_, value)| value).to_owned())
}

async fn ticket(policy: web::Data<Policy>, request: HttpRequest) -> actix_web::HttpResponse {
    policy.ticket(&request, &topic(&request).unwrap())
}

fn serve(
    mode: TicketMode,
    change: impl FnOnce(PolicyBuilder) -> PolicyBuilder,
) -> (Server, Policy) {
    let recording: Arc<Recording> = Arc::default();
    let builder = reference(&recording)
        .require_auth(true)
        .authenticator(Trusting)
        .tickets(config(mode))
        .topic(topic);
    let policy = change(builder).build().unwrap();
    let shared = policy.clone();
    let server = Server::start(&recording, move |config| {
        config
            .app_data(web::Data::new(shared.clone()))
            .service(
                web::resource("/ticket")
                    .wrap(shared.api())
                    .route(web::post().to(ticket)),
            )
            .service(
                web::resource("/events")
                    .wrap(shared.clone())
                    .route(web::get().to(events)),
            );
    });
    (server, policy)
}

fn single_use() -> Server {
    serve(TicketMode::SingleUse, |builder| builder).0
}

async fn fetch_reply(server: &Server, target: &str, lines: &str) -> Reply {
    server
        .request("POST", target, &format!("Content-Length: 0\r\n{lines}"))
        .await
}

/// A ticket for a topic, fetched by alice from the allowed origin.
async fn fetch(server: &Server, topic: &str) -> String {
    let lines = format!("Origin: {APP}\r\nAuthorization: Bearer alice\r\n");
    let mut reply = fetch_reply(server, &format!("/ticket?topic={topic}"), &lines).await;
    assert_eq!(reply.status, 200);
    reply.assert_readable_by(APP);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let body: serde_json::Value = serde_json::from_slice(&reply.body().await).unwrap();
    assert_eq!(body["expires_in"], 60);
    body["ticket"].as_str().unwrap().to_owned()
}

async fn open(server: &Server, topic: &str, ticket: &str, lines: &str) -> Reply {
    server
        .request(
            "GET",
            &format!("/events?topic={topic}&ticket={ticket}"),
            &format!("Accept: text/event-stream\r\n{lines}"),
        )
        .await
}

fn origin() -> String {
    format!("Origin: {APP}\r\n")
}

async fn assert_invalid(mut reply: Reply) {
    reply.assert_err(401);
    assert_eq!(
        reply.header("www-authenticate"),
        Some(r#"Bearer error="invalid_token""#)
    );
    assert_eq!(reply.body().await, refusal("invalid_ticket"));
}

async fn t09_a_ticket_opens_one_stream() {
    let server = single_use();
    let ticket = fetch(&server, "demo").await;
    let reply = open(&server, "demo", &ticket, &origin()).await;
    reply.assert_ok();
    reply.assert_readable_by(APP);
    assert_invalid(open(&server, "demo", &ticket, &origin()).await).await;
}

async fn t09_a_ticket_for_something_else_is_none() {
    let server = single_use();
    let ticket = fetch(&server, "demo").await;
    let other = "Origin: https://a.tenant.example.net\r\n";
    assert_invalid(open(&server, "other", &ticket, &origin()).await).await;
    assert_invalid(open(&server, "demo", &ticket, other).await).await;
    assert_invalid(open(&server, "demo", &ticket, "").await).await;
    assert_invalid(open(&server, "demo", &format!("{ticket}A"), &origin()).await).await;
    assert_invalid(open(&server, "demo", "", &origin()).await).await;
    assert_invalid(open(&server, "demo", &"A".repeat(60_000), &origin()).await).await;
    open(&server, "demo", &ticket, &origin()).await.assert_ok();
}

async fn t09_a_ticket_bound_to_an_address_holds_there_only() {
    let (server, _) = serve(TicketMode::SingleUse, |builder| {
        let mut config = config(TicketMode::SingleUse);
        config.bind_address = true;
        builder.tickets(config)
    });
    let ticket = fetch(&server, "demo").await;
    let request = format!(
        "GET /events?ticket={ticket} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n{}\r\n",
        origin()
    );
    assert_invalid(server.raw_from("127.0.0.5", &request).await).await;
    server.raw(&request).await.assert_ok();
}

async fn a_same_origin_page_names_its_origin_in_a_post_only() {
    let server = single_use();
    let own = "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n";
    let lines = format!("{own}Origin: https://api.example.com\r\nAuthorization: Bearer alice\r\n");
    let mut reply = fetch_reply(&server, "/ticket", &lines).await;
    assert_eq!(reply.status, 200);
    let body: serde_json::Value = serde_json::from_slice(&reply.body().await).unwrap();
    let ticket = body["ticket"].as_str().unwrap();
    open(&server, "demo", ticket, own).await.assert_ok();
}

async fn t05_a_ticket_beside_other_credentials() {
    let server = single_use();
    let ticket = fetch(&server, "demo").await;
    let header = format!("{}Authorization: Bearer alice\r\n", origin());
    open(&server, "demo", &ticket, &header)
        .await
        .assert_err(400);
    let twice = format!("{ticket}&ticket={ticket}");
    open(&server, "demo", &twice, &origin())
        .await
        .assert_err(400);
    let reply = open(&server, "demo", &ticket, &origin()).await;
    reply.assert_ok();
}

async fn t11_a08_a06_p13_a_refused_request_uses_no_ticket() {
    let (server, _) = serve(TicketMode::SingleUse, |builder| {
        builder.streams_per_ip(1).streams_per_user(1)
    });
    let ticket = fetch(&server, "demo").await;
    let target = format!("/events?ticket={ticket}");
    let held = server
        .request(
            "GET",
            "/events",
            "Accept: text/event-stream\r\nAuthorization: Bearer bob\r\n",
        )
        .await;
    held.assert_ok();
    open(&server, "demo", &ticket, &origin())
        .await
        .assert_err(429);
    drop(held);
    wait_until("the slot is free", || {
        server.recording.active.load(Ordering::SeqCst) == 0
    })
    .await;

    server
        .request("GET", &target, &origin())
        .await
        .assert_err(406);
    for _ in 0..1000 {
        let lines = format!("{}Access-Control-Request-Method: GET\r\n", origin());
        assert_eq!(server.request("OPTIONS", &target, &lines).await.status, 204);
    }
    let accept = format!("Accept: text/event-stream\r\n{}", origin());
    let head = server.request("HEAD", &target, &accept).await;
    head.assert_ok();
    open(&server, "demo", &ticket, &origin()).await.assert_ok();
}

async fn t11_a_users_limit_uses_no_ticket() {
    let (server, _) = serve(TicketMode::SingleUse, |builder| builder.streams_per_user(1));
    let ticket = fetch(&server, "demo").await;
    let held = server
        .request(
            "GET",
            "/events",
            "Accept: text/event-stream\r\nAuthorization: Bearer alice\r\n",
        )
        .await;
    held.assert_ok();
    let mut refused = open(&server, "demo", &ticket, &origin()).await;
    refused.assert_err(429);
    assert_eq!(refused.body().await, refusal("user_limit"));
    drop(held);
    wait_until("the slot is free", || {
        server.recording.active.load(Ordering::SeqCst) == 0
    })
    .await;
    open(&server, "demo", &ticket, &origin()).await.assert_ok();
}

/// Who guesses is counted like everybody else, and no store is asked about what nobody signed.
async fn t20_guesses_are_limited_in_their_rate_and_looked_up_nowhere() {
    let store = Shared::default();
    store.reachable.store(1, Ordering::SeqCst);
    let seen = Arc::clone(&store.seen);
    let (server, _) = serve(TicketMode::SingleUse, |builder| {
        builder.ticket_store(store).attempts_per_ip(10)
    });
    let since = std::time::Instant::now();
    let mut guessed = 0;
    for n in 0..200_u128 {
        let guess = n.to_string().repeat(40);
        let reply = open(&server, "demo", &guess, &origin()).await;
        match reply.status {
            401 => guessed += 1,
            status => assert_eq!(status, 429),
        }
    }
    // A whole budget at once, and what comes back meanwhile.
    let most = 10 + (since.elapsed().as_secs_f64() * 10.0).ceil() as usize;
    assert!((10..=most).contains(&guessed), "{guessed}");
    assert_eq!(*seen.lock().unwrap(), Vec::<[u8; 16]>::new());
}

/// What the documentation says: the guards cannot tell that a ticket is for another topic if
/// nobody tells them which one is asked for.
async fn t09_without_a_known_topic_the_subscription_refuses_and_the_ticket_is_spent() {
    let recording: Arc<Recording> = Arc::default();
    let policy = reference(&recording)
        .require_auth(true)
        .authenticator(Trusting)
        .tickets(config(TicketMode::SingleUse))
        .build()
        .unwrap();
    let hub = Hub::builder().build().unwrap();
    let server = Server::start(&recording, move |config| {
        config
            .app_data(web::Data::new(policy.clone()))
            .app_data(hub.clone())
            .service(
                web::resource("/ticket")
                    .wrap(policy.api())
                    .route(web::post().to(ticket)),
            )
            .service(
                web::resource("/events")
                    .wrap(policy.clone())
                    .route(web::get().to(follow)),
            );
    });
    let ticket = fetch(&server, "demo").await;
    open(&server, "other", &ticket, &origin())
        .await
        .assert_err(403);
    assert_invalid(open(&server, "demo", &ticket, &origin()).await).await;
    let ticket = fetch(&server, "demo").await;
    open(&server, "demo", &ticket, &origin()).await.assert_ok();
}

async fn follow(hub: Hub, subscriber: Subscriber, request: HttpRequest) -> impl Responder {
    hub.subscribe(topic(&request).unwrap(), subscriber)
}

async fn t12_a_resumable_ticket_opens_its_stream_again() {
    let (server, _) = serve(TicketMode::Resumable, |builder| builder);
    let ticket = fetch(&server, "demo").await;
    for _ in 0..3 {
        let mut reply = open(&server, "demo", &ticket, &origin()).await;
        reply.assert_ok();
        reply.first_byte().await;
    }
}

async fn a_revoked_users_ticket_opens_nothing() {
    let (server, policy) = serve(TicketMode::Resumable, |builder| builder);
    let ticket = fetch(&server, "demo").await;
    open(&server, "demo", &ticket, &origin()).await.assert_ok();
    policy.revoke("alice");
    assert_invalid(open(&server, "demo", &ticket, &origin()).await).await;
}

async fn tickets_are_for_those_who_prove_who_they_are() {
    let server = single_use();
    fetch_reply(&server, "/ticket", &origin())
        .await
        .assert_err(401);
    fetch_reply(
        &server,
        "/ticket",
        "Origin: https://evil.com\r\nAuthorization: Bearer alice\r\n",
    )
    .await
    .assert_err(403);
    let ticket = fetch(&server, "demo").await;
    let reply = fetch_reply(&server, &format!("/ticket?ticket={ticket}"), &origin()).await;
    reply.assert_err(401);
}

/// A store that several nodes would share, and that can be out of reach.
#[derive(Default)]
struct Shared {
    reachable: Arc<AtomicUsize>,
    seen: Arc<std::sync::Mutex<Vec<[u8; 16]>>>,
}

impl TicketStore for Shared {
    fn claim<'a>(&'a self, claim: &'a TicketClaim) -> TicketFuture<'a> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if self.reachable.load(Ordering::SeqCst) == 0 {
                return Err(TicketStoreUnavailable);
            }
            let mut seen = self.seen.lock().unwrap();
            let first = !seen.contains(&claim.id);
            seen.push(claim.id);
            Ok(first)
        })
    }
}

async fn a_store_out_of_reach_opens_nothing() {
    let store = Shared::default();
    let reachable = Arc::clone(&store.reachable);
    let (server, _) = serve(TicketMode::SingleUse, |builder| builder.ticket_store(store));
    let ticket = fetch(&server, "demo").await;
    let mut reply = open(&server, "demo", &ticket, &origin()).await;
    reply.assert_err(503);
    assert_eq!(reply.body().await, refusal("auth_unavailable"));
    reachable.store(1, Ordering::SeqCst);
    open(&server, "demo", &ticket, &origin()).await.assert_ok();
    assert_invalid(open(&server, "demo", &ticket, &origin()).await).await;
}

over_both! {
    t09_a_ticket_opens_one_stream,
    t09_a_ticket_for_something_else_is_none,
    t09_a_ticket_bound_to_an_address_holds_there_only,
    a_same_origin_page_names_its_origin_in_a_post_only,
    t05_a_ticket_beside_other_credentials,
    t11_a08_a06_p13_a_refused_request_uses_no_ticket,
    t11_a_users_limit_uses_no_ticket,
    t20_guesses_are_limited_in_their_rate_and_looked_up_nowhere,
    t09_without_a_known_topic_the_subscription_refuses_and_the_ticket_is_spent,
    t12_a_resumable_ticket_opens_its_stream_again,
    a_revoked_users_ticket_opens_nothing,
    tickets_are_for_those_who_prove_who_they_are,
    a_store_out_of_reach_opens_nothing,
}
