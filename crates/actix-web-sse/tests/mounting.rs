//! Mistakes in how the library is mounted: each is reported once, with its remedy, and a correct
//! server reports none.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer, Responder,
    dev::ServerHandle,
    http::StatusCode,
    rt::System,
    test::TestRequest,
    web::{self, ServiceConfig},
};
use actix_web_sse::{
    Event, ForEventStreams, Hub, Identity, Policy, Sse, Subscriber,
    config::TicketConfig,
    observe::{Destination, Misconfiguration, Observer, Opened, StreamObserver},
    protect::{
        Attempt, AuthError, AuthFuture, Authenticator, TicketClaim, TicketFuture, TicketStore,
    },
};
use futures_util::stream;

const LIMIT: Duration = Duration::from_secs(30);

/// Remembers the mistakes that it hears of. Clones share them.
#[derive(Debug, Clone, Default)]
struct Mistakes(Arc<Mutex<Vec<Misconfiguration>>>);

impl Mistakes {
    fn heard(&self) -> Vec<Misconfiguration> {
        self.0.lock().unwrap().clone()
    }
}

impl Observer for Mistakes {
    fn opened(&self, _: &Opened<'_>) -> Box<dyn StreamObserver> {
        Box::new(())
    }

    fn misconfigured(&self, mistake: Misconfiguration) {
        self.0.lock().unwrap().push(mistake);
    }

    fn destination(&self) -> Destination {
        Destination::of(&*self.0)
    }
}

/// How the server of a test is set up.
#[derive(Clone, Copy)]
enum Setup<'a> {
    Plain,
    Draining(&'a Hub),
    DrainingAll(&'a [Hub]),
}

struct Server {
    address: SocketAddr,
    handle: ServerHandle,
}

impl Server {
    fn start(
        setup: Setup<'_>,
        listen: &str,
        routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
    ) -> Self {
        let hubs = match setup {
            Setup::Plain => None,
            Setup::Draining(hub) => Some(vec![hub.clone()]),
            Setup::DrainingAll(hubs) => Some(hubs.to_vec()),
        };
        let listen = listen.to_owned();
        let (ready, is_ready) = mpsc::channel();
        std::thread::spawn(move || {
            System::new().block_on(async move {
                let server =
                    HttpServer::new(move || App::new().configure(routes.clone())).workers(2);
                let server = match hubs {
                    Some(hubs) => server.for_event_streams(hubs),
                    None => server,
                };
                let server = server
                    .shutdown_signal(std::future::pending())
                    .bind(listen)
                    .unwrap();
                let address = server.addrs().first().copied().unwrap();
                let server = server.run();
                ready.send((address, server.handle())).unwrap();
                server.await.unwrap();
            });
        });
        let (mut address, handle) = is_ready.recv_timeout(LIMIT).unwrap();
        address.set_ip([127, 0, 0, 1].into());
        Self { address, handle }
    }

    fn on_loopback(
        setup: Setup<'_>,
        routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
    ) -> Self {
        Self::start(setup, "127.0.0.1:0", routes)
    }

    /// Opens a stream; its first block has come.
    #[track_caller]
    fn open(&self, path: &str) -> TcpStream {
        let (status, stream) = self.ask(path);
        assert_eq!(status, 200, "{path}");
        stream
    }

    /// The status of the reply, and the connection.
    #[track_caller]
    fn ask(&self, path: &str) -> (u16, TcpStream) {
        let (status, _, stream) = self.exchange(path, "retry:");
        (status, stream)
    }

    /// Reads up to this text, or the head of a refusal.
    #[track_caller]
    fn exchange(&self, path: &str, end: &str) -> (u16, String, TcpStream) {
        let mut client = TcpStream::connect(self.address).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\
             Authorization: Bearer alice\r\n\r\n"
        );
        let request = match path.contains("ticket=") {
            true => request.replace("Authorization: Bearer alice\r\n", ""),
            false => request,
        };
        client.write_all(request.as_bytes()).unwrap();
        let mut seen = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            let read = client.read(&mut buffer).unwrap();
            assert_ne!(read, 0, "closed early: {}", String::from_utf8_lossy(&seen));
            seen.extend(buffer.iter().take(read));
            let text = String::from_utf8_lossy(&seen);
            let status = text.get(9..12).and_then(|status| status.parse().ok());
            if let Some(status) = status
                && (status != 200 || text.contains(end))
            {
                return (status, text.into_owned(), client);
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

fn hub(mistakes: &Mistakes) -> Hub {
    Hub::builder().observer(mistakes.clone()).build().unwrap()
}

async fn events(hub: Hub, subscriber: Subscriber) -> impl Responder {
    hub.subscribe("t", subscriber)
}

async fn own(subscriber: Subscriber) -> impl Responder {
    Sse::from_stream(stream::pending::<Event>(), subscriber)
}

/// The application of the README: a hub, a policy around its streams, one observer.
fn mounted(hub: &Hub, policy: &Policy) -> impl Fn(&mut ServiceConfig) + Clone + Send + 'static {
    let (hub, policy) = (hub.clone(), policy.clone());
    move |config| {
        config.app_data(hub.clone()).service(
            web::scope("")
                .wrap(policy.clone())
                .route("/events", web::get().to(events))
                .route("/own", web::get().to(own)),
        );
    }
}

#[test]
fn a_correct_server_reports_no_mistake() {
    let mistakes = Mistakes::default();
    let (one, other) = (hub(&mistakes), hub(&mistakes));
    let policy = Policy::builder().observer(mistakes.clone()).build();
    let server = Server::on_loopback(
        Setup::DrainingAll(&[other, one.clone()]),
        mounted(&one, &policy.unwrap()),
    );
    let _streams = ["/events", "/own", "/events"].map(|path| server.open(path));
    assert_eq!(mistakes.heard(), []);
}

#[test]
fn a_server_without_for_event_streams_is_reported_once() {
    let mistakes = Mistakes::default();
    let hub = hub(&mistakes);
    let policy = Policy::builder().observer(mistakes.clone()).build();
    let server = Server::on_loopback(Setup::Plain, mounted(&hub, &policy.unwrap()));
    let _streams = ["/events", "/own", "/events", "/events"].map(|path| server.open(path));
    assert_eq!(mistakes.heard(), [Misconfiguration::ServerNotSetUp]);
}

#[test]
fn a_hub_that_its_server_does_not_drain_is_reported_once() {
    let (drained, forgotten) = (Mistakes::default(), Mistakes::default());
    let (first, second) = (hub(&drained), hub(&forgotten));
    let also = first.clone();
    let server = Server::on_loopback(Setup::Draining(&first), move |config| {
        let (first, second) = (also.clone(), second.clone());
        let follow = |hub: Hub| move |subscriber: Subscriber| ready(hub.subscribe("t", subscriber));
        config
            .route("/drained", web::get().to(follow(first)))
            .route("/forgotten", web::get().to(follow(second)));
    });
    let _streams =
        ["/drained", "/forgotten", "/drained", "/forgotten"].map(|path| server.open(path));
    assert_eq!(drained.heard(), []);
    assert_eq!(forgotten.heard(), [Misconfiguration::HubNotDrained]);
}

fn ready<T>(value: T) -> std::future::Ready<T> {
    std::future::ready(value)
}

#[test]
fn a_stream_without_a_hub_is_reported_to_the_hub_that_the_server_drains() {
    let mistakes = Mistakes::default();
    let hub = hub(&mistakes);
    let server = Server::on_loopback(Setup::Draining(&hub), |config| {
        config.route("/own", web::get().to(own));
    });
    let _streams = [server.open("/own"), server.open("/own")];
    assert_eq!(mistakes.heard(), [Misconfiguration::NoHub]);
}

#[test]
fn a_stream_without_any_hub_is_reported_to_the_policy() {
    let mistakes = Mistakes::default();
    let policy = Policy::builder().observer(mistakes.clone()).build();
    let policy = policy.unwrap();
    let server = Server::on_loopback(Setup::Plain, move |config| {
        config.service(
            web::resource("/own")
                .wrap(policy.clone())
                .route(web::get().to(own)),
        );
    });
    let _streams = [server.open("/own"), server.open("/own")];
    assert_eq!(mistakes.heard(), [Misconfiguration::NoHub]);
}

/// Believes whoever says a name.
struct Believing;

impl Authenticator for Believing {
    fn authenticate<'a>(&'a self, attempt: Attempt<'a>) -> AuthFuture<'a> {
        let user = attempt.token.map(|token| Identity::user(token.text));
        Box::pin(ready(user.ok_or(AuthError::Missing)))
    }
}

/// A store that several policies share, and that counts how often it is asked.
#[derive(Clone, Default)]
struct SharedStore(Arc<Mutex<Vec<[u8; 16]>>>);

impl TicketStore for SharedStore {
    fn claim<'a>(&'a self, claim: &'a TicketClaim) -> TicketFuture<'a> {
        let mut claims = self.0.lock().unwrap();
        let first = !claims.contains(&claim.id);
        claims.push(claim.id);
        Box::pin(ready(Ok(first)))
    }
}

fn policy(mistakes: &Mistakes, store: &SharedStore, streams: u32) -> Policy {
    Policy::builder()
        .authenticator(Believing)
        .require_auth(true)
        .tickets(TicketConfig::new("a ticket secret of at least 32 bytes"))
        .ticket_store(store.clone())
        .streams_per_ip(streams)
        .observer(mistakes.clone())
        .build()
        .unwrap()
}

async fn ticket(policy: web::Data<Policy>, request: HttpRequest) -> HttpResponse {
    policy.ticket(&request, "t")
}

/// One policy around a scope, another around the stream route inside it.
fn nested(hub: &Hub, outer: &Policy, inner: &Policy) -> Server {
    let (app_hub, outer, inner) = (hub.clone(), outer.clone(), inner.clone());
    Server::on_loopback(Setup::Draining(hub), move |config| {
        config
            .app_data(app_hub.clone())
            .app_data(web::Data::new(inner.clone()))
            .service(
                web::resource("/ticket")
                    .wrap(outer.api())
                    .route(web::get().to(ticket)),
            )
            .service(
                web::scope("/in").wrap(outer.clone()).service(
                    web::resource("/events")
                        .wrap(inner.clone())
                        .route(web::get().to(events)),
                ),
            );
    })
}

impl Server {
    fn ticket(&self) -> String {
        let (status, text, _) = self.exchange("/ticket", "expires_in");
        assert_eq!(status, 200, "{text}");
        let ticket = text.rsplit("\"ticket\":\"").next().unwrap();
        ticket.split('"').next().unwrap().to_owned()
    }
}

#[test]
fn a_policy_nested_in_itself_takes_one_permit_and_spends_a_ticket_once() {
    let (mistakes, store) = (Mistakes::default(), SharedStore::default());
    let hub = hub(&mistakes);
    let policy = policy(&mistakes, &store, 2);
    let server = nested(&hub, &policy, &policy);
    let _first = server.open("/in/events");
    let _second = server.open(&format!("/in/events?ticket={}", server.ticket()));
    assert_eq!(store.0.lock().unwrap().len(), 1, "claims");
    assert_eq!(server.ask("/in/events").0, 429, "two permits are held");
    assert_eq!(mistakes.heard(), [Misconfiguration::NestedPolicy]);
}

#[test]
fn of_two_nested_policies_both_limits_hold_and_a_ticket_is_spent_once() {
    for (outer_limit, inner_limit) in [(2, 9), (9, 2)] {
        let (mistakes, store) = (Mistakes::default(), SharedStore::default());
        let hub = hub(&mistakes);
        let outer = policy(&mistakes, &store, outer_limit);
        let inner = policy(&mistakes, &store, inner_limit);
        let server = nested(&hub, &outer, &inner);
        let _first = server.open("/in/events");
        let _second = server.open(&format!("/in/events?ticket={}", server.ticket()));
        assert_eq!(store.0.lock().unwrap().len(), 1, "claims");
        assert_eq!(
            server.ask("/in/events").0,
            429,
            "{outer_limit} {inner_limit}"
        );
        assert_eq!(mistakes.heard(), [Misconfiguration::NestedPolicy]);
    }
}

#[test]
fn a_companion_around_streams_does_not_stand_for_their_policy() {
    let (mistakes, store) = (Mistakes::default(), SharedStore::default());
    let hub = hub(&mistakes);
    let policy = policy(&mistakes, &store, 1);
    let app_hub = hub.clone();
    let server = Server::on_loopback(Setup::Draining(&hub), move |config| {
        config.app_data(app_hub.clone()).service(
            web::scope("/in").wrap(policy.api()).service(
                web::resource("/events")
                    .wrap(policy.clone())
                    .route(web::get().to(events)),
            ),
        );
    });
    let _first = server.open("/in/events");
    assert_eq!(server.ask("/in/events").0, 429);
    assert_eq!(mistakes.heard(), []);
}

#[test]
fn different_observers_of_a_hub_and_its_policy_are_reported_to_the_policys() {
    let (hubs, policys) = (Mistakes::default(), Mistakes::default());
    let hub = hub(&hubs);
    let policy = Policy::builder().observer(policys.clone()).build().unwrap();
    let server = Server::on_loopback(Setup::Draining(&hub), mounted(&hub, &policy));
    let _streams = ["/events"; 4].map(|path| server.open(path));
    assert_eq!(hubs.heard(), []);
    assert_eq!(policys.heard(), [Misconfiguration::DifferentObservers]);
}

#[test]
fn a_policy_that_nobody_observes_is_reported_to_the_observer_of_the_hub() {
    let mistakes = Mistakes::default();
    let hub = hub(&mistakes);
    let policy = Policy::builder().build().unwrap();
    let server = Server::on_loopback(Setup::Draining(&hub), mounted(&hub, &policy));
    let _streams = ["/events"; 4].map(|path| server.open(path));
    assert_eq!(mistakes.heard(), [Misconfiguration::DifferentObservers]);
}

#[test]
fn a_policy_without_hosts_beyond_the_loopback_is_reported_once() {
    for (hosts, expected) in [
        (None, &[Misconfiguration::NoHosts][..]),
        (Some("localhost"), &[]),
    ] {
        let mistakes = Mistakes::default();
        let hub = hub(&mistakes);
        let mut policy = Policy::builder().observer(mistakes.clone());
        if let Some(host) = hosts {
            policy = policy.host(host);
        }
        let routes = mounted(&hub, &policy.build().unwrap());
        let server = Server::start(Setup::Draining(&hub), "0.0.0.0:0", routes);
        let _streams = ["/events"; 4].map(|path| server.open(path));
        assert_eq!(mistakes.heard(), expected, "{hosts:?}");
    }
}

/// Answers as a handler outside of a server would.
fn respond(hub: &Hub) -> StatusCode {
    let request = TestRequest::get().to_http_request();
    let subscriber = Subscriber::of(&request);
    let response = hub.subscribe("t", subscriber).respond_to(&request);
    response.status()
}

#[test]
fn outside_of_actixs_runtime_a_stream_is_a_clear_error_and_no_panic() {
    for in_tokio in [false, true] {
        let mistakes = Mistakes::default();
        let hub = hub(&mistakes);
        for _ in 0..2 {
            let status = if in_tokio {
                let runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = { runtime }.enable_all().build().unwrap();
                runtime.block_on(async { respond(&hub) })
            } else {
                respond(&hub)
            };
            assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{in_tokio}");
        }
        assert_eq!(mistakes.heard(), [Misconfiguration::OutsideRuntime]);
        assert_eq!(hub.stats().streams, 0);
    }
}

#[test]
fn every_mistake_names_its_remedy() {
    for mistake in Misconfiguration::ALL {
        let text = mistake.to_string();
        let remedies = ["call", "name every", "add", "wrap", "give", "set", "serve"];
        let (_, remedy) = text.rsplit_once("; ").or(text.rsplit_once(": ")).unwrap();
        assert!(
            remedies.iter().any(|verb| remedy.starts_with(verb)),
            "{mistake:?}: {remedy}"
        );
    }
}
