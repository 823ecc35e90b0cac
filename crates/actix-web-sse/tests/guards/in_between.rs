//! A revocation that comes while a request waits for somebody.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use actix_web::{HttpRequest, HttpResponse, Responder, web};
use actix_web_sse::{
    Event, Hub, Identity, Policy, Sse, Subscriber,
    config::{AuthConfig, StreamConfig, TicketConfig},
    protect::{
        Attempt, AuthError, AuthFuture, Authenticator, CacheKey, TicketClaim, TicketFuture,
        TicketStore, UserLimitFuture, UserLimitStore, UserSlot,
    },
};
use tokio::sync::Semaphore;

use super::reply::over_both;
use super::support::{APP, Recording, Reply, Server, reference, wait_until};

/// Later than this nothing is that happens at once, on a machine that is busy with other work.
const LATE: Duration = Duration::from_secs(20);

/// Where a request waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Authenticator,
    SharedLimit,
    TicketClaim,
    Handler,
}

/// Stops requests at one place until it is opened.
#[derive(Clone)]
struct Gate(Arc<Inner>);

struct Inner {
    place: Place,
    waiting: AtomicUsize,
    open: Semaphore,
}

impl Gate {
    fn at(place: Place) -> Self {
        Self(Arc::new(Inner {
            place,
            waiting: AtomicUsize::new(0),
            open: Semaphore::new(0),
        }))
    }

    async fn pass(&self, place: Place) {
        if place == self.0.place {
            self.0.waiting.fetch_add(1, Ordering::SeqCst);
            self.0.open.acquire().await.unwrap().forget();
            self.0.waiting.fetch_sub(1, Ordering::SeqCst);
        }
    }

    async fn is_reached(&self) {
        wait_until("somebody waits", || {
            self.0.waiting.load(Ordering::SeqCst) == 1
        })
        .await;
    }

    fn open(&self) {
        self.0.open.add_permits(1);
    }
}

/// `USER` was issued an hour ago, `USER+` in an hour, `USER?` was looked up before it waits.
impl Authenticator for Gate {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        let now = SystemTime::now();
        let hour = Duration::from_secs(3600);
        let identity = attempt.token.map(|token| match token.text {
            text if text.ends_with('+') => {
                Identity::user(text.trim_end_matches('+')).issued_at(now + hour)
            }
            text if text.ends_with('?') => Identity::user(text.trim_end_matches('?')),
            text => Identity::user(text).issued_at(now - hour),
        });
        Box::pin(async move {
            self.pass(Place::Authenticator).await;
            identity.ok_or(AuthError::Missing)
        })
    }

    fn cache_key(&self, _: &Attempt<'_>) -> CacheKey {
        CacheKey::Token
    }
}

impl UserLimitStore for Gate {
    fn acquire<'a>(&'a self, _: &'a Arc<str>, _: u32) -> UserLimitFuture<'a> {
        Box::pin(async {
            self.pass(Place::SharedLimit).await;
            Ok(UserSlot::new(()))
        })
    }
}

impl TicketStore for Gate {
    fn claim<'a>(&'a self, _: &'a TicketClaim) -> TicketFuture<'a> {
        Box::pin(async {
            self.pass(Place::TicketClaim).await;
            Ok(true)
        })
    }
}

async fn events(hub: Hub, subscriber: Subscriber, gate: web::Data<Gate>) -> impl Responder {
    gate.pass(Place::Handler).await;
    hub.subscribe("t", subscriber)
}

/// An application's own stream.
async fn own(subscriber: Subscriber, gate: web::Data<Gate>) -> impl Responder {
    gate.pass(Place::Handler).await;
    Sse::from_stream(futures_util::stream::pending::<Event>(), subscriber)
}

/// Publishes what the identity allows, after it has waited.
async fn publish(hub: Hub, identity: Identity, gate: web::Data<Gate>) -> HttpResponse {
    gate.pass(Place::Handler).await;
    if !identity.still_holds() {
        return HttpResponse::Unauthorized().finish();
    }
    hub.publish("t", Event::data("published")).unwrap();
    HttpResponse::NoContent().finish()
}

async fn ticket(
    policy: web::Data<Policy>,
    request: HttpRequest,
    gate: web::Data<Gate>,
) -> HttpResponse {
    gate.pass(Place::Handler).await;
    policy.ticket(&request, "t")
}

struct Site {
    server: Server,
    hub: Hub,
    policy: Policy,
    gate: Gate,
}

impl Site {
    fn start(place: Place) -> Self {
        Self::with(place, |_| {})
    }

    fn with(place: Place, change: impl FnOnce(&mut AuthConfig)) -> Self {
        let gate = Gate::at(place);
        let mut stream = StreamConfig::default();
        stream.heartbeat = Duration::from_secs(1);
        let hub = Hub::builder().stream(stream).build().unwrap();
        let recording: Arc<Recording> = Arc::default();
        let mut auth = AuthConfig::default();
        auth.required = true;
        auth.timeout = Duration::from_secs(60);
        auth.ticket = Some(TicketConfig::new("reference-ticket-secret-of-32-bytes!!"));
        change(&mut auth);
        let policy = reference(&recording)
            .auth(auth)
            .authenticator(gate.clone())
            .user_limit_store(gate.clone())
            .ticket_store(gate.clone())
            .build()
            .unwrap();
        let (shared, guard, data) = (hub.clone(), policy.clone(), web::Data::new(gate.clone()));
        let server = Server::start(&recording, move |config| {
            config
                .app_data(shared.clone())
                .app_data(data.clone())
                .app_data(web::Data::new(guard.clone()))
                .service(
                    web::resource("/ticket")
                        .wrap(guard.api())
                        .route(web::post().to(ticket)),
                )
                .service(
                    web::resource("/publish")
                        .wrap(guard.api())
                        .route(web::post().to(publish)),
                )
                .service(
                    web::resource("/events")
                        .wrap(guard.clone())
                        .route(web::get().to(events)),
                )
                .service(
                    web::resource("/own")
                        .wrap(guard.clone())
                        .route(web::get().to(own)),
                );
        });
        Self {
            server,
            hub,
            policy,
            gate,
        }
    }

    async fn fetch(&self, token: &str) -> Reply {
        self.post("/ticket", token).await
    }

    async fn post(&self, path: &str, token: &str) -> Reply {
        let lines =
            format!("Content-Length: 0\r\nOrigin: {APP}\r\nAuthorization: Bearer {token}\r\n");
        self.server.request("POST", path, &lines).await
    }

    async fn ticket(&self, token: &str) -> String {
        let body = self.fetch(token).await.body().await;
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        body["ticket"].as_str().unwrap().to_owned()
    }

    async fn open(&self, path: &str, token: &str) -> Reply {
        let lines = format!(
            "Accept: text/event-stream\r\nOrigin: {APP}\r\nAuthorization: Bearer {token}\r\n"
        );
        self.server.request("GET", path, &lines).await
    }

    async fn open_by_ticket(&self, ticket: &str) -> Reply {
        let lines = format!("Accept: text/event-stream\r\nOrigin: {APP}\r\n");
        let path = format!("/events?ticket={ticket}");
        self.server.request("GET", &path, &lines).await
    }

    /// What a request that waits gets when its user is revoked meanwhile, in the order that the
    /// application happens to choose.
    async fn revoked_meanwhile(&self, request: impl Future<Output = Reply>, order: Order) {
        let meanwhile = async {
            self.gate.is_reached().await;
            order.revoke(&self.policy, &self.hub);
            self.hub.publish("t", Event::data("secret")).unwrap();
            self.gate.open();
        };
        let (reply, ()) = tokio::join!(request, meanwhile);
        self.hub.publish("t", Event::data("secret")).unwrap();
        self.is_refused_or_ends(reply).await;
    }

    async fn is_refused_or_ends(&self, reply: Reply) {
        let since = Instant::now();
        if reply.status != 200 {
            assert_eq!(reply.status, 401, "{:?}", reply.headers);
        } else {
            let text = String::from_utf8(reply.rest_of_it().await).unwrap();
            assert!(!text.contains("secret"), "{text}");
        }
        assert!(since.elapsed() < LATE);
        wait_until("no stream is left", || self.hub.stats().streams == 0).await;
    }
}

#[derive(Debug, Clone, Copy)]
enum Order {
    RevokeFirst,
    DisconnectFirst,
    RevokeOnly,
}

impl Order {
    const ALL: [Self; 3] = [Self::RevokeFirst, Self::DisconnectFirst, Self::RevokeOnly];

    fn revoke(self, policy: &Policy, hub: &Hub) {
        if matches!(self, Self::DisconnectFirst) {
            hub.disconnect("alice");
        }
        policy.revoke("alice");
        if matches!(self, Self::RevokeFirst) {
            hub.disconnect("alice");
        }
    }
}

async fn h06_a_revocation_while_a_request_waits_opens_no_stream() {
    for place in [Place::Authenticator, Place::SharedLimit, Place::Handler] {
        for token in ["alice", "alice?"] {
            for order in Order::ALL {
                let site = Site::start(place);
                site.revoked_meanwhile(site.open("/events", token), order)
                    .await;
            }
        }
    }
}

async fn h06_a_revocation_while_an_own_stream_waits_opens_none() {
    for place in [Place::Authenticator, Place::SharedLimit, Place::Handler] {
        for token in ["alice", "alice?"] {
            let site = Site::start(place);
            site.revoked_meanwhile(site.open("/own", token), Order::RevokeFirst)
                .await;
        }
    }
}

async fn h06_a_revocation_while_a_ticket_waits_opens_no_stream() {
    for place in [Place::TicketClaim, Place::SharedLimit] {
        for order in Order::ALL {
            let site = Site::start(place);
            let ticket = site.ticket("alice").await;
            site.revoked_meanwhile(site.open_by_ticket(&ticket), order)
                .await;
        }
    }
    let site = Site::start(Place::TicketClaim);
    // One that was looked up is asked about where it was issued, its ticket here.
    let ticket = site.ticket("alice?").await;
    site.revoked_meanwhile(site.open_by_ticket(&ticket), Order::RevokeOnly)
        .await;
}

async fn h06_a_handler_that_waited_issues_no_ticket_to_a_revoked_user() {
    for token in ["alice", "alice?"] {
        let site = Site::start(Place::Handler);
        let meanwhile = async {
            site.gate.is_reached().await;
            site.policy.revoke("alice");
            site.gate.open();
        };
        let (reply, ()) = tokio::join!(site.fetch(token), meanwhile);
        assert_eq!(reply.status, 401, "{token}");
    }
}

async fn h06_a_handler_can_see_that_its_users_rights_are_gone() {
    for (token, status) in [
        ("alice", 401),
        ("alice?", 401),
        ("alice+", 204),
        ("bob", 204),
    ] {
        let site = Site::start(Place::Handler);
        let meanwhile = async {
            site.gate.is_reached().await;
            site.policy.revoke("alice");
            site.gate.open();
        };
        let (reply, ()) = tokio::join!(site.post("/publish", token), meanwhile);
        assert_eq!(reply.status, status, "{token}");
    }
}

/// What was looked up before a revocation is not remembered after it.
async fn h06_an_answer_that_a_revocation_overtook_is_not_remembered() {
    let site = Site::with(Place::Authenticator, |auth| {
        auth.cache = Some(Default::default());
    });
    for _ in 0..2 {
        let meanwhile = async {
            site.gate.is_reached().await;
            site.policy.revoke("alice");
            site.gate.open();
        };
        // Asked each time: else nobody would be waiting.
        let (reply, ()) = tokio::join!(site.open("/events", "alice?"), meanwhile);
        assert_eq!(reply.status, 401);
    }
    site.gate.open();
    site.open("/events", "alice?").await.assert_ok();
    site.open("/events", "alice?").await.assert_ok();
}

/// A single-use ticket is asked about while its user is revoked and signs in again.
async fn h06_who_signs_in_again_at_once_gets_a_ticket_that_holds() {
    let site = Site::start(Place::Authenticator);
    site.gate.open();
    let ticket = site.ticket("alice?").await;
    let hold_from = site.policy.revoke("alice");
    assert!(hold_from > SystemTime::now());
    assert_eq!(site.open_by_ticket(&ticket).await.status, 401);
    site.gate.open();
    let again = site.ticket("alice?").await;
    site.open_by_ticket(&again).await.assert_ok();
}

async fn h06_others_and_newer_credentials_are_let_in_all_the_same() {
    for place in [Place::Authenticator, Place::SharedLimit, Place::Handler] {
        for token in ["bob", "bob?", "alice+"] {
            let site = Site::start(place);
            let meanwhile = async {
                site.gate.is_reached().await;
                site.policy.revoke("alice");
                site.gate.open();
            };
            let (mut reply, ()) = tokio::join!(site.open("/events", token), meanwhile);
            assert_eq!(reply.status, 200, "{place:?} {token}");
            reply.first_byte().await;
            site.hub.publish("t", Event::data("news")).unwrap();
            reply.until("data: news\n").await;
        }
    }
}

async fn h06_open_streams_end_with_the_revocation_alone() {
    let site = Site::start(Place::TicketClaim);
    let mut streams = Vec::new();
    for (path, token) in [
        ("/events", "alice"),
        ("/events", "alice?"),
        ("/own", "alice"),
    ] {
        let mut reply = site.open(path, token).await;
        reply.first_byte().await;
        streams.push(reply);
    }
    let mut bob = site.open("/events", "bob").await;
    bob.first_byte().await;
    let since = Instant::now();
    site.policy.revoke("alice");
    site.hub.publish("t", Event::data("secret")).unwrap();
    for stream in streams {
        let text = String::from_utf8(stream.rest_of_it().await).unwrap();
        assert!(!text.contains("secret"), "{text}");
    }
    assert!(since.elapsed() < LATE);
    bob.until("data: secret\n").await;
}

over_both! {
    h06_a_revocation_while_a_request_waits_opens_no_stream,
    h06_a_revocation_while_an_own_stream_waits_opens_none,
    h06_a_revocation_while_a_ticket_waits_opens_no_stream,
    h06_a_handler_that_waited_issues_no_ticket_to_a_revoked_user,
    h06_a_handler_can_see_that_its_users_rights_are_gone,
    h06_an_answer_that_a_revocation_overtook_is_not_remembered,
    h06_who_signs_in_again_at_once_gets_a_ticket_that_holds,
    h06_others_and_newer_credentials_are_let_in_all_the_same,
    h06_open_streams_end_with_the_revocation_alone,
}
