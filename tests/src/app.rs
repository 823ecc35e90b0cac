//! An application of the test's own, in this process: a hub, the server settings that the library
//! recommends, and an account of what the hub reports.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use actix_web::{App as Application, HttpServer, Responder, dev::ServerHandle, rt::System, web};
use actix_web_sse::{
    ConnectionSetup, EventServer, ForEventStreams, Hub, Subscriber,
    config::{HubConfig, StreamConfig},
    observe::{CloseReason, End, Observer, Opened, StreamObserver},
};

use crate::{LIMIT, port::local, until};

/// What serves an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Front {
    /// actix-web's own server, with the settings of `for_event_streams`.
    HttpServer,
    /// The library's, whose streams take their sockets over where they can.
    EventServer,
    /// The library's, whose streams stay the bodies of responses.
    BodyLane,
}

impl Front {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::HttpServer, Self::EventServer, Self::BodyLane];

    /// The library's server in both lanes.
    pub const LANES: [Self; 2] = [Self::EventServer, Self::BodyLane];
}

/// A running application: `GET /events?topic=T` follows a topic of its hub. HTTP/1.1, and HTTP/2
/// by prior knowledge, on one port.
pub struct App {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its hub.
    pub hub: Hub,
    /// What the hub has reported.
    pub account: Account,
    connections: Arc<AtomicUsize>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("address", &self.address)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// The `[hub]` of the reference set-up.
#[must_use]
pub fn reference_hub() -> HubConfig {
    let mut hub = HubConfig::default();
    hub.replay_events = 100;
    hub.subscriber_events = 64;
    hub
}

/// The `[stream]` of the reference set-up.
#[must_use]
pub fn reference_stream() -> StreamConfig {
    let mut stream = StreamConfig::default();
    stream.heartbeat = Duration::from_secs(1);
    stream.retry = Duration::from_secs(3);
    stream.stall = Duration::from_secs(3);
    stream.max_lifetime = Some(Duration::from_secs(15 * 60));
    stream.drain = Duration::from_secs(2);
    stream
}

#[derive(serde::Deserialize)]
struct Query {
    #[serde(default = "demo")]
    topic: String,
}

fn demo() -> String {
    "demo".to_owned()
}

async fn events(
    hub: Hub,
    subscriber: Subscriber,
    query: web::Query<Query>,
) -> impl Responder + use<> {
    hub.subscribe(query.into_inner().topic, subscriber)
}

impl App {
    /// Serves with so many workers, and these routes beside.
    ///
    /// # Panics
    /// If it cannot.
    #[must_use]
    pub fn on(
        front: Front,
        workers: usize,
        hub: HubConfig,
        stream: StreamConfig,
        routes: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
    ) -> Self {
        let account = Account::default();
        let hub = Hub::builder()
            .config(hub)
            .stream(stream)
            .observer(account.clone())
            .build()
            .expect("a configuration without faults");
        let connections = Arc::new(AtomicUsize::new(0));
        let (started, start) = mpsc::channel();
        let thread = thread::spawn({
            let (hub, connections) = (hub.clone(), Arc::clone(&connections));
            move || {
                let served = hub.clone();
                let setup = ConnectionSetup::new(&hub);
                let application = move || {
                    Application::new()
                        .app_data(served.clone())
                        .route("/events", web::get().to(events))
                        .configure(routes.clone())
                };
                System::new().block_on(async move {
                    let (address, server) = match front {
                        Front::HttpServer => {
                            let server = HttpServer::new(application)
                                .workers(workers)
                                .client_request_timeout(LIMIT)
                                .for_event_streams(&hub)
                                .on_connect(move |io, data| {
                                    setup.apply(io, data);
                                    data.insert(Counted::new(&connections));
                                })
                                .bind_auto_h2c(local(0))
                                .expect("a free port");
                            (server.addrs()[0], server.run())
                        }
                        Front::EventServer | Front::BodyLane => {
                            let server = EventServer::new(application)
                                .workers(workers)
                                .client_request_timeout(LIMIT)
                                .hub(&hub)
                                .socket_lane(front == Front::EventServer)
                                .on_connect(move |_, data| {
                                    data.insert(Counted::new(&connections));
                                })
                                .bind(local(0))
                                .expect("a free port");
                            (server.addrs()[0], server.run())
                        }
                    };
                    started.send((address, server.handle())).expect("the test");
                    server.await.expect("the server runs");
                });
            }
        });
        let (address, handle) = start.recv().expect("the server starts");
        Self {
            address,
            hub,
            account,
            connections,
            handle,
            thread: Some(thread),
        }
    }

    /// How many connections the server holds.
    #[must_use]
    pub fn connections(&self) -> usize {
        // What `on_connect` leaves is gone when a stream has taken its socket over.
        self.connections.load(Ordering::SeqCst) + self.hub.stats().sockets
    }

    /// Waits until so many streams follow the topic.
    ///
    /// # Panics
    /// If they never do.
    #[track_caller]
    pub fn wait_for_subscribers(&self, topic: &str, count: usize) {
        until(&format!("{count} streams follow {topic}"), LIMIT, || {
            (self.hub.subscribers(topic) == count).then_some(())
        });
    }

    /// Waits until the server holds so many connections.
    ///
    /// # Panics
    /// If it never does.
    #[track_caller]
    pub fn wait_for_connections(&self, count: usize) {
        until(&format!("there are {count} connections"), LIMIT, || {
            (self.connections() == count).then_some(())
        });
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // The order leaves with the call; the answer is of no interest.
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            let joined = thread.join();
            assert!(joined.is_ok() || thread::panicking(), "the server panicked");
        }
    }
}

/// Lives as long as a connection.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What a hub has reported of its streams.
#[derive(Debug, Clone, Default)]
pub struct Account(Arc<Totals>);

#[derive(Debug, Default)]
struct Totals {
    opened: AtomicU64,
    lagged: AtomicU64,
    closed: Mutex<BTreeMap<&'static str, u64>>,
}

impl Account {
    /// Streams opened so far.
    #[must_use]
    pub fn opened(&self) -> u64 {
        self.0.opened.load(Ordering::SeqCst)
    }

    /// Events that streams missed, as their clients were told.
    #[must_use]
    pub fn lagged(&self) -> u64 {
        self.0.lagged.load(Ordering::SeqCst)
    }

    /// Streams closed so far, by reason.
    ///
    /// # Panics
    /// If a test that shares it has panicked.
    #[must_use]
    pub fn closed(&self) -> BTreeMap<&'static str, u64> {
        self.0.closed.lock().expect("the account").clone()
    }

    /// Streams closed so far for this reason.
    #[must_use]
    pub fn closed_as(&self, reason: CloseReason) -> u64 {
        self.closed()
            .get(reason.as_str())
            .copied()
            .unwrap_or_default()
    }

    /// Waits until so many streams have closed for this reason.
    ///
    /// # Panics
    /// If they never have.
    #[track_caller]
    pub fn wait_for(&self, reason: CloseReason, count: u64) {
        let what = format!("{count} streams have ended as {reason}: {self:?}");
        until(&what, LIMIT, || {
            (self.closed_as(reason) == count).then_some(())
        });
    }
}

impl Observer for Account {
    fn opened(&self, _: &Opened<'_>) -> Box<dyn StreamObserver> {
        self.0.opened.fetch_add(1, Ordering::SeqCst);
        Box::new(self.clone())
    }
}

impl StreamObserver for Account {
    fn lagged(&mut self, events: u64) {
        self.0.lagged.fetch_add(events, Ordering::SeqCst);
    }

    fn closed(self: Box<Self>, end: &End) {
        let mut closed = self.0.closed.lock().expect("the account");
        *closed.entry(end.reason.as_str()).or_default() += 1;
    }
}
