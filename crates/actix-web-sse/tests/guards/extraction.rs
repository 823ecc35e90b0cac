//! What the guards found out is the request's, however often and in whatever order it is asked
//! for.

use std::{
    cell::RefCell,
    future::{Ready, ready},
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest, HttpResponse, Responder,
    body::{BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    middleware::{Next, from_fn},
    web,
};
use actix_web_sse::{
    Event, Hub, Identity, Policy, Subscriber, TopicRights,
    protect::{Attempt, AuthError, AuthFuture, Authenticator, PolicyBuilder},
};

use super::reply::over_both;
use super::support::{APP, LIMIT, Recording, Reply, Server, reference, refusal, wait_until};

/// `alice` may read `public` and publish, for as long as the token says: `alice` or
/// `alice:SECONDS`.
struct Limited;

impl Authenticator for Limited {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        let token = attempt.token.map(|token| token.text.to_owned());
        Box::pin(async move {
            let token = token.ok_or(AuthError::Missing)?;
            let (user, seconds) = token.split_once(':').unwrap_or((&token, "3600"));
            let seconds = seconds.parse().map_err(|_| AuthError::Invalid)?;
            Ok(Identity::user(user)
                .expiring_in(Duration::from_secs(seconds))
                .publishing(true)
                .reading(["public"]))
        })
    }
}

/// The application's own extractor: looks at who asks, for its log.
struct Logged;

impl FromRequest for Logged {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        assert_eq!(
            Subscriber::of(request).identity().user.as_deref(),
            Some("alice")
        );
        ready(Ok(Self))
    }
}

async fn looks(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    drop(Subscriber::of(request.request()));
    next.call(request).await
}

/// What a middleware around the guards has left for the handler: extracted before anybody knew
/// who asks.
struct Early(RefCell<Option<Subscriber>>);

async fn extracts_early(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let early = Early(RefCell::new(Some(Subscriber::of(request.request()))));
    request.extensions_mut().insert(early);
    next.call(request).await
}

async fn logged(
    _: Logged,
    hub: Hub,
    subscriber: Subscriber,
    topic: web::Path<String>,
) -> impl Responder {
    hub.subscribe(topic.as_str(), subscriber)
}

async fn early(request: HttpRequest, hub: Hub, topic: web::Path<String>) -> impl Responder {
    let early = request.extensions();
    let subscriber = early.get::<Early>().unwrap().0.take().unwrap();
    hub.subscribe(topic.as_str(), subscriber)
}

async fn two(
    hub: Hub,
    first: Subscriber,
    second: Subscriber,
    topic: web::Path<String>,
    request: HttpRequest,
) -> HttpResponse {
    // The first is the one that held the permit.
    drop(hub.subscribe("public", first).respond_to(&request));
    hub.subscribe(topic.as_str(), second).respond_to(&request)
}

fn describe(identity: &Identity) -> String {
    format!(
        "{:?} {} {} {:?}",
        identity.user,
        identity.publish,
        identity.ttl().is_some(),
        identity.topics
    )
}

async fn around(before: Identity, subscriber: Subscriber, after: Identity) -> String {
    let known = describe(subscriber.identity());
    assert_eq!(describe(&before), known);
    assert_eq!(describe(&after), known);
    known
}

async fn around_twice(first: Subscriber, who: Identity, second: Subscriber) -> String {
    assert_eq!(describe(first.identity()), describe(second.identity()));
    assert_eq!(first.address(), second.address());
    describe(&who)
}

thread_local! {
    /// Streams that a handler keeps beside the one it answers with.
    static KEPT: RefCell<Vec<BoxBody>> = const { RefCell::new(Vec::new()) };
}

async fn keeps_one(hub: Hub, request: HttpRequest) -> HttpResponse {
    let kept = hub.subscribe("public", Subscriber::of(&request));
    let kept = kept.respond_to(&request);
    assert_eq!(kept.status(), 200);
    KEPT.with_borrow_mut(|all| all.push(kept.into_body()));
    let second = Subscriber::of(&request);
    hub.subscribe("public", second).respond_to(&request)
}

async fn lets_go() -> HttpResponse {
    KEPT.take();
    HttpResponse::Ok().finish()
}

fn serve(hub: &Hub, change: impl FnOnce(PolicyBuilder) -> PolicyBuilder) -> Server {
    let recording: Arc<Recording> = Arc::default();
    let builder = reference(&recording)
        .require_auth(true)
        .authenticator(Limited);
    let policy = change(builder).build().unwrap();
    let hub = hub.clone();
    Server::start(&recording, move |config| {
        let guarded = |path: &str| web::resource(path.to_owned()).wrap(policy.clone());
        let within = |path: &str| web::resource(path.to_owned()).wrap(from_fn(looks));
        config
            .app_data(hub.clone())
            .service(guarded("/logged/{topic}").route(web::get().to(logged)))
            .service(guarded("/two/{topic}").route(web::get().to(two)))
            .service(guarded("/around").route(web::get().to(around)))
            .service(guarded("/around-twice").route(web::get().to(around_twice)))
            .service(guarded("/keeps").route(web::get().to(keeps_one)))
            .route("/lets-go", web::get().to(lets_go))
            .service(
                within("/within/{topic}")
                    .wrap(policy.clone())
                    .route(web::get().to(logged)),
            )
            .service(
                guarded("/early/{topic}")
                    .wrap(from_fn(extracts_early))
                    .route(web::get().to(early)),
            )
            .service(
                guarded("/nested/{topic}")
                    .wrap(policy.clone())
                    .route(web::get().to(logged)),
            )
            .service(
                web::resource("/open-within/{topic}")
                    .wrap(policy.api().without_auth())
                    .wrap(policy.clone())
                    .route(web::get().to(logged)),
            );
    })
}

async fn get(server: &Server, path: &str, token: &str) -> Reply {
    let lines =
        format!("Accept: text/event-stream\r\nOrigin: {APP}\r\nAuthorization: Bearer {token}\r\n");
    server.request("GET", path, &lines).await
}

fn hub() -> Hub {
    Hub::builder().build().unwrap()
}

const ROUTES: [&str; 6] = [
    "/logged",
    "/within",
    "/two",
    "/early",
    "/nested",
    "/open-within",
];

async fn h05_an_extraction_before_takes_no_rights_away_from_the_guards() {
    let hub = hub();
    let server = serve(&hub, |builder| builder);
    for route in ROUTES {
        let mut reply = get(&server, &format!("{route}/secret"), "alice").await;
        assert_eq!(reply.status, 403, "{route}");
        let body = reply.body().await;
        assert_eq!(body, refusal("insufficient_scope"), "{route}");
        let mut reply = get(&server, &format!("{route}/public"), "alice").await;
        assert_eq!(reply.status, 200, "{route}");
        reply.first_byte().await;
        hub.publish("public", Event::data(route)).unwrap();
        reply.until(&format!("data: {route}\n")).await;
    }
}

async fn h05_identity_and_subscriber_say_the_same_in_every_order() {
    let server = serve(&hub(), |builder| builder);
    let rights = TopicRights::Only(vec!["public".into()]);
    let expected = format!("{:?} true true {rights:?}", Some("alice"));
    for route in ["/around", "/around-twice"] {
        let mut reply = get(&server, route, "alice").await;
        assert_eq!(reply.status, 200, "{route}");
        let body = String::from_utf8(reply.body().await).unwrap();
        assert_eq!(body, expected, "{route}");
    }
}

async fn h05_a_second_stream_has_the_deadline_of_the_first() {
    let server = serve(&hub(), |builder| builder);
    for route in ROUTES {
        let opened = Instant::now();
        let reply = get(&server, &format!("{route}/public"), "alice:1").await;
        assert_eq!(reply.status, 200, "{route}");
        let text = String::from_utf8(reply.rest_of_it().await).unwrap();
        assert!(text.contains("event: auth_expired\n"), "{route}: {text}");
        assert!(opened.elapsed() < LIMIT, "{route}");
    }
}

#[actix_rt::test]
async fn h05_all_streams_of_a_request_share_one_permit_until_the_last_has_ended() {
    let hub = hub();
    let server = serve(&hub, |builder| builder.streams_per_ip(1));
    let mut both = get(&server, "/keeps", "alice").await;
    assert_eq!(both.status, 200, "one permit does for both");
    both.first_byte().await;
    assert_eq!(hub.stats().streams, 2);
    assert_eq!(get(&server, "/logged/public", "alice").await.status, 429);
    drop(both);
    wait_until("the second stream is over", || hub.stats().streams == 1).await;
    assert_eq!(
        get(&server, "/logged/public", "alice").await.status,
        429,
        "the first still holds the permit"
    );
    assert_eq!(server.request("GET", "/lets-go", "").await.status, 200);
    wait_until("both are over", || hub.stats().streams == 0).await;
    assert_eq!(get(&server, "/logged/public", "alice").await.status, 200);
}

#[actix_rt::test]
async fn h05_a_policy_within_a_policy_holds_the_permits_of_both() {
    let hub = hub();
    let recording: Arc<Recording> = Arc::default();
    let outer: Policy = reference(&recording).streams_per_ip(1).build().unwrap();
    let inner: Policy = reference(&recording)
        .authenticator(Limited)
        .build()
        .unwrap();
    let shared = hub.clone();
    let server = Server::start(&recording, move |config| {
        config.app_data(shared.clone()).service(
            web::resource("/events/{topic}")
                .wrap(inner.clone())
                .wrap(outer.clone())
                .route(web::get().to(logged)),
        );
    });
    let mut held = get(&server, "/events/public", "alice").await;
    assert_eq!(held.status, 200);
    held.first_byte().await;
    assert_eq!(get(&server, "/events/public", "alice").await.status, 429);
    drop(held);
    wait_until("the stream is over", || hub.stats().streams == 0).await;
    assert_eq!(get(&server, "/events/public", "alice").await.status, 200);
    wait_until("the next one is over", || hub.stats().streams == 0).await;
    assert_eq!(get(&server, "/events/secret", "alice").await.status, 403);
}

#[actix_rt::test]
async fn h05_a_policy_within_a_policy_is_taken_back_by_either_and_opens_nothing_for_head() {
    let hub = hub();
    let recording: Arc<Recording> = Arc::default();
    let build = || {
        let builder = reference(&recording).authenticator(Limited);
        builder.build().unwrap()
    };
    let (outer, inner) = (build(), build());
    let (shared, policies) = (hub.clone(), [inner.clone(), outer.clone()]);
    let server = Server::start(&recording, move |config| {
        let [inner, outer] = policies.clone();
        config.app_data(shared.clone()).service(
            web::resource("/events/{topic}")
                .wrap(inner)
                .wrap(outer)
                .route(web::get().to(logged)),
        );
    });
    let lines = "Accept: text/event-stream\r\nAuthorization: Bearer alice\r\n";
    let head = server.request("HEAD", "/events/public", lines).await;
    head.assert_ok();
    assert_eq!((hub.stats().streams, hub.stats().topics), (0, 0));
    for policy in [&outer, &inner] {
        let mut open = get(&server, "/events/public", "alice").await;
        open.first_byte().await;
        policy.revoke("alice");
        open.rest_of_it().await;
    }
}

over_both! {
    h05_an_extraction_before_takes_no_rights_away_from_the_guards,
    h05_identity_and_subscriber_say_the_same_in_every_order,
    h05_a_second_stream_has_the_deadline_of_the_first,
}
